"""The model as it is trained: the UNet learns, the first stage is frozen, attention is computed twice to save memory."""

from __future__ import annotations

import functools
from typing import Final

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ego_perception.hand_removal.vidm.diffusion import alphas_cumprod
from ego_perception.hand_removal.vidm.images import latent_mask
from ego_perception.hand_removal.vidm.model import Vidm
from ego_perception.hand_removal.vidm.sizes import VidmSizes
from ego_perception.hand_removal.vidm.training.samples import Batch
from ego_perception.nn.frames import FrameAttention

_ENCODED_AT_ONCE: Final = 32


class TrainedVidm(Vidm):
    """A `Vidm`, tensor for tensor, that predicts the noise in a batch.

    Args:
        checkpoint_attention: keep no attention for the backward pass but compute it again there; same numbers, less memory.
        corner_mask: reduce masks to latent cells as published, by one corner pixel.
    """

    def __init__(self, sizes: VidmSizes, *, checkpoint_attention: bool = True, corner_mask: bool = False) -> None:
        super().__init__(sizes)
        self.corner_mask = corner_mask
        self.first_stage.requires_grad_(requires_grad=False)
        if checkpoint_attention:
            for layer in self.unet.modules():
                if isinstance(layer, FrameAttention):
                    layer.forward = functools.partial(checkpoint, layer.forward, use_reentrant=False)  # type: ignore[method-assign]

    def train(self, mode: bool = True) -> TrainedVidm:
        """Switch the UNet; the first stage stays in evaluation mode."""
        super().train(mode)
        self.first_stage.eval()
        return self

    def forward(self, batch: Batch, times: Tensor, noise: Tensor) -> Tensor:
        """Predict the noise that was added to the targets' latents.

        Args:
            batch: B samples.
            times: (B,) diffusion steps.
            noise: (B, C, h, w).

        Returns:
            (B, C, h, w).
        """
        count, frames = batch.frames.shape[:2]
        with torch.no_grad():
            images = torch.cat([batch.frames.flatten(0, 1), batch.target])
            latents = torch.cat([self.first_stage.encode(part) for part in images.split(_ENCODED_AT_ONCE)])
            noisy = noised_at(latents[count * frames :], times, noise)
            masks = latent_mask(batch.holes.flatten(0, 1), is_published=self.corner_mask)
            condition = torch.cat([latents[: count * frames], masks], dim=1).unflatten(0, (count, frames))
            x = torch.cat([noisy[:, None].expand(-1, frames, -1, -1, -1), condition], dim=2)
        predicted: Tensor = self.unet(x, times)
        return predicted


def noised_at(latents: Tensor, times: Tensor, noise: Tensor) -> Tensor:
    """Bring clean latents (B, C, h, w) to the diffusion times (B,)."""
    alphas = torch.from_numpy(alphas_cumprod()).to(latents.device)[times]
    signal, deviation = (share.to(latents.dtype)[:, None, None, None] for share in (alphas.sqrt(), (1 - alphas).sqrt()))
    return signal * latents + deviation * noise


def noise_loss(predicted: Tensor, noise: Tensor, counts: Tensor) -> Tensor:
    """L1 on the noise over all latent cells, visible ones too; cells without truth add nothing and are not made up for."""
    return ((predicted.float() - noise).abs() * counts).mean()
