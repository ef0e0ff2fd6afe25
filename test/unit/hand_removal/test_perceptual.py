"""The Frechet distance against its closed form, and how scores of pictures are gathered; the networks are stand-ins."""

from __future__ import annotations

import builtins
import logging
import math
from typing import Any

import numpy as np
import pytest
from scipy.linalg import sqrtm

from ego_perception.errors import ConfigError
from ego_perception.hand_removal import perceptual
from ego_perception.hand_removal.perceptual import (
    MIN_IMAGES,
    FeatureStatistics,
    PerceptualScores,
    around,
    frechet_distance,
    load_networks,
)

RNG = np.random.default_rng(0)


def statistics(features: np.ndarray) -> FeatureStatistics:
    result = FeatureStatistics()
    for row in features:
        result.add(row)
    return result


def test_running_statistics_equal_numpys() -> None:
    features = RNG.normal(size=(200, 7)) * 3 + 1e6
    found = statistics(features)
    assert np.allclose(found.mean, features.mean(axis=0))
    assert np.allclose(found.covariance, np.cov(features, rowvar=False), rtol=1e-6)


def test_equal_sets_are_at_no_distance_and_a_shift_is_its_square() -> None:
    features = RNG.normal(size=(300, 6))
    a, b = statistics(features), statistics(features + np.array([3.0, 0, 0, 4.0, 0, 0]))
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a, b) == pytest.approx(25, rel=1e-9)
    assert frechet_distance(b, a) == pytest.approx(25, rel=1e-9)


def test_known_covariances() -> None:
    """Where covariances commute, tr(A + B - 2 (A B)^(1/2)) is the sum of squared differences of the deviations."""
    white = RNG.normal(size=(5000, 4))
    white = (white - white.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(white, rowvar=False))).T
    a, b = np.array([1.0, 2, 3, 0]), np.array([4.0, 2, 1, 0.5])
    distance = frechet_distance(statistics(white * a), statistics(white * b))
    assert distance == pytest.approx(((a - b) ** 2).sum(), rel=1e-6)


def test_the_trace_of_the_root_equals_scipys() -> None:
    a, b = (statistics(RNG.normal(size=(50, 8)) @ RNG.normal(size=(8, 8))) for _ in range(2))
    gap = a.mean - b.mean
    root = np.real(sqrtm(a.covariance @ b.covariance))
    expected = gap @ gap + np.trace(a.covariance + b.covariance - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)


def test_fewer_images_than_features_give_a_number() -> None:
    a, b = statistics(RNG.normal(size=(5, 30))), statistics(RNG.normal(size=(5, 30)))
    assert math.isfinite(frechet_distance(a, b)) and frechet_distance(a, b) > 0


def difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.abs(a.astype(np.float32) - b).mean(axis=2)


def mean_colour(image: np.ndarray) -> np.ndarray:
    return image.reshape(-1, 3).astype(np.float64).mean(axis=0)


def hole(size: int = 20) -> np.ndarray:
    found = np.zeros((120, 160), np.bool_)
    found[30 : 30 + size, 100 : 100 + size] = True
    return found


def test_distances_are_of_the_whole_image_and_of_the_hole() -> None:
    scores, truth = PerceptualScores(difference, None), np.full((120, 160, 3), 100, np.uint8)
    for error in (10, 30):
        wrong = np.where(hole()[..., None], truth + np.uint8(error), truth)
        scores.add({"right": truth, "wrong": wrong}, truth, hole())
    scores.add({"right": truth, "wrong": truth}, truth, np.zeros((120, 160), np.bool_))
    rows = scores.rows()
    assert rows["right"]["lpips"] == rows["right"]["lpips_hole"] == 0
    assert rows["wrong"]["lpips_hole"] == pytest.approx(20), "a frame without a hole does not count"
    assert rows["wrong"]["lpips"] == pytest.approx(20 * 400 / (120 * 160))
    assert all(math.isnan(row[key]) for row in rows.values() for key in ("fid", "fid_hole"))


