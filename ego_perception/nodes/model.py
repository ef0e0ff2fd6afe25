"""The reconstruction estimator with its network, made from node parameters; heavy imports stay inside."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from ego_perception.data import SceneEstimate
from ego_perception.nodes.config import ReconstructionNodeConfig
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
