"""Clothes: trousers, tops, belts and shoes, cut by the place on the body, with weave, folds, seams and prints."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from ego_perception.simulation.wardrobe_canvas import Canvas, Field, Place, bump, edge, line
from ego_perception.simulation.wardrobe_look import Garment, Look

_UPPER_ARM_M, _LEG_M = 0.255, 0.40
"""Metres per unit of the coordinates along arm and leg."""


def paint_clothes(canvas: Canvas, look: Look) -> None:
    """Dress the body: shoes, bottom, belt, top."""
    _paint_shoes(canvas, look)
    _paint_bottom(canvas, look.bottom)
    if look.belt is not None and look.top.kind in ("shirt", "polo"):
        _paint_belt(canvas, look.belt)
    _paint_top(canvas, look.top, tucked=look.belt is not None and look.top.kind in ("shirt", "polo"))


def waist_height(canvas: Canvas) -> float:
    """Where trousers begin."""
    body = canvas.body
    return float(0.35 * body.joint("spine1")[1] + 0.65 * body.joint("pelvis")[1])


def _lay(canvas: Canvas, inside: Field, garment: Garment, folds: Field) -> None:
    """Cover where `inside` is positive with patterned cloth, and shade the skin beside it."""
    canvas.shade(0.78, bump(inside, -0.005, 0.005))
    canvas.cover(edge(inside), _cloth(canvas, garment) * folds[:, None])
    canvas.shade(0.80, line(inside - 0.014, 0.0022) * 0.8)
    canvas.shade(0.88, line(inside - 0.003, 0.006))


def _cloth(canvas: Canvas, garment: Garment) -> np.ndarray:
    """Colours of a garment's stuff everywhere on the body, (N, 3)."""
    base, accent = np.array(garment.colour), np.array(garment.accent)
    weave = 1 + 0.035 * canvas.grain() + 0.06 * (canvas.noise(0.012, 2) - 0.5)
    # Sleeves carry a pattern along the arm, the rest of the body up and down.
    sleeve = canvas.body.within("arm", "hand")
    along = np.where(sleeve, canvas.body.arm * _UPPER_ARM_M, canvas.body.y)
    across = np.where(
        sleeve, canvas.body.z, np.where(canvas.body.within("trunk"), canvas.body.x, canvas.body.z + canvas.body.x)
    )
    share = _pattern(canvas, garment, along.astype(np.float32), across.astype(np.float32))
    if garment.kind == "jumper":
        rib = 0.5 + 0.5 * np.sin(across * 2 * np.pi / 0.008)
        weave = weave * (0.90 + 0.14 * rib) * (1 + 0.04 * np.sin(along * 2 * np.pi / 0.007))
    if garment.kind == "jeans":
        fade = bump(canvas.body.leg, 0.55, 0.35) * np.clip(canvas.body.normals[:, 2], 0, 1)
        weave = weave * (1 + 0.28 * fade) * (1 + 0.06 * np.sin((along + across) * 2 * np.pi / 0.006))
    return np.asarray((base + share[:, None] * (accent - base)) * weave[:, None])


def _pattern(canvas: Canvas, garment: Garment, along: Field, across: Field) -> Field:
    """Share of the accent colour, 0..1."""
    rng, kind = canvas.rng, garment.pattern
    period = float(rng.uniform(0.02, 0.07))
    if kind == "print":
        return _print(canvas)
    if kind == "melange":
        return np.asarray(0.5 * edge(canvas.noise(0.004) - 0.5, 0.5), np.float32)
    if kind in ("stripes", "pinstripes"):
        fine = kind == "pinstripes"
        width, part = (float(rng.uniform(0.014, 0.028)), 0.2) if fine else (period, float(rng.uniform(0.25, 0.5)))
        return _bands(across if fine else along, width, part)
    if kind == "checks":
        part = float(rng.uniform(0.3, 0.5))
        return np.asarray(0.45 * _bands(along, period, part) + 0.45 * _bands(across, period, part), np.float32)
    share = np.zeros(len(along), np.float32)
    if kind == "dots":
        row = np.floor(along / period)
        u = (across / period + 0.5 * (row % 2)) % 1 - 0.5
        v = (along / period) % 1 - 0.5
        share = edge(0.24 * period - np.hypot(u, v) * period)
    return share


def _bands(value: Field, period: float, share: float) -> Field:
    phase = (value / period) % 1
    return np.asarray(edge((0.5 * share - np.abs(phase - 0.5)) * period), np.float32)


