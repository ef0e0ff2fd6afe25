"""Training images: clips, order of samples, crops whose depth and focal length stay true, changes of look."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures.clip_folder import write_clips

from ego_perception.data import Frame, FrameTruth
from ego_perception.data.clips import clip_path
from ego_perception.engine.sampling import EpochSampler
from ego_perception.errors import SourceError
from ego_perception.geometry import DistortionModel, PinholeCamera
from ego_perception.nn.look import change_look
from ego_perception.reconstruction.data import (
    Crop,
    DepthDataset,
    cut,
    random_crop,
    whole_image,
)

W, H = 64, 48
FOV_Y = 0.9
LENS = PinholeCamera(W, H, 50.0, 50.0, 31.5, 23.5, DistortionModel.EQUIDISTANT, (0.1, 0.0, 0.0, 0.0))


def write_block(folder: Path, seed: int, count: int = 4, value: int = 0, width: int = W, **changes: object) -> None:
    """A clip whose red channel counts columns and whose depth is a function of the column."""
    columns = np.broadcast_to(np.arange(width, dtype=np.uint8), (H, width))
    rgb = np.stack([columns, np.full_like(columns, value), columns // 2], axis=-1)
    truth = FrameTruth(depth=(1.0 + columns / 16.0).astype(np.float32))
    camera = PinholeCamera.from_fov(width, H, FOV_Y)
    frame = replace(Frame(1, rgb, camera=camera, truth=truth), **changes)  # type: ignore[arg-type]
    write_clips(folder, {seed: [replace(frame, index=i) for i in range(count)]})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for room in range(3):
        write_block(tmp_path, room, value=room)
    return tmp_path


def test_gather_gives_images_metres_and_pixels(folder: Path) -> None:
    images, depth, focal = DepthDataset(folder).gather(torch.tensor([0, 5]))
    assert images.shape == (2, 3, H, W) and depth.shape == (2, H, W)
    assert float(images[0, 0, 0, 51]) == pytest.approx(0.2)
    assert [float(images[i, 1, 0, 0]) for i in (0, 1)] == pytest.approx([0.0, 1 / 255])
    assert float(depth[0, 3, 32]) == 3.0
    assert float(focal[0]) == pytest.approx(0.5 * H / math.tan(0.5 * FOV_Y))


def test_no_surface_counts_as_far(tmp_path: Path) -> None:
    write_block(tmp_path, 0, count=1, truth=FrameTruth(depth=np.zeros((H, W), np.float32)))
    assert float(DepthDataset(tmp_path).gather(torch.tensor([0]))[1].min()) == 10.0


def test_rescan_appends_only_what_is_new(folder: Path) -> None:
    dataset = DepthDataset(folder, ["00001", "00002"])
    write_block(folder, 7)
    dataset.rescan()
    dataset.rescan()
    assert dataset.names == ["00001", "00002", "00000", "00007"]
    assert len(dataset) == 16


@pytest.mark.parametrize("changes", [{"truth": None}, {"truth": FrameTruth()}, {"camera": LENS}])
def test_frames_that_teach_nothing_are_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    write_block(tmp_path, 5, **changes)
    with pytest.raises(SourceError, match="clip 5 has frames without depth or with a lens"):
        DepthDataset(tmp_path)


def test_a_damaged_clip_and_no_data_set_are_told(folder: Path, tmp_path: Path) -> None:
    clip_path(folder, 1).write_bytes(b"no tar")
    with pytest.raises(SourceError, match=r"00001.tar cannot be read"):
        DepthDataset(folder)
    with pytest.raises(SourceError, match="is no dataset"):
        DepthDataset(tmp_path / "nowhere")


def test_a_named_clip_that_is_gone_is_told(folder: Path) -> None:
    with pytest.raises(SourceError, match="has no clip 00009, which the run started with"):
        DepthDataset(folder, ["00009"])


def test_sampler_visits_everything_once_and_depends_on_the_seed(folder: Path) -> None:
    dataset = DepthDataset(folder)
    first, other = EpochSampler(dataset, 0), EpochSampler(dataset, 1)
    epochs = [torch.cat([first.next(4) for _ in range(3)]) for _ in range(2)]
    for epoch in epochs:
        assert sorted(epoch.tolist()) == list(range(12))
    assert not torch.equal(epochs[0], epochs[1])
    assert not torch.equal(epochs[0], torch.cat([other.next(4) for _ in range(3)]))


def test_sampler_resumes_where_it_was(folder: Path) -> None:
    sampler = EpochSampler(DepthDataset(folder), 0)
    for _ in range(4):
        sampler.next(4)
    resumed = EpochSampler(DepthDataset(folder), 0)
    resumed.restore(sampler.epoch, sampler.position)
    for _ in range(5):
        assert torch.equal(sampler.next(4), resumed.next(4))


def test_sampler_needs_a_batch(folder: Path) -> None:
    with pytest.raises(SourceError, match="12 items, fewer than a batch of 13"):
        EpochSampler(DepthDataset(folder), 0).next(13)


def gathered(folder: Path, count: int = 6) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return DepthDataset(folder).gather(torch.arange(count))


def test_whole_image_keeps_pixels_depth_and_focal(folder: Path) -> None:
    images, depth, focal = gathered(folder)
    batch = cut(images, depth, focal, whole_image(6, (W, H)), (W, H))
    assert torch.allclose(batch.images, images, atol=1e-5)
    ratio = 0.5 * H / math.tan(0.5 * FOV_Y) / math.sqrt(W * H)
    assert torch.allclose(batch.log_focal, torch.full((6,), math.log(ratio)), atol=1e-6)
    metres = (batch.log_depth + batch.log_focal[:, None, None]).exp()
    assert metres.shape == (6, H // 2, W // 2)
    # A half-resolution pixel lies between two columns; the nearest of them is taken.
    assert float((metres[0, 0] - (1.0 + (2 * torch.arange(W // 2) + 0.5) / 16)).abs().max()) <= 0.5 / 16 + 1e-3


def test_mirror_swaps_image_and_depth_together(folder: Path) -> None:
    images, depth, focal = gathered(folder)
    plain = whole_image(6, (W, H))
    mirrored = Crop(plain.x, plain.y, plain.half_width, plain.half_height, plain.roll, -plain.mirror)
    a, b = cut(images, depth, focal, plain, (W, H)), cut(images, depth, focal, mirrored, (W, H))
    assert torch.allclose(b.images, a.images.flip(3), atol=1e-5)
    assert torch.allclose(b.log_depth, a.log_depth.flip(2), atol=0.06)


def test_zoom_lengthens_the_lens_and_keeps_metres(folder: Path) -> None:
    """The canonical depth falls by what the focal ratio rises: the law that makes zooming an exact augmentation."""
    images, depth, focal = gathered(folder)
    whole = whole_image(6, (W, H))
    half = Crop(whole.x, whole.y, whole.half_width / 2, whole.half_height / 2, whole.roll, whole.mirror)
    a, b = cut(images, depth, focal, whole, (W, H)), cut(images, depth, focal, half, (W, H))
    assert torch.allclose(b.log_focal - a.log_focal, torch.full((6,), math.log(2.0)), atol=1e-6)
    centre = [t.log_depth[:, H // 4, W // 4] for t in (a, b)]
    assert torch.allclose(centre[0] - centre[1], torch.full((6,), math.log(2.0)), atol=0.03)


@pytest.mark.parametrize("aspect", [4 / 3, 16 / 9, 1.0])
def test_image_and_depth_stay_registered_under_any_crop(folder: Path, aspect: float) -> None:
    """The red channel names the column, so it predicts the depth wherever the window lies and however it is turned."""
    images, depth, focal = gathered(folder)
    crop = random_crop(6, (W, H), aspect, torch.Generator().manual_seed(1))
    batch = cut(images, depth, focal, crop, (64, 48))
    columns = torch.nn.functional.avg_pool2d(batch.images[:, :1], 2)[:, 0] * 255
    metres = (batch.log_depth + batch.log_focal[:, None, None]).exp()
    assert float((metres - (1.0 + columns / 16.0)).abs().max()) < 1.5 / 16


def test_windows_stay_inside_the_image() -> None:
    crop = random_crop(2000, (W, H), 4 / 3, torch.Generator().manual_seed(0))
    x = crop.half_width * crop.roll.cos() + crop.half_height * crop.roll.sin().abs()
    y = crop.half_width * crop.roll.sin().abs() + crop.half_height * crop.roll.cos()
    assert float((crop.x.abs() + x).max()) <= W / 2 + 1e-3
    assert float((crop.y.abs() + y).max()) <= H / 2 + 1e-3
    assert 0.4 < float((crop.mirror < 0).float().mean()) < 0.6
    assert float(crop.half_width.min()) > 0.2 * W


def test_change_look_keeps_shape_range_and_follows_its_generator() -> None:
    images = torch.rand(8, 3, 48, 64)
    a, b, c = (change_look(images, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert a.shape == images.shape
    assert float(a.min()) >= 0.0 and float(a.max()) <= 1.2001
    assert torch.equal(a, b) and not torch.equal(a, c)
    assert not torch.allclose(a[0], a[1])
