"""Packed EPIC-KITCHENS, Ego4D and VISOR: what is packed is read back, gaps and odd spellings do no harm, bad files are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import pytest
from fixtures.packed_videos import (
    FRAME_SIZE,
    annotation,
    frame_number,
    hands_at,
    picture,
    write_epic_frames,
    write_json,
    write_visor_json,
)

from ego_perception.data.hand_removal import HandLabel
from ego_perception.data.hdf5.ego4d import Ego4dClip, pack_ego4d, square_of, write_ego4d
from ego_perception.data.hdf5.epic import EpicVideo, pack_epic
from ego_perception.data.hdf5.visor import VisorVideo, between_truths, pack_visor
from ego_perception.data.hdf5.visor_json import DENSE_SIZE, SPARSE_SIZE, hand_labels, hands_present, image_of
from ego_perception.errors import FrameError, OutputError, SourceError

ROWS = 40


@pytest.fixture(scope="module")
def epic(tmp_path_factory: pytest.TempPathFactory) -> EpicVideo:
    """Of which the frames of rows 3 to 5 are missing."""
    folder = tmp_path_factory.mktemp("epic")
    assert pack_epic(write_epic_frames(folder / "P01_01", 10, skipped=(3, 4, 5)), folder / "P01_01.hdf5") == 7
    return EpicVideo(folder / "P01_01.hdf5")


@pytest.fixture(scope="module")
def visor_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("visor")
    assert pack_visor(*write_visor_json(folder, "P01_01", ROWS), folder / "P01_01_interpolations.hdf5") == ROWS
    return folder / "P01_01_interpolations.hdf5"


def test_frames_are_found_by_number_beyond_a_gap(epic: EpicVideo) -> None:
    number = frame_number(8)
    assert epic.name == "P01_01" and len(epic) == 7 and number in epic and frame_number(4) not in epic
    (rgb,) = epic.frames([number])
    assert rgb.shape == (FRAME_SIZE[1], FRAME_SIZE[0], 3)
    assert np.abs(rgb.mean((0, 1)) - picture(number).mean((0, 1))).max() < 2  # red first, and of this very frame
    with pytest.raises(SourceError, match=f"has no frame {frame_number(4)}; it holds 7"):
        epic.frames([number, frame_number(4)])


def test_epic_files_are_kept_byte_by_byte_in_the_published_layout(epic: EpicVideo) -> None:
    with h5py.File(epic.path) as file:
        assert set(file) == {"frame_numbers", "frames"}
        assert file["frame_numbers"][:].tolist() == [frame_number(r) for r in (0, 1, 2, 6, 7, 8, 9)]
        source = epic.path.parent / "P01_01" / f"frame_{frame_number(6):010d}.jpg"
        assert file["frames"][3].tobytes() == source.read_bytes()


def test_epic_folders_without_frames_or_with_a_broken_one(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist"):
        pack_epic(tmp_path / "none", tmp_path / "a.hdf5")
    folder = write_epic_frames(tmp_path / "P01_02", 2)
    with pytest.raises(SourceError, match=r"holds no frame_<number>\.jpg"):
        pack_epic(tmp_path, tmp_path / "a.hdf5")
    path = folder / f"frame_{frame_number(1):010d}.jpg"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(FrameError, match="cut short"):
        pack_epic(folder, tmp_path / "a.hdf5")
    assert not list(tmp_path.glob("*.hdf5*"))  # nor half of one under another name


def test_a_number_twice_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["frame_numbers"] = [1, 1]
        file.create_dataset("frames", (2,), dtype=h5py.vlen_dtype(np.uint8))
    with pytest.raises(SourceError, match="a frame number twice"):
        EpicVideo(tmp_path / "a.hdf5")


def test_ego4d_keeps_every_tenth_frame_as_a_square(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for k in range(25):
        rgb = np.full((60, 100, 3), (200, 10 * k, 20), np.uint8)
        cv2.imwrite(str(folder / f"{k}.png"), rgb[..., ::-1])
    count = pack_ego4d(folder, tmp_path / "clip.hdf5", lambda rgb: bool(rgb[0, 0, 1] == 100))
    clip = Ego4dClip(tmp_path / "clip.hdf5")
    assert count == len(clip) == 3
    assert clip.has_hand.tolist() == [False, True, False]
    assert clip.mean_pixel.tolist() == [[200, 0, 20], [200, 100, 20], [200, 200, 20]]
    frames = clip.frames([0, 2])
    assert frames[0].shape == (256, 256, 3)
    assert np.abs(frames[1].mean((0, 1)) - (200, 200, 20)).max() < 3
    with pytest.raises(SourceError, match=r"has 3 frames; rows \[3\]"):
        clip.frames([3])


def test_ego4d_files_hold_exchanged_colours_as_published(tmp_path: Path) -> None:
    """Who decodes to BGR and does not exchange channels, as the published loader, gets RGB."""
    write_ego4d(tmp_path / "clip.hdf5", [(np.full((256, 256, 3), (250, 100, 5), np.uint8), False)])
    with h5py.File(tmp_path / "clip.hdf5") as file:
        assert set(file) == {"labels", "mean_pixel", "frames"}
        decoded = cv2.imdecode(file["frames"][0], cv2.IMREAD_COLOR)
    assert decoded is not None and np.abs(decoded.mean((0, 1)) - (250, 100, 5)).max() < 3


def test_a_video_file_can_be_packed(tmp_path: Path) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 30, (96, 64))
    for k in range(12):
        writer.write(np.full((64, 96, 3), 20 * k, np.uint8))
    writer.release()
    assert pack_ego4d(tmp_path / "clip.avi", tmp_path / "clip.hdf5", lambda rgb: False, stride=5) == 3
    assert np.abs(Ego4dClip(tmp_path / "clip.hdf5").mean_pixel[:, 0] - (0, 100, 200)).max() < 5


def test_squares() -> None:
    wide = np.zeros((128, 512, 3), np.uint8)
    wide[:, 192:320] = 255
    assert square_of(wide).shape == (256, 256, 3) and square_of(wide)[:, 5:-5].min() == 255
    assert square_of(np.zeros((700, 300, 3), np.uint8)).shape == (256, 256, 3)


def test_visor_says_what_the_ground_truth_says(visor_path: Path) -> None:
    video = VisorVideo(visor_path)
    assert video.name == "P01_01" and len(video) == ROWS
    assert video.numbers.tolist() == [frame_number(r) for r in range(ROWS)]
    assert video.hands.tolist() == [[bool(h), len(h) == 2] for h in (hands_at(r, ROWS) for r in range(ROWS))]
    # Truth at rows 0, 10, 20 and 30; the left hand comes at 20, the right one at 30.
    assert video.gt_no_hands.tolist() == [r <= 10 for r in range(ROWS)]
    assert video.is_consistent.tolist() == [r <= 10 for r in range(ROWS)]
    assert video.sparse_numbers.tolist() == [frame_number(r) for r in (0, 10, 20, 30)]
    (sparse,) = video.sparse_annotations([2])
    assert image_of(sparse) == ("P01_01", frame_number(20))


def test_between_truths() -> None:
    left = np.array([0, 0, 0, 1, 1, 0, 1, 1, 0], np.bool_)
    hands = np.stack([left, np.zeros_like(left)], axis=1)
    truth = np.isin(np.arange(9), (0, 2, 4, 6, 7))
    no_hands, consistent = between_truths(hands, truth)
    assert no_hands.tolist() == [True, True, True, False, False, False, False, False, False]
    # 2 to 4 changes, 4 to 6 has a frame without the hand, 8 is after the last truth.
    assert consistent.tolist() == [True, True, True, False, False, False, True, True, False]
    none = between_truths(hands, np.zeros(9, np.bool_))
    assert not none[0].any() and not none[1].any()


def test_both_spellings_of_the_sparse_numbers(visor_path: Path, tmp_path: Path) -> None:
    for kept in ("sparse_frame_nums", "saprse_frame_nums"):
        with h5py.File(visor_path) as source, h5py.File(tmp_path / f"{kept}.hdf5", "w") as copy:
            for name in set(source) - {"sparse_frame_nums", "saprse_frame_nums"} | {kept}:
                source.copy(name, copy)
        assert VisorVideo(tmp_path / f"{kept}.hdf5").sparse_numbers.tolist() == [frame_number(r) for r in (0, 10, 20, 30)]


def test_hands_are_drawn_alike_from_sparse_and_dense() -> None:
    both = ("left hand", "right hand")
    dense = hand_labels(annotation("P01_01", 0, both, DENSE_SIZE, "png"), DENSE_SIZE)
    sparse = hand_labels(annotation("P01_01", 0, both, SPARSE_SIZE, "jpg"), SPARSE_SIZE)
    assert dense.shape == (256, 456) and np.mean(dense != sparse) < 0.01
    assert set(np.unique(dense)) == {0, HandLabel.LEFT, HandLabel.RIGHT}
    rows, columns = np.nonzero(dense == HandLabel.LEFT)
    assert rows.min() == pytest.approx(128, abs=1) and rows.max() == 255
    assert (columns.min(), columns.max()) == (pytest.approx(45.6, abs=2), pytest.approx(136.8, abs=2))


def test_slashes_in_names_empty_segments_and_specks() -> None:
    entry: dict[str, Any] = {"image": {"name": "P01_01_frame_0000000007.jpg"}}
    entry["annotations"] = [{"name": "left/hand", "segments": [[[0, 0], [80, 0], [80, 80], [0, 80]], []]}]
    assert image_of(entry) == ("P01_01", 7)
    assert hands_present(entry, SPARSE_SIZE) == (True, False)
    entry["annotations"] = [
        {"name": "right hand", "segments": [[]]},
        {"name": "glove", "segments": [[[0, 0], [90, 90], [0, 90]]]},
    ]
    assert hands_present(entry, SPARSE_SIZE) == (False, False)
    entry["annotations"] = [{"name": "right hand", "segments": [[[2, 2], [3, 2], [3, 3]]]}]  # falls between the raster's points
    assert hands_present(entry, SPARSE_SIZE) == (False, False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"annotations": None}, "no list 'annotations'"),
        ({"annotations": ["left hand"]}, "no list 'annotations'"),
        ({"annotations": [{"name": "left hand", "segments": [[[1, 2, 3]]]}]}, "no polygons"),
        ({"annotations": [{"name": "left hand", "segments": [[["a", 2]]]}]}, "no polygons"),
        ({"annotations": [{"name": "left hand", "segments": [[[1e300, 2], [1, 1]]]}]}, "no polygons"),
        ({"annotations": [{"name": "left hand"}]}, "no polygons"),
        ({"image": {"name": "kitchen.jpg"}, "annotations": []}, "names no frame"),
    ],
)
def test_annotations_that_are_none(change: dict[str, Any], message: str) -> None:
    entry = {**annotation("P01_01", 0, (), DENSE_SIZE, "png"), **change}
    with pytest.raises(SourceError, match=message):
        image_of(entry)
        hand_labels(entry, DENSE_SIZE)


def test_visor_files_that_are_none(tmp_path: Path) -> None:
    dense, sparse = write_visor_json(tmp_path, "P01_01", 4)
    other = write_json(tmp_path / "P02_02.json", [annotation("P02_02", 0, (), SPARSE_SIZE, "jpg")])
    with pytest.raises(SourceError, match="different videos: P01_01, P02_02"):
        pack_visor(dense, other, tmp_path / "a.hdf5")
    (tmp_path / "empty.json").write_text("[]")
    with pytest.raises(SourceError, match="no 'video_annotations'"):
        pack_visor(tmp_path / "empty.json", sparse, tmp_path / "a.hdf5")
    (tmp_path / "torn.json").write_text('{"video_ann')
    with pytest.raises(SourceError, match="cannot be read as JSON"):
        pack_visor(dense, tmp_path / "torn.json", tmp_path / "a.hdf5")


def _spoiled(path: Path, name: str, value: Any) -> Path:
    with h5py.File(path, "r+") as file:
        del file[name]
        if value is not None:
            file[name] = value
    return path


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("hands", None, "no column 'hands' .it holds annotations, consistent_with_gt"),
        ("hands", np.zeros((ROWS, 3), np.bool_), rf"'hands' has shape \({ROWS}, 3\), not \({ROWS}, 2\)"),
        ("gt_no_hands", np.zeros(ROWS - 1, np.int64), rf"'gt_no_hands' has shape \({ROWS - 1},\)"),
        ("gt_no_hands", np.zeros(ROWS), "'gt_no_hands' holds float64, not number"),
        ("annotations", np.zeros(ROWS), "'annotations' holds float64, not text"),
        ("frame_nums", h5py.ExternalLink("elsewhere.hdf5", "/frame_nums"), "no column 'frame_nums'"),
    ],
)
def test_columns_that_are_wrong(visor_path: Path, tmp_path: Path, name: str, value: Any, message: str) -> None:
    copy = tmp_path / "copy.hdf5"
    copy.write_bytes(visor_path.read_bytes())
    with pytest.raises(SourceError, match=message):
        VisorVideo(_spoiled(copy, name, value))


def test_rows_that_are_no_annotation(visor_path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.hdf5"
    copy.write_bytes(visor_path.read_bytes())
    with h5py.File(copy, "r+") as file:
        file["annotations"][1] = "{"
        file["annotations"][2] = json.dumps([1])
    video = VisorVideo(copy)
    for rows, message in (([1], "row 1 of annotations in .* is no JSON"), ([2], "is a list"), ([ROWS], "were asked for")):
        with pytest.raises(SourceError, match=message):
            video.annotations(rows)


@pytest.mark.parametrize("reader", [EpicVideo, Ego4dClip, VisorVideo])
def test_files_that_are_none(reader: Any, visor_path: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist"):
        reader(tmp_path / "none.hdf5")
    (tmp_path / "text.hdf5").write_text("frames")
    with pytest.raises(SourceError, match="no HDF5 file"):
        reader(tmp_path / "text.hdf5")
    (tmp_path / "torn.hdf5").write_bytes(visor_path.read_bytes()[:3000])
    with pytest.raises(SourceError, match=r"no HDF5 file, or is cut short|damaged"):
        reader(tmp_path / "torn.hdf5")


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_ego4d(tmp_path / "file" / "clip.hdf5", [(np.zeros((8, 8, 3), np.uint8), False)])
    with pytest.raises(SourceError, match="no frame to pack"):
        write_ego4d(tmp_path / "clip.hdf5", [])
