"""Parameter groups: flattening, checking, hints and updates."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from ego_perception import parameters
from ego_perception.errors import ConfigError
from ego_perception.parameters import Apply, group, param


@dataclass(frozen=True)
class Tracking:
    num_features: int = param(300, "Features to track.", ge=20, le=5000)
    rate_hz: float = param(15.0, "Rate.", unit="Hz", ge=0.1, le=240.0, apply=Apply.LIVE)


@dataclass(frozen=True)
class Node:
    backend: str = param("compact", "Which model.", choices=("compact", "paper"), apply=Apply.READ_ONLY)
    is_metric: bool = param(True, "Whether depth is metric.")
    offsets_m: tuple[float, ...] = param((0.0, 0.1), "Offsets.", unit="m", le=1.0)
    tracking: Tracking = group(Tracking)


def test_nested_names_are_dotted_and_ordered() -> None:
    assert [s.name for s in parameters.specs(Node)] == [
        "backend", "is_metric", "offsets_m", "tracking.num_features", "tracking.rate_hz",
    ]  # fmt: skip


def test_a_spec_carries_everything_a_descriptor_needs() -> None:
    spec = {s.name: s for s in parameters.specs(Node)}["tracking.rate_hz"]
    assert (spec.default, spec.unit, spec.ge, spec.le, spec.apply, spec.doc) == (15.0, "Hz", 0.1, 240.0, Apply.LIVE, "Rate.")


def test_nested_and_dotted_keys_mean_the_same() -> None:
    nested = parameters.from_mapping(Node, {"tracking": {"num_features": 50}})
    assert nested == parameters.from_mapping(Node, {"tracking.num_features": 50})
    assert nested.tracking.num_features == 50
    assert nested.tracking.rate_hz == 15.0


def test_updating_leaves_the_original_alone() -> None:
    before = Node()
    after = parameters.updated(before, {"tracking.rate_hz": 30, "is_metric": False})
    assert (before.tracking.rate_hz, after.tracking.rate_hz) == (15.0, 30.0)
    assert isinstance(after.tracking.rate_hz, float)


def test_values_survive_a_round_trip() -> None:
    node = parameters.from_mapping(Node, {"offsets_m": [0.5], "backend": "paper"})
    assert parameters.from_mapping(Node, parameters.to_dict(node)) == node


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tracking.num_feature": 3}, "unknown parameter 'tracking.num_feature'; did you mean 'tracking.num_features'?"),
        ({"zzz": 3}, "unknown parameter 'zzz'$"),
        ({"tracking.num_features": 3}, "tracking.num_features is 3; allowed is 20 to 5000"),
        ({"tracking.rate_hz": float("nan")}, "must be finite"),
        ({"tracking.num_features": 30.5}, "takes a value of type int"),
        ({"tracking.num_features": True}, "takes a value of type int"),
        ({"is_metric": 1}, "takes a value of type bool"),
        ({"backend": "papr"}, "choose one of compact, paper; did you mean 'paper'?"),
        ({"offsets_m": 3}, "takes a list"),
        ({"offsets_m": "ab"}, "takes a list"),
        ({"offsets_m": [2.0]}, "allowed is -inf to 1.0 m"),
    ],
)
def test_wrong_values_say_what_to_do(values: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
        parameters.from_mapping(Node, values)
