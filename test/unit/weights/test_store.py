"""Weight files: what is written comes back, and every kind of wrong file is named."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from ego_perception.errors import OutputError, WeightsError
from ego_perception.weights import WeightsInfo, read_info
from ego_perception.weights.store import load_into, load_weights, save_weights

INFO = WeightsInfo("test-net", 2, config={"width": 4}, training={"seed": 1}, metrics={"error": 0.25})


def tensors() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "layer.weight": torch.randn(4, 3, generator=generator),
        "layer.bias": torch.randn(4, generator=generator),
        "count": torch.tensor(7),
    }


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "net.safetensors"
    save_weights(path, tensors(), INFO)
    return path


def test_round_trip_is_bit_equal(file: Path) -> None:
    loaded, info = load_weights(file, "test-net", 2)
    assert info == INFO
    assert set(loaded) == set(tensors())
    assert all(torch.equal(loaded[name], value) for name, value in tensors().items())


def test_equal_content_gives_equal_bytes(file: Path, tmp_path: Path) -> None:
    save_weights(tmp_path / "again.safetensors", tensors(), INFO)
    assert (tmp_path / "again.safetensors").read_bytes() == file.read_bytes()


def test_half_precision_rounds_matrices_only_and_saves_space(tmp_path: Path) -> None:
    big = {"w": torch.randn(64, 64), "b": torch.randn(64)}
    for half in (False, True):
        save_weights(tmp_path / f"{half}.safetensors", big, INFO, half=half)
    loaded, _ = load_weights(tmp_path / "True.safetensors")
    assert loaded["w"].dtype == torch.float32
    assert torch.allclose(loaded["w"], big["w"], rtol=1e-3) and not torch.equal(loaded["w"], big["w"])
    assert torch.equal(loaded["b"], big["b"])
    sizes = [(tmp_path / f"{half}.safetensors").stat().st_size for half in (False, True)]
    assert sizes[0] - sizes[1] == 64 * 64 * 2


def test_load_into_copies(file: Path) -> None:
    module = torch.nn.ModuleDict({"layer": torch.nn.Linear(3, 4)})
    loaded, _ = load_weights(file)
    loaded.pop("count")
    load_into(module, loaded, file)
    assert torch.equal(module.state_dict()["layer.weight"], tensors()["layer.weight"])


def test_load_into_names_at_most_five_faults(file: Path) -> None:
    module = torch.nn.Sequential(*(torch.nn.Linear(2, 2) for _ in range(4)))
    with pytest.raises(WeightsError, match=r"'0.weight' is missing.* and 6 more") as caught:
        load_into(module, tensors(), file)
    assert str(caught.value).count("is missing") + str(caught.value).count("is unknown") == 5


def test_load_into_names_wrong_shapes(file: Path) -> None:
    module = torch.nn.ModuleDict({"layer": torch.nn.Linear(3, 5)})
    loaded, _ = load_weights(file)
    loaded.pop("count")
    with pytest.raises(WeightsError, match=r"'layer.weight' is \(4, 3\), not \(5, 3\)"):
        load_into(module, loaded, file)


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="are missing"):
        load_weights(tmp_path / "none.safetensors")


@pytest.mark.parametrize("keep", [0, 4, 60, -1])
def test_truncated(file: Path, keep: int) -> None:
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(WeightsError, match="not a readable safetensors"):
        load_weights(file)


def test_other_kind_and_version(file: Path) -> None:
    with pytest.raises(WeightsError, match="holds 'test-net' weights but 'other' are needed"):
        load_weights(file, "other")
    with pytest.raises(WeightsError, match="layout version 2 but this package needs 3"):
        load_weights(file, "test-net", 3)


def test_foreign_safetensors(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2)}, str(tmp_path / "foreign.safetensors"))
    with pytest.raises(WeightsError, match="made for other software"):
        read_info(tmp_path / "foreign.safetensors")


def test_not_finite(tmp_path: Path) -> None:
    save_weights(tmp_path / "nan.safetensors", {"a": torch.tensor([1.0, float("nan")])}, INFO)
    with pytest.raises(WeightsError, match="'a' holds numbers that are not finite"):
        load_weights(tmp_path / "nan.safetensors")


class Bomb:
    """Unpickling it would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_pickles_are_refused_without_running(tmp_path: Path) -> None:
    sign = tmp_path / "exploded"
    (tmp_path / "plain.safetensors").write_bytes(pickle.dumps(Bomb(sign)))
    torch.save({"weights": Bomb(sign)}, tmp_path / "zip.safetensors")
    for name in ("plain", "zip"):
        with pytest.raises(WeightsError, match="not a readable safetensors"):
            load_weights(tmp_path / f"{name}.safetensors")
    assert not sign.exists()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 10_000), value=st.integers(0, 255))
def test_any_changed_byte_is_an_error_or_loads(tmp_path_factory: pytest.TempPathFactory, position: int, value: int) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "net.safetensors"
    save_weights(path, tensors(), INFO)
    content = bytearray(path.read_bytes())
    content[position % len(content)] = value
    path.write_bytes(content)
    try:
        load_weights(path)
    except WeightsError:
        return


def test_unwritable_folder(tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("a file where a folder is wanted")
    with pytest.raises(OutputError, match="cannot be written"):
        save_weights(tmp_path / "blocked" / "net.safetensors", tensors(), INFO)
