"""The estimator: hands go, everything else stays, and whatever fails withholds the image."""

from __future__ import annotations

import numpy as np
import pytest

from ego_perception.data import Frame
from ego_perception.data.hand_removal import HandLabel, HandRemovalEstimate, Provenance, RemovalState
from ego_perception.errors import WeightsError
from ego_perception.geometry import PinholeCamera
from ego_perception.hand_removal.background.geometry_warp import SceneGeometry
from ego_perception.hand_removal.background.plate import Background
from ego_perception.hand_removal.estimator import HandRemovalConfig, HandRemovalEstimator
from ego_perception.hand_removal.fill.painter import Painted
from ego_perception.hand_removal.guard import RemovalGuard
from ego_perception.hand_removal.masks import MaskConfig
from ego_perception.hand_removal.segmentation.sizes import HandClass

W, H = 160, 120
SCENE = np.random.default_rng(0).integers(40, 120, (H, W, 3), dtype=np.uint8)
SKIN = (250, 30, 240)


class Sees:
    """Finds the skin colour exactly: a right hand in the right half of an image, a left one in the left half."""

    name = "sees"
    fault: object = None

    def predict(self, rgb: np.ndarray) -> np.ndarray:
        if isinstance(self.fault, Exception):
            raise self.fault
        p = np.zeros((len(HandClass), *rgb.shape[:2]), np.float32)
        skin = (rgb == SKIN).all(axis=-1)
        is_right = np.nonzero(skin)[1].sum() >= skin.sum() * rgb.shape[1] / 2
        p[HandClass.RIGHT_HAND if is_right else HandClass.LEFT_HAND] = skin
        p[HandClass.NONE] = 1 - skin
        if self.fault is not None:
            p[:] = self.fault
        return p


class Flat:
    """Paints what nobody saw grey."""

    name = "flat"

    def reset(self) -> None:
        pass

    def paint(self, rgb: np.ndarray, hole: np.ndarray, background: Background) -> Painted:
        provenance = np.where(background.observed, Provenance.OBSERVED, Provenance.GENERATED).astype(np.uint8) * hole
        image = np.where((provenance == Provenance.GENERATED)[..., None], np.uint8(90), background.rgb)
        return Painted(image, provenance, background.confidence, background.age_s)


class Paints:
    """Paints nothing: as a network with broken weights."""

    name = "paints"

    def reset(self) -> None:
        pass

    def paint(self, rgb: np.ndarray, hole: np.ndarray, background: Background) -> None:
        return None


def frame(k: int, x: int | None = 60, **changes: object) -> Frame:
    rgb = SCENE.copy()
    if x is not None:
        rgb[40:80, x : x + 30] = SKIN
    return Frame(1 + 50_000_000 * k, rgb, index=k, **changes)  # type: ignore[arg-type]


def estimator(segmenter: Sees | None = None, painter: object = None, source: str = "builtin") -> HandRemovalEstimator:
    return HandRemovalEstimator(HandRemovalConfig(mask_source=source), segmenter, painter)  # type: ignore[arg-type]


def shows_skin(estimate: HandRemovalEstimate) -> bool:
    return estimate.image is not None and bool((estimate.image == SKIN).all(axis=-1).any())


def test_hands_go_and_the_rest_stays_to_the_bit() -> None:
    remover = estimator(Sees())
    for k in range(14):
        out = remover.push(frame(k, 20 + 6 * k))
        assert out.image is not None and out.provenance is not None and not shows_skin(out)
        live = out.provenance == Provenance.LIVE
        assert np.array_equal(out.image[live], out.frame.rgb[live])
        assert not out.image[out.provenance == Provenance.UNKNOWN].any()
    assert out.provenance[60, 110] == Provenance.OBSERVED and out.hand_mask is not None
    assert out.hand_mask[60, 110] == HandLabel.RIGHT
    assert np.abs(out.image[60, 110].astype(int) - SCENE[60, 110]).max() <= 2
    assert not list(remover.flush())


def test_no_hand_passes_the_image_through() -> None:
    out = estimator(Sees()).push(frame(0, None))
    assert out.state is RemovalState.CLEAN and out.image is not None and np.array_equal(out.image, SCENE)
    assert out.provenance is not None and not out.provenance.any() and (out.confidence == 1).all()


def test_nothing_but_hand_is_withheld() -> None:
    covered = Frame(1, np.full((H, W, 3), SKIN, np.uint8))
    out = estimator(Sees()).push(covered)
    assert out.state is RemovalState.WITHHELD and out.image is None and "cover 100%" in out.reason


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (RuntimeError("device lost"), "device lost"),
        (ValueError(""), "ValueError"),
        (WeightsError("spoilt"), "spoilt"),
        (np.nan, "not finite"),
        (np.inf, "not finite"),
    ],
)
def test_a_failing_segmenter_withholds_and_recovers(fault: object, reason: str) -> None:
    segmenter = Sees()
    remover = estimator(segmenter)
    assert remover.push(frame(0)).image is not None
    segmenter.fault = fault
    out = remover.push(frame(1))
    assert out.state is RemovalState.WITHHELD and out.image is None and reason in out.reason
    segmenter.fault = None
    assert remover.push(frame(2)).image is not None


def test_a_painter_without_an_answer_withholds() -> None:
    out = estimator(Sees(), Paints()).push(frame(0))
    assert out.state is RemovalState.WITHHELD and out.image is None and "fill network" in out.reason


def test_masks_from_elsewhere() -> None:
    hands = np.zeros((H, W), np.uint8)
    hands[40:80, 60:90] = HandLabel.ANY
    out = estimator(None, None, "frame").push(frame(0, hands=hands))
    assert out.image is not None and not shows_skin(out)
    missing = estimator(None, None, "frame").push(frame(0))
    assert missing.image is None and "no mask came" in missing.reason
    assert estimator(None, None, "auto").push(frame(0)).image is None
    assert not shows_skin(estimator(Sees(), None, "auto").push(frame(0)))