def _print(canvas: Canvas) -> Field:
    """A motif on the chest: lettering, a badge or a block."""
    body = canvas.body
    rng, size = canvas.rng, 128
    sheet = np.zeros((size, size), np.uint8)
    kind = int(rng.integers(3))
    if kind == 0:
        word = "".join(rng.choice(list("ABCEHIKLMNORSTUX"), int(rng.integers(3, 6))))
        width = cv2.getTextSize(word, cv2.FONT_HERSHEY_DUPLEX, 1.0, 3)[0][0]
        scale = 116 / max(width, 1)
        cv2.putText(sheet, word, (6, 76), cv2.FONT_HERSHEY_DUPLEX, scale, 255, 3, cv2.LINE_AA)
    elif kind == 1:
        cv2.circle(sheet, (64, 64), 50, 255, 12, cv2.LINE_AA)
        corners = np.array([[64, 26], [92, 92], [36, 92]])
        cv2.fillPoly(sheet, [corners], 255, cv2.LINE_AA)
    else:
        for row in range(4):
            cv2.rectangle(sheet, (10, 18 + 26 * row), (int(rng.integers(60, 118)), 32 + 26 * row), 255, -1)
    chest = body.joint("spine3")[1] + 0.03
    u, v = (0.5 + body.x / 0.20) * size, (0.5 - (body.y - chest) / 0.20) * size
    seen = (u >= 0) & (u < size - 1) & (v >= 0) & (v < size - 1) & (body.normals[:, 2] > 0.1) & body.within("trunk")
    # A person is read from the front: the wearer's left is on the reader's right, as in this picture.
    picked = sheet[np.clip(v, 0, size - 1).astype(int), np.clip(u, 0, size - 1).astype(int)] / np.float32(255)
    return np.asarray(np.where(seen, picked, 0), np.float32)


def _folds(canvas: Canvas, strength: float) -> Field:
    """Shading of creases: everywhere a little, more where cloth bends (elbow, knee, crotch, waist)."""
    body = canvas.body
    soft = canvas.noise((0.05, 0.09, 0.05), 2) - 0.5
    ring = 1 - np.abs(2 * canvas.noise((0.05, 0.018, 0.05)) - 1)
    sleeve = 1 - np.abs(2 * canvas.noise((0.018, 0.05, 0.05)) - 1)
    arm, leg = body.within("arm"), body.within("leg", "trunk")
    elbow = arm * (0.25 + bump(body.arm, 1.0, 0.18) + 0.5 * bump(body.arm, 1.9, 0.12))
    knee = leg * (bump(body.leg, 1.0, 0.14) + 0.8 * bump(body.leg, 0.05, 0.12) + 0.6 * bump(body.leg, 1.9, 0.12))
    waist = body.within("trunk") * 0.6 * bump(body.y, waist_height(canvas) + 0.06, 0.06)
    crease = sleeve**3 * elbow + ring**3 * (knee + waist)
    return np.asarray(1 + strength * (0.17 * soft - 0.30 * crease), np.float32)


def _paint_bottom(canvas: Canvas, garment: Garment) -> None:
    body = canvas.body
    waist = waist_height(canvas)
    end = (garment.end - body.leg) * _LEG_M
    inside = np.minimum(waist - body.y, end)
    inside = np.where(body.within("trunk", "leg", "foot"), inside, -1.0).astype(np.float32)
    _lay(canvas, inside, garment, _folds(canvas, 0.5 if garment.kind == "skirt" else 1.0))
    on = edge(inside)
    if garment.kind in ("jeans", "chinos", "trousers", "shorts"):
        _paint_trouser_seams(canvas, garment, on, waist)
    if garment.rolled:
        canvas.cover(on * edge(0.035 - inside), np.array(garment.colour) * 1.35)
        canvas.shade(0.7, on * line(inside - 0.036, 0.003))


def _paint_trouser_seams(canvas: Canvas, garment: Garment, on: Field, waist: float) -> None:
    body = canvas.body
    thread = 0.72 if garment.kind != "jeans" else 1.25
    front = on * np.clip(body.normals[:, 2] * 3, 0, 1)
    back = on * np.clip(-body.normals[:, 2] * 3, 0, 1)
    canvas.shade(0.75, on * line(waist - body.y - 0.035, 0.003))
    hip = float(body.joint("left_hip")[1])
    canvas.shade(0.72, front * line(body.x, 0.003) * (body.y > hip - 0.01))
    pocket = body.y - (waist - 0.035) + 1.1 * (np.abs(body.x) - 0.075)
    canvas.shade(
        thread,
        front * line(pocket, 0.003) * (body.y < waist - 0.035) * (body.y > waist - 0.14) * (np.abs(body.x) > 0.07),
    )
    box = np.maximum(np.abs(np.abs(body.x) - 0.075) - 0.052, np.abs(body.y - (waist - 0.12)) - 0.058)
    canvas.shade(thread, back * line(box, 0.003))
    canvas.shade(
        0.8,
        on * body.within("leg") * line(body.z - float(body.joint("left_knee")[2]), 0.003) * (np.abs(body.normals[:, 0]) > 0.7),
    )


