"""The diffusion model as one module: UNet and first stage, built from sizes or from a weight file."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from ego_perception.errors import WeightsError
from ego_perception.hand_removal.vidm.first_stage import FirstStage
from ego_perception.hand_removal.vidm.sizes import KIND, LDM_KIND, VERSION, VidmSizes
from ego_perception.hand_removal.vidm.unet import FrameUNet
from ego_perception.weights import read_info
from ego_perception.weights.store import load_into, load_weights


class Vidm(nn.Module):
    """What is trained and stored: `unet` predicts noise in latents, `first_stage` maps images to latents and back."""

    def __init__(self, sizes: VidmSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.unet = FrameUNet(sizes)
        self.first_stage = FirstStage(sizes)


def load_vidm(path: Path) -> Vidm:
    """Read a model from a weight file that `ego weights import` or training wrote.

    Raises:
        WeightsError: missing, damaged, or of another kind.
    """
    kind = read_info(path).kind
    if kind not in (KIND, LDM_KIND):
        raise WeightsError(f"{path} holds '{kind}' weights but '{KIND}' or '{LDM_KIND}' are needed; give the right file")
    tensors, info = load_weights(path, kind, VERSION)
    sizes = VidmSizes.from_dict(info.config, path)
    with torch.device("meta"):  # 1.8 GB of random numbers would only be thrown away
        model = Vidm(sizes)
    model.to_empty(device="cpu")
    load_into(model, tensors, path)
    return model.eval()
