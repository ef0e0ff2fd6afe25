"""Golden numbers, which the published code made from random weights, and the models that must reproduce them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures.vidm_models import SMALL, SMALL_SINGLE, TINY, random_vidm

from ego_perception.hand_removal.vidm.model import Vidm

GOLDEN = Path(__file__).parents[3] / "fixtures" / "hand_removal"


@pytest.fixture(scope="session")
def golden() -> dict[str, Any]:
    """By name; the inputs are `numbers(<name>)`."""
    with np.load(GOLDEN / "small.npz") as file:
        return dict(file)


@pytest.fixture(scope="session")
def golden_full() -> dict[str, Any]:
    """Of the networks at their published size."""
    with np.load(GOLDEN / "full.npz") as file:
        return dict(file)


@pytest.fixture(scope="session")
def small() -> Vidm:
    return random_vidm(SMALL)


@pytest.fixture(scope="session")
def small_single() -> Vidm:
    return random_vidm(SMALL_SINGLE)


@pytest.fixture(scope="session")
def tiny() -> Vidm:
    return random_vidm(TINY)
