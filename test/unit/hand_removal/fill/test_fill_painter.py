"""The painter: what was seen passes unchanged, what was not is painted and stays calm; outside the hole nothing is touched."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ego_perception.data.hand_removal import Provenance
from ego_perception.hand_removal.background.plate import Background
from ego_perception.hand_removal.fill.network import Filler
from ego_perception.hand_removal.fill.painter import Painter, PainterConfig
from ego_perception.hand_removal.fill.sizes import FillConfig

SHAPE = (120, 160)
RGB = np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), np.uint8)
REMEMBERED = np.random.default_rng(1).integers(0, 256, (*SHAPE, 3), np.uint8)
HOLE = np.zeros(SHAPE, bool)
HOLE[60:, 50:90] = True
INNER = np.zeros(SHAPE, bool)  # of the hole, where no border is near
INNER[70:, 60:80] = True
STILL = np.zeros((60, 80, 2), np.float32)


class Network:
    """Paints one grey level everywhere and trusts the memory by a fixed amount."""

    def __init__(self, level: float = 0.0, trust: float = 1.0) -> None:
        self.level, self.trust = level, trust
        self.last_seen: list[float] = []

    def run(self, planes: np.ndarray) -> tuple[np.ndarray, ...]:
        self.last_seen.append(float(planes[0, 13].mean()))
        painted = np.full((1, 3, *planes.shape[2:]), self.level, np.float32)
        return painted, painted, np.full((1, 1, *planes.shape[2:]), self.trust, np.float32)


def background(*, observed: bool, flow: np.ndarray | None = STILL) -> Background:
    rgb = RGB.copy()
    rgb[HOLE] = REMEMBERED[HOLE] if observed else 0
    known = np.where(HOLE, np.float32(0.8), np.float32(1)) if observed else (~HOLE).astype(np.float32)
    age = np.where(HOLE, np.float32(2.5 if observed else np.nan), np.float32(0))
    return Background(rgb, HOLE & observed, known, age, flow)


def painter_of(network: Network, **config: float) -> Painter:
    return Painter(replace(PainterConfig(), **config), Filler(FillConfig(), network, "fixed"))  # type: ignore[arg-type]


def test_remembered_pixels_pass_unchanged() -> None:
    painted = painter_of(Network(level=0.5, trust=1.0)).paint(RGB, HOLE, background(observed=True))
    assert painted is not None
    assert np.array_equal(painted.image[HOLE], REMEMBERED[HOLE]) and np.array_equal(painted.image[~HOLE], RGB[~HOLE])
    assert (painted.provenance[HOLE] == Provenance.OBSERVED).all() and (painted.provenance[~HOLE] == Provenance.LIVE).all()
    assert painted.confidence[HOLE] == pytest.approx(0.8) and painted.age_s[HOLE] == pytest.approx(2.5)


@pytest.mark.parametrize(("observed", "trust"), [(False, 1.0), (True, 0.0)])
def test_what_is_unknown_or_not_trusted_is_painted(observed: bool, trust: float) -> None:
    painted = painter_of(Network(level=0.5, trust=trust)).paint(RGB, HOLE, background(observed=observed))
    assert painted is not None
    assert np.abs(painted.image[INNER].astype(int) - 191).max() <= 1 and np.array_equal(painted.image[~HOLE], RGB[~HOLE])
    assert (painted.provenance[HOLE] == Provenance.GENERATED).all()
    assert (painted.confidence[HOLE] < 0.2).all() and np.isnan(painted.age_s[HOLE]).all()


def test_trust_decides_what_counts_as_seen() -> None:
    for min_trust, expected in ((0.5, Provenance.OBSERVED), (0.7, Provenance.GENERATED)):
        painted = painter_of(Network(trust=0.6), min_trust=min_trust).paint(RGB, HOLE, background(observed=True))
        assert painted is not None and (painted.provenance[HOLE] == expected).all()


def two_levels(flow: np.ndarray | None, first: float, second: float, **config: float) -> float:
    """Paint one grey level, then another; the second image's mean well inside the hole."""
    network = Network(level=first / 127.5 - 1)
    painter = painter_of(network, **config)
    painter.paint(RGB, HOLE, background(observed=False, flow=flow))
    network.level = second / 127.5 - 1
    painted = painter.paint(RGB, HOLE, background(observed=False, flow=flow))
    assert painted is not None and np.array_equal(painted.image[~HOLE], RGB[~HOLE])
    return float(painted.image[INNER].mean())


