"""Training blocks: contents, splits, resuming, damage."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ego_perception.errors import OutputError, SimulationError
from ego_perception.simulation import dataset
from ego_perception.simulation.dataset import SPLITS, BlockSpec, block_path, read_block, render_dataset, room_block
from ego_perception.simulation.renderer import Renderer, Rendering
from ego_perception.simulation.room import Room

SMALL = BlockSpec(views=2, width=48, height=36)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("blocks")
    assert render_dataset(out, "val", 2, 2, (48, 36)) == 2
    return out


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Blocks without pictures; gives the seeds that were rendered."""
    seeds: list[int] = []

    def block(_renderer: object, seed: int, spec: BlockSpec) -> dict[str, np.ndarray]:
        seeds.append(seed)
        return {"rgb": np.full((spec.views, spec.height, spec.width, 3), seed % 256, np.uint8)}

    monkeypatch.setattr(dataset, "Renderer", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(dataset, "room_block", block)
    return seeds


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


@pytest.mark.parametrize(("split", "first"), [("train", 0), ("val", 10_000), ("test", 10_500)])
def test_a_split_starts_at_its_first_room(quick: list[int], tmp_path: Path, split: str, first: int) -> None:
    assert render_dataset(tmp_path, split, 3, 1, (16, 16)) == 3
    assert quick == [first, first + 1, first + 2]
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"room_{first + k:05d}.npz" for k in range(3)]


@pytest.mark.parametrize("missing", [[], [0], [1, 3], [0, 1, 2, 3, 4]])
def test_only_missing_rooms_are_rendered(quick: list[int], tmp_path: Path, missing: list[int]) -> None:
    render_dataset(tmp_path, "train", 5, 1, (16, 16))
    quick.clear()
    for seed in missing:
        block_path(tmp_path, seed).unlink()
    assert render_dataset(tmp_path, "train", 5, 1, (16, 16)) == len(missing)
    assert quick == missing
    assert render_dataset(tmp_path, "train", 5, 1, (16, 16)) == 0


@pytest.mark.parametrize("killed_at", [0, 1, 3])
def test_a_run_stopped_between_blocks_goes_on_where_it_stopped(
    quick: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: int
) -> None:
    write = dataset.write_block

    def stop(path: Path, arrays: dict[str, np.ndarray]) -> None:
        if len(quick) > killed_at:
            raise KeyboardInterrupt
        write(path, arrays)

    monkeypatch.setattr(dataset, "write_block", stop)
    with pytest.raises(KeyboardInterrupt):
        render_dataset(tmp_path, "train", 4, 1, (16, 16))
    assert len(list(tmp_path.iterdir())) == killed_at
    monkeypatch.setattr(dataset, "write_block", write)
    quick.clear()
    assert render_dataset(tmp_path, "train", 4, 1, (16, 16)) == 4 - killed_at
    assert quick == list(range(killed_at, 4))


def test_a_leftover_of_a_killed_process_is_no_block(quick: list[int], tmp_path: Path) -> None:
    (tmp_path / "room_00000.77.partial").write_bytes(b"PK half")
    assert render_dataset(tmp_path, "train", 1, 1, (16, 16)) == 1
    assert read_block(block_path(tmp_path, 0))["rgb"].shape == (1, 16, 16, 3)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_block_cut_anywhere_is_found_out(tmp_path: Path, share: float) -> None:
    path = tmp_path / "room_00003.npz"
    dataset.write_block(path, {"rgb": np.arange(300, dtype=np.uint8), "depth": np.ones((3, 4), np.float16)})
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(OutputError, match=r"room_00003.*render again"):
        read_block(path)


def test_a_flipped_byte_in_a_picture_is_found_out(tmp_path: Path) -> None:
    path = tmp_path / "room_00004.npz"
    dataset.write_block(path, {"rgb": np.random.default_rng(0).integers(0, 255, 5000, dtype=np.uint8)})
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises(OutputError, match="room_00004"):
        read_block(path)


def test_a_missing_block_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="room_00009"):
        read_block(block_path(tmp_path, 9))


def test_blocks_read_back_bit_by_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {"rgb": rng.integers(0, 255, (2, 4, 5, 3), dtype=np.uint8), "depth": rng.random((2, 4, 5)).astype(np.float16)}
    dataset.write_block(tmp_path / "a.npz", arrays)
    for name, array in read_block(tmp_path / "a.npz").items():
        assert array.dtype == arrays[name].dtype
        np.testing.assert_array_equal(array, arrays[name])
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


@pytest.mark.parametrize("level", [0.0, 0.1, 0.35])
def test_dull_views_are_drawn_again_until_patience_ends(level: float, room_of: Callable[..., Room]) -> None:
    """A renderer that sees only a near wall: eight draws per wanted view, then what comes is taken."""

    class Near:
        calls = 0

        def render(self, T: np.ndarray, fov_y: float) -> Rendering:
            self.calls += 1
            assert 40 <= np.degrees(fov_y) <= 80 and T.shape == (4, 4)
            image = np.full((4, 4), level, np.float32)
            return Rendering(np.zeros((4, 4, 3), np.uint8), image, np.zeros((4, 4), np.int32))

    renderer = Near()
    views = list(dataset._useful_views(np.random.default_rng(0), renderer, room_of(0, "plain"), 3))  # type: ignore[arg-type]
    assert len(views) == 3 and renderer.calls == 8 * 3 + 2
