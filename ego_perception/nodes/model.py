"""The estimators of the nodes with their networks, made from node parameters; heavy imports stay inside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from ego_perception.data import SceneEstimate
from ego_perception.data.hand_removal import HandRemovalEstimate
from ego_perception.hand_removal.assembly import build_refiner, build_remover
from ego_perception.hand_removal.estimator import HandRemovalConfig
from ego_perception.hand_removal.recollection import RecollectingEstimator, Recollection
from ego_perception.nodes.config import HandRemovalNodeConfig, ReconstructionNodeConfig
from ego_perception.reconstruction.config import ReconstructionConfig
from ego_perception.runtime import Estimator

_WARM_UP_SIZE = (480, 640, 3)


class TunableEstimator(Estimator[SceneEstimate], Protocol):
    """An estimator whose live parameters are read from `config` at every frame."""

    config: ReconstructionConfig


@dataclass(frozen=True)
class ModelIdentity:
    """Which weights are at work."""

    name: str = ""
    sha256: str = ""
    device: str = "cpu"
    precision: str = "float32"


def build_estimator(config: ReconstructionNodeConfig) -> tuple[TunableEstimator, ModelIdentity]:
    """Load and check the weights, run the network once so that the first frame is not slow, and build the estimator.

    Raises:
        WeightsError: weights that are missing, damaged or of another network.
    """
    from ego_perception.reconstruction.estimator import ReconstructionEstimator
    from ego_perception.reconstruction.network import load_prior
    from ego_perception.reconstruction.sizes import KIND
    from ego_perception.weights import sha256_of, shipped_weights

    model = config.model
    path = Path(model.path).expanduser() if model.path else shipped_weights(KIND)
    prior = load_prior(path, threads=model.threads, device=model.device)
    prior.predict(np.zeros(_WARM_UP_SIZE, np.uint8), None)
    precision = "bfloat16" if model.device == "cuda" else "float32"
    identity = ModelIdentity(f"{KIND} ({path.name})", sha256_of(path), model.device, precision)
    return ReconstructionEstimator(config.estimator, prior), identity


@dataclass(frozen=True)
class RemovalModel:
    """Hand removal, ready to run.

    Attributes:
        estimator: makes the live output; fails closed.
        refine: generates the hole of an estimate anew, beside the live output; None where nothing is refined.
        recollects: what `refine` made serves the live output, so that it is to run even if nobody else wants it.
    """

    estimator: Estimator[HandRemovalEstimate]
    identity: ModelIdentity
    refine: Callable[[HandRemovalEstimate], HandRemovalEstimate] | None = None
    recollects: bool = False


def build_hand_removal(config: HandRemovalNodeConfig) -> RemovalModel:
    """Load and check the weights of hand removal.

    Raises:
        WeightsError: weights that are missing, damaged or of another network.
        ConfigError: no diffusion model was imported, or no such device.
    """
    parts = build_remover(removal_config(config), config.backend, config.models, config.diffusion, config.context)
    estimator, recollects = parts.estimator, config.context.recollect_s > 0
    refine: Callable[[HandRemovalEstimate], HandRemovalEstimate] | None = None
    if config.refine_rate_hz > 0:
        refiner = build_refiner(config.models, config.diffusion, config.context)
        kept = Recollection(config.context.recollect_s, config.masks)
        estimator, refine = RecollectingEstimator(estimator, kept), kept.keeping(refiner.refine, refiner.reset)
    compact = "bfloat16" if config.models.device == "cuda" else "float32"
    precision = config.diffusion.precision if config.backend.startswith("vidm") else compact
    sha256 = ", ".join(parts.weights.values())
    identity = ModelIdentity(", ".join((config.backend, *parts.names)), sha256, config.models.device, precision)
    return RemovalModel(estimator, identity, refine, recollects and refine is not None)


def removal_config(config: HandRemovalNodeConfig) -> HandRemovalConfig:
    """The estimator's part of a node's parameters; a mask on a topic comes with the frame."""
    source = "frame" if config.mask_source == "topic" else config.mask_source
    return HandRemovalConfig(source, config.masks, config.background, config.painter)
