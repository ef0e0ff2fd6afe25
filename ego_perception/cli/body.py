"""`ego body`: draw a body, describe a body file, or build the shipped one anew."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer
from numpy.typing import NDArray

from ego_perception.errors import ConfigError, OutputError

app = typer.Typer(add_completion=False)

ACTIONS: Final = ("preview", "info", "build")


@app.command(help="Draw a body (preview), describe a body file (info), or build the shipped one (build).")
def body(
    action: Annotated[str, typer.Argument(help="preview; info; build -o FILE.npz.")],
    file: Annotated[
        Path | None, typer.Argument(help="SMPL-format .npz or .pkl, or a folder; the shipped one if left out.")
    ] = None,
    betas: Annotated[str, typer.Option(help="Up to 10 shape coefficients: '2,0,-1'.")] = "",
    pose: Annotated[str, typer.Option(help="tpose, stand, sit, walk, reach, wave, crouch or random.")] = "tpose",
    gender: Annotated[str, typer.Option(help="Which file of a folder: neutral, male or female.")] = "neutral",
    seed: Annotated[int, typer.Option(min=0, help="Of the random pose.")] = 0,
    height: Annotated[int, typer.Option(min=64, max=4096, help="Of the picture, pixels.")] = 900,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Picture, or the body file that build writes.")] = None,
) -> None:
    """Run one action."""
    if action == "preview":
        _preview(file, gender, parse_betas(betas), pose, seed, height, output or Path("body.png"))
    elif action == "info":
        _info(file, gender)
    elif action == "build":
        _build(output)
    else:
        raise ConfigError(f"action is '{action}'; choose one of {', '.join(ACTIONS)}")


def parse_betas(text: str) -> NDArray[np.float64]:
    """Ten coefficients from comma-separated numbers; those left out are zero.

    Raises:
        ConfigError: not numbers, more than ten, or beyond five standard deviations.
    """
    parts = [part for part in re.split(r"[,\s]+", text.strip()) if part]
    try:
        values = [float(part) for part in parts]
    except ValueError as error:
        raise ConfigError(f"betas are '{text}'; write up to 10 numbers such as 2,0,-1") from error
    if len(values) > 10 or not all(-5 <= value <= 5 for value in values):
        raise ConfigError(f"betas are '{text}'; write up to 10 numbers between -5 and 5")
    return np.array(values + [0.0] * (10 - len(values)))


def _preview(
    file: Path | None, gender: str, betas: NDArray[np.float64], pose: str, seed: int, height: int, output: Path
) -> None:
    import cv2

    from ego_perception.body.model import load_body
    from ego_perception.body.poses import named_pose
    from ego_perception.body.preview import draw_views
    from ego_perception.body.skinning import pose_vertices
    from ego_perception.body.state import BodyState

    model = load_body(file, gender)
    state = BodyState(named_pose(pose, seed), np.zeros(3), betas)
    picture = draw_views(pose_vertices(model, state), model.faces, height)
    if output.suffix.lower() not in (".png", ".jpg"):
        raise ConfigError(f"output {output} ends in '{output.suffix}'; use .png or .jpg")
    ok, data = cv2.imencode(output.suffix.lower(), picture[..., ::-1])
    try:
        if not ok:
            raise OSError("the picture cannot be encoded")
        output.write_bytes(data.tobytes())
    except OSError as error:
        raise OutputError(f"picture {output} cannot be written: {error.strerror or error}") from error
    typer.echo(f"{output}: {model.name}, pose {pose}, {picture.shape[1]}x{picture.shape[0]}")


def _info(file: Path | None, gender: str) -> None:
    from ego_perception.body.mesh_check import check_mesh
    from ego_perception.body.model import SHAPE_NAMES, load_body

    model = load_body(file, gender)
    report = check_mesh(model.v_template, model.faces)
    joints = model.rest_joints(np.zeros(10))
    typer.echo(f"{model.name}  {len(model.v_template)} vertices, {len(model.faces)} faces, sha256 {model.sha256}")
    typer.echo(
        f"    mesh     {'closed' if report.closed else 'open'}, {report.pieces} piece(s), Euler number {report.euler}, "
        f"{1000 * report.volume:.1f} l, {report.intersections} self-intersections"
    )
    typer.echo(f"    size     {np.ptp(model.v_template[:, 1]):.3f} m tall, pelvis {np.round(joints[0], 3).tolist()}")
    typer.echo(f"    pose     {'no pose correctives' if model.posedirs is None else '207 pose correctives'}")
    shipped = load_body().sha256 == model.sha256
    for index in range(model.shapedirs.shape[-1]):
        size = 1000 * np.linalg.norm(model.shapedirs[..., index], axis=1)
        name = SHAPE_NAMES[index] if shipped else f"component {index}"
        typer.echo(f"    shape {index}  {name:<15} mean {size.mean():5.1f} mm, largest {size.max():5.1f} mm per unit")


def _build(output: Path | None) -> None:
    from ego_perception.body.files import read_body_file, write_body
    from ego_perception.body.generate.build import build_body

    if output is None:
        raise ConfigError("`ego body build` needs -o FILE.npz (or .pkl, as other software reads it)")
    if output.suffix not in (".npz", ".pkl"):
        raise ConfigError(f"output {output} ends in '{output.suffix}'; use .npz or .pkl")
    write_body(output, build_body())
    model = read_body_file(output)
    typer.echo(f"{output}: {output.stat().st_size} bytes, sha256 {model.sha256}")
