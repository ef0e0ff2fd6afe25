"""`ego sim`: record a simulated walk, with ground truth, to a bag or an image folder."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer
import yaml
from rich.progress import track

from ego_perception.data import Frame
from ego_perception.data.scene_truth import SceneTruth
from ego_perception.errors import ConfigError
from ego_perception.geometry import PinholeCamera
from ego_perception.parameters import from_mapping

app = typer.Typer(add_completion=False)


class Form(str, enum.Enum):
    """What is written."""

    BAG = "bag"
    FOLDER = "folder"


class Picture(str, enum.Enum):
    """How a bag holds its images."""

    JPEG = "jpeg"
    RAW = "raw"


@app.command(help="Record EgoSim to a bag or an image folder.")
def sim(
    seed: Annotated[int, typer.Argument(help="Chooses room, looks and path.")] = 0,
    out: Annotated[Path, typer.Option("--out", "-o", help="Bag or folder to write; it must not exist.")] = Path("out/sim"),
    seconds: Annotated[float, typer.Option(help="Length.")] = 10.0,
    fps: Annotated[float, typer.Option(help="Frames per second.")] = 15.0,
    preset: Annotated[str, typer.Option(help="plain, default or hard.")] = "default",
    size: Annotated[str, typer.Option(help="WIDTHxHEIGHT in pixels.")] = "640x480",
    fov: Annotated[float, typer.Option(help="Vertical field of view, degrees.")] = 55.0,
    form: Annotated[Form, typer.Option("--as", help="rosbag2 MCAP, or files as in 7-Scenes.")] = Form.BAG,
    products: Annotated[
        str, typer.Option(help="Comma-separated truth beyond depth, ids and poses: clean, background, flow, bodies, vertices.")
    ] = "bodies",
    assignments: Annotated[
        list[str] | None, typer.Option("--set", help="A parameter of the simulator, such as people.others=1 or photo.noise=3.")
    ] = None,
    image: Annotated[Picture, typer.Option(help="Images in the bag.")] = Picture.JPEG,
) -> None:
    """Record one clip; what carries the name OUT is whole, an interrupted one stays in OUT.partial."""
    from ego_perception.simulation import EgoSim, EgoSimConfig
    from ego_perception.simulation.export import whole_or_partial

    width, height = parse_size(size)
    values: dict[str, Any] = {"seed": seed, "preset": preset, "width": width, "height": height, "fov_y_deg": fov, "fps": fps}
    values |= {"duration_s": seconds, "products.bodies": False}
    values |= {f"products.{name}": True for name in words(products)}
    config = from_mapping(EgoSimConfig, values | _assigned(assignments or ()))
    with whole_or_partial(out) as partial, EgoSim(config) as simulator:
        recorder = _recorder(form, partial, image, simulator.camera)
        try:
            recorder.write_scene(simulator.scene_truth(), simulator.stamp_ns(0))
            for frame in track(simulator, f"sim:{seed}", total=len(simulator)):
                recorder.write(frame)
        finally:
            recorder.close()
    typer.echo(f"{out}: {config.num_frames} frames of {width}x{height} at {fps:g} Hz")


def parse_size(text: str) -> tuple[int, int]:
    """Read WIDTHxHEIGHT.

    Raises:
        ConfigError: written in another way.
    """
    try:
        width, height = (int(word) for word in text.lower().split("x"))
    except ValueError:
        raise ConfigError(f"size is '{text}'; write it as WIDTHxHEIGHT, such as 640x480") from None
    return width, height


def words(text: str) -> tuple[str, ...]:
    """Read a comma-separated list; `none` is an empty one."""
    return () if text.strip() in ("", "none") else tuple(word.strip() for word in text.split(","))


def _assigned(assignments: Sequence[str]) -> dict[str, Any]:
    """Read `name=value` pairs with YAML values."""
    values = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        try:
            values[name.strip()] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"--set {name}: '{text}' is no YAML value") from error
        if not equals or not name.strip():
            raise ConfigError(f"--set takes name=value, got '{assignment}'; ego params lists the names")
    return values


class _Recorder(Protocol):
    def write(self, item: Frame) -> None: ...

    def write_scene(self, scene: SceneTruth, stamp_ns: int) -> None: ...

    def close(self) -> None: ...


def _recorder(form: Form, path: Path, image: Picture, camera: PinholeCamera) -> _Recorder:
    if form is Form.FOLDER:
        from ego_perception.simulation.export import FolderWriter

        return FolderWriter(path, camera)
    from ego_perception.bag import FrameBagSink

    return FrameBagSink(path, image=image.value)
