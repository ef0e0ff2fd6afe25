"""Which tasks a command runs on each frame, and how their estimates meet: hands are found first, and left out of the map."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from ego_perception.data import Frame, SceneEstimate, TrackingState
from ego_perception.data.hand_removal import HandLabel, HandRemovalEstimate
from ego_perception.errors import ConfigError
from ego_perception.geometry import PinholeCamera
from ego_perception.nodes.config import HandRemovalNodeConfig
from ego_perception.parameters import to_dict
from ego_perception.reconstruction.config import ReconstructionConfig
from ego_perception.runtime import Estimator

RECONSTRUCTION: Final = "reconstruction"
HAND_REMOVAL: Final = "hand_removal"
TASKS: Final = (RECONSTRUCTION, HAND_REMOVAL)
_ASSUMED_FOV_RAD: Final = 1.2
"""Of a camera that nobody described, where nothing is measured with it."""


@dataclass(frozen=True)
class Selection:
    """What is run, and how hand removal does its part."""

    tasks: tuple[str, ...] = (RECONSTRUCTION,)
    hand_removal: HandRemovalNodeConfig = field(default_factory=HandRemovalNodeConfig)

    @property
    def has_reconstruction(self) -> bool:
        """Reconstruction is among the tasks."""
        return RECONSTRUCTION in self.tasks

    @property
    def has_hand_removal(self) -> bool:
        """Hand removal is among the tasks."""
        return HAND_REMOVAL in self.tasks

    def parameters(self, reconstruction: ReconstructionConfig) -> dict[str, Any]:
        """The parameters of all tasks under dotted names, for the record of a run."""
        chosen = to_dict(reconstruction) if self.has_reconstruction else {}
        if self.has_hand_removal:
            chosen |= {f"{HAND_REMOVAL}.{name}": value for name, value in to_dict(self.hand_removal).items()}
        return chosen


def parse_tasks(text: str) -> tuple[str, ...]:
    """Read a comma-separated list of tasks, in the order in which they run.

    Raises:
        ConfigError: an unknown task, or none.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in TASKS:
            raise ConfigError(f"unknown task '{name}'; there are {', '.join(TASKS)}")
    if not names:
        raise ConfigError(f"no task named; give one or more of {', '.join(TASKS)}, separated by commas")
    return tuple(name for name in TASKS if name in names)


class TaskEstimator:
    """Implements `runtime.Estimator[SceneEstimate]` for any selection of tasks.

    Without reconstruction its estimates have no pose, and the state of hand removal.

    Args:
        scene: the reconstruction, or None.
        removal: hand removal, or None.
    """

    def __init__(self, scene: Estimator[SceneEstimate] | None, removal: Estimator[HandRemovalEstimate] | None) -> None:
        if scene is None and removal is None:
            raise ValueError("a task estimator needs at least one task")
        self._scene, self._removal = scene, removal
        self._waiting: dict[int, HandRemovalEstimate] = {}

    def reset(self) -> None:
        """Reset all tasks."""
        self._waiting.clear()
        for estimator in (self._scene, self._removal):
            if estimator is not None:
                estimator.reset()

    def push(self, frame: Frame) -> SceneEstimate | None:
        """Run the tasks on one frame."""
        removed = None if self._removal is None else self._removal.push(frame)
        if removed is not None:
            frame = without_hands(frame, removed)
        if self._scene is None:
            return None if removed is None else _without_scene(frame, removed)
        if removed is not None:
            self._waiting[frame.stamp_ns] = removed
        estimate = self._scene.push(frame)
        return None if estimate is None else self._joined(estimate)

    def flush(self) -> Iterable[SceneEstimate]:
        """What the reconstruction held back; hand removal holds back nothing."""
        return [] if self._scene is None else [self._joined(estimate) for estimate in self._scene.flush()]

    def _joined(self, estimate: SceneEstimate) -> SceneEstimate:
        """Put the estimates of one frame together; older ones that nobody asked for are dropped."""
        removed = self._waiting.pop(estimate.frame.stamp_ns, None)
        self._waiting = {stamp: r for stamp, r in self._waiting.items() if stamp > estimate.frame.stamp_ns}
        return estimate if removed is None else replace(estimate, hand_removal=removed)


def without_hands(frame: Frame, removed: HandRemovalEstimate) -> Frame:
    """The frame for the reconstruction: hands, and what they hold, are to be ignored."""
    if removed.hand_mask is None:
        return frame
    ignore = np.asarray(removed.hand_mask != HandLabel.NONE)
    return replace(frame, ignore=ignore if frame.ignore is None else ignore | frame.ignore)


def _without_scene(frame: Frame, removed: HandRemovalEstimate) -> SceneEstimate:
    camera = frame.camera or PinholeCamera.from_fov(*frame.size, _ASSUMED_FOV_RAD)
    state = TrackingState(int(removed.state))
    return SceneEstimate(frame, state, camera, removed.reason, frame.camera is None, hand_removal=removed)


def load_removal(selection: Selection) -> tuple[Estimator[HandRemovalEstimate] | None, dict[str, str]]:
    """Load hand removal where it is wanted; the estimator, and the checksums of what it loaded.

    Raises:
        WeightsError, ConfigError: as `hand_removal.assembly.build_remover`.
    """
    if not selection.has_hand_removal:
        return None, {}
    from ego_perception.hand_removal.assembly import build_remover
    from ego_perception.nodes.model import removal_config

    c = selection.hand_removal
    parts = build_remover(removal_config(c), c.backend, c.models, c.diffusion, c.context)
    return parts.estimator, parts.weights