def test_reset_forgets() -> None:
    remover = estimator(Sees())
    remover.push(frame(0, 10))
    remover.reset()
    out = remover.push(frame(1, 90))
    assert out.provenance is not None and not (out.provenance == Provenance.OBSERVED).any()


def test_held_objects_and_geometry_reach_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    estimator = HandRemovalEstimator(HandRemovalConfig(mask_source="frame"), None, None)
    labels = np.zeros((H, W), np.uint8)
    labels[40:80, 60:100], labels[40:60, 120:150] = HandLabel.RIGHT, HandLabel.HELD_OBJECT
    camera = PinholeCamera.from_fov(W, H, 1.0)
    given = SceneGeometry(7, np.ones((H, W), np.float32), np.eye(4), camera)
    told: dict[str, object] = {}
    push = estimator._plate.push

    def spy(rgb: np.ndarray, hole: np.ndarray, stamp_ns: int, **more: object) -> Background:
        told.update(more, hole=hole)
        return push(rgb, hole, stamp_ns, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(estimator._plate, "push", spy)
    estimator.push(Frame(7, SCENE, camera=camera, hands=labels), given)
    held, hole = np.asarray(told["movers"]), np.asarray(told["hole"])
    assert held[45:55, 125:145].all() and not (held & hole).any() and not hole[45:55, 125:145].any()
    assert told["geometry"] is given and told["camera"] is camera


class HalfSees(Sees):
    """Finds one hand; of a second one, green, it says how likely it is."""

    def __init__(self, second: float) -> None:
        self.second = second

    def predict(self, rgb: np.ndarray) -> np.ndarray:
        p = super().predict(rgb)
        p[HandClass.LEFT_ARM] = self.second * (rgb == (0, 255, 0)).all(axis=-1)
        p[HandClass.NONE] -= p[HandClass.LEFT_ARM]
        return p


def with_second_hand(k: int, x: int | None) -> Frame:
    image = frame(k)
    if x is not None:
        image.rgb[90:110, x : x + 20] = (0, 255, 0)  # 2.1 % of the image
    return image


@pytest.mark.parametrize(
    ("second", "state"),
    [(0.0, RemovalState.CLEAN), (0.09, RemovalState.CLEAN), (0.35, RemovalState.DEGRADED)],
)
def test_a_hand_that_was_half_seen_makes_no_clean_image(second: float, state: RemovalState) -> None:
    remover = RemovalGuard(estimator(HalfSees(second), Flat()))
    out = [remover.push(with_second_hand(k, 100)) for k in range(2)][-1]
    assert out.state is state and out.image is not None
    assert out.expected_miss == pytest.approx(second * 400 / (W * H), rel=1e-3, abs=1e-6)
    assert ("hands may have been missed: 0.7%" in out.reason) == (state is RemovalState.DEGRADED)


def test_a_large_hand_in_doubt_is_withheld() -> None:
    image = frame(0)
    image.rgb[85:115, 10:80] = (0, 255, 0)
    out = RemovalGuard(estimator(HalfSees(0.38), Flat())).push(image)
    assert out.state is RemovalState.WITHHELD and out.image is None and "missed: 4." in out.reason
    assert out.hand_mask is not None and out.hand_mask[60, 70] == HandLabel.LEFT


def test_the_limits_of_doubt_are_parameters() -> None:
    for config, state in (
        (MaskConfig(doubtful_miss=0.5), RemovalState.CLEAN),
        (MaskConfig(withheld_miss=0.005), RemovalState.WITHHELD),
    ):
        remover = RemovalGuard(estimator(HalfSees(0.35), Flat()), config)
        assert remover.push(with_second_hand(0, 100)).state is state


def test_what_may_be_a_hand_is_not_remembered() -> None:
    for second, remembered in ((0.0, True), (0.3, False)):
        remover = estimator(HalfSees(second), None)
        for k in range(18):
            image = frame(k, None)
            image.rgb[50:70, 110:125] = (0, 255, 0)
            image.rgb[40:80, 6 * k : 6 * k + 30] = SKIN  # in the end the found hand covers the other one
            out = remover.push(image)
        assert out.provenance is not None
        assert (out.provenance[60, 118] == Provenance.OBSERVED) == remembered


def test_masks_from_elsewhere_are_not_doubted() -> None:
    image = with_second_hand(0, 100)
    given = Frame(image.stamp_ns, image.rgb, hands=np.zeros((H, W), np.uint8))
    out = RemovalGuard(estimator(HalfSees(0.35), Flat(), source="auto")).push(given)
    assert out.state is RemovalState.CLEAN and out.expected_miss == 0


@pytest.mark.parametrize("source", ["builtin", "frame"])
@pytest.mark.parametrize("size", [(12, 160), (40, 640), (200, 14)])
def test_very_flat_and_very_thin_images_are_images_too(size: tuple[int, int], source: str) -> None:
    remover = estimator(Sees(), Flat(), source)
    scene = np.random.default_rng(3).integers(40, 120, (*size, 3), dtype=np.uint8)
    for k in range(6):
        rgb, labels = scene.copy(), np.zeros(size, np.uint8)
        area = slice(size[0] // 3, size[0] // 2), slice(size[1] // 3 + k, size[1] // 2 + k)
        rgb[area], labels[area] = SKIN, HandLabel.LEFT
        out = remover.push(Frame(1 + 50_000_000 * k, rgb, index=k, hands=labels))
        assert out.image is not None and out.image.shape == rgb.shape and not shows_skin(out)
