"""Which tasks a command runs on each frame, and how their estimates meet: hands are found first, and left out of the map."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ego_perception.data import Frame, SceneEstimate, TrackingState
from ego_perception.data.hand_removal import HandLabel, HandRemovalEstimate
from ego_perception.errors import ConfigError
from ego_perception.geometry import PinholeCamera
from ego_perception.hand_removal.background.geometry_warp import SceneGeometry
from ego_perception.hand_removal.relay import Speaks
from ego_perception.messages.mask_pairing import HandMaskRequest
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

    def hand_masks(self, topic: str | None = None) -> HandMaskRequest | None:
        """The masks that hand removal takes from a recording; None where it finds the hands itself.

        Args:
            topic: where they are; None chooses by name.
        """
        c = self.hand_removal
        if not self.has_hand_removal or c.mask_source == "builtin":
            return None
        return HandMaskRequest(topic, c.mask_values, c.mask_timeout_s, is_required=c.mask_source == "topic")

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

    With both tasks a frame goes to and fro, as between the live nodes: hand removal finds the hands, the reconstruction leaves
    them out and gives depth and pose, and by these hand removal carries the background over.
    Without reconstruction the estimates have no pose, and the state of hand removal.

    Args:
        scene: the reconstruction, or None.
        removal: hand removal, or None.
        shares_geometry: hand removal is given depth and pose.
    """

    def __init__(
        self,
        scene: Estimator[SceneEstimate] | None,
        removal: Estimator[HandRemovalEstimate] | None,
        *,
        shares_geometry: bool = True,
    ) -> None:
        if scene is None and removal is None:
            raise ValueError("a task estimator needs at least one task")
        self._scene, self._removal = scene, removal
        self._waiting: dict[int, HandRemovalEstimate] = {}
        self._masked: Frame | None = None
        self._scene_result: _Result | None = None
        if scene is not None and isinstance(removal, Speaks):
            removal.on_mask = self._take_mask
            removal.geometry_of = self._geometry_of if shares_geometry else None

    def reset(self) -> None:
        """Reset all tasks."""
        self._waiting.clear()
        for estimator in (self._scene, self._removal):
            if estimator is not None:
                estimator.reset()

    def push(self, frame: Frame) -> SceneEstimate | None:
        """Run the tasks on one frame."""
        self._masked = self._scene_result = None
        removed = None if self._removal is None else self._removal.push(frame)
        if removed is not None:
            frame = without_hands(frame, removed)
        if self._scene is None:
            return None if removed is None else _without_scene(frame, removed)
        if removed is not None:
            self._waiting[frame.stamp_ns] = removed
        if self._scene_result is None:
            self._scene_result = self._push_scene(frame)
        estimate = self._scene_result.estimate_or_raise()
        return None if estimate is None else self._joined(estimate)

    def _take_mask(self, frame: Frame, labels: NDArray[np.uint8]) -> None:
        self._masked = _ignoring(frame, labels)

    def _geometry_of(self, frame: Frame) -> SceneGeometry | None:
        """In the middle of hand removal's work: let the reconstruction do its own on the same frame."""
        if self._masked is None or self._masked.stamp_ns != frame.stamp_ns:
            return None
        self._scene_result = self._push_scene(self._masked)
        found = self._scene_result.estimate
        if found is None or found.frame.stamp_ns != frame.stamp_ns or found.depth is None or found.T_world_cam is None:
            return None
        return SceneGeometry(frame.stamp_ns, found.depth, found.T_world_cam, found.camera, found.map_id)

    def _push_scene(self, frame: Frame) -> _Result:
        """A failure is kept, so that it is not taken for one of hand removal."""
        assert self._scene is not None
        try:
            return _Result(self._scene.push(frame))
        except Exception as error:  # raised again where the reconstruction's estimate is wanted
            return _Result(None, error)

    def flush(self) -> Iterable[SceneEstimate]:
        """What the reconstruction held back; hand removal holds back nothing."""
        return [] if self._scene is None else [self._joined(estimate) for estimate in self._scene.flush()]

    def _joined(self, estimate: SceneEstimate) -> SceneEstimate:
        """Put the estimates of one frame together; older ones that nobody asked for are dropped."""
        removed = self._waiting.pop(estimate.frame.stamp_ns, None)
        self._waiting = {stamp: r for stamp, r in self._waiting.items() if stamp > estimate.frame.stamp_ns}
        return estimate if removed is None else replace(estimate, hand_removal=removed)


@dataclass(frozen=True)
class _Result:
    estimate: SceneEstimate | None
    error: Exception | None = None

    def estimate_or_raise(self) -> SceneEstimate | None:
        if self.error is not None:
            raise self.error
        return self.estimate


def without_hands(frame: Frame, removed: HandRemovalEstimate) -> Frame:
    """The frame for the reconstruction: hands, and what they hold, are to be ignored."""
    return frame if removed.hand_mask is None else _ignoring(frame, removed.hand_mask)


def _ignoring(frame: Frame, labels: NDArray[np.uint8]) -> Frame:
    ignore = np.asarray(labels != HandLabel.NONE)
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
