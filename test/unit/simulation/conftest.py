"""One small simulated clip shared by the tests that only look at it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ego_perception.simulation import EgoSim, EgoSimConfig


@pytest.fixture(scope="session")
def small_config() -> EgoSimConfig:
    return EgoSimConfig(seed=2, width=160, height=120, supersample=1, shadow_map_px=512, duration_s=4.0)


@pytest.fixture(scope="module")
def small_sim(small_config: EgoSimConfig) -> Iterator[EgoSim]:
    with EgoSim(small_config) as sim:
        yield sim
