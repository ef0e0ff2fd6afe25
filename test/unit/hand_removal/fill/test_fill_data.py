"""Windows that the fill network learns from: packed once, in order, aligned with their truth; and holes laid over clips."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures.clip_folder import write_clips
from fixtures.hand_clips import SIZE, hand_frames

from ego_perception.data.clips import ClipDataset
from ego_perception.errors import SourceError
from ego_perception.hand_removal.fill.data import SCENE_PLANES, SIDE, FillDataset, pack
from ego_perception.hand_removal.fill.holes import foreign_holes

PARTS = ("classes", "clean_shadowed")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    write_clips(folder, {7: hand_frames(4, seed=1), 3: hand_frames(4, seed=2, pixels_per_frame=0)})
    return folder


@pytest.fixture(scope="module")
def windows(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("windows")
    assert pack(ClipDataset(clips, parts=PARTS), folder, stride=2) == 2
    return folder


def test_packing_goes_on_where_it_stopped(clips: Path, windows: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in windows.iterdir()}
    assert sorted(before) == ["000003.npz", "000007.npz"]
    assert pack(ClipDataset(clips, parts=PARTS), windows, stride=2) == 0
    assert {path.name: path.stat().st_mtime_ns for path in windows.iterdir()} == before


def test_packing_again_gives_the_same_windows(clips: Path, windows: Path, tmp_path: Path) -> None:
    pack(ClipDataset(clips, parts=PARTS), tmp_path, stride=2)
    assert all((tmp_path / path.name).read_bytes() == path.read_bytes() for path in windows.iterdir())


def test_windows_show_the_truth_around_the_hole(windows: Path) -> None:
    dataset = FillDataset(windows)
    batch = dataset.gather(torch.arange(len(dataset)))
    count = len(dataset)
    assert count >= 4 and batch.scene.shape == batch.before.shape == (count, SCENE_PLANES, SIDE, SIDE)
    visible = (batch.scene[:, 7:8] < 0.01).expand(-1, 3, -1, -1)
    assert float((batch.scene[:, :3] - batch.target)[visible].abs().max()) < 0.03
    assert float((batch.scene[:, 3:6] - batch.target)[visible].abs().max()) < 0.03
    hidden = batch.scene[:, 7:8] > 0.99
    assert not (batch.scene[:, :3] * hidden).any()


def test_flow_leads_to_the_frame_before(windows: Path) -> None:
    """Clip 3 stands still, so that flow is nothing and both frames show the same; in clip 7 the wall moves by 2 pixels."""
    still, moving = FillDataset(windows, ["000003.npz"]), FillDataset(windows, ["000007.npz"])
    batch = still.gather(torch.arange(len(still)))
    assert float(batch.flow.abs().median()) < 0.1
    both = ((batch.scene[:, 7:8] < 0.01) & (batch.before[:, 7:8] < 0.01)).expand(-1, 3, -1, -1)
    assert float((batch.scene[:, :3] - batch.before[:, :3])[both].abs().mean()) < 0.01
    flow = moving.gather(torch.arange(len(moving))).flow
    assert float(flow[:, 0].median()) > 1.5 and float(flow[:, 1].abs().median()) < 0.3


def test_names_set_the_order_and_new_files_are_appended(windows: Path) -> None:
    dataset = FillDataset(windows, ["000007.npz"])
    first, count = dataset.gather(torch.arange(1)).target, len(dataset)
    calls = []
    dataset._refresh = lambda: calls.append(1)
    dataset.rescan()
    assert dataset.names == ["000007.npz", "000003.npz"] and calls == [1] and len(dataset) > count
    assert torch.equal(dataset.gather(torch.arange(1)).target, first)


def test_nothing_to_learn_from_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no windows"):
        FillDataset(tmp_path)


def test_damaged_and_missing_files_are_named(windows: Path, tmp_path: Path) -> None:
    content = (windows / "000003.npz").read_bytes()
    for name, data in (("cut", content[: len(content) // 2]), ("empty", b""), ("text", b"no archive")):
        (tmp_path / f"{name}.npz").write_bytes(data)
        with pytest.raises(SourceError, match=rf"{name}\.npz cannot be read .*delete it and pack again"):
            FillDataset(tmp_path, [f"{name}.npz"])
    with pytest.raises(SourceError, match=r"gone\.npz cannot be read"):
        FillDataset(tmp_path, ["gone.npz"])


def test_windows_of_another_layout_are_refused(tmp_path: Path) -> None:
    planes = np.zeros((1, 14, SIDE, SIDE), np.uint8)
    np.savez(tmp_path / "old.npz", planes=planes, flow=np.zeros((1, 2, SIDE, SIDE), np.int16), target=planes[:, :3])
    with pytest.raises(SourceError, match=r"holds planes of shape \(1, 14"):
        FillDataset(tmp_path)


def test_clips_without_truth_are_refused(tmp_path: Path) -> None:
    frames = [replace(f, truth=replace(f.truth, clean_shadowed=None)) for f in hand_frames(2) if f.truth]
    write_clips(tmp_path / "clips", {5: frames})
    with pytest.raises(SourceError, match="clip 5 lacks clean_shadowed"):
        pack(ClipDataset(tmp_path / "clips", parts=PARTS), tmp_path / "out")


def test_clips_without_hands_give_an_empty_file(tmp_path: Path) -> None:
    write_clips(tmp_path / "clips", {5: hand_frames(2, has_hand=False)})
    pack(ClipDataset(tmp_path / "clips", parts=PARTS), tmp_path / "out")
    with np.load(tmp_path / "out" / "000005.npz") as content:
        assert content["planes"].shape[1:] == (2 * SCENE_PLANES, SIDE, SIDE)


def hands_from_below(count: int = 6) -> list[np.ndarray]:
    holes = []
    for k in range(count):
        hole = np.zeros(SIZE[::-1], bool)
        hole[80:, 60 + k : 80 + k] = True
        holes.append(hole)
    return holes


def test_foreign_holes_vary_in_size_and_keep_coming_from_the_border() -> None:
    holes = hands_from_below()
    shares, touching = [], 0
    for seed in range(60):
        foreign = foreign_holes(holes, np.random.default_rng(seed))
        assert len(foreign) == len(holes) and all(hole.shape == SIZE[::-1] and hole.dtype == bool for hole in foreign)
        shares.append(max(hole.mean() for hole in foreign))
        touching += all(hole[-1].any() for hole in foreign)
    assert max(shares) < 0.45 and max(shares) > 3 * holes[0].mean() and min(shares) < 1.2 * holes[0].mean()
    assert touching > 40  # free-form holes need not


def test_foreign_holes_come_from_the_seed() -> None:
    a, b, c = (foreign_holes(hands_from_below(), np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(a, b) and not np.array_equal(a, c)


def test_no_hands_no_failure() -> None:
    empty = [np.zeros(SIZE[::-1], bool)] * 3
    for seed in range(8):
        assert len(foreign_holes(empty, np.random.default_rng(seed))) == 3