def test_what_is_made_up_again_changes_slowly() -> None:
    assert two_levels(STILL, 100, 104, persistence=0.75) == pytest.approx(101, abs=0.6)
    assert two_levels(STILL, 100, 104, persistence=0.0) == pytest.approx(104, abs=0.6)
    assert two_levels(None, 100, 104, persistence=0.75) == pytest.approx(104, abs=0.6)  # nobody knows where it went


def test_what_was_made_up_before_lets_go_where_it_does_not_fit() -> None:
    assert two_levels(STILL, 0, 255, persistence=0.75) == pytest.approx(255, abs=3)


def test_what_was_remembered_before_is_held_on_to() -> None:
    known = background(observed=True)
    rgb = known.rgb.copy()
    rgb[HOLE] = 100
    painter = painter_of(Network(level=104 / 127.5 - 1), persistence=0.75)
    painter.paint(RGB, HOLE, replace(known, rgb=rgb))
    painted = painter.paint(RGB, HOLE, background(observed=False))
    assert painted is not None and painted.image[INNER].mean() == pytest.approx(101, abs=0.6)
    assert (painted.provenance[INNER] == Provenance.GENERATED).all()


def test_what_was_live_before_never_enters_the_hole() -> None:
    small = HOLE.copy()
    small[INNER] = False  # a hand that the first mask misses, much like the painted picture
    rgb = RGB.copy()
    rgb[INNER] = 100
    painter = painter_of(Network(level=104 / 127.5 - 1), persistence=0.75)
    before = background(observed=False)
    painter.paint(rgb, small, replace(before, rgb=np.where(small[..., None], 0, rgb).astype(np.uint8)))
    painted = painter.paint(RGB, HOLE, before)
    assert painted is not None and painted.image[INNER].mean() == pytest.approx(104, abs=0.6)


def test_the_picture_continues_the_memory_over_a_border() -> None:
    known = background(observed=True)
    rgb, observed = known.rgb.copy(), known.observed.copy()
    rgb[HOLE], observed[:, 70:] = 160, False
    rgb[HOLE & ~observed] = 0
    painted = painter_of(Network(level=0.0)).paint(RGB, HOLE, replace(known, rgb=rgb, observed=observed))
    assert painted is not None
    row = painted.image[90, 55:85, 0].astype(int)
    assert (row[:13] == 160).all() and (np.diff(row) <= 0).all() and np.diff(row).min() > -16  # of 32 grey levels
    assert row[20:] == pytest.approx(128, abs=1)


def test_pixels_at_the_end_of_the_memory_are_not_called_seen() -> None:
    known = background(observed=True)
    observed = known.observed.copy()
    observed[:, 70:] = False
    observed[80, 75] = True  # a speck
    rgb = np.where(observed[..., None] | ~HOLE[..., None], known.rgb, 0).astype(np.uint8)
    painted = painter_of(Network(level=0.0)).paint(RGB, HOLE, replace(known, rgb=rgb, observed=observed))
    assert painted is not None
    is_seen = painted.provenance == Provenance.OBSERVED
    assert is_seen[90, 50:69].all() and not is_seen[90, 69:].any() and not is_seen[80, 75]
    assert np.isnan(painted.age_s[80, 75])


def test_the_network_is_told_its_last_output_until_reset() -> None:
    network = Network()
    painter = painter_of(network)
    for _ in range(2):
        painter.paint(RGB, HOLE, background(observed=False))
    painter.reset()
    painter.paint(RGB, HOLE, background(observed=False))
    assert network.last_seen == [0, 1, 0]


def test_without_a_hole_the_network_does_not_run() -> None:
    network = Network()
    nothing = np.zeros(SHAPE, bool)
    painted = painter_of(network).paint(
        RGB, nothing, Background(RGB.copy(), nothing, np.ones(SHAPE, np.float32), np.zeros(SHAPE, np.float32))
    )
    assert painted is not None and np.array_equal(painted.image, RGB) and network.last_seen == []


@pytest.mark.parametrize(("level", "trust"), [(np.nan, 1.0), (0.0, np.inf)])
def test_numbers_that_are_not_finite_give_no_image(level: float, trust: float) -> None:
    assert painter_of(Network(level, trust)).paint(RGB, HOLE, background(observed=True)) is None
