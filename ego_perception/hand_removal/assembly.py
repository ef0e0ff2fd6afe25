"""Puts hand removal together from parameters and weight files; torch is imported only for what needs it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ego_perception.data.hand_removal import HandRemovalEstimate
from ego_perception.errors import ConfigError
from ego_perception.hand_removal.config import DiffusionConfig, published_diffusion
from ego_perception.hand_removal.context import ContextConfig
from ego_perception.hand_removal.estimator import HandRemovalConfig, HandRemovalEstimator
from ego_perception.hand_removal.fill.painter import Painter
from ego_perception.hand_removal.fill.sizes import PLANES
from ego_perception.hand_removal.guard import CheckedSegmenter, RemovalGuard
from ego_perception.parameters import param
from ego_perception.runtime import Estimator
from ego_perception.weights import sha256_of, shipped_weights

if TYPE_CHECKING:
    from ego_perception.hand_removal.refine import DiffusionRefiner

BACKENDS: Final = ("compact", "propagate_only", "vidm", "vidm_fast")
_WARM_UP_SIZE: Final = (480, 640, 3)
_WARM_UP_PLANES: Final = (PLANES, 128, 128)
_DIFFUSION_FILE: Final = "vidm.safetensors"


@dataclass(frozen=True)
class RemovalModels:
    """The weight files of hand removal, and where they run."""

    segmenter: str = param("", "Weight file of the hand segmenter; empty means the one that ships with the package.")
    painter: str = param("", "Weight file of the fill network; empty means the one that ships with the package.")
    diffusion: str = param("", "Weight file of the diffusion model; empty means what `ego weights import vidm` left.")
    device: str = param("cpu", "Where the networks run.", choices=("cpu", "cuda"))
    threads: int = param(1, "Threads of each network on a CPU.", ge=1, le=64)


@dataclass(frozen=True)
class RemovalParts:
    """What `build_remover` made.

    Attributes:
        estimator: to be used; fails closed.
        names: of the models, for diagnostics.
        weights: SHA-256 of each weight file by name.
    """

    estimator: Estimator[HandRemovalEstimate]
    names: tuple[str, ...] = ()
    weights: dict[str, str] = field(default_factory=dict)


def build_remover(
    config: HandRemovalConfig,
    backend: str = "compact",
    models: RemovalModels | None = None,
    diffusion: DiffusionConfig | None = None,
    context: ContextConfig | None = None,
) -> RemovalParts:
    """Load and check the weights that the backend needs, and run each network once so that the first image is not slow.

    Args:
        backend: compact: remembered background and the fill network; propagate_only: what was never seen stays black;
            vidm: the diffusion model as published; vidm_fast: the same with the settings of `diffusion`.

    Raises:
        WeightsError: weights that are missing, damaged or of another network.
        ConfigError: an unknown backend or device.
    """
    from ego_perception.hand_removal.fill.network import load_filler
    from ego_perception.hand_removal.fill.sizes import KIND as FILL
    from ego_perception.hand_removal.segmentation.network import load_segmenter
    from ego_perception.hand_removal.segmentation.sizes import KIND as SEGMENTATION

    if backend not in BACKENDS:
        raise ConfigError(f"backend is '{backend}'; choose one of {', '.join(BACKENDS)}")
    models = models or RemovalModels()
    where: dict[str, Any] = {"threads": models.threads, "device": models.device}
    names, files = [], []
    segmenter, painter = None, None
    if config.mask_source != "frame":
        files.append(_path(models.segmenter, SEGMENTATION))
        segmenter = CheckedSegmenter(load_segmenter(files[-1], looks=config.masks.looks, **where))
        segmenter.predict(np.zeros(_WARM_UP_SIZE, np.uint8))
        names.append(segmenter.name)
    if backend == "compact":
        files.append(_path(models.painter, FILL))
        filler = load_filler(files[-1], **where)
        filler.paint(np.zeros(_WARM_UP_PLANES, np.float32))
        painter = Painter(config.painter, filler)
        names.append(painter.name)
    estimator: Estimator[HandRemovalEstimate] = HandRemovalEstimator(config, segmenter, painter)
    if backend in ("vidm", "vidm_fast"):
        settings = diffusion or DiffusionConfig()
        if backend == "vidm":
            settings = replace(published_diffusion(), seed=settings.seed, precision=settings.precision)
        from ego_perception.hand_removal.refine import RefinedEstimator

        refiner = build_refiner(models, settings, context)
        files.append(diffusion_path(models))
        names.append(refiner.name)
        estimator = RefinedEstimator(estimator, refiner)
    guarded = RemovalGuard(estimator, config.masks)
    return RemovalParts(guarded, tuple(names), {path.name: sha256_of(path) for path in files})


def build_refiner(
    models: RemovalModels, diffusion: DiffusionConfig | None = None, context: ContextConfig | None = None
) -> DiffusionRefiner:
    """Load the diffusion model.

    Raises:
        WeightsError: weights that are missing, damaged or of another network.
        ConfigError: no such device on this machine.
    """
    path = diffusion_path(models)
    from ego_perception.hand_removal.refine import DiffusionRefiner
    from ego_perception.hand_removal.vidm.inpainter import VidmInpainter
    from ego_perception.hand_removal.vidm.model import load_vidm
    from ego_perception.hand_removal.vidm.remover import VidmRemover

    remover = VidmRemover(VidmInpainter(load_vidm(path), diffusion, models.device))
    settings = remover.inpainter.config
    return DiffusionRefiner(remover, context or ContextConfig(), f"vidm {sha256_of(path)[:12]}", settings)


def diffusion_path(models: RemovalModels) -> Path:
    """The weight file of the diffusion model.

    Raises:
        ConfigError: none was named, and none was imported.
    """
    if models.diffusion:
        return Path(models.diffusion).expanduser()
    from ego_perception.weights.onnx import cache_folder

    path = cache_folder() / _DIFFUSION_FILE
    if not path.is_file():
        raise ConfigError(
            f"the diffusion model is not there: {path} is missing; run `ego weights import vidm FILE`, or name a weight file"
        )
    return path


def _path(named: str, kind: str) -> Path:
    return Path(named).expanduser() if named else shipped_weights(kind)
