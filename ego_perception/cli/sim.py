"""`ego sim`: record a simulated walk, with ground truth, to a bag or an image folder."""

from __future__ import annotations

import enum
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import track

from ego_perception.errors import ConfigError
from ego_perception.parameters import from_mapping

if TYPE_CHECKING:
    from ego_perception.data import Frame
    from ego_perception.simulation import EgoSimConfig

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
    image: Annotated[Picture, typer.Option(help="Images in the bag.")] = Picture.JPEG,
) -> None:
    """Record one clip; what carries the name OUT is whole, an interrupted one stays in OUT.partial."""
    from ego_perception.simulation import EgoSim, EgoSimConfig
    from ego_perception.simulation.export import whole_or_partial

    width, height = _size(size)
    values = {"seed": seed, "preset": preset, "width": width, "height": height, "fov_y_deg": fov, "fps": fps}
    config = from_mapping(EgoSimConfig, values | {"duration_s": seconds})
    with whole_or_partial(out) as partial, EgoSim(config) as simulator:
        write, close = _writer(form, partial, image, config)
        try:
            for frame in track(simulator, f"sim:{seed}", total=len(simulator)):
                write(frame)
        finally:
            close()
    typer.echo(f"{out}: {config.num_frames} frames of {width}x{height} at {fps:g} Hz")


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(word) for word in text.lower().split("x"))
    except ValueError:
        raise ConfigError(f"size is '{text}'; write it as WIDTHxHEIGHT, such as 640x480") from None
    return width, height


def _writer(form: Form, path: Path, image: Picture, config: EgoSimConfig) -> tuple[Callable[[Frame], None], Callable[[], None]]:
    """The two ends of a recording: write a frame, finish."""
    if form is Form.FOLDER:
        from ego_perception.simulation.export import FolderWriter

        return FolderWriter(path, config.camera).write, lambda: None
    from ego_perception.bag import FrameBagSink, FrameTopics

    sink = FrameBagSink(path, FrameTopics(world_frame="sim_world"), image=image.value)
    return sink.write, sink.close
