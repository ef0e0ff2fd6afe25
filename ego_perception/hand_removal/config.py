"""Parameters of hand removal, each declared once with its range and meaning."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from ego_perception.parameters import param


@dataclass(frozen=True)
class DiffusionConfig:
    """The diffusion model (VIDM) at work; the defaults are the fast way, `published_diffusion` gives the published one."""

    solver: str = param("dpm++", "How latents are sampled: in few steps, or as published.", choices=("dpm++", "ddim"))
    steps: int = param(10, "Network evaluations per image.", ge=1, le=500)
    eta: float = param(0.0, "Share of fresh noise per step of ddim; 0 is deterministic.", ge=0.0, le=1.0)
    quirks: bool = param(
        False, "Keep the published sampler's last noisy step, mask reduction, rounding and hard edge (ddim only)."
    )
    start_time: int = param(
        400,
        "Diffusion time from which a first guess, the hole as filled before, is refined; less keeps more of it; 0: from noise.",
        ge=0,
        le=999,
    )
    start_steps: int = param(4, "Network evaluations per image where a first guess is refined.", ge=1, le=500)
    keep_known: bool = param(True, "Put the latent cells that are known back, as noisy as the rest, in every step.")
    keep_observed: bool = param(True, "Leave remembered background as it is; only what was never seen is generated.")
    noise_follows: bool = param(True, "Let the noise move with the background, so that a place keeps its fill.")
    short_side_px: int = param(256, "Shorter side of the image the model works on; trained at 256.", unit="px", ge=32, le=1024)
    margin_px: int = param(7, "Side of the square by which masks are grown; trained with 7.", unit="px", ge=1, le=41)
    crop: bool = param(True, "Work on a square around the hole instead of the whole image.")
    feather_px: int = param(5, "Distance over which the seam fades; 0 leaves a hard edge.", unit="px", ge=0, le=32)
    precision: str = param(
        "float32", "Arithmetic of the networks; bfloat16 is for GPUs that have it.", choices=("float32", "bfloat16")
    )
    channels_last: bool = param(False, "Memory order that GPUs run convolutions fastest in.")
    compile: bool = param(False, "Compile the UNet at the first image of each size; takes minutes, pays on a GPU.")
    cached_frames: int = param(32, "Frames whose latents are kept to serve as context again.", ge=4, le=1000)
    seed: int = param(0, "Of the noise, one for all frames so that the fill does not flicker.", ge=0, le=2**31 - 1)

    @property
    def uses_guess(self) -> bool:
        """True where a first guess of the hole makes a difference."""
        return self.start_time > 0 or self.keep_known


_FROM_NOISE: Final = DiffusionConfig(start_time=0, keep_known=False, keep_observed=False, noise_follows=False)
"""Nothing is taken from what else is known of the frame."""


def published_diffusion() -> DiffusionConfig:
    """The published settings: 200 steps of DDIM with eta = 1 on the whole image."""
    return replace(_FROM_NOISE, solver="ddim", steps=200, eta=1.0, quirks=True, crop=False, feather_px=0)
