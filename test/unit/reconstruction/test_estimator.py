"""The whole estimator on a rendered room: known trajectory and depth, and what must happen on bad input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from ego_perception.data import Encoding, Frame, SceneEstimate, TrackingState
from ego_perception.geometry import R_FLU_OPTICAL, DistortionModel, PinholeCamera, make_transform, so3_exp, so3_log, umeyama
from ego_perception.reconstruction.estimator import ReconstructionEstimator
from ego_perception.runtime import Estimator

CAMERA = PinholeCamera(320, 240, 270.0, 270.0, 159.5, 119.5)
FPS = 15.0
MakeRun = Callable[..., Any]


def ate_m(run: Any) -> float:
    """ATE RMSE after Sim(3) over the frames with a pose."""
    pairs = [
        (e.T_world_cam[:3, 3], T[:3, 3]) for e, T in zip(run.estimates, run.poses, strict=True) if e.T_world_cam is not None
    ]
    found, truth = (np.array(a) for a in zip(*pairs, strict=True))
    return float(np.sqrt(((umeyama(found, truth).apply(found) - truth) ** 2).sum(1).mean()))


def abs_rel(estimate: SceneEstimate, truth: np.ndarray) -> float:
    """Mean relative depth error after the median scale."""
    assert estimate.depth is not None
    small = cv2.resize(truth, estimate.depth.shape[::-1], interpolation=cv2.INTER_AREA)
    ratio = estimate.depth / small
    return float(np.abs(ratio / np.median(ratio) - 1).mean())


def states(estimates: list[SceneEstimate]) -> set[TrackingState]:
    return {e.state for e in estimates}


def test_implements_the_estimator_protocol(make_run: MakeRun) -> None:
    assert isinstance(make_run().estimator, Estimator)
    assert list(make_run().estimator.flush()) == []


def test_first_frame_defines_the_world_and_has_depth(make_run: MakeRun) -> None:
    first = make_run().walk(0, 1)[0]
    assert first.state is TrackingState.TRACKING
    np.testing.assert_allclose(first.T_world_cam, make_transform(R_FLU_OPTICAL, np.zeros(3)))
    assert first.depth.shape == (120, 160)
    assert first.depth.dtype == np.float32
    assert np.isfinite(first.depth).all()
    assert first.is_keyframe
    assert first.camera == CAMERA
    assert not first.camera_is_estimated


@pytest.mark.parametrize("bend", [0.0, 0.25, None])
def test_walk_is_followed_whatever_the_network_says(make_run: MakeRun, bend: float | None) -> None:
    """None is a network that answers 2 m everywhere."""
    run = make_run(bend)
    run.walk(0, 45)
    length = np.linalg.norm(np.diff([T[:3, 3] for T in run.poses], axis=0), axis=1).sum()
    assert all(e.T_world_cam is not None for e in run.estimates)
    assert ate_m(run) < 0.03 * length
    assert abs_rel(run.estimates[-1], run.depths[-1]) < 0.08
    assert run.estimates[-1].camera.fx == pytest.approx(270.0, rel=0.02)
    assert len(run.estimates[-1].landmarks) > 100
    assert run.estimates[-1].map_id == 0


def test_scale_is_that_of_the_network(make_run: MakeRun) -> None:
    run = make_run(0.0)
    run.walk(0, 30)
    found = np.linalg.norm(run.estimates[-1].T_world_cam[:3, 3])
    assert found == pytest.approx(np.linalg.norm(run.poses[-1][:3, 3]), rel=0.1)


def test_landmarks_lie_on_the_walls(make_run: MakeRun, room: Any) -> None:
    run = make_run(0.0)
    last = run.walk(0, 30)[-1]
    optical = last.landmarks @ R_FLU_OPTICAL
    off = np.minimum(np.abs(optical - room.LOW), np.abs(optical - room.HIGH)).min(axis=1)
    assert np.median(off) < 0.1


def test_pure_rotation_does_not_move_the_camera(make_run: MakeRun) -> None:
    run = make_run(0.25)
    for i in range(30):
        run.push(make_transform(so3_exp([0.0, 0.5 * np.sin(i / 10), 0.0]), np.zeros(3)), i / FPS)
    for estimate, truth in zip(run.estimates, run.poses, strict=True):
        R = R_FLU_OPTICAL.T @ estimate.T_world_cam[:3, :3]
        assert np.linalg.norm(estimate.T_world_cam[:3, 3]) < 0.03
        assert np.degrees(np.linalg.norm(so3_log(R @ truth[:3, :3].T))) < 0.7


def test_covariance_is_symmetric_positive_and_small_where_tracking_is_good(make_run: MakeRun) -> None:
    run = make_run()
    for estimate in run.walk(0, 12):
        np.testing.assert_allclose(estimate.covariance, estimate.covariance.T)
        assert np.linalg.eigvalsh(estimate.covariance).min() > 0
        assert np.sqrt(np.trace(estimate.covariance[:3, :3])) < 0.2


def test_same_input_same_bytes(make_run: MakeRun) -> None:
    runs = [make_run(), make_run()]
    for run in runs:
        run.walk(0, 16)
    runs[1].estimator.reset()
    runs.append(runs[1])
    again = [runs[1].push(T, i / FPS) for i, T in enumerate(runs[0].poses)]
    for a, b, c in zip(runs[0].estimates, runs[1].estimates[:16], again, strict=True):
        for other in (b, c):
            assert a.T_world_cam.tobytes() == other.T_world_cam.tobytes()
            assert a.depth.tobytes() == other.depth.tobytes()
            assert a.confidence.tobytes() == other.confidence.tobytes()
            assert a.landmarks.tobytes() == other.landmarks.tobytes()


@pytest.mark.parametrize("level", [0, 255])
def test_blackout_is_lost_at_once_and_found_again(make_run: MakeRun, level: int) -> None:
    run = make_run()
    run.walk(0, 20)
    dark = run.walk(20, 35, change=lambda image: np.full_like(image, level))
    assert states(dark) == {TrackingState.LOST}
    assert all(e.T_world_cam is None and e.covariance is None and e.depth is None for e in dark)
    assert dark[0].reason == ("image is black" if level == 0 else "image is saturated")
    after = run.walk(35, 50)
    assert after[-1].state is TrackingState.TRACKING
    assert {e.map_id for e in after} == {0}
    assert ate_m(run) < 0.05


def test_a_covering_hand_is_noticed_and_survived(make_run: MakeRun) -> None:
    run = make_run()
    run.walk(0, 20)
    rng = np.random.default_rng(0)
    hand = cv2.resize(rng.integers(60, 220, (40, 60, 3), dtype=np.uint8), (320, 240), interpolation=cv2.INTER_CUBIC)

    def cover(image: np.ndarray) -> np.ndarray:
        out = image.copy()
        out[:, 96:] = hand[:, 96:]
        return out

    covered = run.walk(20, 35, change=cover)
    assert covered[0].state in (TrackingState.DEGRADED, TrackingState.LOST)
    assert covered[0].reason
    after = run.walk(35, 55)
    assert after[-1].state is TrackingState.TRACKING
    assert after[-1].map_id == 0
    assert ate_m(run) < 0.08


def test_frozen_picture_is_degraded_and_keeps_the_pose(make_run: MakeRun) -> None:
    run = make_run()
    run.walk(0, 15)
    frozen = [run.push(run.poses[-1], (15 + k) / FPS) for k in range(5)]
    assert states(frozen) == {TrackingState.DEGRADED}
    assert "frozen" in frozen[0].reason
    np.testing.assert_array_equal(frozen[-1].T_world_cam, run.estimates[14].T_world_cam)
    assert frozen[-1].frame.stamp_ns == int(19 / FPS * 1e9)
    assert run.walk(20, 30)[-1].state is TrackingState.TRACKING


def test_no_pose_without_a_map(make_run: MakeRun) -> None:
    run = make_run()
    flat = run.walk(0, 3, change=lambda image: np.full_like(image, 128))
    assert states(flat) == {TrackingState.LOST}
    first = run.walk(3, 4)[0]
    np.testing.assert_allclose(first.T_world_cam[:3, 3], 0.0)


def test_elsewhere_is_lost_and_a_new_map_follows(make_run: MakeRun) -> None:
    """Teleporting into another room: no pose, no jump, then a new map with its own origin."""
    run = make_run(relocalisation__give_up_s=1.0)
    run.walk(0, 15)
    run.room = type(run.room)(seed=7)
    there = run.walk(15, 45)
    assert there[0].state is TrackingState.LOST
    assert all(e.T_world_cam is None for e in there if e.state is TrackingState.LOST)
    assert there[-1].map_id == 1
    assert there[-1].state is TrackingState.TRACKING
    new = [e for e in there if e.map_id == 1]
    np.testing.assert_allclose(new[0].T_world_cam[:3, 3], 0.0)


def test_resolution_change_keeps_the_map(make_run: MakeRun) -> None:
    run = make_run()
    run.walk(0, 20)
    half = CAMERA.resized(160, 120)
    after = run.walk(20, 35, camera=half)
    assert {e.map_id for e in after} == {0}
    assert after[-1].state in (TrackingState.TRACKING, TrackingState.DEGRADED)
    assert after[-1].T_world_cam is not None
    assert after[-1].camera.width == 160
    assert after[-1].camera.fx == pytest.approx(135.0, rel=0.05)
    assert ate_m(run) < 0.06


def test_shape_change_keeps_the_map_when_intrinsics_are_given(make_run: MakeRun) -> None:
    run = make_run()
    run.walk(0, 20)
    after = run.walk(20, 30, camera=CAMERA.cropped(0, 30, 320, 180))
    assert {e.map_id for e in after} == {0}
    assert after[-1].T_world_cam is not None
    assert after[-1].depth.shape == (90, 160)
    assert ate_m(run) < 0.06


def test_gap_in_time_is_bridged_or_lost_but_never_absurd(make_run: MakeRun) -> None:
    run = make_run()
    run.walk(0, 20)
    run.push(run.poses[10], 20 / FPS + 3.0)
    last = run.push(run.poses[11], 20 / FPS + 3.1)
    assert last.T_world_cam is not None
    assert ate_m(run) < 0.05


def test_half_the_frames_are_enough(make_run: MakeRun) -> None:
    run = make_run()
    for i in range(0, 46, 3):
        run.push(make_walk(i), i / FPS)
    assert all(e.T_world_cam is not None for e in run.estimates)
    assert ate_m(run) < 0.05


def make_walk(i: int) -> np.ndarray:
    """The fixture's walk, restated so that frames can be left out."""
    t = i / FPS
    position = np.array([0.45 * np.sin(0.9 * t), 0.08 * np.sin(1.7 * t), 0.25 * t - 0.1 * np.sin(t)]) * 0.8
    return make_transform(so3_exp([0.05 * np.sin(1.3 * t), 0.18 * np.sin(0.8 * t), 0.03 * np.sin(t)]), position)


