"""Networks in ONNX Runtime: the same numbers as torch, exported once per shape, spoilt files replaced."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ego_perception.errors import WeightsError
from ego_perception.weights.onnx import OnnxNetwork, cache_folder, export_onnx


class Small(nn.Module):
    """Two inputs, two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 2, 3, padding=1)

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        y = self.conv(torch.cat([a, b], dim=1))
        return y, y.mean((2, 3))


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OnnxNetwork:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    torch.manual_seed(0)
    model, weights = Small().eval(), tmp_path / "w.safetensors"
    weights.write_bytes(b"weights")
    return OnnxNetwork("small", weights, lambda: model, ("a", "b"), ("y", "mean"))


def inputs(h: int = 8, w: int = 12) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(1, 3, h, w)).astype(np.float32), rng.normal(size=(1, 1, h, w)).astype(np.float32)


def test_same_numbers_as_torch_at_every_shape(network: OnnxNetwork) -> None:
    for size in ((8, 12), (16, 8)):
        a, b = inputs(*size)
        with torch.no_grad():
            expected = network._build()(torch.from_numpy(a), torch.from_numpy(b))
        for got, want in zip(network.run(a, b), expected, strict=True):
            assert got == pytest.approx(want.numpy(), abs=1e-5)
    assert len(list(cache_folder().glob("small-*.onnx"))) == 2


def test_one_export_serves_every_size_where_that_is_asked(network: OnnxNetwork) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.Upsample(scale_factor=2)).eval()
    some = OnnxNetwork("open", network.path, lambda: module, ("a",), ("y",), any_size=True)
    for size in ((8, 12), (16, 8), (32, 64)):
        a, _ = inputs(*size)
        with torch.no_grad():
            expected = module(torch.from_numpy(a)).numpy()
        assert some.run(a)[0] == pytest.approx(expected, abs=1e-5)
    assert [file.name.split("-")[1] for file in cache_folder().glob("open-*.onnx")] == ["any"]


def test_a_spoilt_file_is_replaced(network: OnnxNetwork) -> None:
    a, b = inputs()
    file = network.cached(a.shape, b.shape)
    file.write_bytes(b"not a network")
    assert network.run(a, b)[0].shape == (1, 2, 8, 12)
    assert file.stat().st_size > 100


def test_other_weights_are_another_entry(network: OnnxNetwork) -> None:
    first = network.cached((1, 3, 8, 8), (1, 1, 8, 8))
    network.path.write_bytes(b"other weights")
    assert network.cached((1, 3, 8, 8), (1, 1, 8, 8)) != first


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WeightsError, match="cannot be written"):
        export_onnx(Small(), tmp_path / "file" / "a.onnx", [(1, 3, 8, 8), (1, 1, 8, 8)], ("a", "b"), ("y", "mean"))
