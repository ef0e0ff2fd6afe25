"""When in a walk the wearer's hands are in view, by posture and camera alone; nothing is rendered for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from ego_perception.body.skeleton import joint_index
from ego_perception.errors import SimulationError
from ego_perception.geometry import invert, transform_points
from ego_perception.simulation.stage import WEARER
from ego_perception.simulation.textures import Rng

if TYPE_CHECKING:
    from ego_perception.simulation.sim import EgoSim

LATE_SHARE: Final = 0.5
"""Hands are shown from the start in some clips; in the others they come in during at most this share of the clip."""
_HANDS: Final = tuple(joint_index(f"{side}_hand") for side in ("left", "right"))
_LEAST_SHARE: Final = 0.4
_HANDLESS_WEIGHT: Final = 0.05


def start_with_hands(sim: EgoSim, num_frames: int, share: float) -> int:
    """Number of the first of `num_frames` consecutive frames that show the wearer's hands as often as possible.

    Args:
        share: 0..1, how much earlier the clip begins, so that the background is seen before the hands hide it.

    Raises:
        SimulationError: hands are in view in fewer than 40 % of the frames of any such stretch.
    """
    count = hands_in_view(sim)
    sums = np.convolve(np.minimum(count, 1) + 0.25 * count, np.ones(num_frames), "valid")
    best = int(sums.argmax())
    if np.minimum(count[best : best + num_frames], 1).mean() < _LEAST_SHARE:
        raise SimulationError("the wearer's hands are hardly ever in view")
    return max(0, best - int(share * LATE_SHARE * num_frames))


def glimpses_of_hands(sim: EgoSim, num_frames: int, rng: Rng) -> list[int]:
    """Numbers of `num_frames` frames scattered over the walk, in order, nearly all of them with the wearer's hands in view.

    Raises:
        SimulationError: hands are in view in fewer than 40 % as many frames of the whole walk.
    """
    shows_hands = hands_in_view(sim) > 0
    if shows_hands.sum() < _LEAST_SHARE * num_frames:
        raise SimulationError("the wearer's hands are hardly ever in view")
    weights = np.where(shows_hands, 1.0, _HANDLESS_WEIGHT)
    return sorted(rng.choice(len(sim), num_frames, replace=False, p=weights / weights.sum()).tolist())


def hands_in_view(sim: EgoSim) -> NDArray[np.int64]:
    """How many of the wearer's hands are in the picture, (frames,); what hides them is not considered."""
    player, camera = sim.stage.players[WEARER], sim.camera
    counts = np.zeros(len(sim), np.int64)
    for index in range(len(sim)):
        t = index / sim.config.fps
        hands = player.frames(player.motion.at(t)).positions[list(_HANDS)]
        pixels = camera.project(transform_points(invert(sim.stage.camera_pose(t)), hands))
        counts[index] = int(((pixels >= 0) & (pixels <= (camera.width - 1, camera.height - 1))).all(axis=-1).sum())
    return counts
