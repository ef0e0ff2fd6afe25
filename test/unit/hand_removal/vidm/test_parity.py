"""The networks and the whole chain against what the published code gives for the same weights, inputs and noise."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.random_weights import numbers, weight
from fixtures.vidm_models import SMALL, random_vidm
from torch import Tensor

from ego_perception.hand_removal.config import published_diffusion
from ego_perception.hand_removal.vidm.compositing import paste
from ego_perception.hand_removal.vidm.diffusion import DDIM, SamplingPlan, sample
from ego_perception.hand_removal.vidm.images import latent_mask, to_bytes
from ego_perception.hand_removal.vidm.importer import vidm_from_single_frame
from ego_perception.hand_removal.vidm.inpainter import VidmInpainter
from ego_perception.hand_removal.vidm.layout import ema_name, official_layout
from ego_perception.hand_removal.vidm.model import Vidm
from ego_perception.hand_removal.vidm.sizes import LDM_PUBLISHED, PUBLISHED, VidmSizes

# Of the sorted lines "name shape" of the published models' state dicts, listed by the published code.
LAYOUT_SHA = {
    4: (1220, "5a30af87121c36b5a7158e744bc8377aeda15f3932106ee15d97f8e33e4012c6"),
    1: (1216, "283ce656cc2121318c241bc08e1e9cbe741530b30ea436a1f0db978fdcf59737"),
}


def difference(result: Tensor, expected: Any) -> float:
    return float(np.abs(result.numpy() - expected).max())


def predict(model: Vidm, name: str, shape: tuple[int, ...], time: int) -> Tensor:
    x = numbers(name, shape)
    frames = x if x.ndim == 5 else x[:, None]
    return model.unet(frames, torch.full((shape[0],), time))


@pytest.mark.parametrize("time", [1, 481, 999])
def test_four_frame_network(small: Vidm, golden: dict[str, Any], time: int) -> None:
    expected = golden[f"unet4.small.t{time}"]
    assert expected.std() > 0.3
    assert difference(predict(small, "unet4.small", (1, 4, 7, 16, 16), time), expected) < 1e-5


@pytest.mark.parametrize("time", [1, 999])
def test_four_frame_network_batched_and_not_square(small: Vidm, golden: dict[str, Any], time: int) -> None:
    assert difference(predict(small, "unet4.batch", (2, 4, 7, 24, 16), time), golden[f"unet4.batch.t{time}"]) < 1e-5


@pytest.mark.parametrize("time", [1, 481, 999])
def test_single_frame_network(small_single: Vidm, golden: dict[str, Any], time: int) -> None:
    result = predict(small_single, "unet2.small", (1, 7, 16, 16), time)
    assert difference(result, golden[f"unet2.small.t{time}"]) < 1e-5


def test_first_stage(small: Vidm, golden: dict[str, Any]) -> None:
    image, latent = numbers("vq.image", (1, 3, 64, 64)).clamp(-1, 1), numbers("vq.latent", (1, 3, 16, 16))
    assert difference(small.first_stage.encode(image), golden["vq.small.latent"]) < 1e-4
    assert np.array_equal(small.first_stage.codes(latent).flatten().numpy(), golden["vq.small.codes"])
    assert difference(small.first_stage.decode(latent), golden["vq.small.decoded"]) < 1e-4


@pytest.mark.slow
def test_published_sizes(golden_full: dict[str, Any]) -> None:
    model = random_vidm(PUBLISHED)
    assert difference(predict(model, "unet4.full", (1, 4, 7, 16, 16), 481), golden_full["unet4.full.t481"]) < 5e-5
    image, latent = numbers("vq.full.image", (1, 3, 128, 128)).clamp(-1, 1), numbers("vq.full.latent", (1, 3, 32, 32))
    assert difference(model.first_stage.encode(image), golden_full["vq.full.latent"]) < 1e-4
    assert np.array_equal(model.first_stage.codes(latent).flatten().numpy(), golden_full["vq.full.codes"])
    assert difference(model.first_stage.decode(latent)[..., ::4, ::4], golden_full["vq.full.decoded"]) < 1e-4


@pytest.mark.slow
def test_published_single_frame_size(golden_full: dict[str, Any]) -> None:
    model = random_vidm(LDM_PUBLISHED)
    assert difference(predict(model, "unet2.full", (1, 7, 16, 16), 481), golden_full["unet2.full.t481"]) < 5e-5


@pytest.mark.parametrize("sizes", [PUBLISHED, LDM_PUBLISHED], ids=["vidm", "ldm"])
def test_layout_names_every_tensor(sizes: VidmSizes) -> None:
    layout = official_layout(sizes)
    shapes = layout.shapes()
    text = "\n".join(sorted(f"{name} {shape}" for name, shape in shapes.items()))
    assert (len(shapes), hashlib.sha256(text.encode()).hexdigest()) == LAYOUT_SHA[sizes.frames]
    assert len({part.name for part in layout.unet}) == len(layout.unet) == (418 if sizes.frames == 4 else 416)
    total = sum(int(np.prod(part.shape)) for part in layout.unet)
    assert total == (387_508_227 if sizes.frames == 4 else 387_245_827)
    assert sum(int(np.prod(part.shape)) for part in layout.first_stage) == 53_219_486


def test_conditioning(small: Vidm, golden: dict[str, Any]) -> None:
    frames = numbers("cond.frames", (1, 4, 64, 64, 3)).clamp(-1, 1)
    holes = numbers("cond.masks", (1, 4, 64, 64)) > 0.5
    black = torch.where(holes[..., None], -1.0, frames)[0].permute(0, 3, 1, 2)
    latents = small.first_stage.encode(black)
    masks = latent_mask(torch.where(holes, 1.0, -1.0)[0][:, None], is_published=True)
    assert difference(torch.cat([latents, masks], dim=1)[None], golden["cond.small"]) < 1e-5


def test_starting_from_the_single_frame_network(small_single: Vidm, golden: dict[str, Any]) -> None:
    """Bit-equal to the published initialisation but for the joining layer, which that one draws at random."""
    ours = vidm_from_single_frame(small_single.state_dict(), SMALL)
    digest = hashlib.sha256()
    parts = official_layout(SMALL).unet
    named = {f"model.diffusion_model.{p.official}": p for p in parts}
    named |= {ema_name(p.official): p for p in parts}
    averages = official_ema_of_single_frame()
    for name, part in sorted(named.items()):
        if part.official.startswith("out.2."):
            continue
        source = ours[part.name] if name.startswith("model.") else averages[part.name]
        digest.update(name.encode())
        digest.update(source.reshape(part.official_shape).numpy().tobytes())
    assert digest.digest() == golden["init.sha256"].tobytes()
    start = Vidm(SMALL)
    start.load_state_dict(ours, strict=True)
    features = numbers("features", (4, SMALL.width, 4, 4))
    torch.testing.assert_close(start.unet.join(features)[0], features[3], atol=1e-6, rtol=0)


def official_ema_of_single_frame() -> dict[str, Tensor]:
    """The moving averages of the single-frame checkpoint, by our names, drawn by their published ones."""
    parts = official_layout(replace(SMALL, frames=1)).unet
    return {p.name: p.convert(weight(ema_name(p.official), p.official_shape)) for p in parts}


def test_end_to_end(small: Vidm, golden: dict[str, Any]) -> None:
    """Frames and masks in, composite out, as the published demonstration does it, in four steps."""
    frames = (numbers("e2e.frames", (1, 4, 64, 64, 3)).clamp(-1, 1) * 127.5 + 127.5).round()[0].numpy().astype(np.uint8)
    holes = (numbers("e2e.masks", (1, 4, 64, 64)) > 0.8)[0].numpy()
    inpainter = VidmInpainter(small, published_diffusion())
    encoded = [inpainter.encode(frame, hole) for frame, hole in zip(frames, holes, strict=True)]

    def draws() -> Iterator[Tensor]:
        yield numbers("e2e.start", (1, 3, 16, 16))
        yield from (numbers(f"e2e.noise{i}", (1, 3, 16, 16)) for i in range(4))

    condition, stream = torch.stack([e.condition for e in encoded], dim=1), draws()

    def denoise(x: Tensor, times: Tensor) -> Tensor:
        return small.unet(torch.cat([x[:, None].expand(-1, 4, -1, -1, -1), condition], dim=2), times)

    plan = SamplingPlan(DDIM, 4, 1.0, is_published=True)
    latent = sample(plan, denoise, lambda: next(stream))
    assert difference(latent, golden["e2e.sample"]) < 1e-4 * np.abs(golden["e2e.sample"]).max()
    decoded = small.first_stage.decode(latent)
    assert difference(decoded, golden["e2e.decoded"]) < 2e-3
    composite = paste(frames[3], to_bytes(decoded[0], is_published=True), holes[3])
    error = np.abs(composite.astype(int) - golden["e2e.composite"][0].astype(int))
    assert error.max() <= 1 and not error[~holes[3]].any()


def test_inpainter_runs_the_same_chain(small: Vidm, golden: dict[str, Any]) -> None:
    """The same numbers through the class that is used, its steps set to four."""
    frames = (numbers("e2e.frames", (1, 4, 64, 64, 3)).clamp(-1, 1) * 127.5 + 127.5).round()[0].numpy().astype(np.uint8)
    holes = (numbers("e2e.masks", (1, 4, 64, 64)) > 0.8)[0].numpy()
    inpainter = VidmInpainter(small, replace(published_diffusion(), steps=4))
    encoded = [inpainter.encode(frame, hole) for frame, hole in zip(frames, holes, strict=True)]
    names = iter(["e2e.start", *(f"e2e.noise{i}" for i in range(4))])
    fill = inpainter.fill(encoded[3], encoded[:3], noise=lambda: numbers(next(names), (1, 3, 16, 16)))
    error = np.abs(paste(frames[3], fill, holes[3]).astype(int) - golden["e2e.composite"][0].astype(int))
    assert error.max() <= 1