def _paint_belt(canvas: Canvas, colour: tuple[float, float, float]) -> None:
    body = canvas.body
    height = waist_height(canvas) - 0.016
    on = body.within("trunk", "leg") * edge(0.016 - np.abs(body.y - height))
    canvas.cover(on, np.array(colour) * (0.9 + 0.2 * canvas.noise(0.01))[:, None])
    buckle = np.maximum(np.abs(body.x) - 0.02, np.abs(body.y - height) - 0.015)
    canvas.cover(line(buckle, 0.006) * (body.normals[:, 2] > 0.3), (190, 188, 180))


def _paint_shoes(canvas: Canvas, look: Look) -> None:
    body = canvas.body
    rng = canvas.rng
    foot, ankle = body.joint("left_foot"), body.joint("left_ankle")
    low = float(body.points[:, 1].min())
    sock_top = ankle[1] + float(rng.uniform(0.02, 0.12))
    leg = body.within("leg", "foot")
    canvas.cover(
        leg * edge(sock_top - body.y),
        np.full(3, float(rng.choice([40.0, 90.0, 215.0]))) * (0.9 + 0.2 * canvas.noise((0.004, 0.02, 0.004)))[:, None],
    )
    rim = ankle[1] + 0.005 + 0.35 * np.clip(ankle[2] - body.z, -0.03, 0.05)
    upper = body.within("foot", "leg") * edge(rim - body.y)
    canvas.shade(0.7, leg * bump(body.y - rim, 0.004, 0.006))
    canvas.cover(upper, np.array(look.shoes) * (0.88 + 0.24 * canvas.noise(0.02, 2))[:, None])
    toe = body.z - foot[2]
    canvas.shade(0.75, upper * line(toe - 0.025, 0.003))
    top = upper * np.clip(body.normals[:, 1] * 2, 0, 1) * (toe < 0.015) * (body.z > ankle[2] + 0.02)
    middle = np.abs(np.abs(body.x) - abs(0.5 * (foot[0] + ankle[0])))
    lace = (211, 208, 200) if sum(look.shoes) < 360 else (90, 90, 94)
    canvas.cover(top * (middle < 0.02) * line((body.z % 0.016) - 0.008, 0.004), lace)
    sole = (226, 224, 218) if rng.random() < 0.5 else (44, 42, 40)
    canvas.cover(body.within("foot") * edge(low + 0.022 - body.y), sole)


_TOP_LENGTH_M: Final = {"jacket": 0.16, "jumper": 0.09, "blouse": 0.12}
"""How far below the waist a top hangs that is not tucked in; others 11 cm."""


def _paint_top(canvas: Canvas, garment: Garment, *, tucked: bool) -> None:
    body = canvas.body
    neck, low = body.joint("neck"), waist_height(canvas) - (0.0 if tucked else _TOP_LENGTH_M.get(garment.kind, 0.11))
    sleeve = np.asarray((garment.end - body.arm) * _UPPER_ARM_M, np.float32)
    inside = _top_extent(canvas, garment.kind, sleeve, low)
    if garment.kind == "jacket":
        shirt = (226.0, 224.0, 220.0) if canvas.rng.random() < 0.6 else (70.0, 78.0, 92.0)
        under = np.where(body.within("arm", "hand"), -1, _top_extent(canvas, "tee", sleeve, low)).astype(np.float32)
        _lay(canvas, under, Garment("tee", shirt, shirt), _folds(canvas, 0.6))
        gap = np.abs(body.x) - (0.030 + 0.10 * np.clip((body.y - low) / 0.6, 0, 1) ** 2)
        opens = (body.normals[:, 2] > 0) & body.within("trunk", "head", "leg")
        inside = np.where(opens, np.minimum(inside, gap), inside).astype(np.float32)
    _lay(canvas, inside, garment, _folds(canvas, 0.8))
    on = edge(inside)
    _paint_cuffs(canvas, garment, sleeve, on)
    _paint_front(canvas, garment, on, neck)
    canvas.shade(0.80, on * line((body.arm + 0.02) * _UPPER_ARM_M, 0.003))
    side_seam = line(body.z + 0.03, 0.003) * (np.abs(body.normals[:, 0]) > 0.7)
    canvas.shade(0.86, on * body.within("trunk") * side_seam)


def _top_extent(canvas: Canvas, kind: str, sleeve: Field, low: float) -> Field:
    """How far inside a top a place is, metres; negative outside."""
    body = canvas.body
    neck = body.joint("neck")
    trunk = np.minimum(body.y - low, _neckline(canvas, kind, neck))
    inside = np.where(body.within("arm", "hand"), sleeve, trunk)
    inside = np.where(body.within("head"), np.minimum(trunk, neck[1] + 0.05 - body.y), inside)
    return np.asarray(np.where(body.within("foot"), -1, inside), np.float32)


