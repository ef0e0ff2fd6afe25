"""Training images of the segmenter: classes, clips in memory, rescanning, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.clip_folder import write_clips

from ego_perception.data import Frame, FrameTruth, SceneLabel
from ego_perception.errors import SourceError
from ego_perception.geometry import PinholeCamera
from ego_perception.hand_removal.segmentation.data import HandDataset, hand_classes, vary
from ego_perception.hand_removal.segmentation.sizes import MIRRORED, HandClass

SIZE = (32, 24)
CAMERA = PinholeCamera.from_fov(64, 48, 1.0)


def clip(level: int, **without: Any) -> list[Frame]:
    """Four frames of one grey level; the clean ones are one brighter; a right hand fills the lower right quarter."""
    classes = np.full((48, 64), SceneLabel.ROOM, np.uint8)
    classes[24:, 32:] = SceneLabel.RIGHT_HAND
    full = np.full((48, 64, 3), level, np.uint8)
    truth: dict[str, Any] = {"classes": classes, "clean": full + 1} | without
    depth, pose = np.ones((48, 64), np.float32), np.eye(4)
    return [Frame(1 + i, full, camera=CAMERA, index=i, truth=FrameTruth(depth, pose, **truth)) for i in range(4)]


def test_only_hands_arms_and_held_objects_have_classes() -> None:
    labels = np.array([[SceneLabel.LEFT_ARM, SceneLabel.WEARER, SceneLabel.PERSON, SceneLabel.HELD_OBJECT]], np.uint8)
    assert hand_classes(labels).tolist() == [[HandClass.LEFT_ARM, HandClass.NONE, HandClass.NONE, HandClass.HELD_OBJECT]]
    assert [MIRRORED[MIRRORED[c]] for c in HandClass] == list(HandClass)


def test_frames_come_at_the_size_asked_for_with_their_labels(tmp_path: Path) -> None:
    write_clips(tmp_path, {1: clip(50), 2: clip(200)})
    data = HandDataset(tmp_path, SIZE)
    images, labels = data.gather(torch.tensor([0, 7]))
    assert len(data) == 8 and images.shape == (2, 3, 24, 32) and labels.shape == (2, 24, 32) and labels.dtype == torch.int64
    assert images.flatten(1).mean(1).tolist() == pytest.approx([50 / 255, 200 / 255])
    assert (labels[:, 12:, 16:] == HandClass.RIGHT_HAND).all() and int((labels != 0).sum()) == 2 * 12 * 16


def test_backgrounds_are_the_clean_frames_of_all_clips(tmp_path: Path) -> None:
    write_clips(tmp_path, {1: clip(50), 2: clip(200)})
    drawn = HandDataset(tmp_path, SIZE).backgrounds(64, torch.Generator().manual_seed(0))
    assert drawn.shape == (64, 3, 24, 32)
    assert sorted(set((drawn[:, 0, 0, 0] * 255).round().int().tolist())) == [51, 201]


def test_new_clips_are_appended_and_no_number_changes(tmp_path: Path) -> None:
    write_clips(tmp_path, {5: clip(50)})
    data = HandDataset(tmp_path, SIZE)
    before = data.gather(torch.arange(4))[0]
    write_clips(tmp_path, {2: clip(120)})
    data.rescan()
    data.rescan()
    assert data.names == [5, 2] and len(data) == 8
    assert torch.equal(data.gather(torch.arange(4))[0], before)
    assert float(data.gather(torch.tensor([4]))[0].mean()) == pytest.approx(120 / 255)
    again = HandDataset(tmp_path, SIZE, [5, 2])
    assert torch.equal(again.gather(torch.arange(8))[0], data.gather(torch.arange(8))[0])


def test_what_cannot_be_learnt_from_is_named(tmp_path: Path) -> None:
    write_clips(tmp_path / "a", {1: clip(50, clean=None)})
    with pytest.raises(SourceError, match=r"clip 1 .* lacks classes or clean"):
        HandDataset(tmp_path / "a", SIZE)
    write_clips(tmp_path / "b", {1: clip(50)})
    with pytest.raises(SourceError, match="no clip 9 any more"):
        HandDataset(tmp_path / "b", SIZE, [1, 9])
    with pytest.raises(SourceError):
        HandDataset(tmp_path / "nothing", SIZE)


def test_a_varied_batch_depends_on_its_generator_alone_and_is_in_range(tmp_path: Path) -> None:
    write_clips(tmp_path, {1: clip(50), 2: clip(200)})
    data = HandDataset(tmp_path, SIZE)

    def batch(seed: int) -> tuple[torch.Tensor, ...]:
        generator = torch.Generator().manual_seed(seed)
        return vary(*data.gather(torch.arange(8)), data.backgrounds(8, generator), generator)

    a, b, c = batch(1), batch(1), batch(2)
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True)) and not torch.equal(a[0], c[0])
    images, labels = a
    assert images.shape == (8, 3, 24, 32) and labels.shape == (8, 24, 32)
    assert float(images.min()) >= 0 and float(images.max()) <= 1
    assert set(labels.unique().tolist()) <= {HandClass.NONE, HandClass.LEFT_HAND, HandClass.RIGHT_HAND}


def test_some_pictures_of_every_batch_stay_as_they_are(tmp_path: Path) -> None:
    write_clips(tmp_path, {1: clip(50), 2: clip(200)})
    data = HandDataset(tmp_path, SIZE)

    def num_plain(size: int, seed: int) -> int:
        generator = torch.Generator().manual_seed(seed)
        given = data.gather(torch.arange(size) % len(data))
        batch = vary(*given, data.backgrounds(size, generator), generator)
        assert len(batch.images) == len(batch.labels) == size
        return sum(is_plain(image) for image in batch.images)

    assert {num_plain(16, seed) for seed in range(4)} == {7}
    assert {num_plain(1, seed) for seed in range(16)} == {0, 1}


def is_plain(image: torch.Tensor) -> bool:
    """Whether an image is one of `clip`, with hands or without, of which each has one grey level."""
    return any(bool((image - level / 255).abs().amax() < 1e-5) for level in (50, 51, 200, 201))


def test_some_of_those_are_shown_without_hands(tmp_path: Path) -> None:
    write_clips(tmp_path, {1: clip(50), 2: clip(200)})
    data = HandDataset(tmp_path, SIZE)
    kinds: list[tuple[bool, bool]] = []
    for seed in range(12):
        generator = torch.Generator().manual_seed(seed)
        given = data.gather(torch.arange(16) % 8)
        batch = vary(*given, data.backgrounds(16, generator), generator)
        plain = [(image, labels) for image, labels in zip(batch.images, batch.labels, strict=True) if is_plain(image)]
        kinds += [(round(float(image.mean()) * 255) in (51, 201), bool(labels.any())) for image, labels in plain]
    assert set(kinds) == {(False, True), (True, False)}, "hands are labelled where they are shown, and nowhere else"
    assert 0.1 < kinds.count((True, False)) / len(kinds) < 0.3
