"""Keyframes found again: by projection where the camera is known, by features where it is lost, and never in a wrong place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ego_perception.geometry import PinholeCamera, make_transform
from ego_perception.hand_removal.background.memory import Places, Snapshot, nowhere
from ego_perception.hand_removal.background.recall import Recall
from ego_perception.hand_removal.background.structure import unknown
from ego_perception.hand_removal.background.tracker import Tracker, View

W, H = 160, 120
CAMERA = PinholeCamera(W, H, 140.0, 140.0, 79.5, 59.5)
RAYS = CAMERA.rays()
NONE = np.zeros((H, W), bool)
CANVASES = [
    np.kron(np.random.default_rng(seed).integers(20, 230, (30, 60)), np.ones((5, 5))).astype(np.uint8) for seed in (0, 1)
]
HOLE = NONE.copy()
HOLE[40:80, 60:100] = True


def looked(x: int = 0, hidden: np.ndarray = NONE, seed: int = 0, *, is_placed: bool = True) -> View:
    """A wall at distance one, seen `x` pixels further to the right by a camera that knows its place, or does not."""
    grey = np.ascontiguousarray(CANVASES[seed][:H, 40 + x : 40 + x + W])
    pose = make_transform(np.eye(3), [x / CAMERA.fx * is_placed, 0, 0])
    return View(grey, grey, hidden, hidden, CAMERA, RAYS, unknown((H, W)), pose)


def snapshot(number: int, view: View, world: int = 0) -> Snapshot:
    rgb = np.repeat(view.grey[..., None], 3, axis=2)
    return Snapshot(
        number, number * 10**8, rgb, view.grey, view.hidden, view.grown, np.ones(3, np.float32), view.T_world_cam, world
    )


def knowing(*views: View, world: int = 0) -> tuple[Recall, list[Snapshot]]:
    """A recall that was told of all views, each of which is a keyframe, numbered from 0."""
    recall, keyframes = Recall(Tracker()), list[Snapshot]()
    for number, view in enumerate(views):
        keyframes.append(snapshot(number, view, world))
        recall.keep(view, nowhere((H, W)), keyframes[-1], keyframes)
    return recall, keyframes


def test_every_second_image_is_looked_up_and_found_where_it_was() -> None:
    recall, keyframes = knowing(looked())
    now = looked(0, HOLE)
    found = [recall.revisit(now, HOLE, 0, keyframes) for _ in range(4)]
    assert [f is not None for f in found] == [False, True, False, True]
    assert found[1] is not None and found[1].keyframe is keyframes[0]
    assert np.array_equal(found[1].shown.ravel(), np.arange(H * W)) and (found[1].inverse == 1).all()


@pytest.mark.parametrize("x", [6, -10])
def test_a_keyframe_is_seen_from_the_camera_of_now(x: int) -> None:
    recall, keyframes = knowing(looked())
    now = looked(x, HOLE)
    recall.revisit(now, HOLE, 0, keyframes)
    found = recall.revisit(now, HOLE, 0, keyframes)
    assert found is not None
    rows, cols = np.nonzero(HOLE)
    assert np.array_equal(found.shown[rows, cols], rows * W + cols + x)


def test_the_keyframe_that_shows_most_of_the_gap_is_taken() -> None:
    half, covered = HOLE.copy(), HOLE.copy()
    half[:, 80:] = False
    recall, keyframes = knowing(looked(hidden=covered), looked(hidden=half), looked(90))
    now = looked(0, HOLE)
    recall.revisit(now, HOLE, 0, keyframes)
    found = recall.revisit(now, HOLE, 0, keyframes)
    assert found is not None and found.keyframe.id == 1


def test_what_a_keyframe_knew_itself_of_its_hole_counts() -> None:
    recall = Recall(Tracker())
    views = [looked(hidden=HOLE), looked(hidden=HOLE)]
    keyframes = [snapshot(0, views[0]), snapshot(1, views[1])]
    known = Places(np.where(HOLE, 7, -1).astype(np.int32), np.zeros((H, W), np.int64), np.ones((H, W), np.float32))
    recall.keep(views[0], nowhere((H, W)), keyframes[0], keyframes)
    recall.keep(views[1], known, keyframes[1], keyframes)
    now = looked(0, HOLE)
    recall.revisit(now, HOLE, 0, keyframes)
    found = recall.revisit(now, HOLE, 0, keyframes)
    assert found is not None and found.keyframe.id == 1 and found.places is known


def test_without_need_or_without_help_there_is_no_visit() -> None:
    recall, keyframes = knowing(looked())
    speck = NONE.copy()
    speck[60, 80] = True
    for gap, world, kept in ((NONE, 0, keyframes), (speck, 0, keyframes), (HOLE, 1, keyframes), (HOLE, 0, [])):
        assert all(recall.revisit(looked(0, HOLE), gap, world, kept) is None for _ in range(4))
    recall, keyframes = knowing(looked(150))
    assert all(recall.revisit(looked(0, HOLE), HOLE, 0, keyframes) is None for _ in range(4)), "it shows another place"
    recall, keyframes = knowing(looked(hidden=HOLE))
    assert all(recall.revisit(looked(0, HOLE), HOLE, 0, keyframes) is None for _ in range(4)), "it was hidden then, too"


def test_a_keyframe_that_looks_different_where_both_see_is_not_believed() -> None:
    recall, keyframes = knowing(looked(seed=1))
    assert all(recall.revisit(looked(0, HOLE), HOLE, 0, keyframes) is None for _ in range(4))
    dim = replace(looked(), grey=(looked().grey * 0.6).astype(np.uint8), brightness=0.6)
    recall, keyframes = knowing(dim)
    assert [recall.revisit(looked(0, HOLE), HOLE, 0, keyframes) is not None for _ in range(2)] == [False, True]
    recall, keyframes = knowing(replace(dim, brightness=1.0))
    assert all(recall.revisit(looked(0, HOLE), HOLE, 0, keyframes) is None for _ in range(2)), "darker, and nobody said so"


def test_what_the_hands_look_like_does_not_matter_for_a_visit() -> None:
    shown = []
    for value in (0, 255):
        now = looked(0, HOLE)
        now = replace(now, grey=np.where(HOLE, np.uint8(value), now.grey))
        recall, keyframes = knowing(looked())
        recall.revisit(now, HOLE, 0, keyframes)
        found = recall.revisit(now, HOLE, 0, keyframes)
        assert found is not None
        shown.append(found.shown)
    assert np.array_equal(shown[0], shown[1])


@pytest.mark.parametrize("x", [0, 20, -25])
def test_a_lost_camera_is_found_by_features(x: int) -> None:
    recall, keyframes = knowing(looked())
    found = recall.relocate(looked(x, HOLE, is_placed=False), keyframes)
    assert found is not None
    keyframe, step = found
    assert keyframe is keyframes[0]
    inner = step.flow[20:100, 40:120]
    assert np.median(np.abs(inner - [x, 0])) < 0.5
    assert np.sign(np.round(step.view.T_world_cam[0, 3], 2)) == np.sign(x)


def test_a_lost_camera_is_not_found_where_it_is_not() -> None:
    for view, now in (
        (looked(), looked(seed=1)),
        (looked(), looked(hidden=~NONE)),
        (looked(hidden=~NONE), looked()),
        (looked(), replace(looked(), grey=np.full((H, W), 90, np.uint8))),
    ):
        recall, keyframes = knowing(view)
        assert recall.relocate(now, keyframes) is None
    recall, _ = knowing()
    assert recall.relocate(looked(), []) is None


def test_hands_that_look_alike_are_no_place() -> None:
    """Both images show the same pattern, but only on what is hidden."""
    around = np.random.default_rng(5).integers(88, 92, (2, H, W), dtype=np.uint8)
    same = looked(hidden=HOLE)
    before, now = (replace(same, grey=np.where(HOLE, same.grey, a), filled=np.asarray(a)) for a in around)
    recall, keyframes = knowing(before)
    assert recall.relocate(now, keyframes) is None


def test_keyframes_are_tried_in_turn() -> None:
    recall, keyframes = knowing(looked(seed=1), looked(), looked(seed=1))
    tried = [recall.relocate(looked(10, is_placed=False), keyframes) for _ in range(6)]
    assert [t is not None for t in tried] == [True, False, False, True, False, False]
    assert all(t is None or t[0].id == 1 for t in tried)


def test_only_keyframes_are_kept_and_those_that_are_none_any_more_are_forgotten() -> None:
    recall, keyframes = knowing(looked())
    other = snapshot(1, looked(30))
    recall.keep(looked(30), nowhere((H, W)), other, keyframes)
    assert recall.relocate(looked(30), [other]) is None, "it was no keyframe"
    assert recall.relocate(looked(), keyframes) is not None
    newest = snapshot(2, looked(40))
    recall.keep(looked(40), nowhere((H, W)), newest, [newest])
    assert recall.relocate(looked(), keyframes) is None, "it is none any more"
    assert recall.relocate(looked(40), [newest]) is not None
    recall.clear()
    assert recall.relocate(looked(40), [newest]) is None
