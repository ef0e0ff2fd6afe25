"""What is in view is drawn: boxes around runs of triangles, and which of them a camera may see."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ego_perception.geometry import invert, make_transform, transform_points
from ego_perception.simulation.chunks import Chunks, in_view, joined
from ego_perception.simulation.lighting import clip_matrix
from ego_perception.simulation.viewpoints import look_rotation


def test_boxes_hold_the_vertices_of_their_run() -> None:
    rng = np.random.default_rng(0)
    points, triangles = rng.normal(size=(40, 3)), rng.integers(0, 40, (30, 3))
    chunks = Chunks.of(triangles, [10, 1, 19])
    assert chunks.ranges.tolist() == [[0, 10], [10, 1], [11, 19]]
    boxes = chunks.boxes(points)
    for (first, count), box in zip(chunks.ranges, boxes, strict=True):
        own = points[triangles[first : first + count].ravel()]
        np.testing.assert_array_equal(box, [own.min(axis=0), own.max(axis=0)])


@pytest.mark.parametrize("seed", range(5))
def test_nothing_that_can_be_seen_is_left_out(seed: int) -> None:
    rng = np.random.default_rng(seed)
    T = make_transform(look_rotation(*rng.uniform(-1.5, 1.5, 2)), rng.normal(size=3))
    f = 1 / math.tan(0.5)
    low = rng.uniform(-4, 4, (300, 3))
    boxes = np.stack([low, low + rng.uniform(0.01, 1.0, (300, 3))], axis=1)
    shown = in_view(boxes, clip_matrix(f, f, 0.03, 30.0) @ invert(T))
    inside = boxes[:, None, 0] + rng.random((300, 500, 3)) * (boxes[:, None, 1] - boxes[:, None, 0])
    x, y, z = np.moveaxis(transform_points(invert(T), inside.reshape(-1, 3)).reshape(300, 500, 3), -1, 0)
    is_seen = ((z > 0.03) & (z < 30) & (np.abs(x) * f < z) & (np.abs(y) * f < z)).any(axis=1)
    assert shown[is_seen].all()
    assert shown.mean() < 0.6, "most of the world is behind or beside"


def test_neighbouring_ranges_become_one() -> None:
    ranges = np.array([[0, 3], [3, 2], [7, 1], [8, 4], [20, 1]])
    assert joined(ranges).tolist() == [[0, 5], [7, 5], [20, 1]]
    assert joined(ranges[:0]).tolist() == []
    assert joined(ranges[:1]).tolist() == [[0, 3]]
