"""What the fine-tune learns from: windows that the published search misses, holes in the right places, clips, packed videos."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from fixtures.clip_folder import write_clips
from fixtures.hand_clips import hand_frames
from fixtures.packed_videos import frame_number, picture, write_packed
from numpy.typing import NDArray

from ego_perception.data.hdf5.ego4d import Ego4dClip, write_ego4d
from ego_perception.data.hdf5.visor import VisorVideo
from ego_perception.errors import SourceError
from ego_perception.hand_removal.vidm.training.dataset import WindowConfig, WindowDataset
from ego_perception.hand_removal.vidm.training.samples import (
    HoleConfig,
    Sample,
    make_sample,
    margin_at,
    mirrored,
    stack,
)
from ego_perception.hand_removal.vidm.training.sources import ClipSource, Place, Scene
from ego_perception.hand_removal.vidm.training.windows import (
    ego4d_hand_free,
    visor_hand_free,
    visor_with_hands,
    window_starts,
)

ROWS, SPACING = 48, 5
WINDOWS = WindowConfig(visor_spacing=SPACING, clip_spacing=2)
PLAIN = HoleConfig(free_form=0.0, mirrored=0.0)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two VISOR videos, hand-free to row 20 and with hands from row 30; a gap in the frames of the second; an Ego4D clip."""
    folder = tmp_path_factory.mktemp("packed")
    write_packed(folder, "P01_01", ROWS, seed=1)
    write_packed(folder, "P02_05", ROWS, seed=2, skipped=(7,))
    (folder / "ego4d").mkdir()
    squares = [(np.full((256, 256, 3), (0 if k == 9 else 40 + k, 90, 10), np.uint8), k in (3, 4)) for k in range(14)]
    write_ego4d(folder / "ego4d" / "clip.hdf5", squares)
    return folder


def published_search(flags: NDArray[np.int64], span: int) -> NDArray[np.int64]:
    """The released rule, word by word: a mean over inverted flags is zero."""
    return np.flatnonzero(np.convolve(~flags, np.ones(span) / span, "valid") == 0)


def test_the_published_search_finds_nothing_where_ours_does(packed: Path) -> None:
    path, span = packed / "visor" / "P01_01_interpolations.hdf5", 3 * SPACING + 1
    with h5py.File(path) as file:  # flags as the released packer stores them
        gt_no_hands, consistent = file["gt_no_hands"][:], file["consistent_with_gt"][:]
    assert gt_no_hands.dtype == np.int64 and set(gt_no_hands) == {0, 1}
    assert np.isscalar(gt_no_hands.max(-1))  # reduced over its only axis: nothing is left to search
    assert (~gt_no_hands).max() == -1  # 0 becomes -1 and 1 becomes -2: no mean of these is zero
    assert len(published_search(gt_no_hands & consistent, span)) == 0
    video = VisorVideo(path)
    # Truth at 0, 10, 20 (no hands), 30 (left), 40 (both): windows of 16 rows within 0 to 20.
    assert window_starts(visor_hand_free(video), span).tolist() == [0, 1, 2, 3, 4, 5]
    assert window_starts((gt_no_hands & consistent).astype(np.bool_), span).tolist() == [0, 1, 2, 3, 4, 5]
    assert visor_with_hands(video).sum() == 0  # 20 to 30 and 30 to 40 change hands


def test_window_starts_agree_with_a_plain_search() -> None:
    rng = np.random.default_rng(3)
    for span in (1, 3, 8):
        usable = rng.random(40) < 0.8
        expected = [s for s in range(40 - span + 1) if usable[s : s + span].all()]
        assert window_starts(usable, span).tolist() == expected
        assert window_starts(usable.astype(np.int64), span).tolist() == expected  # numbers do no harm
    assert len(window_starts(np.ones(4, np.bool_), 5)) == 0
    assert window_starts(np.ones(4, np.bool_), 4).tolist() == [0]


