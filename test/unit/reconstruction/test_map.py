"""The map's parts: landmark table, keyframes, intrinsics, bootstrap, relocalisation, the judgement of a track."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ego_perception.data import TrackingState
from ego_perception.errors import ConfigError
from ego_perception.geometry import PinholeCamera, invert, make_transform, so3_exp
from ego_perception.parameters import from_mapping, specs
from ego_perception.reconstruction import mapping, pnp, relocalisation
from ego_perception.reconstruction.bootstrap import MapState, two_view_start
from ego_perception.reconstruction.config import ReconstructionConfig, TrackingConfig
from ego_perception.reconstruction.features import detect
from ego_perception.reconstruction.intrinsics import FocalEstimate
from ego_perception.reconstruction.motion import MotionModel
from ego_perception.reconstruction.sparse_map import Keyframe, SparseMap, map_pixels
from ego_perception.reconstruction.tracker import Tracks, mask_at, track

CAMERA = PinholeCamera(320, 240, 270.0, 270.0, 159.5, 119.5)
CONFIG = ReconstructionConfig()


def keyframe(serial: int, rows: list[int] | np.ndarray, x: float = 0.0, uv: np.ndarray | None = None) -> Keyframe:
    """A keyframe at (x, 0, 0) looking ahead, without a picture."""
    rows = np.sort(np.asarray(rows, np.intp))
    uv = np.zeros((len(rows), 2), np.float32) if uv is None else uv.astype(np.float32)
    blank = np.zeros((24, 32), np.uint8)
    descriptors = np.zeros((len(rows), 32), np.uint8)
    return Keyframe(serial, serial, blank, blank, np.eye(3), np.array([-x, 0.0, 0.0]), rows, uv, descriptors)


def test_every_parameter_has_a_range_or_is_a_switch() -> None:
    for spec in specs(ReconstructionConfig):
        assert spec.doc.endswith(".")
        if spec.type is not bool:
            assert spec.ge is not None
            assert spec.le is not None
            assert spec.check(spec.ge if spec.type is int else float(spec.ge)) is not None
    with pytest.raises(ConfigError, match="num_features"):
        from_mapping(ReconstructionConfig, {"tracking.num_feature": 100})


def test_rows_are_given_once_and_come_back() -> None:
    sparse = SparseMap(capacity=10)
    first = sparse.allocate(6)
    second = sparse.allocate(9)
    assert len(second) == 4  # the table is full
    assert not set(first) & set(second)
    sparse.add(keyframe(0, first[:3]))
    sparse.collect(tracked=second)
    assert sparse.alive.sum() == 7
    assert set(sparse.allocate(9)) == set(first[3:])


def test_forgotten_landmarks_leave_every_keyframe() -> None:
    sparse = SparseMap(capacity=10)
    rows = sparse.allocate(5)
    sparse.add(keyframe(0, rows))
    sparse.add(keyframe(1, rows[2:]))
    sparse.forget(rows[3:])
    assert [list(k.rows) for k in sparse.keyframes] == [list(rows[:3]), [rows[2]]]
    assert [len(k.uv) for k in sparse.keyframes] == [len(k.descriptors) for k in sparse.keyframes] == [3, 1]


def test_positions_are_nan_for_the_unseen() -> None:
    k = keyframe(0, [2, 5, 9], uv=np.array([[1, 2], [3, 4], [5, 6]]))
    np.testing.assert_array_equal(k.positions(np.array([5, 3, 9, 100])), [[3, 4], [np.nan] * 2, [5, 6], [np.nan] * 2])
    assert np.isnan(keyframe(0, []).positions(np.array([1, 2]))).all()


def test_thinning_removes_the_most_redundant_and_keeps_first_and_newest() -> None:
    sparse = SparseMap(max_keyframes=4)
    for serial, x in enumerate([0.0, 1.0, 1.05, 2.0, 3.0, 4.0]):
        sparse.add(keyframe(serial, [serial], x))
    sparse.thin(protect_newest=2)
    kept = [k.serial for k in sparse.keyframes]
    assert len(kept) == 4
    assert kept[0] == 0
    assert kept[-2:] == [4, 5]
    assert 1 not in kept or 2 not in kept


def test_window_holds_old_keyframes_that_share_landmarks() -> None:
    sparse = SparseMap()
    for serial, rows in enumerate([[0, 1, 2], [50], [3], [60], [1, 2, 3], [2, 4]]):
        sparse.add(keyframe(serial, rows))
    window, num_fixed = sparse.window(newest=2, anchors=2)
    assert [k.serial for k in window] == [0, 2, 4, 5]
    assert num_fixed == 2
    young = SparseMap()
    young.add(keyframe(0, [0]))
    assert young.window(8, 4)[1] == 1  # the origin of the map never moves


def test_spread_lies_along_the_first_ray() -> None:
    sparse = SparseMap(capacity=4)
    pose = (np.eye(3), np.array([-1.0, 0.0, 0.0]))
    rows = mapping.add_landmarks(
        sparse, CAMERA, pose, 0, np.array([[159.5, 119.5]], np.float32), np.log([2.0]), np.array([0.3])
    )
    np.testing.assert_allclose(sparse.X[rows], [[1.0, 0.0, 2.0]])
    np.testing.assert_allclose(sparse.spread(rows), [[0.0, 0.0, 0.6]])


def test_many_landmarks_of_one_image_know_little_more_than_few() -> None:
    sparse = SparseMap()
    uv = np.full((320, 2), 100.0, np.float32)
    rows = mapping.add_landmarks(sparse, CAMERA, (np.eye(3), np.zeros(3)), 0, uv, np.zeros(320), np.full(320, 0.3))
    assert (1 / sparse.sigma[rows] ** 2).sum() == pytest.approx(20 / 0.3**2)


def test_keyframes_are_wanted_for_baseline_and_for_lost_overlap() -> None:
    sparse = SparseMap()
    rows = sparse.allocate(100)
    sparse.X[rows] = [0.0, 0.0, 2.0]
    sparse.sigma[rows] = 0.02
    for serial in range(6):
        sparse.add(keyframe(serial, rows))
    near, far = (np.eye(3), np.array([0.02, 0, 0])), (np.eye(3), np.array([0.10, 0, 0]))
    assert not mapping.wants_keyframe(CONFIG, sparse, near, rows)
    assert mapping.wants_keyframe(CONFIG, sparse, far, rows)
    assert mapping.wants_keyframe(CONFIG, sparse, near, rows[:40])
    assert mapping.wants_keyframe(CONFIG, sparse, near, rows[:0])


def test_rebase_moves_pixels_and_pictures() -> None:
    k = keyframe(0, [0], uv=np.array([[10.0, 8.0]]))
    sparse = SparseMap()
    sparse.add(k)
    H = np.array([[2.0, 0, 0.5], [0, 2.0, 0.5], [0, 0, 1]])
    sparse.rebase(H, (64, 48), (16, 12))
    assert k.grey.shape == (48, 64)
    assert k.small.shape == (12, 16)
    np.testing.assert_allclose(k.uv, [[20.5, 16.5]])
    np.testing.assert_allclose(map_pixels(np.linalg.inv(H), k.uv), [[10.0, 8.0]], atol=1e-5)


def test_focal_estimate_gains_slowly_and_never_becomes_certain() -> None:
    focal = FocalEstimate.given(CAMERA, 0.05)
    for _ in range(200):
        focal.update(0.03, 0.004)
    assert focal.factor == pytest.approx(np.exp(0.03))
    assert focal.camera.fx == pytest.approx(270 * np.exp(0.03))
    assert focal.sigma == 0.005
    once = FocalEstimate.given(CAMERA, 0.05)
    once.update(0.03, 0.01)
    assert 0.02 < once.sigma < 0.05  # one window counts for an eighth of what it claims
    half = once.resized(160, 120)
    assert half.camera.fx == pytest.approx(once.camera.fx / 2)


@pytest.mark.parametrize(("mean", "sigma"), [(0.1, None), (0.1, float("nan")), (float("inf"), 0.1), (0.1, 0.0)])
def test_focal_estimate_refuses_nonsense(mean: float, sigma: float | None) -> None:
    focal = FocalEstimate.guessed(CAMERA, 0.2)
    focal.update(mean, sigma)
    assert focal.mean == 0.0
    assert focal.is_estimated


def seen_map(offsets: list[float], wrong_depth: float = 1.0) -> tuple[SparseMap, np.ndarray]:
    """Keyframes moved sideways that see one cloud of points; depths in the map multiplied by a wrong, tilted factor."""
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.uniform(-0.8, 0.8, 120), rng.uniform(-0.6, 0.6, 120), rng.uniform(1.5, 4.0, 120)])
    sparse = SparseMap()
    depth = X[:, 2] * wrong_depth ** (X[:, 2] - 2.5)
    uv = CAMERA.project(X).astype(np.float32)
    rows = mapping.add_landmarks(sparse, CAMERA, (np.eye(3), np.zeros(3)), 0, uv, np.log(depth), np.full(120, 0.3))
    for serial, x in enumerate(offsets):
        sparse.add(keyframe(serial, rows, x, CAMERA.project(X - [x, 0.0, 0.0])))
        sparse.keyframes[-1].t = np.array([0.01 * serial, 0.0, 0.0])  # a wrong pose
    return sparse, X


def test_two_views_need_no_depth() -> None:
    sparse, X = seen_map([0.0, 0.1, 0.3], wrong_depth=0.4)
    assert two_view_start(CONFIG, sparse, CAMERA)
    scale = np.median(sparse.X[:120, 2] / X[:, 2])
    np.testing.assert_allclose(sparse.X[:120], X * scale, rtol=0.02, atol=0.01)
    np.testing.assert_allclose(sparse.keyframes[1].centre, [0.1 * scale, 0, 0], atol=0.01)


def test_two_views_without_baseline_are_refused_untouched() -> None:
    sparse, _ = seen_map([0.0, 0.0])
    before = sparse.X.copy()
    assert not two_view_start(CONFIG, sparse, CAMERA)
    assert np.array_equal(before, sparse.X)


def test_map_state_goes_back() -> None:
    sparse, _ = seen_map([0.0, 0.1])
    state, X, t = MapState.of(sparse), sparse.X.copy(), sparse.keyframes[1].t.copy()
    sparse.X += 1.0
    sparse.keyframes[1].t = t + 1.0
    state.restore(sparse)
    assert np.array_equal(sparse.X, X)
    assert np.array_equal(sparse.keyframes[1].t, t)


def test_adjustment_repairs_a_bad_start() -> None:
    """A network bent the wrong way and wrong poses: after the adjustment the points are right up to scale."""
    sparse, X = seen_map([0.0, 0.1, 0.3], wrong_depth=0.4)
    dropped = mapping.adjust_window(CONFIG, sparse, FocalEstimate.given(CAMERA, 0.05), True)
    assert len(dropped) < 6
    ratio = sparse.X[:120, 2] / X[:, 2]
    assert np.median(np.abs(ratio / np.median(ratio) - 1)) < 0.08
    assert np.median(sparse.sigma[:120]) < 0.05


def mapped_room(room: Any) -> tuple[SparseMap, np.ndarray]:
    """A map of one rendered keyframe with exact depth; its image."""
    image, depth = room.render(np.eye(4))
    grey = np.ascontiguousarray(image[..., 0])
    uv = detect(TrackingConfig(), grey, np.zeros((0, 2), np.float32), 250)
    z = depth[np.rint(uv[:, 1]).astype(int), np.rint(uv[:, 0]).astype(int)]
    sparse, pose = SparseMap(), (np.eye(3), np.zeros(3))
    rows = mapping.add_landmarks(sparse, CAMERA, pose, 0, uv, np.log(z).astype(float), np.full(len(uv), 0.01))
    sparse.sigma[rows] = 0.02
    descriptors = relocalisation.describe(grey, uv)
    sparse.add(Keyframe(0, 0, grey, grey[::2, ::2].copy(), *pose, rows, uv, descriptors))
    return sparse, grey


def moved_view(room: Any, shift: float, turn: float) -> tuple[np.ndarray, np.ndarray]:
    """An image from elsewhere and its camera-from-world transform."""
    T = make_transform(so3_exp([0.0, turn, 0.0]), [shift, 0.02, 0.05])
    return np.ascontiguousarray(room.render(T)[0][..., 0]), invert(T)


@pytest.mark.parametrize(("shift", "turn"), [(0.0, 0.0), (0.1, 0.05), (0.2, -0.15)])
def test_relocalisation_finds_the_pose_without_a_guess(room: Any, shift: float, turn: float) -> None:
    sparse, _ = mapped_room(room)
    grey, T = moved_view(room, shift, turn)
    found = relocalisation.relocalise(CONFIG, sparse, CAMERA, grey, sparse.keyframes)
    assert found is not None
    fit, rows, uv = found
    np.testing.assert_allclose(fit.R, T[:3, :3], atol=0.01)
    np.testing.assert_allclose(fit.t, T[:3, 3], atol=0.03)
    assert len(rows) == len(uv) >= CONFIG.relocalisation.min_inliers


def test_relocalisation_refuses_another_room_and_a_blank_image(room: Any) -> None:
    sparse, _ = mapped_room(room)
    other = type(room)(seed=9)
    grey, _ = moved_view(other, 0.0, 0.0)
    last = (np.eye(3), np.zeros(3))
    assert relocalisation.relocalise(CONFIG, sparse, CAMERA, grey, sparse.keyframes, last) is None
    assert relocalisation.relocalise(CONFIG, sparse, CAMERA, np.zeros_like(grey), sparse.keyframes, last) is None
    assert relocalisation.relocalise(CONFIG, sparse, CAMERA, grey, []) is None


def test_known_landmarks_are_taken_up_again_except_under_the_mask(room: Any) -> None:
    sparse, _ = mapped_room(room)
    grey, T = moved_view(room, 0.05, 0.02)
    pose = (T[:3, :3], T[:3, 3])
    tracked = sparse.keyframes[0].rows[:50]
    rows, uv = relocalisation.reacquire(CONFIG, sparse, CAMERA, grey, pose, tracked)
    assert len(rows) > 80
    assert not np.isin(rows, tracked).any()
    assert np.linalg.norm(uv - CAMERA.project(sparse.X[rows] @ T[:3, :3].T + T[:3, 3]), axis=1).max() < 5.0
    ignore = np.zeros(grey.shape, bool)
    ignore[:, :160] = True
    _, free = relocalisation.reacquire(CONFIG, sparse, CAMERA, grey, pose, tracked, ignore)
    assert free[:, 0].min() >= 159


def follow_into(room: Any, grey: np.ndarray, ignore: np.ndarray | None = None) -> Any:
    """Track the mapped room's landmarks into an image."""
    sparse, before = mapped_room(room)
    motion = MotionModel(TrackingConfig())
    motion.update((np.eye(3), np.zeros(3)), 0)
    tracks = Tracks(sparse.keyframes[0].rows, sparse.keyframes[0].uv)
    return track(TrackingConfig(), sparse, CAMERA, before, grey, tracks, motion, 66_000_000, ignore)


