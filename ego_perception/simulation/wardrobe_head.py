"""Face and hair: features at the places that the mesh's landmarks give, hair as a cap with a hairline."""

from __future__ import annotations

import numpy as np

from ego_perception.simulation.wardrobe_canvas import BodyMap, Canvas, Field, bump, edge, line
from ego_perception.simulation.wardrobe_look import Head, Look

_FINE = 0.0022
"""Edge of facial features, metres; about a texel of the head."""
HAIR_THICKNESS_M = {
    "buzz": 0.002,
    "short": 0.011,
    "balding": 0.005,
    "medium": 0.016,
    "long": 0.018,
    "cap": 0.012,
    "scarf": 0.009,
}
"""How far hair and headwear stand off the scalp."""


def paint_head(canvas: Canvas, look: Look) -> None:
    """Paint face and beard on the skin."""
    _paint_face(canvas, look)
    _paint_beard(canvas, look)


def hair_cover(body: BodyMap, style: str) -> Field:
    """How far inside the hair or headwear a place is, metres; negative outside."""
    eyes, ear = body.landmark("left_eye"), body.landmark("left_ear")
    up = body.y - eyes[1]
    behind = ear[2] - body.z  # positive behind the ears
    around = np.abs(body.x)
    front = np.full(len(up), 0.052, np.float32) - 0.10 * np.maximum(around - 0.03, 0)
    if style == "balding":
        front = front + 0.09 * np.clip(1 - around / 0.07, 0, 1)
    nape = {"buzz": -0.045, "short": -0.055, "balding": -0.05, "medium": -0.10, "long": -0.26, "cap": 0.012, "scarf": -0.20}[
        style
    ]
    temple = {"medium": -0.055, "long": -0.20, "cap": 0.015, "scarf": -0.2}.get(style, 0.012)
    # From the hairline over the forehead, past the temples, down to the nape.
    t = np.clip((behind + 0.055) / 0.03, 0, 1)
    s = np.clip((behind + 0.012) / 0.03, 0, 1)
    limit = front + t * (temple - front)
    limit = limit + s * (nape - limit)
    if style == "cap":
        limit = np.where(behind < 0.0, 0.030 + 0.0 * up, 0.0)
    inside = up - limit
    if style == "scarf":
        across, along = around / 0.058, (up + 0.025) / 0.082
        face = (1 - np.hypot(across, along)) * 0.06
        inside = np.where(body.normals[:, 2] > -0.1, -face, 0.05)
        inside = np.minimum(inside, body.y - body.joint("neck")[1] + 0.035)
    elif style == "long":
        inside = np.minimum(inside, 0.112 - around)
        inside = np.where(up < -0.05, np.minimum(inside, ear[2] + 0.012 - body.z), inside)
    if style not in ("medium", "long", "scarf"):
        to_ear = np.hypot(body.y - ear[1], body.z - ear[2])
        inside = np.where(around > 0.06, np.minimum(inside, to_ear - 0.030), inside)
    return np.asarray(np.where(_near_head(body), inside, -1.0), np.float32)


def hair_thickness(body: BodyMap, style: str) -> Field:
    """How far hair or headwear stands off the skin, metres."""
    if style not in HAIR_THICKNESS_M:
        return np.zeros(len(body), np.float32)
    ramp = np.clip(hair_cover(body, style) / 0.022 + 0.2, 0, 1)
    ear = body.landmark("left_ear")
    to_ear = np.sqrt((np.abs(body.x) - abs(ear[0])) ** 2 + (body.y - ear[1]) ** 2 + (body.z - ear[2]) ** 2)
    ramp = ramp * np.clip((to_ear - 0.024) / 0.02, 0, 1)  # ears stand out by themselves, and stay in their place
    on_trunk = np.where(body.within("trunk"), np.float32(0.4), np.float32(1))
    return np.asarray(HAIR_THICKNESS_M[style] * ramp * on_trunk, np.float32)


def _near_head(body: BodyMap) -> np.ndarray:
    neck = body.joint("neck")
    high: np.ndarray = (body.y > neck[1] - 0.16) & (np.abs(body.x) < 0.16) & body.within("head", "trunk")
    return high


