"""The segmenter's network: its size, shapes, torch against ONNX Runtime, and its use on images of any size."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from ego_perception.errors import WeightsError
from ego_perception.hand_removal.segmentation.model import HandSegmenter
from ego_perception.hand_removal.segmentation.network import HAND_SEGMENTER, HandSegmenterNetwork, load_segmenter
from ego_perception.hand_removal.segmentation.sizes import (
    KIND,
    MIRRORED,
    STRIDE,
    VERSION,
    HandClass,
    SegmenterConfig,
    input_size,
)
from ego_perception.hand_removal.segmentation.training import score
from ego_perception.nn import num_parameters
from ego_perception.weights import WeightsInfo
from ego_perception.weights.store import save_weights

SMALL = SegmenterConfig(stem=8, widths=(8, 8, 8, 8), counts=(1, 1, 1, 1), decoder=(8, 8, 8, 8, 8), width=64)


@pytest.fixture(name="weights")
def weights_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    torch.manual_seed(0)
    model = HandSegmenter(SMALL)
    info = WeightsInfo(kind=KIND, version=VERSION, config=dataclasses.asdict(SMALL))
    save_weights(tmp_path / "small.safetensors", model.state_dict(), info)
    return tmp_path / "small.safetensors"


def test_it_has_fewer_than_a_million_parameters() -> None:
    assert num_parameters(HandSegmenter()) == 962_150  # of at most a million


@pytest.mark.parametrize(("height", "width"), [(48, 64), (64, 64), (96, 128)])
def test_every_second_pixel_gets_six_scores(height: int, width: int) -> None:
    model = HandSegmenter(SMALL).eval()
    scores = model(torch.rand(2, 3, height, width))
    assert scores.shape == (2, 6, height // 2, width // 2) and scores.dtype == torch.float32


def test_onnx_equals_torch(weights: Path) -> None:
    network, model = load_segmenter(weights), HAND_SEGMENTER.module(weights)
    rng = np.random.default_rng(0)
    image = rng.random((1, 3, 64, 64), np.float32)
    with torch.no_grad():
        expected = model(torch.from_numpy(image)).numpy()
    assert np.abs(network.backend.run(image)[0] - expected).max() < 1e-4


def test_a_refused_file_says_why(weights: Path, tmp_path: Path) -> None:
    info = WeightsInfo(kind=KIND, version=VERSION, config=dataclasses.asdict(SMALL) | {"stem": 16})
    save_weights(tmp_path / "other.safetensors", HandSegmenter(SMALL).state_dict(), info)
    with pytest.raises(WeightsError):
        HAND_SEGMENTER.module(tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match=r"missing\.safetensors"):
        load_segmenter(tmp_path / "missing.safetensors")


class Fixed:
    """A backend that favours the left hand where the image is bright, and remembers what it was given."""

    def __init__(self) -> None:
        self.given: list[tuple[np.ndarray, ...]] = []

    def run(self, *inputs: np.ndarray) -> list[np.ndarray]:
        self.given.append(inputs)
        seen = inputs[0][:, :, ::2, ::2].mean(1)
        scores = np.zeros((1, 6, *seen.shape[1:]), np.float32)
        scores[:, HandClass.NONE] = 2.0
        scores[:, HandClass.LEFT_HAND] = 4.0 * seen
        return [scores]


@pytest.mark.parametrize("size", [(640, 480), (1920, 1080), (256, 256), (100, 333), (30, 20)])
def test_images_of_any_size_give_probabilities_of_half_the_networks_size(size: tuple[int, int]) -> None:
    backend = Fixed()
    rgb = np.zeros((size[1], size[0], 3), np.uint8)
    rgb[:, size[0] // 2 :] = 255
    p = HandSegmenterNetwork(SegmenterConfig(), backend, "fixed").predict(rgb)
    width, height = input_size(*size, 320)
    assert p.shape == (6, height // 2, width // 2) and width % STRIDE == 0 and height % STRIDE == 0
    assert np.allclose(p.sum(0), 1, atol=1e-5)
    (image,) = backend.given[0]
    assert image.shape == (1, 3, height, width) and image.max() <= 1
    assert p[HandClass.LEFT_HAND, :, -1].min() > 0.5 > p[HandClass.LEFT_HAND, :, 0].max()


class SeesLeft:
    """A backend that finds a left arm in the left half, on the mirrored side as well, and tells how large the images were."""

    def __init__(self) -> None:
        self.given: list[tuple[np.ndarray, ...]] = []

    def run(self, *inputs: np.ndarray) -> list[np.ndarray]:
        self.given.append(inputs)
        scores = np.zeros((1, 6, inputs[0].shape[2] // 2, inputs[0].shape[3] // 2), np.float32)
        scores[0, HandClass.LEFT_ARM, :, : scores.shape[3] // 2] = 20
        scores[0, HandClass.NONE, :, scores.shape[3] // 2 :] = 20
        return [scores]


def test_the_second_look_is_mirrored_and_both_count() -> None:
    backend = SeesLeft()
    rgb = np.zeros((480, 640, 3), np.uint8)
    rgb[:, :320] = 255
    p = HandSegmenterNetwork(SegmenterConfig(), backend, "left", looks=2).predict(rgb)
    assert p.shape == (6, 128, 160) and np.allclose(p.sum(0), 1, atol=1e-5)
    (image,), (mirrored,) = sorted(backend.given, key=lambda given: -float(given[0][0, 0, 0, 0]))
    assert image.shape == mirrored.shape == (1, 3, 256, 320)
    assert image[0, :, :, 0].min() == 1 == mirrored[0, :, :, -1].min()
    assert np.allclose(p[HandClass.LEFT_ARM, :, 10], 0.5, atol=1e-5), "seen at first, not in the mirror"
    assert np.allclose(p[HandClass.RIGHT_ARM, :, -10], 0.5, atol=1e-5), "a left arm in the mirror is a right one"
    assert np.allclose(p[HandClass.RIGHT_ARM, :, 10], 0, atol=1e-5)


def test_two_looks_at_once_export_the_network_once(weights: Path) -> None:
    image = np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8)
    both, one = load_segmenter(weights, looks=2).predict(image), load_segmenter(weights, looks=1)
    seen, mirrored = one.predict(image), one.predict(np.ascontiguousarray(image[:, ::-1]))
    expected = (seen + mirrored[list(MIRRORED)][..., ::-1]) / 2
    assert np.abs(both - expected).max() < 1e-5


def test_scores_pool_over_pixels_and_sides_are_counted() -> None:
    labels = torch.zeros(1, 8, 8, dtype=torch.long)
    labels[:, :2, :4], labels[:, 2:4, :4] = HandClass.LEFT_HAND, HandClass.RIGHT_ARM
    guess = torch.zeros_like(labels)
    guess[:, :2, :4], guess[:, 2:6, :4] = HandClass.RIGHT_HAND, HandClass.RIGHT_ARM

    class Guess(HandSegmenter):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.one_hot(guess, 6).permute(0, 3, 1, 2).float()

    result = score(Guess(SMALL), [(torch.zeros(1, 3, 8, 8), labels)])
    assert result == pytest.approx(
        {"iou_hand_arm": 16 / 24, "iou_hands": 1.0, "iou_arms": 8 / 16, "iou_held": 0.0, "side": 8 / 16}
    )
