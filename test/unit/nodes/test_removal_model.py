"""Refinement beside the live output: when it runs, and when its pictures serve the live output."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ego_perception.data import Frame
from ego_perception.data.hand_removal import HandRemovalEstimate, RemovalState
from ego_perception.hand_removal.assembly import RemovalModels, RemovalParts
from ego_perception.hand_removal.config import DiffusionConfig
from ego_perception.hand_removal.context import ContextConfig
from ego_perception.hand_removal.recollection import RecollectingEstimator
from ego_perception.nodes import model
from ego_perception.nodes.config import HandRemovalNodeConfig


class Estimator:
    def reset(self) -> None: ...

    def push(self, frame: Any) -> None: ...

    def flush(self) -> tuple[()]:
        return ()


class Refiner:
    num_resets = 0

    def reset(self) -> None:
        self.num_resets += 1

    def refine(self, estimate: HandRemovalEstimate) -> HandRemovalEstimate:
        return estimate


@pytest.mark.parametrize(
    ("rate_hz", "recollect_s", "refines", "recollects"),
    [(0.0, 10.0, False, False), (1.0, 0.0, True, False), (1.0, 10.0, True, True)],
)
def test_what_runs(
    monkeypatch: pytest.MonkeyPatch, rate_hz: float, recollect_s: float, refines: bool, recollects: bool
) -> None:
    monkeypatch.setattr(model, "build_remover", lambda *_: RemovalParts(Estimator()))
    refiner = Refiner()
    monkeypatch.setattr(model, "build_refiner", lambda *_: refiner)
    config = HandRemovalNodeConfig(refine_rate_hz=rate_hz, context=ContextConfig(recollect_s=recollect_s))
    built = model.build_hand_removal(config)
    assert (built.refine is not None, built.recollects) == (refines, recollects)
    assert isinstance(built.estimator, RecollectingEstimator) is refines
    if built.refine is not None:
        built.estimator.reset()
        frame = Frame(1, np.zeros((4, 4, 3), np.uint8))
        built.refine(HandRemovalEstimate(frame, RemovalState.WITHHELD, "nothing yet"))
        assert refiner.num_resets == 1, "a reset reaches what refines"


@pytest.mark.parametrize(
    ("backend", "device", "precision", "said"),
    [
        ("compact", "cpu", "bfloat16", "float32"),
        ("compact", "cuda", "float32", "bfloat16"),
        ("vidm_fast", "cuda", "float32", "float32"),
        ("vidm", "cpu", "bfloat16", "bfloat16"),
    ],
)
def test_the_arithmetic_is_that_of_the_backend(
    monkeypatch: pytest.MonkeyPatch, backend: str, device: str, precision: str, said: str
) -> None:
    monkeypatch.setattr(model, "build_remover", lambda *_: RemovalParts(Estimator()))
    config = HandRemovalNodeConfig(
        backend=backend, models=RemovalModels(device=device), diffusion=DiffusionConfig(precision=precision)
    )
    assert model.build_hand_removal(config).identity.precision == said
