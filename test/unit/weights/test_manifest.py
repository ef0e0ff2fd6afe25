"""The manifest: shipped files are intact, damage is found, and a bad manifest is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ego_perception.errors import WeightsError
from ego_perception.resources import models_dir
from ego_perception.weights import (
    ManifestEntry,
    WeightsInfo,
    read_info,
    read_manifest,
    sha256_of,
    shipped_weights,
    verify_weights,
    write_manifest,
)
from ego_perception.weights.manifest import MANIFEST_NAME, MAX_BYTES
from ego_perception.weights.store import load_weights, save_weights


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_weights(tmp_path / "net.safetensors", {"a": torch.arange(8.0)}, WeightsInfo("net", 1))
    write_manifest([entry_of(tmp_path / "net.safetensors")], tmp_path)
    return tmp_path


def entry_of(path: Path) -> ManifestEntry:
    return ManifestEntry(
        name="net",
        version=1,
        file=path.name,
        bytes=path.stat().st_size,
        sha256=sha256_of(path),
        licence="Apache-2.0",
        input="nothing",
        command="ego train",
        seed=0,
        data="none",
        commit="0" * 40,
        metrics={"error": 0.5},
    )


def test_known_digest(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_of(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_round_trip(folder: Path) -> None:
    assert read_manifest(folder) == [entry_of(folder / "net.safetensors")]
    assert shipped_weights("net", folder) == folder / "net.safetensors"


def test_flipped_bit_is_found(folder: Path) -> None:
    path = folder / "net.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="SHA-256"):
        shipped_weights("net", folder)


@pytest.mark.parametrize(("change", "word"), [(-1, "truncated"), (1, "too long")])
def test_wrong_length_is_found(folder: Path, change: int, word: str) -> None:
    path = folder / "net.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1] if change < 0 else content + b"x")
    with pytest.raises(WeightsError, match=word):
        shipped_weights("net", folder)


def test_missing_file_and_unknown_name(folder: Path) -> None:
    with pytest.raises(WeightsError, match="no weights named 'nat'; there are: net"):
        shipped_weights("nat", folder)
    (folder / "net.safetensors").unlink()
    with pytest.raises(WeightsError, match="are missing"):
        shipped_weights("net", folder)


@pytest.mark.parametrize("text", ["", "weights: 3", "- a", "weights:\n- name: x", "weights: [", "weights:\n- 5", "\x00"])
def test_bad_manifest(folder: Path, text: str) -> None:
    (folder / MANIFEST_NAME).write_text(text)
    with pytest.raises(WeightsError):
        read_manifest(folder)


def test_entries_cannot_point_elsewhere(folder: Path) -> None:
    write_manifest([replace(entry_of(folder / "net.safetensors"), file="../net.safetensors")], folder)
    with pytest.raises(WeightsError, match="restore it"):
        read_manifest(folder)


def test_shipped_weights_are_intact_small_and_described() -> None:
    folder = models_dir()
    entries = read_manifest(folder)
    assert entries, "the package ships no weights"
    for entry in entries:
        path = verify_weights(entry, folder)
        assert entry.bytes <= MAX_BYTES
        assert entry.licence == "Apache-2.0"
        if path.suffix != ".safetensors":
            continue  # the body model: its own tests check what it holds
        assert "EgoSim" in entry.data
        info = read_info(path)
        assert (info.kind, info.version) == (entry.name, entry.version)
        tensors, _ = load_weights(path)
        assert tensors


def test_nothing_else_lies_in_the_models_dir() -> None:
    folder = models_dir()
    listed = {entry.file for entry in read_manifest(folder)}
    assert {p.name for p in folder.iterdir()} == listed | {MANIFEST_NAME, "README.md"}