_NECKLINES: Final = {
    "tee": (0.072, 0.010, 0.075, 0.0),
    "jumper": (0.066, 0.030, 0.060, 0.0),
    "blouse": (0.085, 0.005, 0.085, 0.12),
    "shirt": (0.060, 0.075, 0.075, 0.15),
    "polo": (0.060, 0.070, 0.075, 0.14),
    "jacket": (0.064, 0.070, 0.080, 0.0),
}
"""Half width, height of its centre above the neck joint, depth in front, and depth of a V, metres."""


def _neckline(canvas: Canvas, kind: str, neck: Place) -> Field:
    """Distance from the opening for the neck, metres; positive on the cloth."""
    body = canvas.body
    width, rise, depth, cut = _NECKLINES[kind]
    front = np.clip((body.z - neck[2] + 0.02) / 0.06, 0, 1)
    below = neck[1] + rise - body.y
    around = np.abs(body.x)
    hole = np.hypot(around / width, np.maximum(below, 0) / (0.045 + front * (depth - 0.045)))
    inside = (hole - 1) * 0.055
    if cut:
        vee = around - 0.05 * np.clip(1 - below / cut, 0, 1)
        inside = np.where((front > 0.9) & (below < cut), np.minimum(inside, vee), inside)
    return np.asarray(inside, np.float32)


def _paint_cuffs(canvas: Canvas, garment: Garment, sleeve: Field, on: Field) -> None:
    body = canvas.body
    arm = on * body.within("arm", "hand")
    if garment.rolled:
        width = float(canvas.rng.uniform(0.025, 0.05))
        canvas.shade(1.10, arm * edge(width - sleeve))
        for k in (0.35, 0.7, 1.0):
            canvas.shade(0.68, arm * line(sleeve - k * width, 0.003))
    elif garment.kind == "jumper":
        rib = 0.82 + 0.3 * (np.sin(np.arctan2(body.z + 0.055, body.y - 0.455) * 34) > 0)
        canvas.shade(rib, arm * edge(0.055 - sleeve))
        canvas.shade(0.75, arm * line(sleeve - 0.056, 0.003))
    elif garment.kind in ("shirt", "blouse", "jacket"):
        canvas.shade(0.75, arm * line(sleeve - 0.06, 0.0026))
        button = np.hypot(sleeve - 0.03, body.z + 0.055) - 0.004
        canvas.cover(arm * edge(-button, 0.002) * (body.normals[:, 1] < 0), (228, 224, 214))
    else:
        canvas.shade(0.8, arm * line(sleeve - 0.02, 0.002))


def _paint_front(canvas: Canvas, garment: Garment, on: Field, neck: Place) -> None:
    """Placket, buttons, collar, pockets, zip."""
    body = canvas.body
    front = on * np.clip(body.normals[:, 2] * 3, 0, 1) * body.within("trunk", "head", "leg")
    kind, x = garment.kind, body.x
    if kind in ("shirt", "blouse", "polo"):
        low = neck[1] - 0.20 if kind == "polo" else -1.0
        placket = front * (body.y > low)
        canvas.shade(0.78, placket * line(np.abs(x) - 0.016, 0.0028))
        button = np.hypot(x, (body.y % 0.085) - 0.04) - 0.0055
        canvas.cover(
            placket * edge(-button, 0.003),
            np.array([232, 228, 218]) if sum(garment.colour) < 450 else np.array([120, 112, 104]),
        )
    if kind in ("shirt", "polo", "jacket"):
        rise = body.y - neck[1] + 0.030 - 0.2 * np.abs(x)
        collar = on * body.within("trunk", "head") * edge(rise) * (np.abs(x) < 0.13)
        canvas.shade(1.08, collar)
        canvas.shade(0.70, on * line(rise, 0.004) * (np.abs(x) < 0.13) * body.within("trunk", "head"))
    if kind == "shirt" and canvas.rng.random() < 0.6:
        box = np.maximum(np.abs(x - 0.085) - 0.045, np.abs(body.y - body.joint("spine3")[1] - 0.0) - 0.055)
        canvas.shade(0.76, front * line(box, 0.0028))
    if kind == "jacket":
        waist = waist_height(canvas)
        canvas.shade(0.70, front * line(body.y - waist + 0.02, 0.004) * (np.abs(np.abs(x) - 0.11) < 0.05))
    if kind == "jumper":
        canvas.shade(0.80, on * line(_neckline(canvas, kind, neck) - 0.022, 0.003) * body.within("trunk", "head"))
