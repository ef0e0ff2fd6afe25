"""Turns the published checkpoints into weight files of this package: VIDM, and the single-frame model it grew from.

The published moving averages are taken (that is what the published code samples with); the raw weights beside them, the
second copy of the first stage and the tables of the schedule are checked and left out. A checkpoint of another layout is
refused as a whole: a network with a few tensors missing still makes pictures.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from ego_perception.errors import ConfigError, WeightsError
from ego_perception.hand_removal.vidm.diffusion import betas
from ego_perception.hand_removal.vidm.layout import (
    EMA_COUNTERS,
    EMA_PREFIX,
    FIRST_PREFIX,
    RAW_PREFIX,
    SCHEDULE_KEYS,
    Counterpart,
    OfficialLayout,
    ema_name,
    official_layout,
)
from ego_perception.hand_removal.vidm.sizes import KIND, LDM_KIND, LDM_PUBLISHED, PUBLISHED, VERSION, VidmSizes
from ego_perception.weights import WeightsInfo, sha256_of
from ego_perception.weights.checkpoint import read_state_dict
from ego_perception.weights.official import OFFICIAL
from ego_perception.weights.report import ImportReport
from ego_perception.weights.store import save_weights

_BETA_TOLERANCE: Final = 1e-7  # the tables are stored as float32
_SIZES: Final = {KIND: PUBLISHED, LDM_KIND: LDM_PUBLISHED}


def import_checkpoint(
    kind: str, path: Path, output: Path, *, sizes: VidmSizes | None = None, is_raw: bool = False
) -> ImportReport:
    """Convert a published checkpoint.

    Args:
        kind: "vidm" or "ldm-inpainting".
        path: the checkpoint; only tensors are read from it.
        output: weight file to write; the report goes beside it, as `<name>.import.json`.
        sizes: of the network, where they are not the published ones.
        is_raw: take the raw weights in place of their moving average.

    Raises:
        WeightsError: unreadable, holding code, or of another layout, content or schedule.
        ConfigError: an unknown kind.
        OutputError: the weight file cannot be written.
    """
    if kind not in _SIZES:
        raise ConfigError(f"kind is '{kind}'; choose one of {', '.join(_SIZES)}")
    sizes = sizes or _SIZES[kind]
    state = read_state_dict(path)
    digest, published = sha256_of(path), OFFICIAL[kind].sha256
    report = ImportReport(kind, str(path), digest, None if published is None else digest == published)
    layout = official_layout(sizes)
    _compare(state, layout, report)
    report.check()
    tensors = _convert(state, layout, report, is_raw=is_raw)
    report.check()
    origin = {"checkpoint": path.name, "sha256": digest, "weights": "raw" if is_raw else "moving average"}
    save_weights(output, tensors, WeightsInfo(kind, VERSION, sizes.to_dict(), origin))
    report.output = str(output)
    report.save(output.with_suffix(".import.json"))
    return report


def vidm_from_single_frame(tensors: Mapping[str, Tensor], sizes: VidmSizes) -> dict[str, Tensor]:
    """Start a four-frame network from the single-frame one, for fine-tuning.

    Every tensor is kept; the layer that joins the frames, which is new, starts as a copy of the target frame. (The published
    code starts it at random, so that fine-tuning begins with a scrambled output.)

    Args:
        tensors: state dict of a single-frame `Vidm`.
        sizes: of the network wanted, otherwise equal.

    Returns:
        State dict of a `Vidm` of these sizes.
    """
    from ego_perception.nn.frames import FrameJoin

    join = FrameJoin(sizes.width, sizes.frames)
    join.start_at_frame(sizes.frames - 1)
    return {**tensors, **{f"unet.join.{name}": value.detach() for name, value in join.state_dict().items()}}


def _compare(state: Mapping[str, Tensor], layout: OfficialLayout, report: ImportReport) -> None:
    """Names, shapes and types against the layout."""
    wanted = layout.shapes()
    report.unexpected = [name for name in state if name not in wanted]
    for name, shape in wanted.items():
        if name not in state:
            report.missing[name] = f"a tensor of shape {shape}"
        elif tuple(state[name].shape) != shape:
            report.wrong[name] = f"is {tuple(state[name].shape)}, not {shape}"
        elif not state[name].is_floating_point() and name != f"{EMA_PREFIX}num_updates":
            report.wrong[name] = f"is of type {state[name].dtype}, not floating point"


def _convert(state: Mapping[str, Tensor], layout: OfficialLayout, report: ImportReport, *, is_raw: bool) -> dict[str, Tensor]:
    """Take what is used, and give a checked reason for whatever is not."""
    tensors: dict[str, Tensor] = {}

    def take(name: str, counterpart: Counterpart) -> None:
        value = counterpart.convert(state[name].float())
        if not bool(torch.isfinite(value).all()):
            report.wrong[name] = "holds numbers that are not finite"
        tensors[counterpart.name] = value.contiguous().clone()
        report.taken[name] = counterpart.name

    for part in layout.unet:
        raw, average = RAW_PREFIX + part.official, ema_name(part.official)
        take(raw if is_raw else average, part)
        report.skipped[average if is_raw else raw] = f"the {'raw weights are' if is_raw else 'moving average is'} taken instead"
    for part in layout.first_stage:
        name, copy = FIRST_PREFIX + part.official, layout.condition_prefix + part.official
        take(name, part)
        report.skipped[copy] = "second copy of the first stage"
        if not torch.equal(state[name], state[copy]):
            report.wrong[copy] = f"differs from '{name}', of which it should be a copy"
    _check_schedule(state, report)
    report.skipped |= dict.fromkeys((EMA_PREFIX + name for name in EMA_COUNTERS), "state of the moving average")
    if len(tensors) != len(layout.unet) + len(layout.first_stage):
        raise WeightsError(f"{report.source}: {len(tensors)} tensors were taken, names collide; report this checkpoint")
    return tensors


def _check_schedule(state: Mapping[str, Tensor], report: ImportReport) -> None:
    error = float(np.abs(state["betas"].double().numpy() - betas()).max())
    if not error <= _BETA_TOLERANCE:
        report.wrong["betas"] = f"is another noise schedule, by up to {error:.3g}"
    report.skipped |= dict.fromkeys(SCHEDULE_KEYS, "noise schedule, computed here")
