"""Published checkpoints that `ego weights import` takes. None is downloaded and none ships: the user supplies the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class OfficialWeights:
    """One published checkpoint.

    Attributes:
        name: what users call it.
        file: its usual file name.
        source: where its makers publish it.
        licence: what they say about it.
        bytes, sha256: of the published file, where known; other files are imported too, and said to be others.
        module: has `import_checkpoint(path, output) -> ImportReport`.
    """

    name: str
    file: str
    source: str
    licence: str
    module: str
    bytes: int | None = None
    sha256: str | None = None


OFFICIAL: Final = {
    entry.name: entry
    for entry in (
        OfficialWeights(
            name="vidm",
            file="nohands_weights.ckpt",
            source="Chang et al., Look Ma, No Hands!, NeurIPS 2023: model page mjchang/nohands",
            licence="page says MIT; trained on EPIC-KITCHENS (non-commercial) and Ego4D: take it for research only",
            module="ego_perception.hand_removal.vidm.importer",
            bytes=6_413_881_623,
            sha256="126dfb8d3cdd7386b8155a746332e66c49166fbe023f0cd8fe3cc5e9d0a8545c",
        ),
        OfficialWeights(
            name="ldm-inpainting",
            file="inpainting_big/last.ckpt",
            source="Rombach et al., Latent Diffusion, CVPR 2022: repository CompVis/latent-diffusion",
            licence="code MIT; the weights have no statement of their own",
            module="ego_perception.hand_removal.vidm.importer",
        ),
    )
}
