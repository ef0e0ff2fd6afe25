"""`ego weights`: list and verify the weights that ship, export a network to ONNX, import published checkpoints, and enter a
trained file into the manifest."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import typer
import yaml

from ego_perception.errors import ConfigError, WeightsError
from ego_perception.resources import models_dir
from ego_perception.weights import (
    ManifestEntry,
    WeightsInfo,
    read_info,
    read_manifest,
    sha256_of,
    shipped_weights,
    verify_weights,
    write_manifest,
)
from ego_perception.weights.manifest import MANIFEST_NAME, MAX_BYTES
from ego_perception.weights.official import OFFICIAL

if TYPE_CHECKING:
    from ego_perception.weights.runtime import NetworkKind

app = typer.Typer(add_completion=False)

ACTIONS: Final = ("list", "verify", "export", "import", "enter")
Export: TypeAlias = "tuple[NetworkKind[Any, Any], Sequence[tuple[int, ...]]]"
"""Network and shapes of its inputs."""
_INPUTS: Final = {
    "reconstruction-depth": "one RGB image of any size and shape, resized to about 128x96; gives log depth divided by the "
    "focal ratio, its Laplace scale, the log focal ratio and its Laplace scale (ego_perception/reconstruction/model.py)",
    "hand-segmentation": "one RGB image, resized to a width of 320; gives scores of six classes "
    "(ego_perception/hand_removal/segmentation/model.py)",
    "hand-removal-fill": "14 planes of a window around the hole (ego_perception/hand_removal/fill/sizes.py); gives the filled "
    "picture, the painted part of it, and the trust in the remembered background",
}
_TASKS: Final = {
    "reconstruction-depth": "reconstruction",
    "hand-segmentation": "hand-segmentation",
    "hand-removal-fill": "hand-fill",
}

_ACTION_HELP: Final = (
    "list; verify; export NAME -o FILE.onnx; import vidm|ldm-inpainting CHECKPOINT; enter FILE (for maintainers)."
)


@app.command(help="List, verify, export and import model weights.")
def weights(
    action: Annotated[str, typer.Argument(help=_ACTION_HELP)],
    name: Annotated[str, typer.Argument(help="Name in the list, or a .safetensors file.")] = "",
    checkpoint: Annotated[Path | None, typer.Argument(help="Published checkpoint that import converts.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File that export or import writes.")] = None,
    size: Annotated[str, typer.Option(help="Shape of the images an exported network takes, WIDTHxHEIGHT.")] = "640x480",
    models: Annotated[Path | None, typer.Option(help="Folder with the manifest; the shipped one if left out.")] = None,
) -> None:
    """Run one action."""
    if action not in ACTIONS:
        raise ConfigError(f"action is '{action}'; choose one of {', '.join(ACTIONS)}")
    if action in ("export", "enter") and not name:
        raise ConfigError(f"`ego weights {action}` needs a name or file; see `ego weights list`")
    if action == "list":
        _list(models)
    elif action == "verify":
        _verify(models, name)
    elif action == "export":
        _export(_find(name, models), output, size)
    elif action == "import":
        _import(name, checkpoint, output)
    else:
        enter(Path(name), models or models_dir())


def _list(models: Path | None) -> None:
    for entry in read_manifest(models):
        metrics = ", ".join(f"{key} {value:g}" for key, value in entry.metrics.items())
        typer.echo(f"{entry.name}  version {entry.version}, {entry.bytes / 1000:.0f} kB, {entry.licence}")
        typer.echo(f"    input    {entry.input}\n    trained  {entry.data}\n    reached  {metrics}")
    for official in OFFICIAL.values():
        typer.echo(f"{official.name}  not shipped: `ego weights import {official.name} {Path(official.file).name}`")
        typer.echo(f"    source   {official.source}\n    licence  {official.licence}")


def _verify(models: Path | None, name: str) -> None:
    folder = models or models_dir()
    entries = [entry for entry in read_manifest(folder) if name in ("", entry.name)]
    if not entries:
        raise WeightsError(f"no weights named '{name}' in {folder / MANIFEST_NAME}; see `ego weights list`")
    for entry in entries:
        verify_weights(entry, folder)
        typer.echo(f"ok  {entry.name}  {entry.sha256}")


def _find(name: str, models: Path | None) -> Path:
    return Path(name) if name.endswith(".safetensors") else shipped_weights(name, models)


def _export(path: Path, output: Path | None, size: str) -> None:
    """Write the network as ONNX for images of one shape."""
    from ego_perception.weights.onnx import export_onnx

    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", size)
    if match is None:
        raise ConfigError(f"size is '{size}'; write WIDTHxHEIGHT, such as 640x480")
    kind = read_info(path).kind
    if kind not in _EXPORTS:
        raise WeightsError(f"{path} holds '{kind}' weights; only {', '.join(_EXPORTS)} can be exported")
    network, shapes = _EXPORTS[kind](path, int(match[1]), int(match[2]))
    height, width = shapes[0][2:]
    target = output or Path(f"{path.stem}-{width}x{height}.onnx")
    export_onnx(network.module(path), target, shapes, network.inputs, network.outputs)
    words = ", ".join(f"'{name}' {shape}" for name, shape in zip(network.inputs, shapes, strict=True))
    typer.echo(f"{target}: input {words} float32, images RGB in 0..1")


def _depth_export(path: Path, width: int, height: int) -> Export:
    from ego_perception.reconstruction.network import DEPTH_NETWORK
    from ego_perception.reconstruction.sizes import network_size

    w, h = network_size(width, height, DEPTH_NETWORK.sizes(path).area)
    return DEPTH_NETWORK, [(1, 3, h, w)]


def _segmenter_export(path: Path, width: int, height: int) -> Export:
    from ego_perception.hand_removal.segmentation.network import HAND_SEGMENTER
    from ego_perception.hand_removal.segmentation.sizes import input_size

    w, h = input_size(width, height, HAND_SEGMENTER.sizes(path).width)
    return HAND_SEGMENTER, [(1, 3, h, w)]


def _fill_export(path: Path, width: int, height: int) -> Export:
    from ego_perception.hand_removal.fill.network import FILL_NETWORK
    from ego_perception.hand_removal.fill.sizes import PLANES, STRIDE

    if width % STRIDE or height % STRIDE:
        raise ConfigError(f"size is {width}x{height}; the fill network takes windows whose sides are multiples of {STRIDE}")
    return FILL_NETWORK, [(1, PLANES, height, width)]


_EXPORTS: Final[dict[str, Callable[[Path, int, int], Export]]] = {
    "reconstruction-depth": _depth_export,
    "hand-segmentation": _segmenter_export,
    "hand-removal-fill": _fill_export,
}


def _import(name: str, checkpoint: Path | None, output: Path | None) -> None:
    """Convert a published checkpoint, and say key by key what became of it."""
    from ego_perception.weights.onnx import cache_folder

    if name not in OFFICIAL or checkpoint is None:
        raise ConfigError(f"`ego weights import` takes one of {', '.join(OFFICIAL)} and the checkpoint; got '{name}'")
    official = OFFICIAL[name]
    target = output or cache_folder() / f"{name}.safetensors"
    report = importlib.import_module(official.module).import_checkpoint(name, checkpoint, target)
    for line in report.lines():
        typer.echo(line)
    typer.echo(f"licence: {official.licence}")
    typer.echo(f"wrote {target} and, key by key, {target.with_suffix('.import.json')}")


def enter(path: Path, folder: Path) -> ManifestEntry:
    """Copy a trained weight file into the models folder and describe it in the manifest.

    Raises:
        WeightsError: the file is damaged, of an unknown kind, or too large to ship.
    """
    info = read_info(path)
    if info.kind not in _INPUTS:
        raise WeightsError(f"{path} holds '{info.kind}' weights; only {', '.join(_INPUTS)} can ship")
    if path.stat().st_size > MAX_BYTES:
        raise WeightsError(f"{path} has {path.stat().st_size} bytes; shipped weights have at most {MAX_BYTES}")
    file = f"{info.kind.replace('-', '_')}.safetensors"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, folder / file)
    entry = _entry(info, folder / file)
    others = read_manifest(folder) if (folder / MANIFEST_NAME).is_file() else []
    write_manifest([*(e for e in others if e.name != entry.name), entry], folder)
    typer.echo(yaml.safe_dump({entry.name: {"file": file, "sha256": entry.sha256, "metrics": entry.metrics}}))
    return entry


def _entry(info: WeightsInfo, path: Path) -> ManifestEntry:
    training, parameters = info.training, info.training["parameters"]
    seed, steps = parameters["trainer.seed"], parameters["trainer.steps"]
    rooms = training["rooms"] if "rooms" in training else training["clips"]
    passes = f"{training['windows']} window" if "windows" in training else f"{training['images']} image"
    return ManifestEntry(
        name=info.kind,
        version=info.version,
        file=path.name,
        bytes=path.stat().st_size,
        sha256=sha256_of(path),
        licence="Apache-2.0",
        input=_INPUTS[info.kind],
        command=f"ego train {_TASKS[info.kind]} --rooms {rooms} --steps {steps} --seed {seed}",
        seed=seed,
        data=f"EgoSim, split train, {rooms} rooms, {passes} passes; metrics on split val",
        commit=_commit(),
        metrics=info.metrics,
    )


def _commit() -> str:
    """The commit of the clone this runs in, or "unknown" outside of one."""
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    result = subprocess.run(git, capture_output=True, text=True, check=False)
    return result.stdout.strip() if result.returncode == 0 else "unknown"
