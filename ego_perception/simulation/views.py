"""Camera poses around the wearer's: at the same instant for extra views, along arcs and dollies for time-frozen sweeps.

All of them look at one centre in front of the wearer and keep the image upright as the wearer's is, as multi-camera rigs for
novel-view synthesis do (NVIDIA Dynamic Scenes; LLFF).
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ego_perception.errors import SimulationError
from ego_perception.geometry import make_transform
from ego_perception.simulation.textures import Rng

Array = NDArray[np.float64]
IsClear = Callable[[Array], bool]
"""Says whether a camera can be at a position (3,), such as `viewpoints.is_clear` of a room."""

BASELINES_M: Final = (0.05, 0.40)
SWEEP_M: Final = 0.30
"""Reach of a sweep to either side."""
FOCUS_RANGE_M: Final = (0.4, 4.0)

_DRAWS = 40
_SHRINK = 0.75


class SweepKind(enum.Enum):
    """The path of a time-frozen sweep."""

    ARC = "arc"
    """From left to right on a circle around the centre of attention."""
    DOLLY = "dolly"
    """From behind to ahead along the optical axis."""


def focus_distance(depth: NDArray[np.float32]) -> float:
    """Distance of the centre of attention: the median depth of the middle of the image, kept within `FOCUS_RANGE_M`.

    Args:
        depth: (H, W) metres, 0 where there is nothing.
    """
    height, width = depth.shape
    middle = depth[height // 4 : -(height // 4) or None, width // 4 : -(width // 4) or None]
    known = middle[middle > 0]
    return float(np.clip(float(np.median(known)), *FOCUS_RANGE_M)) if len(known) else FOCUS_RANGE_M[1]


def look_at(position: Array, target: Array, down: Array) -> Array:
    """Make a camera-to-world pose.

    Args:
        position, target: (3,) where the camera is and what lies on its optical axis, metres.
        down: (3,) direction that shall point down in the image.

    Raises:
        SimulationError: the camera would sit on the target, or look along `down`.
    """
    forward = np.asarray(target, np.float64) - position
    right = np.cross(down, forward)
    if np.linalg.norm(right) < 1e-9:
        raise SimulationError(f"no camera at {position} can look at {target} with {down} down; move one of them")
    forward, right = forward / np.linalg.norm(forward), right / np.linalg.norm(right)
    return make_transform(np.stack([right, np.cross(forward, right), forward], axis=1), position)


def extra_poses(
    T_world_cam: Array,
    count: int,
    rng: Rng,
    *,
    focus_m: float = 2.0,
    baselines_m: tuple[float, float] = BASELINES_M,
    is_clear: IsClear | None = None,
) -> Array:
    """Draw cameras around a given one that look at the same centre.

    Args:
        T_world_cam: (4, 4) camera-to-world.
        focus_m: distance of that centre along the optical axis.
        baselines_m: least and greatest distance of the cameras from the given one.
        is_clear: refuses positions; a camera that finds none in forty draws comes closer, below the least baseline if need be.

    Returns:
        (count, 4, 4) camera-to-world.
    """
    position, target, down = T_world_cam[:3, 3], T_world_cam[:3, 3] + focus_m * T_world_cam[:3, 2], T_world_cam[:3, 1]
    out = np.empty((count, 4, 4))
    for k in range(count):
        out[k] = look_at(_draw_position(T_world_cam, rng, baselines_m, is_clear), target, down)
        if np.linalg.norm(out[k, :3, 3] - position) < 1e-9:
            out[k] = T_world_cam
    return out


def sweep(
    T_world_cam: Array,
    depth: NDArray[np.float32],
    count: int,
    *,
    kind: SweepKind = SweepKind.ARC,
    reach_m: float = SWEEP_M,
    is_clear: IsClear | None = None,
) -> Array:
    """Make a path of cameras through a frozen instant; the pose in the middle of an odd count is the given one.

    Args:
        T_world_cam: (4, 4) camera-to-world.
        depth: (H, W) metres of the given view; decides the centre.
        reach_m: distance to either end; shortened until `is_clear` agrees to every position.

    Returns:
        (count, 4, 4) camera-to-world.

    Raises:
        SimulationError: fewer than two poses are asked for.
    """
    if count < 2:
        raise SimulationError(f"a sweep of {count} poses is none; ask for at least 2")
    focus = focus_distance(depth)
    reach = min(reach_m, 0.5 * focus)
    for _ in range(_DRAWS):
        poses = np.stack([_on_path(T_world_cam, kind, focus, float(s)) for s in np.linspace(-reach, reach, count)])
        if is_clear is None or all(is_clear(pose[:3, 3]) for pose in poses):
            return poses
        reach *= _SHRINK
    return np.repeat(T_world_cam[None], count, axis=0)


def _on_path(T_world_cam: Array, kind: SweepKind, focus: float, s: float) -> Array:
    """The pose `s` metres along the path."""
    position, right, down, forward = T_world_cam[:3, 3], *T_world_cam[:3, :3].T
    if kind is SweepKind.DOLLY:
        return make_transform(T_world_cam[:3, :3], position + s * forward)
    angle, target = s / focus, position + focus * forward
    return look_at(target + focus * (math.sin(angle) * right - math.cos(angle) * forward), target, down)


def _draw_position(T_world_cam: Array, rng: Rng, baselines_m: tuple[float, float], is_clear: IsClear | None) -> Array:
    """Directions are uniform in the image plane and lean forward or back by at most 30 degrees: rigs are flat."""
    position, R = T_world_cam[:3, 3], T_world_cam[:3, :3]
    scale = 1.0
    for draw in range(2 * _DRAWS):
        around, lean = rng.uniform(0, 2 * math.pi), rng.uniform(-math.pi / 6, math.pi / 6)
        flat = math.cos(lean)
        direction = np.array([flat * math.cos(around), flat * math.sin(around), math.sin(lean)])
        scale *= _SHRINK if draw > _DRAWS else 1.0
        candidate: Array = position + scale * rng.uniform(*baselines_m) * (R @ direction)
        if is_clear is None or is_clear(candidate):
            return candidate
    return np.array(position)
