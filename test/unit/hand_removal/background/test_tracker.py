"""The tracker on a textured wall that a camera passes: known motions, given geometry, and nothing read under a hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ego_perception.geometry import PinholeCamera, invert, make_transform, so3_exp
from ego_perception.hand_removal.background.geometry_warp import SceneGeometry
from ego_perception.hand_removal.background.structure import Structure, unknown
from ego_perception.hand_removal.background.tracker import Step, Tracker, View

W, H = 160, 120
CAMERA = PinholeCamera(W, H, 140.0, 140.0, 79.5, 59.5)
RAYS = CAMERA.rays()
NONE = np.zeros((H, W), bool)
CANVASES = [
    np.kron(np.random.default_rng(seed).integers(30, 220, (16, 30)), np.ones((8, 8))).astype(np.uint8) for seed in (0, 1)
]
HAND = NONE.copy()
HAND[40:80, 60:100] = True
INNER = (slice(16, H - 16), slice(16, W - 16))


def looked(x: int = 0, hidden: np.ndarray = NONE, seed: int = 0, geometry: SceneGeometry | None = None) -> View:
    """A wall at distance one, seen `x` pixels further to the right."""
    grey = np.ascontiguousarray(CANVASES[seed][:H, 30 + x : 30 + x + W])
    return View(grey, grey, hidden, hidden, CAMERA, RAYS, unknown((H, W)), np.eye(4), geometry=geometry)


def given(
    x: int = 0, depth: float = 2.0, shift_m: float | None = None, world: int = 0, bad: float | None = None
) -> SceneGeometry:
    """True geometry in a unit of its own: the wall is `depth` away."""
    T = np.eye(4) if bad is None else np.full((4, 4), bad)
    if bad is None:
        T[0, 3] = x / CAMERA.fx * depth if shift_m is None else shift_m
    return SceneGeometry(0, np.full((H, W), depth), T, CAMERA, world)


def followed(before: View, now: View) -> Step | None:
    tracker = Tracker()
    tracker.add(tracker.first(before))
    return tracker.follow(now, tracker.track(now.grey, now.hidden))


def stepped(before: View, now: View) -> Step:
    step = followed(before, now)
    assert step is not None
    return step


def test_a_first_view_without_geometry_is_a_wall_at_distance_one() -> None:
    first = Tracker().first(looked())
    assert (first.structure.inverse == 1).all() and np.array_equal(first.T_world_cam, np.eye(4))


def test_a_first_view_takes_over_what_is_given_and_its_median_where_nothing_is() -> None:
    depth = np.full((H, W), 2.0)
    depth[:, : W // 2] = 4.0
    depth[:30], depth[30:40], depth[40:44] = np.nan, 0.0, -1.0
    depth[44:47, : W // 2] = np.inf
    first = Tracker().first(looked(geometry=replace(given(), depth=depth)))
    expected = np.where(np.isfinite(depth) & (depth > 0), 1 / np.where(depth > 0, depth, 1), 0.5)
    assert np.allclose(first.structure.inverse, expected, rtol=1e-6)


def test_a_first_view_does_not_read_the_depth_under_the_hand() -> None:
    near = replace(given(), depth=np.where(HAND, 0.4, 2.0))
    assert (Tracker().first(looked(hidden=HAND, geometry=near)).structure.inverse[HAND] == 0.5).all()


def test_depth_of_less_than_a_fifth_of_the_image_is_not_used() -> None:
    depth = np.full((H, W), np.nan)
    depth[:20] = 4.0
    assert (Tracker().first(looked(geometry=replace(given(), depth=depth))).structure.inverse == 1).all()


@pytest.mark.parametrize("hidden", [NONE, HAND])
def test_a_camera_that_stands_still_learns_nothing_and_drifts_nowhere(hidden: np.ndarray) -> None:
    step = stepped(looked(hidden=hidden), looked(hidden=hidden))
    assert np.array_equal(step.index.ravel(), np.arange(H * W))
    assert not step.flow.any() and not step.error.any()
    assert np.array_equal(step.view.T_world_cam, np.eye(4))
    assert (step.view.structure.inverse == 1).all()


@pytest.mark.parametrize("x", [4, -6])
def test_a_known_shift_is_found_with_and_without_a_hand(x: int) -> None:
    for hidden in (NONE, HAND):
        step = stepped(looked(hidden=hidden), looked(x, hidden))
        assert np.abs(step.flow[INNER] - [x, 0]).max() < 0.5
        there = step.index[INNER]
        assert (there >= 0).mean() > 0.99
        rows, cols = np.divmod(there, W)
        right = (np.abs(cols - np.arange(16, W - 16) - x) <= 1) & (np.abs(rows - np.arange(16, H - 16)[:, None]) <= 1)
        assert right[there >= 0].mean() > 0.99
        # The unit is the wall's first distance, one.
        moved = step.view.T_world_cam[0, 3] / np.median(1 / step.view.structure.inverse)
        assert moved == pytest.approx(x / CAMERA.fx, rel=0.25)
        assert np.median(step.error) < 3


def test_what_was_not_in_view_has_no_origin() -> None:
    step = stepped(looked(), looked(6))
    assert (step.index[16:-16, W - 4 :] == -1).all() and (step.index[16:-16, : W - 8] >= 0).all()


def test_the_pose_goes_on_from_the_last_one() -> None:
    start = make_transform(so3_exp([0.1, 0.2, 0.3]), [1.0, 2.0, 3.0])
    before, now = looked(), looked(4)
    plain, other = Tracker(), Tracker()
    plain.add(plain.first(before))
    other.add(replace(other.first(before), T_world_cam=start))
    steps = [t.follow(now, t.track(now.grey, now.hidden)) for t in (plain, other)]
    assert steps[0] is not None and steps[1] is not None
    assert steps[1].view.T_world_cam == pytest.approx(start @ steps[0].view.T_world_cam, abs=1e-4)


def test_what_a_hand_looks_like_changes_nothing() -> None:
    before, now = looked(hidden=HAND), looked(4, HAND)
    grown = np.zeros_like(HAND)
    grown[36:84, 56:104] = True
    before, now = replace(before, grown=grown), replace(now, grown=grown)
    motion = make_transform(np.eye(3), [-4 / CAMERA.fx, 0, 0])
    steps = []
    for value in (0, 255):
        mine = replace(now, grey=np.where(HAND, np.uint8(value), now.grey), filled=np.where(HAND, np.uint8(value), now.grey))
        last = replace(before, grey=np.where(HAND, np.uint8(255 - value), before.grey))  # what fills its hole is kept
        steps.append(Tracker().step(mine, last, motion))
    assert np.array_equal(steps[0].flow, steps[1].flow) and np.array_equal(steps[0].error, steps[1].error)
    assert np.array_equal(steps[0].index, steps[1].index)
    assert np.array_equal(steps[0].view.T_world_cam, steps[1].view.T_world_cam)
    assert np.array_equal(steps[0].view.structure.inverse, steps[1].view.structure.inverse)


def test_another_scene_and_flat_images_and_all_hole_are_lost() -> None:
    flat = replace(looked(), grey=np.full((H, W), 80, np.uint8), filled=np.full((H, W), 80, np.uint8))
    assert followed(looked(), looked(seed=1)) is None
    assert followed(looked(), flat) is None and followed(flat, looked()) is None
    assert followed(looked(), looked(hidden=~NONE)) is None
    assert followed(looked(hidden=~NONE), looked()) is None


@pytest.mark.parametrize("depth", [0.5, 2.0, 40.0])
def test_the_unit_of_given_geometry_does_not_matter(depth: float) -> None:
    step = stepped(looked(geometry=given(0, depth)), looked(5, geometry=given(5, depth)))
    assert np.abs(step.flow[INNER] - [5, 0]).max() < 0.3
    moved = step.view.T_world_cam[0, 3] * np.median(step.view.structure.inverse)
    assert moved == pytest.approx(5 / CAMERA.fx, rel=0.02)


def test_a_given_pose_that_fits_is_taken_as_it_is_and_one_that_does_not_is_not() -> None:
    depth = 1.0
    fits = stepped(looked(geometry=given(0, depth)), looked(5, geometry=given(5, depth)))
    assert fits.view.T_world_cam[:3, 3] == pytest.approx([5 / CAMERA.fx, 0, 0], abs=1e-6)
    for other in (given(5, depth, shift_m=0.5), given(5, depth, shift_m=-5 / CAMERA.fx)):
        step = stepped(looked(geometry=given(0, depth)), looked(5, geometry=other))
        assert step.view.T_world_cam[0, 3] == pytest.approx(5 / CAMERA.fx, rel=0.2)


@pytest.mark.parametrize("depth", [0.5, 3.0])
def test_a_given_pose_is_brought_to_the_unit_of_what_is_known(depth: float) -> None:
    """The wall is known at distance one; who gives geometry says that it is `depth` away."""
    tracker = Tracker()
    before = looked(geometry=given(0, depth))
    tracker.add(replace(before, structure=Structure(before.structure.inverse, np.full((H, W), 1e3, np.float32))))
    now = looked(5, geometry=given(5, depth))
    step = tracker.follow(now, tracker.track(now.grey, now.hidden))
    assert step is not None and step.view.T_world_cam[:3, 3] == pytest.approx([5 / CAMERA.fx, 0, 0], abs=1e-6)
    assert np.abs(step.view.structure.inverse[INNER] - 1).max() < 0.05


def test_poses_of_two_worlds_are_not_compared() -> None:
    step = stepped(looked(geometry=given(0, 1.0, world=1)), looked(5, geometry=given(5, 1.0, shift_m=0.5, world=2)))
    assert np.abs(step.flow[INNER] - [5, 0]).max() < 0.5


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_pose_that_is_no_number_is_not_believed(bad: float) -> None:
    with np.errstate(invalid="ignore"):
        step = stepped(looked(geometry=given(0, 1.0)), looked(5, geometry=given(5, 1.0, bad=bad)))
    assert np.isfinite(step.view.T_world_cam).all() and np.isfinite(step.flow).all() and np.isfinite(step.error).all()
    assert np.abs(step.flow[INNER] - [5, 0]).max() < 0.5


def test_given_depth_under_the_hand_is_not_read() -> None:
    steps = []
    for near in (0.1, 9.0):
        now = looked(5, HAND, geometry=replace(given(5, 1.0), depth=np.where(HAND, near, 1.0)))
        steps.append(stepped(looked(geometry=given(0, 1.0)), now))
    assert np.array_equal(steps[0].view.structure.inverse, steps[1].view.structure.inverse)
    assert np.array_equal(steps[0].flow, steps[1].flow)


def test_a_step_is_measured_against_a_brighter_image_too() -> None:
    before, now = looked(), looked(4)
    dim = replace(
        before, grey=(before.grey * 0.8).astype(np.uint8), filled=(before.filled * 0.8).astype(np.uint8), brightness=0.8
    )
    step = Tracker().step(now, dim, make_transform(np.eye(3), [-4 / CAMERA.fx, 0, 0]))
    assert np.abs(step.flow[INNER] - [4, 0]).max() < 0.5 and np.median(step.error) < 3


def test_structure_moves_with_the_pixels() -> None:
    inverse = np.ones((H, W), np.float32)
    inverse[:, 80:] = 2.0
    known = Structure(inverse, np.full((H, W), 1e6, np.float32))
    before = replace(looked(), structure=known)
    step = Tracker().step(looked(0), before, np.eye(4))
    assert np.allclose(step.view.structure.inverse, inverse, rtol=0.05)
    assert step.view.T_world_cam @ invert(before.T_world_cam) == pytest.approx(np.eye(4), abs=5e-3)
