"""Other people's checkpoints: tensors come in, nothing else does, whatever the file holds."""

from __future__ import annotations

import os
import pickle
import sys
import types
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ego_perception.errors import WeightsError
from ego_perception.weights.checkpoint import read_state_dict

STATE = OrderedDict(a=torch.arange(6.0).view(2, 3), b=torch.tensor(3, dtype=torch.int32))


def saved(path: Path, content: Any, **options: Any) -> Path:
    torch.save(content, path, **options)
    return path


@pytest.mark.parametrize("is_zip", [True, False])
def test_tensors_come_in(tmp_path: Path, is_zip: bool) -> None:
    path = saved(tmp_path / "x.ckpt", {"state_dict": STATE, "epoch": 3}, _use_new_zipfile_serialization=is_zip)
    state = read_state_dict(path)
    assert list(state) == ["a", "b"] and torch.equal(state["a"], STATE["a"]) and state["b"] == 3
    assert list(read_state_dict(saved(tmp_path / "plain.pt", STATE))) == ["a", "b"]


def test_classes_of_the_training_framework_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning keys the state of its callbacks by their class, which is not installed here."""
    name = "pytorch_lightning.callbacks.model_checkpoint"
    module = types.ModuleType(name)
    module.ModelCheckpoint = type("ModelCheckpoint", (), {"__module__": name})  # type: ignore[attr-defined]
    for part in ("pytorch_lightning", "pytorch_lightning.callbacks"):
        monkeypatch.setitem(sys.modules, part, types.ModuleType(part))
    monkeypatch.setitem(sys.modules, name, module)
    thing = module.ModelCheckpoint()
    thing.best = 0.5
    content = {"state_dict": STATE, "callbacks": {module.ModelCheckpoint: {"best": torch.tensor(0.1)}}, "thing": thing}
    path = saved(tmp_path / "x.ckpt", content)
    for part in ("pytorch_lightning", "pytorch_lightning.callbacks", name):
        monkeypatch.delitem(sys.modules, part)
    assert list(read_state_dict(path)) == ["a", "b"]
    assert "pytorch_lightning" not in sys.modules


class Payload:
    """Runs a command when it is unpickled by pickle itself."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.path}'",)


@pytest.mark.parametrize("is_zip", [True, False])
def test_code_is_refused_and_not_run(tmp_path: Path, is_zip: bool) -> None:
    witness = tmp_path / "it-ran"
    path = tmp_path / "x.ckpt"
    saved(path, {"state_dict": STATE, "extra": Payload(witness)}, _use_new_zipfile_serialization=is_zip)
    with pytest.raises(WeightsError, match=r"refers to posix\.system.*nothing was run") as caught:
        read_state_dict(path)
    assert not witness.exists() and "\n" not in str(caught.value)


def test_plain_pickles_are_refused_and_not_run(tmp_path: Path) -> None:
    witness, path = tmp_path / "it-ran", tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps({"state_dict": Payload(witness)}))
    with pytest.raises(WeightsError):
        read_state_dict(path)
    assert not witness.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (torch.zeros(3), "has no state dict; it is no checkpoint"),
        ({}, "has no state dict"),
        ([STATE], "has no state dict"),
        ({"state_dict": {"a": 1.5, "b": torch.zeros(1)}}, "a are no tensors"),
        ({"epoch": 3, "model": STATE}, "epoch, model are no tensors"),
        ({3: torch.zeros(1)}, "3 are no tensors"),
    ],
)
def test_other_content_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        read_state_dict(saved(tmp_path / "x.ckpt", content))


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="is missing"):
        read_state_dict(tmp_path / "none.ckpt")
    for name, data in (("empty", b""), ("text", b"hello world\n" * 50), ("html", b"<!DOCTYPE html><html>not found</html>")):
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(WeightsError, match=str(path)):
            read_state_dict(path)
    np.savez(tmp_path / "arrays.npz", a=np.zeros(3))
    with pytest.raises(WeightsError):
        read_state_dict(tmp_path / "arrays.npz")


def test_truncated_files_are_refused(tmp_path: Path) -> None:
    whole = saved(tmp_path / "x.ckpt", {"state_dict": STATE}).read_bytes()
    for length in range(1, len(whole), max(1, len(whole) // 40)):
        (tmp_path / "cut.ckpt").write_bytes(whole[:length])
        with pytest.raises(WeightsError):
            read_state_dict(tmp_path / "cut.ckpt")


def test_flipped_bytes_give_tensors_or_an_error(tmp_path: Path) -> None:
    whole = bytearray(saved(tmp_path / "x.ckpt", {"state_dict": STATE}).read_bytes())
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        broken = bytearray(whole)
        for position in rng.integers(0, len(whole), 3):
            broken[position] = int(rng.integers(256))
        (tmp_path / "broken.ckpt").write_bytes(broken)
        try:
            assert all(isinstance(value, torch.Tensor) for value in read_state_dict(tmp_path / "broken.ckpt").values())
        except WeightsError:
            refused += 1
    assert refused > 10
