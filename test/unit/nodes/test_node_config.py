"""Parameters of the nodes: valid as declared, refused outside their ranges, and the same where nodes must agree."""

from __future__ import annotations

from typing import Any

import pytest

from ego_perception.errors import ConfigError
from ego_perception.nodes.config import (
    NODE_CONFIGS,
    EgoSimNodeConfig,
    FramesConfig,
    LivePlaybackConfig,
    PlaybackConfig,
    ReconstructionNodeConfig,
    RecorderNodeConfig,
    ViewerNodeConfig,
)
from ego_perception.parameters import ParameterSpec, from_mapping, specs, to_dict, updated

EVERY = [
    pytest.param(config, spec, id=f"{name}:{spec.name}") for name, config in NODE_CONFIGS.items() for spec in specs(config)
]


@pytest.mark.parametrize("config", NODE_CONFIGS.values())
def test_defaults_survive_their_own_check(config: type[Any]) -> None:
    assert from_mapping(config, to_dict(config())) == config()


@pytest.mark.parametrize(("config", "spec"), EVERY)
def test_values_outside_are_refused_with_name_value_and_what_is_allowed(config: type[Any], spec: ParameterSpec) -> None:
    is_list = not isinstance(spec.type, type)
    for bad in outside(spec):
        with pytest.raises(ConfigError) as raised:
            updated(config(), {spec.name: [bad] if is_list else bad})
        message = str(raised.value)
        assert spec.name in message
        assert str(bad) in message
        assert "allowed is" in message or "choose one of" in message


def outside(spec: ParameterSpec) -> list[Any]:
    """Values just beyond each bound, and a word that is no choice."""
    step = 1 if spec.type is int else 1e-3
    bad: list[Any] = [] if spec.choices is None else ["no such choice"]
    if spec.ge is not None:
        bad.append(type(step)(spec.ge) - step)
    if spec.le is not None:
        bad.append(type(step)(spec.le) + step)
    return bad


@pytest.mark.parametrize("config", NODE_CONFIGS.values())
def test_an_unknown_name_is_refused_with_the_nearest_one(config: type[Any]) -> None:
    with pytest.raises(ConfigError, match=r"unknown parameter 'autostrat'; did you mean 'autostart'\?"):
        from_mapping(config, {"autostrat": True})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"input": {"queue_size": 2.5}}, "it takes a value of type int"),
        ({"input": {"queue_size": True}}, "it takes a value of type int"),
        ({"frames.camera_position_m": "0 0 0"}, "it takes a list"),
        ({"frames.camera_position_m": [0.0, float("nan"), 0.0]}, "must be finite"),
        ({"output.map_period_s": float("inf")}, "must be finite"),
        ({"model.device": "gpu"}, "choose one of cpu, cuda"),
    ],
)
def test_wrong_types_and_numbers(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_mapping(ReconstructionNodeConfig, values)


def test_whole_numbers_serve_for_lengths() -> None:
    config = from_mapping(ReconstructionNodeConfig, {"frames.camera_position_m": [0, 1, 0]})
    assert config.frames.camera_position_m == (0.0, 1.0, 0.0)


def test_nodes_that_exchange_poses_have_the_same_frames() -> None:
    """A mount that differs between the node and those who listen would move their camera."""
    for config in (ReconstructionNodeConfig, RecorderNodeConfig, ViewerNodeConfig):
        assert config().frames == FramesConfig()


def test_a_live_simulation_differs_from_a_recording_in_loop_and_stamps_alone() -> None:
    live, recorded = to_dict(LivePlaybackConfig()), to_dict(PlaybackConfig())
    assert live.keys() == recorded.keys()
    assert {name for name in live if live[name] != recorded[name]} == {"loop", "stamps"}
    assert isinstance(EgoSimNodeConfig().playback, LivePlaybackConfig)
