"""What had been seen before, in a scene whose answer is plain geometry."""

from __future__ import annotations

import numpy as np
import pytest

from ego_perception.geometry import PinholeCamera
from ego_perception.hand_removal.visibility import SeenBefore

W, H = 80, 60
CAMERA = PinholeCamera.from_fov(W, H, 1.0)
WALL = np.full((H, W), 2.0, np.float32)


def at(x: float, z: float = 0.0) -> np.ndarray:
    T = np.eye(4)
    T[0, 3], T[2, 3] = x, z
    return T


def box(left: int, right: int) -> np.ndarray:
    hole = np.zeros((H, W), bool)
    hole[20:40, left:right] = True
    return hole


def test_only_what_an_earlier_frame_showed_counts() -> None:
    seen = SeenBefore(CAMERA)
    assert not seen.add(WALL, box(20, 40), at(0)).any()
    second = seen.add(WALL, box(30, 50), at(0))
    assert np.array_equal(second, box(40, 50))
    third = seen.add(WALL, box(20, 50), at(0))
    assert np.array_equal(third, box(20, 50) & ~box(30, 40))


@pytest.mark.parametrize("pixels", [10, -10])
def test_a_step_aside_reveals_a_strip(pixels: int) -> None:
    seen = SeenBefore(CAMERA)
    seen.add(WALL, box(30, 50), at(0))
    revealed = seen.add(WALL, box(30, 50), at(pixels * 2.0 / CAMERA.fx))
    assert revealed.sum() == 20 * 10
    assert revealed[25, 45 if pixels > 0 else 35] and not revealed[25, 35 if pixels > 0 else 45]


def test_what_another_surface_hid_was_not_seen() -> None:
    seen = SeenBefore(CAMERA)
    near = WALL.copy()
    near[:, 30:50] = 1.0
    seen.add(near, np.zeros((H, W), bool), at(0))
    shown = seen.add(WALL, box(20, 60), at(0))
    assert np.array_equal(shown, box(20, 60) & ~box(30, 50))


def test_unknown_depth_and_places_out_of_view_were_not_seen() -> None:
    seen = SeenBefore(CAMERA)
    seen.add(WALL, np.zeros((H, W), bool), at(50.0))
    seen.add(np.zeros((H, W), np.float32), np.zeros((H, W), bool), at(0))
    assert not seen.add(WALL, box(20, 60), at(0)).any()
    assert not seen.add(np.zeros((H, W), np.float32), box(20, 60), at(0)).any()


def holes(seed: int, count: int = 4) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [box(*sorted(rng.integers(5, 75, 2))) for _ in range(count)]


def seen_last(frames: list[tuple[np.ndarray, float]]) -> np.ndarray:
    """What of the last frame's hole was seen before; each frame a hole and a place along x."""
    seen = SeenBefore(CAMERA)
    return [seen.add(WALL, hole, at(x)) for hole, x in frames][-1]


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_what_was_seen_before_does_not_matter(seed: int) -> None:
    frames = list(zip(holes(seed), np.random.default_rng(seed).uniform(-0.3, 0.3, 4), strict=True))
    last = (box(10, 70), 0.0)
    assert np.array_equal(seen_last([*frames, last]), seen_last([*frames[::-1], last]))


@pytest.mark.parametrize("seed", range(3))
def test_more_frames_and_smaller_holes_show_more_and_never_beyond_the_hole(seed: int) -> None:
    frames = list(zip(holes(seed), np.random.default_rng(seed).uniform(-0.3, 0.3, 4), strict=True))
    hole = box(10, 70)
    few, many = seen_last([*frames[:2], (hole, 0.0)]), seen_last([*frames, (hole, 0.0)])
    assert not (few & ~many).any() and not (many & ~hole).any()
    smaller = [(h & (np.arange(W) < 40), x) for h, x in frames[:2]]
    assert not (few & ~seen_last([*smaller, (hole, 0.0)])).any()


def test_where_the_world_begins_does_not_matter() -> None:
    world = np.eye(4)
    world[:3, :3] = [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
    world[:3, 3] = 3.0, -2.0, 5.0
    results = []
    for start in (np.eye(4), world):
        seen = SeenBefore(CAMERA)
        seen.add(WALL, box(30, 50), start @ at(0))
        results.append(seen.add(WALL, box(30, 50), start @ at(0.31)))
    assert results[0].any() and np.array_equal(results[0], results[1])


def test_a_mirrored_clip_is_seen_mirrored() -> None:
    plain = seen_last([(box(30, 50), 0.0), (box(30, 50), 0.251)])
    other = seen_last([(box(30, 50), 0.0), (box(30, 50), -0.251)])  # the box lies in the middle of 80 columns
    assert plain.any() and np.array_equal(plain[:, ::-1], other)


def test_all_hidden_or_nothing_hidden() -> None:
    everything, nothing = np.ones((H, W), bool), np.zeros((H, W), bool)
    seen = SeenBefore(CAMERA)
    assert not seen.add(WALL, everything, at(0)).any()
    assert not seen.add(WALL, everything, at(0)).any(), "it was hidden then, too"
    assert not seen.add(WALL, nothing, at(0)).any()
    assert seen.add(WALL, everything, at(0)).all()


@pytest.mark.parametrize("bad", [np.nan, -2.0])
def test_depth_that_is_no_depth_was_not_seen_and_shows_nothing(bad: float) -> None:
    broken = WALL.copy()
    broken[:, :40] = bad
    seen = SeenBefore(CAMERA)
    seen.add(broken, np.zeros((H, W), bool), at(0))
    assert np.array_equal(seen.add(WALL, box(20, 60), at(0)), box(40, 60))
    assert np.array_equal(seen.add(broken, box(20, 60), at(0)), box(40, 60))


@pytest.mark.parametrize(("off", "is_same"), [(0.06, True), (0.08, False), (-0.06, True), (-0.08, False)])
def test_a_surface_may_be_three_centimetres_and_two_per_cent_off(off: float, is_same: bool) -> None:
    seen = SeenBefore(CAMERA)
    seen.add(WALL + np.float32(off), np.zeros((H, W), bool), at(0))
    assert seen.add(WALL, box(38, 42), at(0)).any() == is_same


def test_what_lies_behind_an_earlier_camera_was_not_seen() -> None:
    seen = SeenBefore(CAMERA)
    seen.add(WALL, np.zeros((H, W), bool), at(0, z=5.0))
    assert not seen.add(WALL, box(20, 60), at(0)).any()
