"""How the published checkpoints name and shape their tensors, and how each maps to one of ours.

The names are made from our own module tree, so that the table cannot fall behind it: every tensor of ours has exactly one
counterpart. Besides the network, a checkpoint holds 12 tables of the noise schedule, a moving average of the UNet whose
names have lost their dots, and the first stage a second time as the condition stage.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from ego_perception.hand_removal.vidm.model import Vidm
from ego_perception.hand_removal.vidm.sizes import VidmSizes

Shape = tuple[int, ...]

RAW_PREFIX: Final = "model.diffusion_model."
EMA_PREFIX: Final = "model_ema."
FIRST_PREFIX: Final = "first_stage_model."
SCHEDULE_KEYS: Final = (
    "betas",
    "alphas_cumprod",
    "alphas_cumprod_prev",
    "sqrt_alphas_cumprod",
    "sqrt_one_minus_alphas_cumprod",
    "log_one_minus_alphas_cumprod",
    "sqrt_recip_alphas_cumprod",
    "sqrt_recipm1_alphas_cumprod",
    "posterior_variance",
    "posterior_log_variance_clipped",
    "posterior_mean_coef1",
    "posterior_mean_coef2",
)
SCHEDULE_STEPS: Final = 1000
EMA_COUNTERS: Final = ("decay", "num_updates")

_RESIDUAL: Final = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "shortcut": "skip_connection",
}
_ATTENTION: Final = {"norm": "norm", "qkv": "qkv", "out": "proj_out"}
_FIRST_STAGE: Final = (
    (r"^(encoder)\.down_blocks\.(\d+)\.resnets\.", r"\1.down.\2.block."),
    (r"^(encoder)\.down_blocks\.(\d+)\.downsamplers\.0\.", r"\1.down.\2.downsample."),
    (r"mid_block\.resnets\.0\.", "mid.block_1."),
    (r"mid_block\.resnets\.1\.", "mid.block_2."),
    (r"conv_shortcut", "nin_shortcut"),
    (r"conv_norm_out", "norm_out"),
)


@dataclass(frozen=True)
class Counterpart:
    """One tensor of ours and where it stands in a checkpoint.

    Attributes:
        name, shape: ours, in `Vidm`.
        official: name without prefix.
        official_shape: shape there.
        convert: from there to ours; numbers stay as they are.
    """

    name: str
    shape: Shape
    official: str
    official_shape: Shape
    convert: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class OfficialLayout:
    """Everything a checkpoint of one kind holds.

    Attributes:
        unet, first_stage: tensors of ours.
        condition_prefix: of the first stage's second copy.
    """

    unet: tuple[Counterpart, ...]
    first_stage: tuple[Counterpart, ...]
    condition_prefix: str

    def shapes(self) -> dict[str, Shape]:
        """Name and shape of every tensor in the checkpoint."""
        shapes: dict[str, Shape] = dict.fromkeys(SCHEDULE_KEYS, (SCHEDULE_STEPS,))
        shapes |= {RAW_PREFIX + c.official: c.official_shape for c in self.unet}
        shapes |= {EMA_PREFIX + name: () for name in EMA_COUNTERS}
        shapes |= {ema_name(c.official): c.official_shape for c in self.unet}
        for prefix in (FIRST_PREFIX, self.condition_prefix):
            shapes |= {prefix + c.official: c.official_shape for c in self.first_stage}
        return shapes


def official_layout(sizes: VidmSizes) -> OfficialLayout:
    """The layout for VIDM (several frames, 1220 tensors) or latent diffusion's inpainting model (one frame, 1216)."""
    with torch.device("meta"):
        ours = {name: tuple(value.shape) for name, value in Vidm(sizes).state_dict().items()}
    unet, first = [], []
    for name, shape in ours.items():
        part, _, rest = name.partition(".")
        if part == "unet":
            unet.append(_unet_counterpart(name, rest, shape, sizes))
        else:
            official = _first_stage_name(rest.removeprefix("vq."), len(sizes.first_stage_widths))
            first.append(Counterpart(name, shape, official, shape, _same))
    # Latent diffusion encodes the masked image with the first stage itself; VIDM wraps it once more.
    prefix = "cond_stage_model.first_stage_model." if sizes.frames > 1 else "cond_stage_model."
    return OfficialLayout(tuple(unet), tuple(first), prefix)


def ema_name(official: str) -> str:
    """Name of the moving average of a UNet tensor: the dots are gone."""
    return EMA_PREFIX + f"diffusion_model.{official}".replace(".", "")


def _unet_counterpart(name: str, rest: str, shape: Shape, sizes: VidmSizes) -> Counterpart:
    official, is_3d = _unet_name(rest, sizes), sizes.frames > 1
    if rest == "join.weight":
        frames_first = (shape[0], sizes.frames, sizes.width)
        return Counterpart(name, shape, official, (shape[0], sizes.width, sizes.frames, 1, 1), _join_kernel(frames_first))
    if rest.startswith("conv_out.") or len(shape) == 1:
        return Counterpart(name, shape, official, shape, _same)
    if len(shape) == 4:
        spread = (*shape[:2], 1, *shape[2:]) if is_3d else shape
        return Counterpart(name, shape, official, spread, _reshape(shape))
    if re.search(r"\.(qkv|out)\.weight$", rest):
        return Counterpart(name, shape, official, (*shape, 1), _reshape(shape))
    return Counterpart(name, shape, official, shape, _same)


def _unet_name(rest: str, sizes: VidmSizes) -> str:
    tail = {"norm_out": "out.0", "join": "out.2", "conv_out": "out.4" if sizes.frames > 1 else "out.2"}
    *path, layer, suffix = rest.split(".")
    if layer in tail and not path:
        return f"{tail[layer]}.{suffix}"
    table = _RESIDUAL if layer in _RESIDUAL else _ATTENTION
    return ".".join([*path, table.get(layer, layer), suffix])


def _first_stage_name(name: str, levels: int) -> str:
    match = re.match(r"decoder\.up_blocks\.(\d+)\.(resnets\.|upsamplers\.0\.)(.*)", name)
    if match is not None:  # levels of the decoder are counted from the finest there, from the coarsest here
        part = "block." if match[2] == "resnets." else "upsample."
        name = f"decoder.up.{levels - 1 - int(match[1])}.{part}{match[3]}"
    for pattern, replacement in _FIRST_STAGE:
        name = re.sub(pattern, replacement, name)
    return name


def _same(value: Tensor) -> Tensor:
    return value


def _reshape(shape: Shape) -> Callable[[Tensor], Tensor]:
    return lambda value: value.reshape(shape)


def _join_kernel(frames_first: Shape) -> Callable[[Tensor], Tensor]:
    out, frames, width = frames_first
    return lambda value: value.permute(0, 2, 1, 3, 4).reshape(out, frames * width, 1, 1)
