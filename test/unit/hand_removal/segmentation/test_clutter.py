"""Foreign things in training images: where they may lie, how much they cover, and that they come from somewhere else."""

from __future__ import annotations

import pytest
import torch

from ego_perception.hand_removal.segmentation.clutter import grain, scatter, zoomed
from ego_perception.hand_removal.segmentation.sizes import HandClass

COUNT, H, W = 80, 48, 64


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(name="labels")
def labels_() -> torch.Tensor:
    labels = torch.zeros(COUNT, H, W, dtype=torch.long)
    labels[:, 20:, 20:40] = HandClass.LEFT_ARM
    labels[:, 10:20, 20:40] = HandClass.LEFT_HAND
    labels[:, 5:10, 20:40] = HandClass.HELD_OBJECT
    return labels


def test_pieces_lie_beside_hands_and_what_they_hold(labels: torch.Tensor) -> None:
    images, others = torch.full((COUNT, 3, H, W), 0.2), torch.full((COUNT, 3, H, W), 0.9)
    cluttered = scatter(images, labels, others, generator(0))
    assert torch.equal(cluttered[:, :, 5:, 20:40], images[:, :, 5:, 20:40])
    is_changed = (cluttered - images).abs().amax(1) > 0.35
    share = is_changed.float().mean((1, 2)) / (labels == HandClass.NONE).float().mean((1, 2))
    assert 0.2 < float((share > 0.02).float().mean()) < 0.6, "some images, not all"
    assert 0.1 < float(share[share > 0.02].mean()) < 0.45 and float(share.max()) < 0.75
    assert float(cluttered.min()) >= 0.2 - 1e-6 and float(cluttered.max()) <= 0.9 + 1e-6
    assert torch.equal(scatter(images, labels, others, generator(0)), cluttered)


def test_pieces_differ_from_image_to_image(labels: torch.Tensor) -> None:
    images, others = torch.zeros(COUNT, 3, H, W), torch.ones(COUNT, 3, H, W)
    covered = scatter(images, torch.zeros_like(labels), others, generator(1))[:, 0] > 0.5
    shown = covered[covered.flatten(1).any(1)].flatten(1).float()
    assert len(shown) > 10
    overlap = shown @ shown.T / torch.minimum(shown.sum(1)[:, None], shown.sum(1)[None])
    assert float(overlap.fill_diagonal_(0).mean()) < 0.6


def test_part_of_a_picture_shows_nothing_that_was_not_there() -> None:
    ramp = torch.linspace(0, 1, W).expand(COUNT, 3, H, W).contiguous()
    parts = zoomed(ramp, generator(2))
    assert parts.shape == ramp.shape and float(parts.min()) >= 0 and float(parts.max()) <= 1
    spread = parts[:, 0].flatten(1).amax(1) - parts[:, 0].flatten(1).amin(1)
    assert float(spread.min()) < 0.4 and float(spread.max()) > 0.7, "small parts and large ones"
    assert int((parts[:, 0].diff(dim=1).abs().amax((1, 2)) > 1e-3).sum()) > COUNT // 2, "most are turned"


def test_grain_is_fine_uneven_and_one_on_average() -> None:
    factor = grain(40, (H, W), generator(3))
    assert factor.shape == (40, 1, H, W) and float(factor.mean()) == pytest.approx(1, abs=0.02)
    strength = factor.flatten(1).std(1)
    assert float(strength.min()) < 0.03 and 0.05 < float(strength.max()) < 0.2
    assert float(factor.min()) >= 0.4 and float(factor.max()) <= 1.6


@pytest.mark.parametrize("label", list(HandClass)[1:])
def test_an_image_that_is_all_hand_stays_as_it_is(label: HandClass) -> None:
    images = torch.rand(12, 3, H, W, generator=generator(4))
    others = torch.rand(12, 3, H, W, generator=generator(5))
    assert torch.equal(scatter(images, torch.full((12, H, W), int(label)), others, generator(6)), images)


def test_equal_pictures_change_nothing_and_nothing_is_written_to() -> None:
    images, none = torch.full((30, 3, H, W), 0.4), torch.zeros(30, H, W, dtype=torch.long)
    before = images.clone()
    assert torch.allclose(scatter(images, none, images, generator(7)), before, atol=1e-6)
    scatter(images, none, 1 - images, generator(7))
    assert torch.equal(images, before)


def test_images_that_are_not_chosen_are_exactly_as_they_were(labels: torch.Tensor) -> None:
    images = torch.rand(COUNT, 3, H, W, generator=generator(8))
    cluttered = scatter(images, labels, torch.rand(COUNT, 3, H, W, generator=generator(9)), generator(10))
    untouched = (cluttered == images).flatten(1).all(1)
    assert 0.4 < float(untouched.float().mean()) < 0.8


def test_a_plain_picture_has_plain_parts() -> None:
    plain = torch.tensor([0.1, 0.5, 0.9])[None, :, None, None].expand(20, 3, H, W).contiguous()
    assert torch.allclose(zoomed(plain, generator(11)), plain, atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (5, 300), (64, 48)])
def test_pictures_of_any_size_have_parts_and_grain(size: tuple[int, int]) -> None:
    pictures = torch.rand(3, 3, *size, generator=generator(12))
    parts, factor = zoomed(pictures, generator(13)), grain(3, size, generator(14))
    assert parts.shape == pictures.shape and parts.isfinite().all()
    assert factor.shape == (3, 1, *size) and factor.isfinite().all()
    assert float(parts.min()) >= float(pictures.min()) - 1e-6 and float(parts.max()) <= float(pictures.max()) + 1e-6


def test_grain_differs_from_image_to_image_and_comes_from_the_generator() -> None:
    factor = grain(6, (H, W), generator(15))
    assert torch.equal(factor, grain(6, (H, W), generator(15)))
    apart = torch.cdist(factor.flatten(1), factor.flatten(1))
    assert float((apart + 1e9 * torch.eye(6)).min()) > 1e-2