def test_track_fits_the_pose(room: Any) -> None:
    grey, T = moved_view(room, 0.05, 0.03)
    result = follow_into(room, grey)
    assert result.state is TrackingState.TRACKING
    assert result.reason == ""
    assert not result.is_covered
    np.testing.assert_allclose(result.fit.t, T[:3, 3], atol=0.01)


def test_track_notices_a_cover_and_a_jump(room: Any) -> None:
    grey, _ = moved_view(room, 0.05, 0.03)
    covered = grey.copy()
    covered[:, 80:] = np.random.default_rng(0).integers(0, 255, (240, 240), dtype=np.uint8)
    result = follow_into(room, covered)
    assert result.is_covered
    assert result.state in (TrackingState.DEGRADED, TrackingState.LOST)
    assert follow_into(room, np.zeros_like(grey)).state is TrackingState.LOST


def test_track_leaves_masked_pixels(room: Any) -> None:
    grey, _ = moved_view(room, 0.02, 0.01)
    ignore = np.zeros(grey.shape, bool)
    ignore[120:] = True
    result = follow_into(room, grey, ignore)
    assert not mask_at(ignore, result.tracks.uv).any()


def test_candidates_of_pose_fit_need_landmarks() -> None:
    none = pnp.Landmarks(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((0, 2)), np.zeros(0))
    assert pnp.solve(CAMERA, none, [(np.eye(3), np.zeros(3))], 1.0) is None
