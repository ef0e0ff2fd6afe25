"""Clothes: where they begin and end, what is printed on them, what shows beneath."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ego_perception.body.model import load_body
from ego_perception.simulation.wardrobe import Look, draw_look
from ego_perception.simulation.wardrobe_canvas import BodyMap, Canvas, texel_map
from ego_perception.simulation.wardrobe_cloth import paint_clothes, waist_height
from ego_perception.simulation.wardrobe_look import BOTTOM_KINDS, PATTERNS, TOP_KINDS, Garment

SKIN = (200.0, 100.0, 100.0)
BLUE, GREEN, YELLOW = (30.0, 40.0, 200.0), (30.0, 170.0, 30.0), (230.0, 220.0, 30.0)


@pytest.fixture(scope="module")
def body() -> BodyMap:
    """One texel in nine."""
    whole = texel_map(load_body())
    return whole.part(np.arange(len(whole)) % 9 == 0)


def dressed(body: BodyMap, top: Garment, bottom: Garment, seed: int = 0, **changes: object) -> np.ndarray:
    """Colours of bare skin with these clothes on it."""
    drawn: Look = replace(draw_look(np.random.default_rng(0)), top=top, bottom=bottom, shoes=(40.0, 40.0, 40.0), belt=None)
    canvas = Canvas(body, np.random.default_rng(seed))
    canvas.cover(np.ones(len(body)), SKIN)
    paint_clothes(canvas, replace(drawn, **changes))
    return canvas.rgb


def is_of(rgb: np.ndarray, channel: int) -> np.ndarray:
    """Where one channel is clearly the largest."""
    others = np.delete(rgb, channel, axis=1).max(axis=1)
    return np.asarray(rgb[:, channel] > 1.25 * others)


def tee(**changes: object) -> Garment:
    return replace(Garment("tee", BLUE, BLUE, end=0.5), **changes)


TROUSERS = Garment("trousers", GREEN, GREEN, end=1.95)


@pytest.mark.parametrize("kind", sorted(set(TOP_KINDS)))
@pytest.mark.parametrize("pattern", sorted(set(PATTERNS)))
def test_every_top_gives_finite_colours(body: BodyMap, kind: str, pattern: str) -> None:
    rgb = dressed(body, Garment(kind, BLUE, YELLOW, pattern, 1.4, rolled=True), TROUSERS)
    assert np.isfinite(rgb).all() and rgb.min() >= -1


@pytest.mark.parametrize("kind", sorted(set(BOTTOM_KINDS)))
def test_every_bottom_covers_the_hips(body: BodyMap, kind: str) -> None:
    rgb = dressed(body, tee(), Garment(kind, GREEN, GREEN, end=0.9))
    thigh = body.within("leg") & (body.leg > 0.45) & (body.leg < 0.8)
    assert is_of(rgb, 1)[thigh].mean() > 0.97


def test_trousers_end_where_they_say(body: BodyMap) -> None:
    for end in (0.8, 1.3, 1.8):
        rgb = dressed(body, tee(), replace(TROUSERS, end=end))
        leg = body.within("leg") & (body.leg < 1.6 if end < 1.5 else body.leg < 1.84)
        green = is_of(rgb, 1)
        assert green[leg & (body.leg < end - 0.02) & (body.leg > 0.5)].mean() > 0.98
        if end < 1.5:
            assert green[leg & (body.leg > end + 0.02)].mean() < 0.02


@pytest.mark.parametrize("end", [0.3, 0.9, 1.5, 1.9])
def test_sleeves_end_where_they_say(body: BodyMap, end: float) -> None:
    rgb = dressed(body, tee(end=end), TROUSERS)
    arm, blue = body.within("arm"), is_of(rgb, 2)
    assert blue[arm & (body.arm < end - 0.03)].mean() > 0.98
    assert blue[arm & (body.arm > end + 0.03)].mean() < 0.02


def test_the_throat_and_the_face_stay_bare(body: BodyMap) -> None:
    neck = body.joint("neck")
    throat = (np.abs(body.x) < 0.02) & (np.abs(body.y - neck[1] + 0.01) < 0.02) & (body.z > 0.0)
    for kind in ("tee", "blouse"):
        rgb = dressed(body, Garment(kind, BLUE, BLUE), TROUSERS)
        assert throat.sum() > 5 and not is_of(rgb, 2)[throat].any()
        assert not is_of(rgb, 2)[body.within("head") & (body.y > neck[1] + 0.07)].any()
        shoulder = body.within("trunk") & (np.abs(body.x) > 0.12) & (body.y > 0.42)
        assert is_of(rgb, 2)[shoulder].mean() > 0.97


def test_a_v_neck_is_deeper_than_a_round_one(body: BodyMap) -> None:
    chest = (np.abs(body.x) < 0.012) & (body.normals[:, 2] > 0.3) & body.within("trunk")
    bare = []
    for kind in ("tee", "blouse"):
        rgb = dressed(body, Garment(kind, BLUE, BLUE), TROUSERS)
        bare.append(body.y[chest & ~is_of(rgb, 2) & (rgb[:, 0] > 150)].min(initial=9.0))
    assert bare[1] < bare[0] - 0.01


def test_a_jacket_shows_a_shirt_in_front_only(body: BodyMap) -> None:
    rgb = dressed(body, Garment("jacket", BLUE, BLUE), TROUSERS)
    belly = body.within("trunk") & (np.abs(body.y - 0.2) < 0.05) & (np.abs(body.x) < 0.02)
    blue = is_of(rgb, 2)
    assert not blue[belly & (body.normals[:, 2] > 0.5)].any()
    assert blue[belly & (body.normals[:, 2] < -0.5)].mean() > 0.97


def test_a_tucked_shirt_shows_the_belt_and_a_loose_one_hides_it(body: BodyMap) -> None:
    shirt = Garment("shirt", BLUE, BLUE)
    belt = (240.0, 230.0, 20.0)
    height = waist_height(Canvas(body, np.random.default_rng(0))) - 0.016
    band = body.within("trunk", "leg") & (np.abs(body.y - height) < 0.006)
    tucked = dressed(body, shirt, TROUSERS, belt=belt)
    loose = dressed(body, shirt, TROUSERS)
    assert (tucked[band, 0] > 150).mean() > 0.9
    assert is_of(loose, 2)[band].mean() > 0.9


def test_stripes_lie_across_the_body_and_along_the_arm(body: BodyMap) -> None:
    rgb = dressed(body, tee(accent=YELLOW, pattern="stripes", end=1.9), TROUSERS)
    yellow = rgb[:, 0] > 120
    chest = body.within("trunk") & (body.y > 0.12) & (body.y < 0.40)
    assert 0.15 < yellow[chest].mean() < 0.6
    # At one height a trunk is of one colour: share of yellow per millimetre is near 0 or 1.
    rows = np.round(body.y[chest], 3)
    share = np.array([yellow[chest][rows == r].mean() for r in np.unique(rows)])
    assert ((share < 0.1) | (share > 0.9)).mean() > 0.6


@pytest.mark.parametrize("seed", range(4))
def test_a_print_is_on_the_chest_and_nowhere_else(body: BodyMap, seed: int) -> None:
    rgb = dressed(body, tee(accent=YELLOW, pattern="print", end=1.9), TROUSERS, seed=seed)
    yellow = (rgb[:, 0] > 120) & (rgb[:, 1] > 120)
    cloth = body.within("trunk", "arm") & (body.y > 0.15) & (body.y < 0.45)
    assert yellow[cloth].sum() > 20
    assert (body.normals[cloth & yellow, 2] > 0).all() and (np.abs(body.x[cloth & yellow]) < 0.11).all()


def test_feet_wear_shoes_with_soles(body: BodyMap) -> None:
    rgb = dressed(body, tee(), TROUSERS, shoes=(210.0, 40.0, 40.0))
    top = body.within("foot") & (body.normals[:, 1] > 0.5) & (body.z > 0.12)
    sole = body.within("foot") & (body.normals[:, 1] < -0.7)
    assert is_of(rgb, 0)[top].mean() > 0.9
    assert not is_of(rgb, 0)[sole].any()


def test_cloth_darkens_the_skin_beside_its_edge(body: BodyMap) -> None:
    rgb = dressed(body, tee(), TROUSERS)
    metres = (body.arm - 0.5) * 0.255
    near, far = (body.within("arm") & (metres > a) & (metres < b) for a, b in ((0.004, 0.009), (0.05, 0.1)))
    assert np.median(rgb[near, 0]) < 0.9 * np.median(rgb[far, 0])
