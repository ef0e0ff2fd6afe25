"""The autoencoder: latents before the codebook, images after it, and no image that depends on another."""

from __future__ import annotations

import pytest
import torch
from fixtures.random_weights import numbers

from ego_perception.hand_removal.vidm.first_stage import FirstStage
from ego_perception.hand_removal.vidm.model import Vidm


@pytest.fixture(name="stage")
def stage_(tiny: Vidm) -> FirstStage:
    return tiny.first_stage


def book(stage: FirstStage) -> torch.Tensor:
    """(16, 3) the codes."""
    weight = stage.vq.quantize.embedding.weight
    assert isinstance(weight, torch.Tensor)
    return weight.detach()


def drawn(stage: FirstStage, indices: torch.Tensor) -> torch.Tensor:
    """The latent that consists of codes."""
    return book(stage)[indices].permute(0, 3, 1, 2).contiguous()


INDICES = torch.randint(0, 16, (2, 4, 6), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("height", "width"), [(16, 16), (32, 16), (16, 48)])
@torch.no_grad()
def test_four_pixels_are_a_cell(stage: FirstStage, height: int, width: int) -> None:
    images = numbers("stage.images", (2, 3, height, width))
    latents = stage.encode(images)
    assert latents.shape == (2, 3, height // 4, width // 4)
    assert stage.decode(latents).shape == images.shape and stage.codes(latents).shape == latents[:, 0].shape


@torch.no_grad()
def test_a_latent_made_of_codes_has_these_codes(stage: FirstStage) -> None:
    assert torch.equal(stage.codes(drawn(stage, INDICES)), INDICES)


@torch.no_grad()
def test_the_code_of_a_cell_is_the_nearest_one(stage: FirstStage) -> None:
    latents = 0.7 * numbers("stage.latents", (1, 3, 8, 8))
    cells = latents.permute(0, 2, 3, 1).reshape(-1, 3)
    nearest = (cells[:, None] - book(stage)).square().sum(-1).argmin(1)
    assert torch.equal(stage.codes(latents).flatten(), nearest) and len(nearest.unique()) > 3


@torch.no_grad()
def test_decoding_looks_up_the_nearest_code_and_encoding_rounds_nothing(stage: FirstStage) -> None:
    exact = drawn(stage, INDICES)
    apart = torch.cdist(book(stage), book(stage)) + 1e9 * torch.eye(16)
    noise = numbers("stage.noise", tuple(exact.shape)).clamp(-1, 1) * 0.2 * float(apart.min()) / 3**0.5
    torch.testing.assert_close(stage.decode(exact + noise), stage.decode(exact), atol=1e-5, rtol=0)
    latents = stage.encode(numbers("stage.images", (1, 3, 16, 16)))
    assert float((latents - drawn(stage, stage.codes(latents))).abs().max()) > 1e-4


@torch.no_grad()
def test_no_image_depends_on_another(stage: FirstStage) -> None:
    images = numbers("stage.images", (3, 3, 16, 16))
    together = stage.encode(images)
    for k in range(3):
        torch.testing.assert_close(stage.encode(images[k : k + 1])[0], together[k], atol=2e-5, rtol=0)
        torch.testing.assert_close(stage.decode(together[k : k + 1])[0], stage.decode(together)[k], atol=5e-5, rtol=0)