def _paint_face(canvas: Canvas, look: Look) -> None:
    body = canvas.body
    left, nose = body.landmark("left_eye"), body.landmark("nose")
    front = body.within("head") * np.clip(body.normals[:, 2] * 2.2, 0, 1)
    front = front * (body.z > body.landmark("left_ear")[2])
    x, up = np.abs(body.x), body.y - left[1]
    eye_x = max(abs(float(left[0])), 0.030)
    skin = np.array(look.skin)
    deep = 0.80 if look.tone < 6 else 0.72
    # Sockets, sides of the nose, under the lip and the chin: the shade that makes a face of a dummy's head.
    canvas.shade(0.86, front * np.exp(-(((x - eye_x) / 0.020) ** 2) - ((up - 0.004) / 0.014) ** 2))
    canvas.shade(0.90, front * bump(x, 0.014, 0.004) * bump(up, -0.012, 0.016))
    mouth_y = float(nose[1] - left[1]) - 0.037
    canvas.shade(deep, front * line(up - (float(nose[1] - left[1]) - 0.011), 0.007) * bump(x, 0.0065, 0.0030))
    canvas.shade(0.86, front * bump(up, mouth_y - 0.016, 0.005) * bump(x, 0, 0.014))
    canvas.shade(np.array([1.07, 0.92, 0.90]), 0.8 * front * bump(x, 0.042, 0.016) * bump(up, -0.035, 0.014))
    canvas.shade(np.array([1.05, 0.92, 0.90]), body.within("head") * edge(x - 0.082, 0.01))
    _paint_mouth(canvas, look.head, front, x, up - mouth_y, skin)
    _paint_eyes(canvas, look, front, x - eye_x, up, skin)
    brow = up - 0.020 - 0.10 * (x - eye_x) + 9.0 * (x - eye_x - 0.004) ** 2
    thick = (0.0030 + 0.0030 * look.head.brows) * np.clip(1.25 - np.abs(x - eye_x - 0.002) / 0.026, 0, 1)
    hairs = 0.75 + 0.5 * canvas.noise((0.0012, 0.004, 0.004))
    canvas.cover(
        front * edge(thick - np.abs(brow), _FINE) * (np.abs(x - eye_x - 0.002) < 0.023) * hairs * 0.9,
        np.array(look.head.hair) * 0.7,
    )


def _paint_eyes(canvas: Canvas, look: Look, front: Field, dx: Field, up: Field, skin: np.ndarray) -> None:
    half_width, half_height = 0.0150, 0.0066
    almond = (1 - (dx / half_width) ** 2) * half_height
    open_eye = edge(almond - np.abs(up), _FINE) * front
    canvas.cover(open_eye, (232, 226, 220))
    r = np.hypot(dx, up - 0.0008)
    canvas.cover(open_eye * edge(0.0066 - r, 0.0014), look.head.iris)
    canvas.cover(open_eye * edge(0.0033 - r, 0.0014), (14, 12, 12))
    spark = np.hypot(dx - 0.0022, up - 0.0030)
    canvas.cover(open_eye * edge(0.0012 - spark, 0.0010), (250, 250, 250))
    inside = np.abs(dx) < half_width
    canvas.cover(front * inside * line(up - almond, 0.0030) * 0.9, (34, 24, 20))
    canvas.cover(front * inside * line(up + almond, 0.0014) * 0.45, skin * 0.5)
    crease = up - almond - 0.0055
    canvas.shade(0.74, front * inside * line(crease, 0.0018))


def _paint_mouth(canvas: Canvas, head: Head, front: Field, x: Field, up: Field, skin: np.ndarray) -> None:
    half = 0.0245
    arch = np.clip(1 - (x / half) ** 2, 0, 1)
    bow = 0.0015 * np.cos(np.clip(x / 0.010, 0, np.pi))
    upper, lower = (0.0068 - bow) * arch**0.8, 0.0088 * arch
    lips = edge(np.where(up > 0, upper - up, lower + up), _FINE) * (x < half) * front
    rose = skin * np.array([0.92, 0.66, 0.66]) * (1 - 0.3 * head.lips) + np.array([150, 44, 56]) * 0.3 * head.lips
    canvas.cover(lips * 0.85, rose)
    canvas.shade(0.9, lips * (up > 0))
    canvas.cover(front * line(up + 0.0010 * arch, 0.0022) * (x < half) * 0.85, skin * 0.32)
    canvas.shade(0.8, front * np.exp(-(((x - half) / 0.003) ** 2) - (up / 0.003) ** 2))


