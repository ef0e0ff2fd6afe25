"""Refinement beside the live output: when it runs, and when its pictures serve the live output."""

from __future__ import annotations

from typing import Any

import pytest

from ego_perception.data.hand_removal import HandRemovalEstimate
from ego_perception.hand_removal.assembly import RemovalParts
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
    monkeypatch.setattr(model, "build_refiner", lambda *_: Refiner())
    config = HandRemovalNodeConfig(refine_rate_hz=rate_hz, context=ContextConfig(recollect_s=recollect_s))
    built = model.build_hand_removal(config)
    assert (built.refine is not None, built.recollects) == (refines, recollects)
    assert isinstance(built.estimator, RecollectingEstimator) is recollects
