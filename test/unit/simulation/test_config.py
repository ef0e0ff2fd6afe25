"""The clip's parameters and what follows from them."""

from __future__ import annotations

import math

import pytest

from ego_perception.errors import ConfigError
from ego_perception.parameters import from_mapping, to_dict
from ego_perception.simulation import EgoSimConfig


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("width", -640), ("height", 0), ("fps", 0.0), ("fps", -15.0), ("duration_s", 0.0), ("duration_s", math.nan),
        ("fov_y_deg", 180.0), ("seed", -1), ("preset", "nice"), ("supersample", 0), ("room_size_m", -3.0),
        ("camera_tilt_deg", -30.1), ("camera_tilt_deg", 60.1), ("camera_tilt_deg", math.inf),
    ],
)  # fmt: skip
def test_impossible_values_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=name):
        EgoSimConfig(**{name: value})
    with pytest.raises(ConfigError, match=name):
        from_mapping(EgoSimConfig, {name: value})


def test_clean_frames_lack_the_wearer_or_the_arms() -> None:
    assert EgoSimConfig().products.clean_of == "wearer"
    assert from_mapping(EgoSimConfig, {"products.clean_of": "arms"}).products.clean_of == "arms"
    with pytest.raises(ConfigError, match="clean_of"):
        from_mapping(EgoSimConfig, {"products.clean_of": "hands"})


def test_unknown_preset_hints_at_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'default'"):
        EgoSimConfig(preset="defualt")


@pytest.mark.parametrize(
    ("fps", "seconds", "frames"), [(15.0, 10.0, 150), (30.0, 0.1, 3), (29.97, 1.0, 29), (1.0, 0.5, 1), (10.0, 0.3, 3)]
)
def test_number_of_frames(fps: float, seconds: float, frames: int) -> None:
    assert EgoSimConfig(fps=fps, duration_s=seconds).num_frames == frames


def test_camera_has_integer_pixel_centres_and_the_field_of_view() -> None:
    camera = EgoSimConfig(width=320, height=240, fov_y_deg=60.0).camera
    assert (camera.cx, camera.cy) == (159.5, 119.5)
    assert camera.fx == camera.fy == pytest.approx(120 / math.tan(math.radians(30)))


def test_round_trip_through_the_parameter_group() -> None:
    config = EgoSimConfig(seed=7, preset="hard", fps=30.0)
    assert from_mapping(EgoSimConfig, to_dict(config)) == config