def test_sets_are_compared_as_wholes_and_as_crops_around_the_hole(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(perceptual, "MIN_IMAGES", 6)
    scores = PerceptualScores(None, mean_colour)
    for _ in range(6):
        truth = RNG.integers(80, 120, (120, 160, 3), dtype=np.uint8)
        scores.add({"right": truth, "wrong": np.where(hole()[..., None], truth + np.uint8(64), truth)}, truth, hole())
    with caplog.at_level(logging.WARNING):
        rows = scores.rows()
    assert rows["right"]["fid"] == pytest.approx(0, abs=1e-9)
    assert rows["wrong"]["fid_hole"] == pytest.approx(3 * (64 * 400 / 64**2) ** 2, rel=1e-6), "crops are 64 pixels wide"
    assert rows["wrong"]["fid"] == pytest.approx(3 * (64 * 400 / (120 * 160)) ** 2, rel=1e-6)
    assert math.isnan(rows["wrong"]["lpips"]) and "biased upwards" in caplog.text


def test_too_few_images_have_no_fid_and_it_is_said(caplog: pytest.LogCaptureFixture) -> None:
    scores, truth = PerceptualScores(None, mean_colour), RNG.integers(0, 255, (120, 160, 3), dtype=np.uint8)
    for _ in range(3):
        scores.add({"any": truth}, truth, hole())
    with caplog.at_level(logging.WARNING):
        assert math.isnan(scores.rows()["any"]["fid"])
    assert f"3 images were scored, it takes at least {MIN_IMAGES}" in caplog.text


@pytest.mark.parametrize(("size", "side"), [(1, 64), (20, 64), (60, 96), (89, 120)])
def test_crops_lie_around_the_hole_and_in_the_image(size: int, side: int) -> None:
    found = hole(size)[:, :160]
    rows, columns = around(found)
    assert found[rows, columns].sum() == found.sum()
    assert rows.stop - rows.start == side and rows.start >= 0 and rows.stop <= 120 and columns.stop <= 160


def test_a_missing_package_is_one_line_that_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **options: Any) -> Any:
        if name.split(".", maxsplit=1)[0] in ("lpips", "torch_fidelity"):
            raise ImportError(f"No module named '{name}'")
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    for load in (load_networks, lambda: perceptual._inception("cpu")):
        with pytest.raises(ConfigError, match=r"pip install ego-perception\[perceptual\]") as caught:
            load()
        assert len(str(caught.value).splitlines()) == 1


class FakeNetwork:
    """Takes what the real ones take: (N, 3, H, W)."""

    def __init__(self, *_: Any, **options: Any) -> None:
        self.options = options

    def to(self, _: str) -> FakeNetwork:
        return self

    def eval(self) -> FakeNetwork:
        return self


def test_images_reach_the_networks_in_the_range_they_expect(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    import torch

    class Lpips(FakeNetwork):
        def __call__(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            assert self.options["spatial"] and a.shape == b.shape == (1, 3, 6, 8)
            assert float(a.min()) == -1 and float(b.max()) == 1
            return (a - b).abs().mean(1, keepdim=True)

    class Inception(FakeNetwork):
        def __call__(self, batch: torch.Tensor) -> tuple[torch.Tensor]:
            assert batch.dtype is torch.uint8 and max(batch.shape[2:]) <= 598
            return (batch.float().mean((2, 3)),)

    modules = {"lpips": {"LPIPS": Lpips}, "torch_fidelity": {}}
    modules["torch_fidelity.feature_extractor_inceptionv3"] = {"FeatureExtractorInceptionV3": Inception}
    for name, content in modules.items():
        module = types.ModuleType(name)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)
    black, white = np.zeros((6, 8, 3), np.uint8), np.full((6, 8, 3), 255, np.uint8)
    distance = perceptual._lpips("cpu")(black, white)
    assert distance.shape == (6, 8) and (distance == 2).all()
    features = perceptual._inception("cpu")
    assert np.allclose(features(np.full((700, 1200, 3), 7, np.uint8)), [7, 7, 7])
    assert len(load_networks()) == 2