def _paint_beard(canvas: Canvas, look: Look) -> None:
    body = canvas.body
    amount = look.head.beard
    if amount == 0:
        return
    left, nose, ear = body.landmark("left_eye"), body.landmark("nose"), body.landmark("left_ear")
    x, up = np.abs(body.x), body.y - left[1]
    mouth = float(nose[1] - left[1]) - 0.037
    cheek = mouth + 0.008 + 0.9 * np.maximum(x - 0.030, 0)
    inside = np.minimum(cheek - up, up - (body.joint("head")[1] - left[1]) + 0.035)
    moustache = 0.008 - np.abs(up - mouth - 0.013) - 0.15 * np.maximum(x - 0.022, 0)
    inside = np.maximum(inside, np.where(x < 0.03, moustache, -1))
    lips = 1 - (x / 0.025) ** 2 - ((up - mouth) / 0.009) ** 2
    inside = np.where(lips > 0, -0.01, inside)
    on = body.within("head", "trunk") * (body.z > ear[2] - 0.004) * (body.normals[:, 2] > -0.45)
    strands = canvas.noise((0.0016, 0.004, 0.0016))
    alpha = edge(inside + 0.006 * (strands - 0.5), 0.008) * on
    canvas.cover(alpha * (0.55 * amount + 0.42 * (amount == 1) * (0.5 + strands)), np.array(look.head.hair) * 0.85)


def paint_hair(canvas: Canvas, look: Look) -> None:
    """Paint hair or headwear, which may lie over clothes, and glasses."""
    if look.head.glasses and look.head.hair_style != "scarf":
        _paint_glasses(canvas)
    style = look.head.hair_style
    if style == "bald":
        return
    inside = hair_cover(canvas.body, style)
    if style in ("cap", "scarf"):
        cloth = canvas.noise((0.03, 0.012, 0.03), 2)
        alpha = edge(inside, _FINE)
        canvas.shade(0.7, bump(inside, -0.004, 0.005))
        canvas.cover(alpha, np.array(look.head.cloth) * (0.80 + 0.4 * cloth + 0.02 * canvas.grain())[:, None])
        canvas.shade(0.75, line(inside - 0.006, 0.0025))
        return
    jagged = 0.012 * (canvas.noise(0.006) - 0.5)
    strands = canvas.noise((0.0022, 0.022, 0.0022), 2)
    locks = canvas.noise((0.014, 0.06, 0.014), 2)
    colour = np.array(look.head.hair) * (0.55 + 0.55 * strands + 0.5 * (locks - 0.3))[:, None]
    opacity = 0.55 if style == "buzz" else 1.0
    canvas.shade(0.82, 0.7 * bump(inside, -0.004, 0.006))
    canvas.cover(opacity * edge(inside + jagged, 0.006), colour)


def _paint_glasses(canvas: Canvas) -> None:
    body = canvas.body
    left, ear = body.landmark("left_eye"), body.landmark("left_ear")
    x, up = np.abs(body.x), body.y - left[1]
    eye_x = max(abs(float(left[0])), 0.030)
    front = body.within("head") * np.clip(body.normals[:, 2] * 2.5 - 0.2, 0, 1) * (body.z > 0.04)
    ring = np.maximum(np.abs(x - eye_x - 0.001) - 0.016, 0), np.maximum(np.abs(up + 0.001) - 0.009, 0)
    rim = np.hypot(*ring) - 0.007
    dark = (34, 30, 30) if canvas.rng.random() < 0.7 else (120, 84, 50)
    canvas.cover(front * line(rim, 0.0032), dark)
    canvas.cover(front * (x < eye_x - 0.022) * line(up - 0.003, 0.0032), dark)
    temple = body.within("head") * (x > 0.055) * (body.z > ear[2]) * line(up - 0.004, 0.0045)
    canvas.cover(temple, dark)
    canvas.shade(1.06, front * (rim < 0))