def test_missing_intrinsics_are_guessed_and_then_refined(make_run: MakeRun) -> None:
    run = make_run()
    run.prior.fov_y_rad = PinholeCamera(320, 240, 310.0, 310.0, 159.5, 119.5).fov_rad[1]
    run.walk(0, 60, camera=None)
    assert all(e.camera_is_estimated for e in run.estimates)
    assert run.estimates[0].camera.fx == pytest.approx(310.0, rel=0.01)
    assert abs(run.estimates[-1].camera.fx - 270.0) < 20.0
    assert run.prior.seen[0] is None
    assert run.prior.seen[-1] is not None


def test_given_intrinsics_are_trusted_when_told(make_run: MakeRun) -> None:
    run = make_run(intrinsics__refine=False)
    wrong = CAMERA.with_focal(1.05)
    for i in range(25):
        image, run.prior.depth = run.room.render(make_walk(i), CAMERA)
        estimate = run.estimator.push(Frame(int(i / FPS * 1e9), image, camera=wrong))
        assert estimate.camera.fx == pytest.approx(wrong.fx)


def test_late_intrinsics_start_a_new_map(make_run: MakeRun) -> None:
    run = make_run()
    run.walk(0, 5, camera=None)
    late = run.walk(5, 8)
    assert not late[0].camera_is_estimated
    assert late[0].map_id == 1


