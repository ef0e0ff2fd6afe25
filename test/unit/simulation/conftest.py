"""Rooms, walks and one small clip, made once and shared by the tests that only look at them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from unittest import mock

import pytest

from ego_perception.simulation import EgoSim, EgoSimConfig
from ego_perception.simulation import room as room_module
from ego_perception.simulation import sim as sim_module
from ego_perception.simulation.config import PeopleConfig
from ego_perception.simulation.materials import MaterialBook
from ego_perception.simulation.room import Room, build_room
from ego_perception.simulation.textures import Rng

MakeRoom = Callable[..., Room]
InWorldOf = Callable[[EgoSim, EgoSimConfig], EgoSim]


def _small_book(rng: Rng, *, randomness: float, size: int) -> MaterialBook:
    return MaterialBook(rng, randomness=randomness, size=min(size, 32))


@functools.cache
def _room(seed: int, preset: str = "default") -> Room:
    """Pictures take most of the time of a room and have no influence on its layout, so they are small here."""
    with mock.patch.object(room_module, "MaterialBook", _small_book):
        return build_room(EgoSimConfig(seed=seed, preset=preset))


@pytest.fixture(scope="session")
def room_of() -> MakeRoom:
    """The room of (seed, preset) with coarse surfaces, built once; read only."""
    return _room


@pytest.fixture(scope="session")
def in_world_of() -> InWorldOf:
    """Another camera in the room and among the people of a simulator; making these takes most of the time of a new one."""

    def make(sim: EgoSim, config: EgoSimConfig) -> EgoSim:
        actors = {actor.name: actor for actor in sim.actors}
        with (
            mock.patch.object(sim_module, "build_room", lambda config: sim.room),
            mock.patch.object(sim_module, "plan_activity", lambda room, config: sim.stage._activity),
            mock.patch.object(sim_module, "dress", lambda rng, model, betas, *, name, is_wearer: actors[name]),
        ):
            return EgoSim(config)

    return make


@pytest.fixture(scope="session")
def small_config() -> EgoSimConfig:
    nobody = PeopleConfig(wearer=False, others=0)
    return EgoSimConfig(seed=2, width=160, height=120, supersample=1, shadow_map_px=512, duration_s=4.0, people=nobody)


@pytest.fixture(scope="session")
def small_sim(small_config: EgoSimConfig) -> Iterator[EgoSim]:
    with EgoSim(small_config) as sim:
        yield sim
