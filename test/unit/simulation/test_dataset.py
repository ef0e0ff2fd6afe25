"""Training blocks: contents, splits, resuming, damage."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest

from ego_perception.errors import OutputError, SimulationError
from ego_perception.simulation import dataset
from ego_perception.simulation.dataset import SPLITS, BlockSpec, block_path, read_block, render_dataset, room_block
from ego_perception.simulation.renderer import Renderer

SMALL = BlockSpec(views=2, width=48, height=36)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("blocks")
    assert render_dataset(out, "val", 2, 2, (48, 36)) == 2
    return out


def test_a_block_holds_what_it_says(rendered: Path) -> None:
    block = read_block(block_path(rendered, 10_000))
    assert block["rgb"].shape == (2, 36, 48, 3) and block["rgb"].dtype == np.uint8
    assert block["depth"].shape == (2, 36, 48) and block["depth"].dtype == np.float16
    assert (
        block["fov_y"].dtype == np.float32
        and (np.degrees(block["fov_y"]) >= 40).all()
        and (np.degrees(block["fov_y"]) <= 80).all()
    )
    np.testing.assert_allclose(np.linalg.norm(block["up"], axis=1), 1, atol=1e-6)
    assert (block["up"][:, 1] < 0).all(), "up is against the optical y axis for an upright head"
    np.testing.assert_allclose(block["up"], block["T_world_cam"][:, 2, :3])
    assert (block["depth"] >= 0).all() and np.isfinite(block["depth"]).all()


def test_splits_do_not_overlap_and_have_the_stated_sizes() -> None:
    assert [len(SPLITS[name]) for name in ("train", "val", "test")] == [10_000, 500, 500]
    seeds = [seed for split in SPLITS.values() for seed in split]
    assert len(seeds) == len(set(seeds))


def test_what_exists_is_kept_and_only_the_rest_is_rendered(rendered: Path) -> None:
    path = block_path(rendered, 10_001)
    kept, data = block_path(rendered, 10_000).stat().st_mtime_ns, path.read_bytes()
    path.unlink()
    assert render_dataset(rendered, "val", 2, 2, (48, 36)) == 1
    assert block_path(rendered, 10_000).stat().st_mtime_ns == kept
    again = read_block(path)
    path.write_bytes(data)
    before = read_block(path)
    for name in before:
        np.testing.assert_array_equal(again[name], before[name])


@pytest.mark.slow
def test_processes_give_the_same_blocks(rendered: Path, tmp_path: Path) -> None:
    assert render_dataset(tmp_path, "val", 2, 2, (48, 36), jobs=2) == 2
    for seed in (10_000, 10_001):
        a, b = read_block(block_path(rendered, seed)), read_block(block_path(tmp_path, seed))
        np.testing.assert_array_equal(a["rgb"], b["rgb"])
        np.testing.assert_array_equal(a["depth"], b["depth"])


def test_rooms_are_drawn_from_both_presets() -> None:
    hard = [np.random.default_rng([seed, 3]).random() < dataset.HARD_SHARE for seed in range(400)]
    assert 0.55 < np.mean(hard) < 0.75


def test_views_show_more_than_a_bare_surface() -> None:
    with Renderer(48, 36, supersample=1) as renderer:
        block = room_block(renderer, 5, BlockSpec(views=6, width=48, height=36))
    depth = block["depth"].astype(np.float32)
    assert len(depth) == 6 and (np.median(depth, axis=(1, 2)) > 0.3).all()
    assert (block["rgb"].std(axis=(1, 2, 3)) > 3).all()


@pytest.mark.parametrize(
    ("split", "rooms", "views", "size", "jobs"),
    [("trian", 1, 1, (48, 36), 1), ("val", 501, 1, (48, 36), 1), ("val", 0, 1, (48, 36), 1), ("val", 1, 0, (48, 36), 1),
     ("val", 1, 1, (-48, 36), 1), ("val", 1, 1, (48, 36), 0)],
)  # fmt: skip
def test_impossible_requests_are_refused(
    tmp_path: Path, split: str, rooms: int, views: int, size: tuple[int, int], jobs: int
) -> None:
    with pytest.raises(SimulationError):
        render_dataset(tmp_path / "x", split, rooms, views, size, jobs)
    assert not (tmp_path / "x").exists()


def test_a_full_disk_leaves_no_half_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file, **arrays):  # type: ignore[no-untyped-def]
        file.write(b"PK half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(dataset.np, "savez_compressed", full)
    with pytest.raises(OutputError, match="No space left"):
        dataset.write_block(tmp_path / "room_00000.npz", {"rgb": np.zeros(3)})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        render_dataset(tmp_path / "file" / "out", "val", 1, 1, (48, 36))


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 cut", b"not a zip"])
def test_a_damaged_block_is_named(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "room_00001.npz"
    path.write_bytes(data)
    with pytest.raises(OutputError, match="room_00001"):
        read_block(path)


def test_a_block_with_code_in_it_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "room_00002.npz", rgb=np.array([object()], dtype=object))
    with pytest.raises(OutputError):
        read_block(tmp_path / "room_00002.npz")


def test_command_line(tmp_path: Path) -> None:
    arguments = ["--out", str(tmp_path), "--split", "test", "--rooms", "1", "--views", "1", "--width", "32", "--height", "24"]
    assert dataset.main(arguments) == 0
    assert [p.name for p in tmp_path.iterdir()] == ["room_10500.npz"]
    assert dataset.main(["--out", str(tmp_path), "--rooms", "99999"]) == 1
