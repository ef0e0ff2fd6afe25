"""Sizes of the fill network as weight files declare them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from ego_perception.errors import WeightsError
from ego_perception.hand_removal.fill.sizes import LAST_PLANES, PLANES, STRIDE, FillConfig

PATH = Path("fill.safetensors")


def declared(**changes: Any) -> dict[str, Any]:
    return {"widths": [32, 48, 96, 144], "blocks": [1, 2, 6], **changes}


def test_what_is_declared_is_read_as_it_was_written() -> None:
    config = FillConfig.from_dict(declared(), PATH)
    assert config == FillConfig() and FillConfig.from_dict(asdict(config), PATH) == config
    assert FillConfig.from_dict(declared(blocks=[2, 2, 2]), PATH).blocks == (2, 2, 2)


@pytest.mark.parametrize(
    "changes",
    [
        {"widths": [32, 48, 96]},
        {"widths": [32, 48, 96, 144, 200]},
        {"widths": [32, 48, 96, 142]},
        {"widths": [0, 48, 96, 144]},
        {"widths": [-4, 48, 96, 144]},
        {"widths": [32.0, 48, 96, 144]},
        {"widths": [True, 48, 96, 144]},
        {"widths": "32"},
        {"widths": 32},
        {"blocks": [1, 2]},
        {"blocks": [1, 2, 0]},
        {"blocks": []},
        {"blocks": [1, 2, 100000]},
        {"depth": 3},
    ],
)
def test_numbers_no_network_has_are_one_line_with_the_file(changes: dict[str, Any]) -> None:
    with pytest.raises(WeightsError, match=r"fill\.safetensors declares") as caught:
        FillConfig.from_dict(declared(**changes), PATH)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("missing", ["widths", "blocks"])
def test_all_sizes_must_be_there(missing: str) -> None:
    with pytest.raises(WeightsError, match=r"declares the sizes"):
        FillConfig.from_dict({name: value for name, value in declared().items() if name != missing}, PATH)


def test_planes_and_stride_fit_the_network() -> None:
    assert 2 ** (len(FillConfig().widths) + 1) == STRIDE and PLANES - LAST_PLANES == 3 + 3 + 1 + 1 + 1 + 1