def test_distorted_camera_gives_a_rectified_frame(make_run: MakeRun) -> None:
    run = make_run()
    lens = PinholeCamera(320, 240, 270.0, 270.0, 159.5, 119.5, DistortionModel.PLUMB_BOB, (-0.2, 0.05, 0.0, 0.0))
    image, run.prior.depth = run.room.render(np.eye(4))
    estimate = run.estimator.push(Frame(0, image, camera=lens))
    assert not estimate.camera.is_distorted
    assert estimate.frame.camera == lens.undistorted()
    assert not np.array_equal(estimate.frame.image, image)


def test_mono_images_and_masks_are_accepted(make_run: MakeRun) -> None:
    run = make_run()
    ignore = np.zeros((240, 320), bool)
    ignore[120:] = True
    for i in range(8):
        image, run.prior.depth = run.room.render(make_walk(i))
        mono = np.ascontiguousarray(image[..., 0])
        estimate = run.estimator.push(Frame(int(i / FPS * 1e9), mono, Encoding.MONO, CAMERA, ignore=ignore))
    assert estimate.state is TrackingState.TRACKING
    assert estimate.T_world_cam is not None


def test_map_stays_bounded(make_run: MakeRun) -> None:
    run = make_run(keyframes__max_kept=10, bundle__window=4, keyframes__baseline_ratio=0.01)
    run.walk(0, 60)
    sparse = run.estimator._map
    assert len(sparse.keyframes) <= 10
    assert sparse.next_serial > 10
    referred = np.unique(np.concatenate([k.rows for k in sparse.keyframes] + [run.estimator._tracks.rows]))
    assert sparse.alive.sum() <= len(referred) + 400


