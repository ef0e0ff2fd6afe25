"""The estimator of a node: which weights are at work, and what is said about those that are none."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from ego_perception.errors import WeightsError
from ego_perception.nodes.config import ReconstructionNodeConfig
from ego_perception.nodes.model import build_estimator
from ego_perception.parameters import from_mapping
from ego_perception.reconstruction.sizes import KIND
from ego_perception.runtime import Estimator
from ego_perception.weights import sha256_of, shipped_weights


def config(**values: object) -> ReconstructionNodeConfig:
    return from_mapping(ReconstructionNodeConfig, {name.replace("__", "."): value for name, value in values.items()})


def test_the_shipped_weights_are_the_default_and_are_named() -> None:
    estimator, model = build_estimator(config(estimator__intrinsics__refine=False))
    assert isinstance(estimator, Estimator)
    assert estimator.config.intrinsics.refine is False
    assert model.name == f"{KIND} ({shipped_weights(KIND).name})"
    assert model.sha256 == sha256_of(shipped_weights(KIND))
    assert (model.device, model.precision) == ("cpu", "float32")


def test_a_file_of_the_user_below_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(shipped_weights(KIND), tmp_path / "mine.safetensors")
    # The exported network is cached by content; a home without cache would export it again, which takes seconds.
    monkeypatch.setenv("XDG_CACHE_HOME", os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    _, model = build_estimator(config(model__path="~/mine.safetensors"))
    assert model.name == f"{KIND} (mine.safetensors)"
    assert model.sha256 == sha256_of(shipped_weights(KIND))


@pytest.mark.parametrize("content", [None, b"", b"not weights", "cut short"])
def test_weights_that_are_none_are_named_in_one_line(tmp_path: Path, content: bytes | str | None) -> None:
    path = tmp_path / "bad.safetensors"
    if content is not None:
        path.write_bytes(shipped_weights(KIND).read_bytes()[:-64] if isinstance(content, str) else content)
    with pytest.raises(WeightsError, match=r"bad\.safetensors") as raised:
        build_estimator(config(model__path=str(path)))
    assert len(str(raised.value).splitlines()) == 1


def test_a_changed_number_among_the_weights_is_not_finite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data = bytearray(shipped_weights(KIND).read_bytes())
    data[-4096:] = np.full(1024, np.nan, np.float32).tobytes()
    path = tmp_path / "nan.safetensors"
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="not finite"):
        build_estimator(config(model__path=str(path)))
