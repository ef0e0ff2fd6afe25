"""A network of a weight file at work: torch and ONNX Runtime agree, and what is wrong with a file or device is said."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ego_perception.errors import ConfigError, WeightsError
from ego_perception.weights import WeightsInfo, sha256_of
from ego_perception.weights.runtime import NetworkKind, TorchNetwork
from ego_perception.weights.sizes import read_sizes
from ego_perception.weights.store import save_weights


@dataclass(frozen=True)
class Sizes:
    width: int = 4
    levels: tuple[int, ...] = (1, 2)


class Pair(nn.Module):
    """Two outputs of two inputs."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.mix = nn.Conv2d(4, sizes.width, 3, padding=1)

    def forward(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        mixed = self.mix(torch.cat([image, mask], dim=1))
        return mixed, mixed.mean((1, 2, 3))


class Single(Pair):
    """One output."""

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(image, mask)[0]


def kind_of(build: Any, outputs: tuple[str, ...], **changes: Any) -> NetworkKind[Sizes, nn.Module]:
    values: dict[str, Any] = {"name": "pair", "version": 1, "inputs": ("image", "mask"), "outputs": outputs, "build": build}
    return NetworkKind(read_sizes=lambda values, path: read_sizes(Sizes, values, path), **{**values, **changes})


PAIR = kind_of(Pair, ("mixed", "mean"))


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    torch.manual_seed(0)
    path = tmp_path / "pair.safetensors"
    save_weights(path, Pair(Sizes()).state_dict(), WeightsInfo("pair", 1, dataclasses.asdict(Sizes())))
    return path


def inputs() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.random((1, 3, 8, 12), np.float32), rng.random((1, 1, 8, 12), np.float32)


@pytest.mark.parametrize(("build", "outputs"), [(Pair, ("mixed", "mean")), (Single, ("mixed",))])
def test_both_runtimes_give_the_modules_outputs_in_order(build: Any, outputs: tuple[str, ...], weights: Path) -> None:
    kind = kind_of(build, outputs)
    with torch.no_grad():
        expected = kind.module(weights)(*map(torch.from_numpy, inputs()))
    expected = expected if isinstance(expected, tuple) else (expected,)
    running = kind.start(weights, threads=1, device="cpu")
    for backend in (running.backend, TorchNetwork(lambda: kind.module(weights), "cpu")):
        for ours, theirs in zip(backend.run(*inputs()), expected, strict=True):
            assert ours.dtype == np.float32
            np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-5)


def test_sizes_name_and_mode(weights: Path) -> None:
    running = PAIR.start(weights, threads=1, device="cpu")
    assert running.sizes == PAIR.sizes(weights) == Sizes()
    assert running.name == f"pair {sha256_of(weights)[:12]}"
    module = PAIR.module(weights)
    assert not module.training and module.sizes == Sizes()


def test_another_kind_version_or_device_is_refused(weights: Path) -> None:
    for changes, words in (({"name": "other"}, "holds 'pair' weights"), ({"version": 2}, "layout version 1")):
        kind = kind_of(Pair, ("mixed", "mean"), **changes)
        for use in (kind.sizes, kind.module, lambda path, kind=kind: kind.start(path, threads=1, device="cpu")):
            with pytest.raises(WeightsError, match=words):
                use(weights)
    with pytest.raises(ConfigError, match="device is 'tpu'; choose cpu or cuda"):
        PAIR.start(weights, threads=1, device="tpu")
    with pytest.raises(WeightsError, match="are missing"):
        PAIR.start(weights.with_name("none.safetensors"), threads=1, device="cpu")
    with pytest.raises(WeightsError, match="no weights named 'pair'"):
        PAIR.start(None, threads=1, device="cpu")


def test_no_gpu_is_said_at_once(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="torch sees no GPU"):
        PAIR.start(weights, threads=1, device="cuda")


def test_a_description_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    assert read_sizes(Sizes, {"width": 3, "levels": [1, 5]}, path) == Sizes(3, (1, 5))
    for values in ({"width": 3}, {"width": 3, "levels": [1], "depth": 2}, {}):
        with pytest.raises(WeightsError, match=r"x\.safetensors declares the sizes"):
            read_sizes(Sizes, values, path)
    for width in (0, -1, 9, True, 2.0, "4", None, {"a": 1}):
        with pytest.raises(WeightsError, match="not positive integers up to 8"):
            read_sizes(Sizes, {"width": width, "levels": [1]}, path, largest=8)
    for changed in ({"width": [2]}, {"levels": 3}):
        with pytest.raises(WeightsError, match=f"a number for a list.*{next(iter(changed))}"):
            read_sizes(Sizes, {"width": 1, "levels": [1]} | changed, path)
    with pytest.raises(WeightsError, match="not positive integers"):
        read_sizes(Sizes, {"width": 1, "levels": [2, 2.5]}, path)


def test_torch_is_imported_by_use_alone() -> None:
    code = "import sys, ego_perception.weights.runtime; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
