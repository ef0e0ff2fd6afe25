"""Looks: the full range of people, and paint that lands where it belongs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ego_perception.body.atlas import SIZE, build_atlas
from ego_perception.body.model import BodyModel, load_body
from ego_perception.simulation.wardrobe import Look, draw_look, paint_look
from ego_perception.simulation.wardrobe_canvas import Canvas, bump, edge, line, texel_map
from ego_perception.simulation.wardrobe_head import HAIR_THICKNESS_M, hair_cover, hair_thickness
from ego_perception.simulation.wardrobe_look import GLOVES, HAIR_STYLES, SKIN_TONES, Garment, Hands, skin_colour


@pytest.fixture(scope="module")
def model() -> BodyModel:
    return load_body()


@pytest.fixture(scope="module")
def look() -> Look:
    """A shaved person of middle tone in a plain T-shirt and trousers."""
    drawn = draw_look(np.random.default_rng(1))
    head = replace(drawn.head, hair_style="short", hair=(30, 25, 20), beard=0.0, glasses=False)
    return replace(
        drawn,
        tone=4.0,
        skin=skin_colour(4.0),
        head=head,
        top=Garment("tee", (40, 60, 160), (40, 60, 160), end=0.5),
        bottom=Garment("trousers", (60, 60, 60), (60, 60, 60), end=2.0),
        belt=None,
        hands=Hands(),
        seed=3,
    )


def colours(model: BodyModel, look: Look) -> np.ndarray:
    """(N, 3) colours of the painted texels."""
    atlas = build_atlas(model)
    return paint_look(look, model).reshape(-1, 3)[atlas.texel].astype(np.float64)


def looks(count: int) -> list[Look]:
    return [draw_look(np.random.default_rng(seed)) for seed in range(count)]


def test_same_generator_same_look_and_paint(model: BodyModel) -> None:
    one, two = draw_look(np.random.default_rng(5)), draw_look(np.random.default_rng(5))
    assert one == two
    assert paint_look(one, model).tobytes() == paint_look(two, model).tobytes()


def test_skin_tones_are_drawn_evenly() -> None:
    tones = np.array([look.tone for look in looks(900)])
    share = np.histogram(tones, bins=9, range=(0, 9))[0] / len(tones)
    assert share.min() > 0.07 and share.max() < 0.16


def test_the_scale_runs_from_light_to_dark() -> None:
    brightness = [sum(skin_colour(tone)) for tone in np.linspace(0, len(SKIN_TONES) - 1, 40)]
    assert (np.diff(brightness) < 0).all()
    for tone in range(len(SKIN_TONES)):
        r, g, b = skin_colour(tone, redness=1.0)
        assert r > g > b


def test_every_kind_of_thing_is_worn_by_somebody() -> None:
    drawn = looks(600)
    assert {look.head.hair_style for look in drawn} == set(HAIR_STYLES)
    assert {look.hands.gloves for look in drawn} == {"", *GLOVES}
    gloved = np.mean([look.hands.gloves != "" for look in drawn])
    assert 0.06 < gloved < 0.22
    ends = np.array([look.top.end for look in drawn])
    assert ends.min() < 0.4 and ends.max() > 1.9 and ((ends > 0.9) & (ends < 1.8)).mean() > 0.05
    assert any(look.top.rolled for look in drawn) and any(look.hands.watch for look in drawn)


def test_palette_is_muted_most_of_the_time() -> None:
    def saturation(rgb: tuple[float, float, float]) -> float:
        return (max(rgb) - min(rgb)) / max(*rgb, 1)

    loud = np.mean([saturation(look.top.colour) > 0.55 and max(look.top.colour) > 140 for look in looks(500)])
    assert 0.04 < loud < 0.25


def test_texture_is_a_picture(model: BodyModel, look: Look) -> None:
    image = paint_look(look, model)
    assert image.shape == (SIZE, SIZE, 3) and image.dtype == np.uint8 and image.std() > 10


def test_cloth_ends_sharply_at_the_cuff(model: BodyModel, look: Look) -> None:
    body, rgb = texel_map(model), colours(model, look)
    arm = body.within("arm")
    is_blue = rgb[:, 2] > rgb[:, 0]
    metres = (body.arm - look.top.end) * 0.26
    assert is_blue[arm & (metres < -0.006)].mean() > 0.99
    assert is_blue[arm & (metres > 0.006)].mean() < 0.01
    assert is_blue[body.within("trunk") & (body.y > 0.2) & (body.y < 0.35)].mean() > 0.99
    assert is_blue[body.within("hand")].mean() < 0.01


def test_face_has_eyes_brows_and_a_mouth(model: BodyModel, look: Look) -> None:
    body, rgb = texel_map(model), colours(model, look)
    grey = rgb.mean(axis=1)
    left, nose = body.landmark("left_eye"), body.landmark("nose")
    front = body.within("head") & (body.normals[:, 2] > 0.3)

    def patch(x: float, y: float, radius: float) -> np.ndarray:
        return front & (np.hypot(np.abs(body.x) - x, body.y - y) < radius)

    eye_x = max(abs(left[0]), 0.030)
    skin = np.median(grey[patch(0.0, left[1] + 0.038, 0.008)])
    assert np.percentile(grey[patch(eye_x, left[1], 0.016)], 97) > skin * 1.15  # the white of the eye
    assert grey[patch(eye_x, left[1], 0.016)].min() < 45  # the pupil
    assert np.median(grey[patch(eye_x, left[1] + 0.020, 0.003)]) < 0.75 * skin
    lips = np.median(rgb[patch(0.0, nose[1] - 0.042, 0.005)], axis=0)
    forehead = np.median(rgb[patch(0.0, left[1] + 0.038, 0.008)], axis=0)
    assert lips[0] / lips[1] > 1.1 * forehead[0] / forehead[1]


@pytest.mark.parametrize("style", sorted(HAIR_THICKNESS_M))
def test_hair_covers_the_crown_but_not_the_face(model: BodyModel, style: str) -> None:
    body = texel_map(model)
    inside = hair_cover(body, style)
    crown = body.within("head") & (body.y > body.y.max() - 0.015) & (body.z < 0.02)
    face = np.hypot(body.x, body.y - body.landmark("nose")[1]) < 0.02
    assert style == "balding" or (inside[crown] > 0).all()
    assert (inside[face & body.within("head") & (body.z > 0.05)] < 0).all()
    assert (inside[body.within("hand")] < 0).all()
    thickness = hair_thickness(body, style)
    assert thickness.min() >= 0 and thickness.max() <= HAIR_THICKNESS_M[style] + 1e-6
    assert thickness[inside < -0.01].max() == 0


def test_bald_adds_nothing(model: BodyModel) -> None:
    assert hair_thickness(texel_map(model), "bald").max() == 0


@pytest.mark.parametrize("kind", sorted(GLOVES))
def test_gloves_hide_the_skin_of_the_hands(model: BodyModel, look: Look, kind: str) -> None:
    gloved = colours(model, replace(look, hands=Hands(gloves=kind, glove_colour=(20, 160, 30))))
    body = texel_map(model)
    fingers = body.within("hand") & (body.arm > 2.2)
    back = fingers & (body.normals[:, 1] > 0.5) & (body.finger[1] < 1.8)
    assert (gloved[back, 1] > 1.5 * gloved[back, 0]).mean() > 0.97


def test_palms_of_dark_hands_are_lighter(model: BodyModel, look: Look) -> None:
    rgb = colours(model, replace(look, tone=8.0, skin=skin_colour(8.0)))
    body = texel_map(model)
    hand = body.within("hand") & (body.arm > 2.3)
    palm, back = hand & (body.normals[:, 1] < -0.7), hand & (body.normals[:, 1] > 0.7)
    assert np.median(rgb[palm].sum(axis=1)) > 1.25 * np.median(rgb[back].sum(axis=1))


def test_polished_nails_sit_on_the_back_of_the_tips(model: BodyModel, look: Look) -> None:
    body = texel_map(model)
    rgb = colours(model, replace(look, hands=Hands(polish=(0, 255, 0))))
    nail = (rgb[:, 1] > 200) & (rgb[:, 0] < 60)
    assert nail.sum() > 200
    assert body.within("hand")[nail].all()
    assert (body.finger[1][nail] > 2.2).all()
    assert (body.normals[nail, 1] > 0).mean() > 0.95
    assert set(body.finger[0][nail].tolist()) == {0, 1, 2, 3, 4}


def test_watch_is_on_one_wrist(model: BodyModel, look: Look) -> None:
    body = texel_map(model)
    change = np.abs(colours(model, replace(look, hands=Hands(watch=1))) - colours(model, look)).max(axis=1)
    near_wrist = (body.arm > 1.75) & body.within("arm")
    assert (change[near_wrist & (body.x > 0)] > 25).mean() > 0.15
    assert (change[near_wrist & (body.x < 0)] > 60).mean() < 0.02


def test_coordinates_along_the_limbs(model: BodyModel) -> None:
    body = texel_map(model)
    for name, value in (("shoulder", 0.0), ("elbow", 1.0), ("wrist", 2.0)):
        at = np.abs(np.abs(body.x) - body.joint(f"left_{name}")[0]) < 0.002
        np.testing.assert_allclose(body.arm[at], value, atol=0.02)
    knee = np.abs(body.y - body.joint("left_knee")[1]) < 0.002
    np.testing.assert_allclose(body.leg[knee], 1.0, atol=0.02)


def test_canvas_covers_shades_and_merges_parts(model: BodyModel) -> None:
    canvas = Canvas(texel_map(model), np.random.default_rng(0))
    hand = canvas.body.within("hand")
    canvas.cover(np.ones(len(canvas.body)), (100, 100, 100))
    canvas.shade(0.5, hand)
    assert canvas.rgb[hand].max() == 50 and canvas.rgb[~hand].min() == 100
    with canvas.part("hands") as small:
        assert len(small.body) < len(canvas.body)
        small.cover(small.body.within("hand"), (0, 200, 0))
    assert (canvas.rgb[hand] == (0, 200, 0)).all() and canvas.rgb[~hand].min() == 100
    field = canvas.noise(0.05, 2)
    assert field.min() >= 0 and field.max() <= 1 and 0.1 < field.std() < 0.35


def test_painters_tools() -> None:
    d = np.linspace(-0.01, 0.01, 2001)
    assert edge(d)[0] == 0 and edge(d)[-1] == 1 and edge(0.0) == 0.5
    assert np.trapezoid(line(d, 0.004), d) == pytest.approx(0.004, rel=0.1)
    assert bump(1.0, 1.0, 0.1) == 1 and bump(1.1, 1.0, 0.1) == pytest.approx(np.exp(-0.5))
