"""Faces and hair: features stay where they belong in every style."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ego_perception.body.model import load_body
from ego_perception.simulation.wardrobe import Look, draw_look
from ego_perception.simulation.wardrobe_canvas import BodyMap, Canvas, texel_part
from ego_perception.simulation.wardrobe_head import hair_cover, paint_hair, paint_head
from ego_perception.simulation.wardrobe_look import HAIR_STYLES, Head

SKIN = (200.0, 150.0, 120.0)
PLAIN = Head("bald", (20, 20, 20), (60, 40, 20), 0.0, 0.5, 0.5, glasses=False, cloth=(30, 200, 30))


@pytest.fixture(scope="module")
def body() -> BodyMap:
    return texel_part(load_body(), "head")[1]


def painted(body: BodyMap, head: Head, seed: int = 0) -> np.ndarray:
    look: Look = replace(draw_look(np.random.default_rng(0)), tone=2.0, skin=SKIN, head=head)
    canvas = Canvas(body, np.random.default_rng(seed))
    canvas.cover(np.ones(len(body)), SKIN)
    paint_head(canvas, look)
    paint_hair(canvas, look)
    return canvas.rgb


@pytest.fixture(scope="module")
def plain(body: BodyMap) -> np.ndarray:
    return painted(body, PLAIN)


@pytest.mark.parametrize("style", sorted(set(HAIR_STYLES)))
@pytest.mark.parametrize("beard", [0.0, 1.0])
def test_eyes_nose_and_mouth_stay_visible(body: BodyMap, plain: np.ndarray, style: str, beard: float) -> None:
    rgb = painted(body, replace(PLAIN, hair_style=style, beard=beard))
    left, nose = body.landmark("left_eye"), body.landmark("nose")
    front = body.within("head") & (body.normals[:, 2] > 0.2)
    for x, y, radius in ((max(abs(left[0]), 0.03), left[1], 0.010), (0.0, nose[1], 0.010), (0.0, nose[1] - 0.039, 0.0045)):
        spot = front & (np.hypot(np.abs(body.x) - x, body.y - y) < radius)
        assert spot.sum() > 8
        assert np.abs(rgb[spot] - plain[spot]).mean() < 12


def test_faces_are_symmetric(body: BodyMap, plain: np.ndarray) -> None:
    front = np.flatnonzero(body.within("head") & (body.normals[:, 2] > 0.5))
    left, right = (front[body.x[front] * sign > 0.002] for sign in (1, -1))
    from scipy.spatial import KDTree

    distance, match = KDTree(body.points[right] * [-1, 1, 1]).query(body.points[left])
    close = distance < 0.0008
    difference = np.abs(plain[left[close]].mean(axis=1) - plain[right[match[close]]].mean(axis=1))
    assert close.sum() > 500 and np.median(difference) < 3


def test_beards_grow_on_cheeks_and_chin_only(body: BodyMap, plain: np.ndarray) -> None:
    full = painted(body, replace(PLAIN, beard=1.0))
    darker = full.mean(axis=1) < 0.6 * plain.mean(axis=1)
    nose = body.landmark("nose")
    chin = body.within("head") & (np.hypot(body.x, body.y - nose[1] + 0.065) < 0.012) & (body.normals[:, 2] > 0.3)
    assert darker[chin].mean() > 0.8
    assert not darker[(body.y > nose[1] + 0.012) & (np.abs(body.x) < 0.06)].any()
    stubble = painted(body, replace(PLAIN, beard=0.35))
    assert full[chin].mean() < stubble[chin].mean() < plain[chin].mean()


def test_long_hair_hangs_behind_and_short_hair_leaves_the_ears(body: BodyMap) -> None:
    ear, neck = body.landmark("left_ear"), body.joint("neck")
    long, short = hair_cover(body, "long"), hair_cover(body, "short")
    nape = (body.y < neck[1]) & (body.y > neck[1] - 0.08) & (body.normals[:, 2] < -0.5) & (np.abs(body.x) < 0.05)
    throat = (body.y < neck[1]) & (body.normals[:, 2] > 0.3) & (np.abs(body.x) < 0.03)
    assert (long[nape] > 0).mean() > 0.95 and (short[nape] > 0).mean() == 0
    assert (long[throat] > 0).mean() == 0
    at_ear = (np.hypot(body.y - ear[1], body.z - ear[2]) < 0.015) & (np.abs(body.x) > 0.07)
    assert (short[at_ear] < 0).all()


def test_a_scarf_leaves_an_oval_of_face(body: BodyMap) -> None:
    rgb = painted(body, replace(PLAIN, hair_style="scarf"))
    cloth = rgb[:, 1] > 1.4 * rgb[:, 0]
    assert cloth[body.within("head") & (body.normals[:, 2] < -0.3)].mean() > 0.95
    nose = body.landmark("nose")
    assert not cloth[(np.hypot(body.x, body.y - nose[1]) < 0.03) & (body.normals[:, 2] > 0.3)].any()


def test_thick_brows_are_larger_than_thin_ones(body: BodyMap, plain: np.ndarray) -> None:
    dark = [(painted(body, replace(PLAIN, brows=b)).mean(axis=1) < 80).sum() for b in (0.0, 1.0)]
    assert dark[1] > 1.15 * dark[0]


def test_glasses_frame_the_eyes(body: BodyMap, plain: np.ndarray) -> None:
    rgb = painted(body, replace(PLAIN, glasses=True))
    changed = np.abs(rgb - plain).max(axis=1) > 30
    left = body.landmark("left_eye")
    frame = changed & (body.normals[:, 2] > 0.3) & body.within("head")
    assert frame.sum() > 200
    assert (np.abs(body.y[frame] - left[1]) < 0.025).all()
    assert changed[np.hypot(np.abs(body.x) - max(left[0], 0.03), body.y - left[1]) < 0.004].mean() < 0.1


def test_balding_bares_the_forehead(body: BodyMap) -> None:
    high = (
        body.within("head")
        & (np.abs(body.x) < 0.02)
        & (body.normals[:, 2] > 0.2)
        & (body.y > body.landmark("left_eye")[1] + 0.07)
    )
    assert high.sum() > 20
    assert (hair_cover(body, "short")[high] > 0).mean() > 0.9
    assert (hair_cover(body, "balding")[high] > 0).mean() < 0.6
