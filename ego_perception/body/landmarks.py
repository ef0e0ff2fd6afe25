"""Twenty-one vertices that stand for face, feet and finger tips; the same numbers on every SMPL mesh, ours included."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

LANDMARKS: Final[dict[str, int]] = {
    "nose": 332, "right_eye": 6260, "left_eye": 2800, "right_ear": 4071, "left_ear": 583,
    "left_big_toe": 3216, "left_small_toe": 3226, "left_heel": 3387,
    "right_big_toe": 6617, "right_small_toe": 6624, "right_heel": 6787,
    "left_thumb": 2746, "left_index": 2319, "left_middle": 2445, "left_ring": 2556, "left_pinky": 2673,
    "right_thumb": 6191, "right_index": 5782, "right_middle": 5905, "right_ring": 6016, "right_pinky": 6133,
}  # fmt: skip
"""Vertex of each landmark. The order is that of the joints 24..44 which follow SMPL's own 24 (OpenPose convention)."""

LANDMARK_INDICES: Final[NDArray[np.int64]] = np.array(list(LANDMARKS.values()), dtype=np.int64)
"""The vertices alone, (21,)."""

NUM_VERTICES: Final = 6890
NUM_FACES: Final = 13776
"""A closed mesh of genus 0 with 6890 vertices has 2 * 6890 - 4 faces; SMPL's own count."""
