"""What `ego train` can train: per task its parameters, how the task is built, and what is rendered where no data is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ego_perception.engine.trainer import TrainTask
    from ego_perception.simulation.dataset import DatasetConfig


@dataclass(frozen=True)
class TrainJob:
    """One entry of `TASKS`. torch and the simulator are imported only by the calls.

    Attributes:
        config: gives the class of the run's parameters, a group with `trainer`.
        build: makes the task from parameters and the folder with the data sets train/ and val/.
        clips: what to render for a split.
        frames_per_room: images that one room gives.
    """

    config: Callable[[], type[Any]]
    build: Callable[[Any, Path], TrainTask]
    clips: Callable[[str], DatasetConfig]
    frames_per_room: int


def _depth_config() -> type[Any]:
    from ego_perception.reconstruction.training import DepthTrainConfig

    return DepthTrainConfig


def _depth_task(parameters: Any, data: Path) -> TrainTask:
    from ego_perception.reconstruction.sizes import NetworkConfig
    from ego_perception.reconstruction.training import DepthTrainTask

    return DepthTrainTask(NetworkConfig(), parameters, data)


def _depth_clips(split: str) -> DatasetConfig:
    from ego_perception.simulation.dataset import DatasetConfig

    return DatasetConfig(
        split=split, views="random", width=160, height=120, frames_per_clip=12, fov_y_deg=(40.0, 80.0), products=()
    )


def _segmentation_config() -> type[Any]:
    from ego_perception.hand_removal.segmentation.training import SegmenterTrainConfig

    return SegmenterTrainConfig


def _segmentation_task(parameters: Any, data: Path) -> TrainTask:
    from ego_perception.hand_removal.segmentation.sizes import SegmenterConfig
    from ego_perception.hand_removal.segmentation.training import SegmenterTrainTask

    return SegmenterTrainTask(SegmenterConfig(), parameters, data)


def _fill_config() -> type[Any]:
    from ego_perception.hand_removal.fill.training import FillTrainConfig

    return FillTrainConfig


def _fill_task(parameters: Any, data: Path) -> TrainTask:
    from ego_perception.hand_removal.fill.sizes import FillConfig
    from ego_perception.hand_removal.fill.training import FillTrainTask

    return FillTrainTask(FillConfig(), parameters, data)


def _vidm_config() -> type[Any]:
    from ego_perception.hand_removal.vidm.training.task import VidmTrainConfig

    return VidmTrainConfig


def _vidm_task(parameters: Any, data: Path) -> TrainTask:
    from ego_perception.hand_removal.vidm.training.task import VidmTrainTask

    return VidmTrainTask(parameters, data)


def _hand_clips(split: str) -> DatasetConfig:
    from ego_perception.simulation.dataset import DatasetConfig

    return DatasetConfig(split=split, views="hands", frames_per_clip=30, fps=12.0, products=("clean",))


def _hand_glimpses(split: str) -> DatasetConfig:
    from ego_perception.hand_removal.segmentation.sizes import SegmenterConfig, input_size
    from ego_perception.simulation.dataset import DatasetConfig

    width, height = input_size(4, 3, SegmenterConfig().width)
    return DatasetConfig(
        split=split, views="glimpses", width=width, height=height, frames_per_clip=30, fps=12.0, products=("clean",)
    )


TASKS: Final = {
    "reconstruction": TrainJob(_depth_config, _depth_task, _depth_clips, 12),
    "hand-segmentation": TrainJob(_segmentation_config, _segmentation_task, _hand_glimpses, 30),
    "hand-fill": TrainJob(_fill_config, _fill_task, _hand_clips, 30),
    "vidm": TrainJob(_vidm_config, _vidm_task, _hand_clips, 30),
}
