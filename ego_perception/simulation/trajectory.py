"""The head of somebody who walks through a room and looks at things: a smooth pose for every time, from the seed alone.

Curves are made as samples, smoothed, and interpolated by cubic splines, so a pose between two frames is as exact as at one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d

from ego_perception.geometry import make_transform
from ego_perception.simulation.assembly import Label
from ego_perception.simulation.config import EgoSimConfig
from ego_perception.simulation.floorplan import FloorPlan
from ego_perception.simulation.room import Room
from ego_perception.simulation.textures import Rng
from ego_perception.simulation.viewpoints import look_rotation

Array = NDArray[np.float64]

RATE_HZ = 100.0
MAX_SPEED_M_S = 1.0
MAX_TURN_RAD_S = 1.7
STEP_M = 0.62
BOB_M = 0.016
SWAY_M = 0.012


@dataclass(frozen=True)
class _Walk:
    """Samples of the way: times (N,), floor positions (N, 2) and distance walked (N,)."""

    times: Array
    xy: Array
    walked: Array


class HeadTrajectory:
    """The camera pose at any time of a clip.

    Raises:
        SimulationError: on construction, where the room has no free floor.
    """

    def __init__(self, room: Room, config: EgoSimConfig) -> None:
        rng = np.random.default_rng([config.seed, 4])
        plan = FloorPlan(room)
        walk = _walk(rng, plan, config.duration_s)
        height = min(float(rng.uniform(1.48, 1.68)), room.height - 0.35)
        phase = 2 * math.pi * walk.walked / STEP_M
        pace = gaussian_filter1d(np.gradient(walk.walked, walk.times), 0.2 * RATE_HZ)
        effort = np.clip(pace / 0.7, 0, 1)
        heading = _heading(walk)
        side = np.stack([-np.sin(heading), np.cos(heading)], axis=1)
        xy = walk.xy + SWAY_M * (effort * np.sin(phase / 2))[:, None] * side
        z = height + BOB_M * effort * np.cos(phase) + 0.01 * _wander(rng, walk.times, 0.2, 0.5)
        yaw, pitch = _gaze(rng, room, walk, heading, height)
        degree = math.radians(1)
        yaw = yaw + 0.5 * degree * _wander(rng, walk.times, 0.5, 1.6) + 0.4 * degree * effort * np.sin(phase / 2)
        pitch = pitch + 0.5 * degree * _wander(rng, walk.times, 0.5, 1.6) + 0.3 * degree * effort * np.sin(phase + 0.7)
        roll = 1.2 * degree * _wander(rng, walk.times, 0.15, 0.8) + 0.5 * degree * effort * np.sin(phase / 2 + 0.4)
        self.duration_s = config.duration_s
        self._spline = CubicSpline(walk.times, np.column_stack([xy, z, yaw, pitch, roll]))

    def pose(self, t: float) -> Array:
        """The (4, 4) camera-to-world pose at `t` seconds, optical axes, z-up world; clamped to the clip."""
        x, y, z, yaw, pitch, roll = self._spline(min(max(t, 0.0), self.duration_s))
        return make_transform(look_rotation(float(yaw), float(pitch), float(roll)), (x, y, z))


def _walk(rng: Rng, plan: FloorPlan, duration_s: float) -> _Walk:
    times = np.arange(0.0, duration_s + 2.0 / RATE_HZ, 1.0 / RATE_HZ)
    walked = np.concatenate([[0.0], np.cumsum(_speed(rng, times))[:-1] / RATE_HZ])
    way = _tour(rng, plan, float(walked[-1]) + 0.1)
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(way, axis=0), axis=1))])
    xy = np.stack([np.interp(walked, along, way[:, k]) for k in (0, 1)], axis=1)
    return _Walk(times, gaussian_filter1d(xy, 0.12 * RATE_HZ, axis=0, mode="nearest"), walked)


def _speed(rng: Rng, times: Array) -> Array:
    """Stretches of walking with short stops, metres per second."""
    speed = np.zeros_like(times)
    t, walking = 0.0, True
    while t <= times[-1]:
        length = float(rng.uniform(2.5, 4.5)) if walking else float(rng.uniform(0.6, 1.4))
        speed[(times >= t) & (times < t + length)] = rng.uniform(0.5, 0.85) if walking else 0.05
        t, walking = t + length, not walking
    return np.minimum(gaussian_filter1d(speed, 0.3 * RATE_HZ, mode="nearest"), MAX_SPEED_M_S)


def _tour(rng: Rng, plan: FloorPlan, length: float) -> Array:
    """A smooth way of at least `length` metres over free floor, from stop to distant stop."""
    points = plan.points
    here = int(rng.integers(len(points)))
    pieces, total = [points[here : here + 1]], 0.0
    while total < length:
        candidates = rng.integers(len(points), size=6)
        there = int(candidates[np.linalg.norm(points[candidates] - points[here], axis=1).argmax()])
        if there == here:
            continue
        piece = plan.path(here, there)
        total += float(np.linalg.norm(np.diff(piece, axis=0), axis=1).sum())
        pieces.append(piece[1:])
        here = there
    return _smoothed(plan, np.concatenate(pieces), length)


def _smoothed(plan: FloorPlan, way: Array, length: float) -> Array:
    """Round the corners of a grid path as far as the furniture allows, without making it shorter than `length`."""
    spacing = 0.02
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(way, axis=0), axis=1))])
    fine = np.stack([np.interp(np.arange(0, along[-1], spacing), along, way[:, k]) for k in (0, 1)], axis=1)
    for sigma_m in (0.35, 0.25, 0.18, 0.12, 0.08):
        smooth = gaussian_filter1d(fine, sigma_m / spacing, axis=0, mode="nearest")
        travelled = float(np.linalg.norm(np.diff(smooth, axis=0), axis=1).sum())
        if travelled >= length and plan.is_free(smooth).all():
            return smooth
    return fine


def _heading(walk: _Walk) -> Array:
    """Direction of travel, radians; kept while standing."""
    ahead = np.stack([np.interp(walk.walked + 0.5, walk.walked, walk.xy[:, k]) for k in (0, 1)], axis=1) - walk.xy
    angle = np.arctan2(ahead[:, 1], ahead[:, 0])
    is_defined = np.linalg.norm(ahead, axis=1) > 0.08
    last = np.maximum.accumulate(np.where(is_defined, np.arange(len(angle)), 0))
    return gaussian_filter1d(np.unwrap(angle[last]), 0.35 * RATE_HZ, mode="nearest")


def _gaze(rng: Rng, room: Room, walk: _Walk, heading: Array, height: float) -> tuple[Array, Array]:
    """Yaw and pitch, radians: targets near the direction of travel, one after the other, never turning faster than a head."""
    yaw, pitch = np.empty_like(heading), np.empty_like(heading)
    targets, i = _interests(room), 0
    while i < len(heading):
        j = min(len(heading), i + int(rng.uniform(1.2, 2.6) * RATE_HZ))
        target = _choose_target(rng, targets, walk.xy[i], float(heading[i]))
        d = target[:2] - walk.xy[i:j]
        turn = np.arctan2(d[:, 1], d[:, 0]) - heading[i:j]
        turn = np.clip((turn + math.pi) % (2 * math.pi) - math.pi, -1.2, 1.2)
        yaw[i:j] = heading[i:j] + turn
        pitch[i:j] = np.clip(np.arctan2(target[2] - height, np.maximum(np.linalg.norm(d, axis=1), 0.6)), -0.85, 0.2)
        i = j
    sigma_s = 0.22
    while True:
        smooth = gaussian_filter1d(np.stack([yaw, pitch]), sigma_s * RATE_HZ, axis=1, mode="nearest")
        if np.abs(np.gradient(smooth, 1.0 / RATE_HZ, axis=1)).max() < MAX_TURN_RAD_S:
            return smooth[0], smooth[1]
        sigma_s *= 1.25


def _interests(room: Room) -> Array:
    """(N, 3) points worth a look: tops of furniture and things on them."""
    tops = [s.center for s in room.supports]
    things = [part.center for part, _ in room.parts if part.label is Label.OBJECT]
    return np.array(tops + things + [(0.0, 0.0, 0.8)])


def _choose_target(rng: Rng, targets: Array, here: Array, heading: float) -> Array:
    """A target within 65 degrees of the heading and 0.8-4.5 m away; the way ahead where there is none."""
    d = targets[:, :2] - here
    turn = (np.arctan2(d[:, 1], d[:, 0]) - heading + math.pi) % (2 * math.pi) - math.pi
    distance = np.linalg.norm(d, axis=1)
    fit = np.flatnonzero((np.abs(turn) < 1.13) & (distance > 0.8) & (distance < 4.5))
    if len(fit) and rng.random() < 0.85:
        return targets[int(rng.choice(fit))]
    return np.array([here[0] + 2.5 * math.cos(heading), here[1] + 2.5 * math.sin(heading), 1.0])


def _wander(rng: Rng, times: Array, low_hz: float, high_hz: float) -> Array:
    """A sum of sines of about unit standard deviation in a frequency band."""
    frequency, phase = rng.uniform(low_hz, high_hz, 5), rng.uniform(0, 2 * math.pi, 5)
    return np.sin(2 * math.pi * frequency[:, None] * times + phase[:, None]).sum(axis=0) * math.sqrt(2 / 5)