def test_ego4d_frames_near_hands_and_dark_ones_are_left_out(packed: Path) -> None:
    clip = Ego4dClip(packed / "ego4d" / "clip.hdf5")
    assert np.flatnonzero(~ego4d_hand_free(clip)).tolist() == [2, 3, 4, 5]
    write_ego4d(packed / "dark.hdf5", [(np.full((8, 8, 3), 30 * (k != 1), np.uint8), False) for k in range(3)])
    assert ego4d_hand_free(Ego4dClip(packed / "dark.hdf5")).tolist() == [True, False, True]


def _consistent(folder: Path) -> None:
    """Let the truth confirm the hands of the second half, so that they are donors."""
    for path in (folder / "visor").glob("*.hdf5"):
        with h5py.File(path, "r+") as file:
            file["consistent_with_gt"][:] = 1
            hands = file["hands"][:]
            hands[ROWS // 2 :] = True
            file["hands"][:] = hands


@pytest.fixture(scope="module")
def windows(packed: Path) -> WindowDataset:
    _consistent(packed)
    return WindowDataset(packed, WINDOWS, HoleConfig(), threads=2)


def test_packed_videos_become_windows(windows: WindowDataset) -> None:
    assert windows.names == ["visor/P01_01_interpolations.hdf5", "visor/P02_05_interpolations.hdf5", "ego4d/clip.hdf5"]
    # VISOR: 6 starts in the first video; in the second, whose frame of row 7 is missing, 2 needs it (2 + 5); Ego4D: 6 to 13.
    assert windows.num_hand_free == 6 + 5 + 5
    assert windows.num_with_hands == 2 * 9 and windows.num_donors == 2 * 9
    assert len(windows) == 8 * windows.num_hand_free + windows.num_with_hands


def test_backgrounds_are_the_frames_of_their_annotations(windows: WindowDataset) -> None:
    """The second video lacks a frame: frames found by row would be shifted by one from there on."""
    source = windows._sources[0]
    place = max(p for p in source.hand_free if p.video == 1)
    scene = source.background(place, is_hand_free=True)
    assert not scene.own.any() and scene.frames.shape == (4, 64, 114, 3)
    for k, frame in enumerate(scene.frames):
        expected = picture(frame_number(place.start + SPACING * k), seed=2)
        assert np.abs(frame.mean((0, 1)) - expected.mean((0, 1))).max() < 1.5
    shown = source.background(source.with_hands[0], is_hand_free=False)
    assert shown.own.any(axis=(1, 2)).all() and 0.03 < shown.own.mean() < 0.3


def test_donors_are_of_another_video(windows: WindowDataset) -> None:
    for seed in range(20):
        source, place = windows._draw_donor(0, Place(1, 0), np.random.default_rng(seed))
        assert (source, place.video) == (0, 0)


def test_samples_depend_on_seed_and_number_alone(windows: WindowDataset) -> None:
    batch = windows.gather(torch.tensor([0, 5, len(windows) - 1]), 7, "sample", 3)
    assert batch.frames.shape == (3, 4, 3, 256, 256) and batch.holes.shape == (3, 4, 1, 256, 256)
    assert batch.target.shape == (3, 3, 256, 256) and batch.counts.shape == (3, 1, 64, 64)
    again = windows.gather(torch.tensor([5]), 7, "sample", 3)
    assert all(torch.equal(one[1:2], other) for one, other in zip(batch, again, strict=True))
    other = windows.gather(torch.tensor([5]), 7, "sample", 4)
    assert not torch.equal(other.holes, again.holes)
    assert set(batch.holes.unique().tolist()) == {-1.0, 1.0} and set(batch.counts.unique().tolist()) <= {0.0, 1.0}
    hole = (batch.holes > 0).expand_as(batch.frames)
    assert (batch.frames[hole] == -1).all()  # black before encoding


def test_a_run_goes_on_with_its_own_videos(windows: WindowDataset, packed: Path) -> None:
    some = WindowDataset(packed, WINDOWS, HoleConfig(), [windows.names[0], windows.names[2]])
    assert some.names == [windows.names[0], windows.names[2]] and some.num_donors == 9
    with pytest.raises(SourceError, match=r"lacks visor/P09\.hdf5, from which this run has learnt"):
        WindowDataset(packed, WINDOWS, HoleConfig(), [*windows.names, "visor/P09.hdf5"])


def test_folders_without_anything_to_learn_from(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"neither a data set of clips nor visor/ or ego4d/"):
        WindowDataset(tmp_path, WINDOWS, HoleConfig())
    write_ego4d(tmp_path / "ego4d" / "clip.hdf5", [(np.full((8, 8, 3), 90, np.uint8), False)] * 5)
    with pytest.raises(SourceError, match="2 hand-free windows, 0 with hands, 0 givers of holes; add videos"):
        WindowDataset(tmp_path, WINDOWS, HoleConfig())


def test_annotations_without_frames_still_give_hands(packed: Path, tmp_path: Path) -> None:
    _consistent(packed)
    for part in ("visor", "ego4d"):
        (tmp_path / "train" / part).mkdir(parents=True)
        for path in (packed / part).glob("*.hdf5"):
            (tmp_path / "train" / part / path.name).symlink_to(path)
    only = WindowDataset(tmp_path / "train", WINDOWS, HoleConfig())
    assert (only.num_hand_free, only.num_with_hands, only.num_donors) == (5, 0, 18)
    (tmp_path / "epic").symlink_to(packed / "epic")  # beside the splits
    assert WindowDataset(tmp_path / "train", WINDOWS, HoleConfig()).num_with_hands == 18


def test_simulated_clips(tmp_path: Path) -> None:
    write_clips(tmp_path, {1: hand_frames(10), 2: hand_frames(8, seed=5), 3: hand_frames(9, has_hand=False)}, views="hands")
    clips = WindowDataset(tmp_path, WINDOWS, PLAIN)
    assert clips.names == ["clips/1", "clips/2", "clips/3"]
    assert clips.num_hand_free == 4 + 2 + 3 and clips.num_with_hands == clips.num_donors == 4 + 2
    source = clips._sources[0]
    free, shown = (source.background(Place(0, 1), is_hand_free=flag) for flag in (True, False))
    frames = hand_frames(10)[1:8:2]
    for k, frame in enumerate(frames):
        assert frame.truth is not None and frame.truth.clean is not None
        assert np.array_equal(free.frames[k], frame.truth.clean) and np.array_equal(shown.frames[k], frame.rgb)
    assert not free.own.any() and np.array_equal(shown.own, source.hands(Place(0, 1)))
    assert WindowDataset(tmp_path, WINDOWS, PLAIN, ["clips/1", "clips/3"]).num_donors == 4
    with pytest.raises(SourceError, match="no clip of 31 frames; lower clip_spacing"):
        ClipSource(tmp_path, 10, 4)


def test_unrelated_views_are_refused(tmp_path: Path) -> None:
    write_clips(tmp_path, {1: hand_frames(8)})
    with pytest.raises(SourceError, match="holds unrelated views"):
        ClipSource(tmp_path, 1, 4)


def _scene(own_at: dict[int, tuple[slice, slice]] | None = None) -> Scene:
    frames = np.full((4, 256, 456, 3), 200, np.uint8)
    own = np.zeros(frames.shape[:3], np.bool_)
    for k, where in (own_at or {}).items():
        own[k][where] = True
    return Scene(frames, own)


def _hands(*boxes: tuple[slice, slice]) -> NDArray[np.bool_]:
    masks = np.zeros((4, 256, 456), np.bool_)
    for mask, box in zip(masks, boxes, strict=True):
        mask[box] = True
    return masks


BOX = (slice(100, 140), slice(200, 240))  # columns 100 to 140 of the centre square


def test_holes_have_the_shape_of_the_foreign_hand_and_a_margin() -> None:
    sample = make_sample(_scene(), _hands(BOX, BOX, BOX, BOX), PLAIN, np.random.default_rng(0))
    expected = np.zeros((256, 256), np.bool_)
    expected[97:143, 97:143] = True  # 3 pixels more on each side: dilated by 7
    assert (sample.holes == expected).all()
    assert (sample.frames[:, expected] == 0).all() and (sample.frames[:, ~expected] == 200).all()
    assert (sample.target == 200).all() and sample.counts.all()  # what a foreign hand hides is known


def test_own_hands_are_flagged_in_their_own_frame_only_and_do_not_count() -> None:
    none = (slice(0, 0), slice(0, 0))
    own = {1: (slice(0, 20), slice(100, 120)), 3: (slice(201, 239), slice(301, 339))}
    sample = make_sample(_scene(own), _hands(none, none, none, none), PLAIN, np.random.default_rng(0))
    assert not sample.holes[0].any() and not sample.holes[2].any()
    assert sample.holes[1, :23, :23].all() and sample.holes[1].sum() == 23 * 23
    grown = np.zeros((256, 256), np.bool_)
    grown[198:242, 198:242] = True
    assert np.array_equal(sample.holes[3], grown)
    assert (sample.target[grown] == 0).all() and (sample.target[~grown] == 200).all()
    cells = np.zeros((64, 64), np.bool_)
    cells[49:61, 49:61] = True  # every cell that the grown hand touches: 198 // 4 to 241 // 4
    assert np.array_equal(sample.counts, ~cells)


def test_free_form_holes_come_as_often_as_said() -> None:
    none = (slice(0, 0), slice(0, 0))
    scene = Scene(np.full((4, 32, 32, 3), 200, np.uint8), np.zeros((4, 32, 32), np.bool_))
    config, count = HoleConfig(size=32), 300
    rng = np.random.default_rng(5)
    hands = _hands(none, none, none, none)[:, :32, :32]
    samples = [make_sample(scene, hands, config, rng) for _ in range(count)]
    with_holes = [s for s in samples if s.holes.any()]
    alike = [s for s in with_holes if (s.holes == s.holes[0]).all()]
    assert len(with_holes) / count == pytest.approx(0.5, abs=0.08)
    assert len(alike) / len(with_holes) == pytest.approx(0.25, abs=0.09)
    assert all(s.counts.all() and (s.target == 200).all() for s in samples)


def test_everything_is_mirrored_together() -> None:
    scene = _scene({3: (slice(100, 110), slice(110, 120))})
    scene.frames[:, :, :228] = 50  # the left half of the square is darker
    hands = _hands(BOX, BOX, BOX, BOX)
    plain = make_sample(scene, hands, PLAIN, np.random.default_rng(1))
    other = make_sample(scene, hands, replace(PLAIN, mirrored=1.0), np.random.default_rng(1))
    back = mirrored(other)
    for name in ("frames", "holes", "target", "counts"):
        assert np.array_equal(getattr(plain, name), getattr(back, name)), name
        assert not np.array_equal(getattr(plain, name), getattr(other, name)), name


def test_margins_belong_to_the_size() -> None:
    assert [margin_at(side) for side in (256, 240, 512, 64, 16)] == [7, 7, 13, 3, 3]


def test_other_sizes_keep_proportions() -> None:
    large = make_sample(_scene(), _hands(BOX, BOX, BOX, BOX), PLAIN, np.random.default_rng(0))
    small = make_sample(_scene(), _hands(BOX, BOX, BOX, BOX), replace(PLAIN, size=128), np.random.default_rng(0))
    assert small.holes.shape == (4, 128, 128) and small.counts.shape == (32, 32)
    assert small.holes.mean() == pytest.approx(large.holes.mean(), rel=0.1)


def test_batches_are_in_the_models_range() -> None:
    frames = np.zeros((4, 32, 32, 3), np.uint8)
    frames[:, 16:] = 255
    holes = np.zeros((4, 32, 32), np.bool_)
    holes[:, :, :8] = True
    counts = np.ones((8, 8), np.bool_)
    counts[0] = False
    batch = stack([Sample(frames, holes, frames[-1], counts)] * 2)
    assert batch.target[1, :, 20, 20].tolist() == [1, 1, 1] and batch.target[1, :, 0, 0].tolist() == [-1, -1, -1]
    assert batch.frames[0, 2, :, 20, 3].tolist() == [-1, -1, -1] and batch.frames[0, 2, :, 20, 12].tolist() == [1, 1, 1]
    assert batch.holes[0, 0, 0, 20, :10].tolist() == [1] * 8 + [-1] * 2
    assert batch.counts.sum() == 2 * 56
