"""The autoencoder between images and latents: VQ-f4 of latent diffusion (Rombach et al., CVPR 2022), hosted by diffusers.

The only module that imports diffusers' model. Latents are those *before* the codebook; decoding looks up the nearest code
first. Each image is encoded by itself, so a frame's latent can be kept and used again, exactly.
"""

from __future__ import annotations

import warnings
from typing import Any

from torch import Tensor, nn

from ego_perception.hand_removal.vidm.sizes import VidmSizes


class FirstStage(nn.Module):
    """Encodes (N, 3, H, W) images in -1..1 to (N, C, H/4, W/4) latents and back."""

    def __init__(self, sizes: VidmSizes) -> None:
        super().__init__()
        levels = len(sizes.first_stage_widths)
        self.vq = _vq_class()(
            in_channels=3,
            out_channels=3,
            down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels,
            block_out_channels=sizes.first_stage_widths,
            layers_per_block=sizes.first_stage_blocks,
            latent_channels=sizes.code_width,
            num_vq_embeddings=sizes.codes,
            vq_embed_dim=sizes.code_width,
            norm_num_groups=32,
            mid_block_add_attention=False,
            scaling_factor=1.0,
        )

    def encode(self, images: Tensor) -> Tensor:
        """Encode; nothing is rounded to a code."""
        latents: Tensor = self.vq.encode(images, return_dict=False)[0]
        return latents

    def decode(self, latents: Tensor) -> Tensor:
        """Decode from the nearest codes; the result may leave -1..1 a little."""
        images: Tensor = self.vq.decode(latents, return_dict=False)[0]
        return images

    def codes(self, latents: Tensor) -> Tensor:
        """Indices (N, H/4, W/4) of the nearest codes."""
        indices: Tensor = self.vq.quantize(latents)[2][2]
        return indices.view(latents.shape[0], *latents.shape[2:])


def _vq_class() -> Any:
    """Import late: it takes seconds, and warns of a missing GPU in models that are not used here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="CUDA is not available", category=UserWarning)
        from diffusers.models.autoencoders.vq_model import VQModel
    return VQModel