@pytest.fixture(scope="module")
def kitchen_frames(kitchen: Any) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Image, depth (metres) and pose of the first 60 real frames."""
    out = []
    for path in sorted(kitchen.glob("*.color.jpg"))[:60]:
        stem = path.name.removesuffix(".color.jpg")
        depth = cv2.imread(str(kitchen / f"{stem}.depth.png"), cv2.IMREAD_UNCHANGED).astype(np.float32) / 1000
        out.append((cv2.imread(str(path)), depth, np.loadtxt(kitchen / f"{stem}.pose.txt")))
    return out


def test_real_kitchen(kitchen_frames: Any, make_run: MakeRun) -> None:
    """Four seconds of a real walk with a network that knows nothing."""
    run = make_run(None)
    estimator: ReconstructionEstimator = run.estimator
    camera = PinholeCamera(640, 480, 585.0, 585.0, 320.0, 240.0)
    ratios = []
    for i, (image, depth, pose) in enumerate(kitchen_frames):
        estimate = estimator.push(Frame(int(i / FPS * 1e9), image, Encoding.BGR, camera, index=i))
        assert estimate.T_world_cam is not None
        run.estimates.append(estimate)
        run.poses.append(pose)
        truth = cv2.resize(depth, (160, 120), interpolation=cv2.INTER_NEAREST)
        valid = (truth > 0.1) & (truth < 10)
        if i >= 30:
            ratios.append(estimate.depth[valid] / truth[valid])
    assert ate_m(run) < 0.06
    pooled = np.concatenate(ratios)
    assert np.abs(pooled / np.median(pooled) - 1).mean() < 0.25
    assert 500 < run.estimates[-1].camera.fx < 620
