"""The memory on scenes with depth: given depth and pose are used, hidden things stay hidden, held objects are no background."""

from __future__ import annotations

import functools

import cv2
import numpy as np
import pytest
from fixtures.tables import H, W, disc, table

from ego_perception.geometry import PinholeCamera
from ego_perception.hand_removal.background.geometry_warp import SceneGeometry
from ego_perception.hand_removal.background.plate import Background, BackgroundConfig, BackgroundPlate

STEP_NS = 50_000_000
CAMERA = PinholeCamera.from_fov(W, H, np.radians(60))
NEAR, FAR = 1.0, 2.5
EDGE_M = 0.15  # the near wall covers what lies left of it
NEAR_WALL, FAR_WALL = (table(seed, size=(900, 600), sigma_px=3.0, high=220) for seed in (1, 2))


def scene(x: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image, depth and pose of a camera at (x, 0, 0) before two walls, the near one on the left."""
    rays = CAMERA.rays()

    def wall(picture: np.ndarray, depth: float) -> tuple[np.ndarray, np.ndarray]:
        at = rays[..., 0] * depth + x
        u, v = (at * 200 / depth + 450).astype(np.float32), (rays[..., 1] * 200 + 300).astype(np.float32)
        return cv2.remap(picture, u, v, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT), at

    (near, at), (far, _) = wall(NEAR_WALL, NEAR), wall(FAR_WALL, FAR)
    is_near = at < EDGE_M
    T = np.eye(4)
    T[0, 3] = x
    return np.where(is_near[..., None], near, far), np.where(is_near, NEAR, FAR).astype(np.float32), T


def psnr(background: Background, clean: np.ndarray, where: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(np.mean((background.rgb[where].astype(float) - clean[where]) ** 2), 1e-9)))


@functools.cache
def walk(given: bool, stamp_shift: int = 0, noise: float = 0.0) -> tuple[Background, np.ndarray, np.ndarray]:
    """A hand crosses the edge between the walls while the camera moves sideways; read only."""
    plate, rng = BackgroundPlate(BackgroundConfig()), np.random.default_rng(0)
    for k in range(14):
        clean, depth, T = scene(-0.12 + 0.015 * k)
        hole = disc(40 + 11 * k, 120, 34)
        rgb = np.where(hole[..., None], 250, clean).astype(np.uint8)
        known = depth * np.exp(noise * cv2.resize(rng.normal(size=(6, 8)).astype(np.float32), (W, H)))
        geometry = SceneGeometry(k * STEP_NS + stamp_shift, known, T, CAMERA) if given else None
        background = plate.push(rgb, hole, k * STEP_NS, camera=CAMERA, geometry=geometry)
    return background, clean, hole


def test_given_depth_and_pose_put_both_walls_where_they_belong() -> None:
    background, clean, hole = walk(given=True)
    assert (background.observed & hole).sum() > 0.8 * hole.sum()
    assert psnr(background, clean, background.observed) > 28


def test_depth_that_is_ten_per_cent_off_still_helps() -> None:
    background, clean, _ = walk(given=True, noise=0.1)
    assert psnr(background, clean, background.observed) > 24


def test_depth_is_found_by_itself_where_none_is_given() -> None:
    background, clean, hole = walk(given=False)
    assert (background.observed & hole).sum() > 0.6 * hole.sum()
    assert psnr(background, clean, background.observed) > 22


def test_geometry_may_come_from_a_function_that_is_called_once_per_image() -> None:
    plates = [BackgroundPlate(BackgroundConfig()) for _ in range(2)]
    calls = []
    for k in range(4):
        clean, depth, T = scene(0.02 * k)
        given, hole = SceneGeometry(k * STEP_NS, depth, T, CAMERA), disc(60 + 40 * k, 120, 30)

        def late(given: SceneGeometry = given) -> SceneGeometry:
            calls.append(given.stamp_ns)
            return given

        a = plates[0].push(clean, hole, k * STEP_NS, camera=CAMERA, geometry=given)
        b = plates[1].push(clean, hole, k * STEP_NS, camera=CAMERA, geometry=late)
        assert np.array_equal(a.rgb, b.rgb) and np.array_equal(a.confidence, b.confidence)
    assert calls == [k * STEP_NS for k in range(4)]


def test_a_function_that_knows_no_geometry_changes_nothing() -> None:
    plates = [BackgroundPlate(BackgroundConfig()) for _ in range(2)]
    for k in range(3):
        clean, hole = scene(0.02 * k)[0], disc(60 + 40 * k, 120, 30)
        a = plates[0].push(clean, hole, k * STEP_NS)
        b = plates[1].push(clean, hole, k * STEP_NS, geometry=lambda: None)
        assert np.array_equal(a.rgb, b.rgb)


def test_geometry_of_another_image_is_not_used() -> None:
    (stale, *_), (none, *_) = walk(given=True, stamp_shift=1), walk(given=False)
    assert np.array_equal(stale.rgb, none.rgb) and np.array_equal(stale.confidence, none.confidence)


def test_a_pose_that_contradicts_the_image_is_not_believed() -> None:
    plate = BackgroundPlate(BackgroundConfig())
    for k in range(10):
        clean, depth, T = scene(-0.12 + 0.01 * k)
        T[1, 3] = 0.2 * k  # the picture moves sideways, the given pose jumps up
        hole = disc(60 + 12 * k, 120, 30)
        rgb = np.where(hole[..., None], 250, clean).astype(np.uint8)
        geometry = SceneGeometry(k * STEP_NS, depth, T, CAMERA)
        background = plate.push(rgb, hole, k * STEP_NS, camera=CAMERA, geometry=geometry)
    assert background.observed.any()
    assert psnr(background, clean, background.observed) > 22


@pytest.mark.parametrize("bad", [np.nan, 0.0, -1.0, np.inf])
def test_depth_without_a_single_number_changes_nothing(bad: float) -> None:
    plates = [BackgroundPlate(BackgroundConfig()) for _ in range(2)]
    for k in range(4):
        clean, depth, T = scene(0.01 * k)
        hole = disc(80 + 20 * k, 120, 30)
        nothing = SceneGeometry(k * STEP_NS, np.full_like(depth, bad), T, CAMERA)
        results = [
            p.push(clean, hole, k * STEP_NS, camera=CAMERA, geometry=g) for p, g in zip(plates, (None, nothing), strict=True)
        ]
    # Only the correction of the motion is left out when a pose came along.
    assert np.isfinite(results[1].confidence).all()
    assert psnr(results[1], clean, results[1].observed) > 22


def carry_object(with_movers: bool) -> tuple[Background, np.ndarray, np.ndarray]:
    """A hand shoves a bright box to the right; the picture without the hand has the box where it is now."""
    plate = BackgroundPlate(BackgroundConfig())
    for k in range(12):
        clean, _, _ = scene(0.0)
        clean = clean.copy()
        left = 60 + 10 * k
        box = np.zeros((H, W), bool)
        box[100:140, left : left + 40] = True
        clean[box] = (240, 240, 20)
        hole = disc(left - 6, 120, 26)
        rgb = np.where(hole[..., None], 200, clean).astype(np.uint8)
        movers = box & ~hole if with_movers else None
        background = plate.push(rgb, hole, k * STEP_NS, camera=CAMERA, movers=movers)
    return background, clean, hole


def test_a_held_object_is_not_remembered_where_it_was() -> None:
    yellow = []
    for with_movers in (False, True):
        background, clean, _ = carry_object(with_movers)
        looks_like_box = (np.abs(background.rgb.astype(int) - [240, 240, 20]).max(axis=-1) < 40) & background.observed
        is_box = np.abs(clean.astype(int) - [240, 240, 20]).max(axis=-1) < 40
        yellow.append(int((looks_like_box & ~is_box).sum()))
    assert yellow[0] > 40  # what happens to those who do not know
    assert yellow[1] == 0


def test_a_hundred_still_images_do_not_blur_what_is_remembered() -> None:
    plate = BackgroundPlate(BackgroundConfig(capacity=200, keyframes=0))
    clean = np.ascontiguousarray(scene(0.0)[0][60:180, 80:240])
    for k in range(100):
        hole = disc(min(30 + 5 * k, 80), 60, 15)[:120, :160]
        background = plate.push(np.where(hole[..., None], 250, clean).astype(np.uint8), hole, k * STEP_NS)
    assert (background.observed & hole).sum() > 0.97 * hole.sum()
    assert psnr(background, clean, background.observed) > 45


def test_an_assumed_camera_does_nearly_as_well_on_a_flat_wall() -> None:
    results = []
    for camera in (CAMERA, None):
        plate = BackgroundPlate(BackgroundConfig())
        for k in range(12):
            view = cv2.warpPerspective(
                FAR_WALL, np.array([[1, 0, 200 + 4 * k], [0, 1, 150 + k], [0, 0, 1.0]]), (W, H), flags=17
            )
            hole = disc(60 + 16 * k, 120, 30)
            rgb = np.where(hole[..., None], 250, view).astype(np.uint8)
            background = plate.push(rgb, hole, k * STEP_NS, camera=camera)
        results.append(psnr(background, view, background.observed))
    assert min(results) > 30


def test_nothing_drifts_or_explodes_over_many_noisy_images() -> None:
    """Rounding errors of the pose chain once grew by the half with every image, and showed after some hundred."""
    plate, rng = BackgroundPlate(BackgroundConfig(capacity=60)), np.random.default_rng(0)
    base = scene(0.0)[0]
    for k in range(130):
        clean = cv2.getRectSubPix(base, (160, 120), (160 + 1.5 * np.sin(0.3 * k), 120 + np.sin(0.23 * k)))
        hole = disc(80 + 40 * np.sin(0.1 * k), 60, 15)[:120, :160]
        noisy = np.clip(clean + rng.normal(0, 2, clean.shape), 0, 255)
        background = plate.push(np.where(hole[..., None], 250, noisy).astype(np.uint8), hole, k * STEP_NS)
    view = plate._tracker._views[-1]
    assert np.abs(view.T_world_cam[:3, 3]).max() < 0.05
    assert np.abs(view.T_world_cam[:3, :3] @ view.T_world_cam[:3, :3].T - np.eye(3)).max() < 1e-12
    assert psnr(background, clean, background.observed) > 34
