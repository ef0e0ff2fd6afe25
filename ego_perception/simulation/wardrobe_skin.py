"""Bare skin, and what people wear on their hands: nails, creases, palms, gloves, watch, bracelet, ring."""

from __future__ import annotations

import numpy as np

from ego_perception.body.fingers import finger_chains
from ego_perception.simulation.wardrobe_canvas import Canvas, Field, bump, edge, line
from ego_perception.simulation.wardrobe_look import Look

_BLUSH = np.array([1.06, 0.90, 0.88])
_PALM_LIGHT = np.array([226, 172, 146])
_THUMB_NAIL_FACES = np.array([0.10, 0.80, 0.58])
"""Where the thumb's nail faces at rest, left hand: up, and away from the other fingers."""


def cover_with_skin(canvas: Canvas, look: Look) -> None:
    """Cover the body with skin."""
    body = canvas.body
    canvas.cover(np.ones(len(body)), look.skin)
    mottle = canvas.noise(0.03, 2) - 0.5
    canvas.shade(1 + 0.10 * mottle + 0.012 * canvas.grain())
    _redden(canvas, 0.35 * bump(body.arm, 1.0, 0.08) * body.within("arm"))
    _redden(canvas, 0.35 * bump(body.leg, 1.0, 0.08) * body.within("leg"))


def _redden(canvas: Canvas, amount: Field) -> None:
    canvas.shade(_BLUSH, amount)


def paint_hands(canvas: Canvas, look: Look) -> None:
    """Paint palms, creases, tendons and nails."""
    body = canvas.body
    hand = body.within("hand")
    faces_up = body.normals[:, 1]
    palmar = np.where(hand, np.clip(0.5 - 1.6 * faces_up, 0, 1), 0) * np.clip((body.arm - 2.0) / 0.12, 0, 1)
    # Palms hold little melanin: the darker the skin, the greater the step.
    canvas.cover(palmar * (0.25 + 0.45 * look.tone / 9), _PALM_LIGHT * (0.95 - 0.3 * look.tone / 9))
    finger, along = body.finger
    _paint_creases(canvas, along, finger, hand)
    _paint_palm_lines(canvas, palmar)
    dorsal = np.where(hand, np.clip(faces_up, 0, 1), 0)
    _redden(canvas, 0.45 * dorsal * (bump(along, 0.05, 0.16) + bump(along, 1.0, 0.14)))
    _paint_tendons(canvas, dorsal)
    if look.hands.hairy > 0:
        strands = canvas.noise((0.012, 0.002, 0.0012))
        on = body.within("arm") & (body.arm > 1.0) | (hand & (along < 0.1))
        canvas.shade(0.82, look.hands.hairy * on * np.clip(faces_up, 0, 1) * edge(strands - 0.62, 0.2))
    _paint_nails(canvas, look, hand, finger, along)


def _paint_creases(canvas: Canvas, along: Field, finger: np.ndarray, hand: np.ndarray) -> None:
    """Wrinkles across the joints: one deep line on the palm side, several fine ones on the back."""
    wobble = 0.05 * (canvas.noise(0.004) - 0.5)
    is_back = canvas.body.normals[:, 1] > 0
    for joint in (1.0, 2.0):
        d = along + wobble - joint
        fine = np.exp(-(((np.abs(d) - 0.09) / 0.025) ** 2)) + np.exp(-((d / 0.022) ** 2))
        deep = np.exp(-((d / 0.03) ** 2))
        canvas.shade(0.80, hand * np.where(is_back, 0.55 * fine, deep))
    base = np.exp(-(((along + wobble - 0.42) / 0.03) ** 2)) * (finger > 0)
    canvas.shade(0.80, hand * base * ~is_back)


def _paint_palm_lines(canvas: Canvas, palmar: Field) -> None:
    """Heart, head and life line, as curves over the palm seen from below."""
    body = canvas.body
    wrist, chains = body.joint("left_wrist"), finger_chains(body.model)[0].tolist()
    length, width = abs(chains[2][0][0] - wrist[0]), abs(chains[4][0][2] - chains[1][0][2])
    u = (np.abs(body.x) - abs(wrist[0])) / length  # 0 wrist .. 1 knuckles
    v = (body.z - chains[4][0][2]) / width  # 0 little finger .. 1 index finger
    heart = u - (0.80 + 0.16 * v**2)
    head = u - (0.52 + 0.28 * v)
    life = np.hypot((u - 0.18) * length, (v - 1.15) * width) - 0.042
    for distance, scale in ((heart, length), (head, length), (life, 1.0)):
        inside = (u > 0.12) & (u < 1.05) & (v > -0.35) & (v < 1.25)
        canvas.shade(0.80, 0.8 * palmar * inside * np.exp(-((distance * scale / 0.0011) ** 2)))


def _paint_tendons(canvas: Canvas, dorsal: Field) -> None:
    body = canvas.body
    chains = finger_chains(body.model)[0].tolist()
    wrist = body.joint("left_wrist")
    for knuckle in (chain[0] for chain in chains[1:]):
        t = (np.abs(body.x) - abs(wrist[0])) / (abs(knuckle[0]) - abs(wrist[0]))
        z = wrist[2] + t * (knuckle[2] - wrist[2])
        d = body.z - z
        ridge = np.exp(-((d / 0.003) ** 2)) - 0.7 * np.exp(-(((np.abs(d) - 0.008) / 0.004) ** 2))
        canvas.shade(1 + 0.07 * ridge, dorsal * ((t > 0.15) & (t < 1.0)))


def _paint_nails(canvas: Canvas, look: Look, hand: np.ndarray, finger: np.ndarray, along: Field) -> None:
    body = canvas.body
    chains = finger_chains(body.model).astype(np.float32)
    for side, sign in enumerate((1, -1)):
        for k in range(5):
            end = chains[side, k, 3] - chains[side, k, 2]
            end = end / np.linalg.norm(end)
            up = _THUMB_NAIL_FACES * [sign, 1, 1] if k == 0 else np.array([0.0, 1.0, 0.0])
            up = up - (up @ end) * end
            up = up / np.linalg.norm(up)
            mine = hand & (finger == k) & (body.side == sign) & (along > 2.2)
            relative = body.points[mine] - chains[side, k, 3]
            ahead, aside = relative @ end, relative @ np.cross(end, up)
            facing = body.normals[mine] @ up
            half = 0.0062 if k == 0 else 0.0048 if k < 4 else 0.0040
            shape = half - np.hypot(aside, np.maximum(np.abs(ahead + 0.001) - 0.0055, 0))
            alpha = edge(shape, 0.0012) * np.clip((facing - 0.25) / 0.2, 0, 1)
            full = np.zeros(len(hand), np.float32)
            full[mine] = alpha
            tip = np.zeros_like(full)
            tip[mine] = alpha * edge(ahead - 0.0035, 0.0012)
            rim = np.zeros_like(full)
            rim[mine] = np.exp(-((shape / 0.0009) ** 2)) * np.clip((facing - 0.1) / 0.2, 0, 1)
            canvas.shade(0.74, rim)
            if look.hands.polish is not None:
                canvas.cover(full, look.hands.polish)
                continue
            canvas.cover(0.75 * full, 0.55 * np.array(look.skin) + 0.45 * np.array([238, 190, 178]))
            canvas.cover(0.7 * tip, (236, 226, 212))


def paint_jewellery(canvas: Canvas, look: Look) -> None:
    """Watch and bracelet over the wrist, ring on the ring finger."""
    body = canvas.body
    hands, rng = look.hands, canvas.rng
    metal = np.array([(206, 178, 104), (200, 202, 206), (150, 110, 90)][int(rng.integers(3))])
    arm = body.within("arm", "hand")
    if hands.watch:
        strap = np.array([(36, 34, 34), (92, 62, 42), (176, 178, 182), (60, 72, 96)][int(rng.integers(4))])
        on = arm & (body.side == hands.watch)
        band = edge(0.010 - np.abs(body.arm - 1.90) * 0.25) * on
        canvas.shade(0.7, on * bump(body.arm, 1.90, 0.055))
        canvas.cover(band, strap)
        wrist = body.joint("left_wrist")
        centre_x = abs(wrist[0]) - 0.1 * 0.25
        r = np.hypot(np.abs(body.x) - centre_x, body.z - wrist[2])
        top = np.clip(body.normals[:, 1] * 3, 0, 1) * on
        canvas.cover(edge(0.0185 - r, 0.0015) * top, metal)
        face = (24, 26, 30) if rng.random() < 0.6 else (232, 230, 224)
        canvas.cover(edge(0.0150 - r, 0.0015) * top, face)
        hand_mark = line(body.z - wrist[2], 0.0018) * (np.abs(body.x) > centre_x) * (r < 0.012)
        canvas.cover(hand_mark * top, (160, 160, 160))
    if hands.bracelet:
        on = arm & (body.side == hands.bracelet)
        canvas.shade(0.75, on * bump(body.arm, 1.84, 0.03))
        canvas.cover(line((body.arm - 1.84) * 0.25, 0.006) * on * (0.6 + 0.8 * canvas.noise(0.004)), metal)
    if hands.ring:
        finger, along = body.finger
        on = body.within("hand") & (body.side == hands.ring) & (finger == 3)
        canvas.cover(line((along - 0.56) * 0.038, 0.004) * on, metal)


def paint_gloves(canvas: Canvas, look: Look) -> None:
    """Cover the hands, and for some kinds part of the lower arm."""
    body = canvas.body
    kind = look.hands.gloves
    if not kind:
        return
    colour = np.array(look.hands.glove_colour)
    start = {"work": 1.86, "rubber": 1.45, "nitrile": 1.84, "knitted": 1.80}[kind]
    on = edge((body.arm - start) * 0.25) * body.within("arm", "hand")
    canvas.shade(0.75, body.within("arm") * bump(body.arm, start - 0.03, 0.03))
    folds = canvas.noise((0.03, 0.02, 0.02), 2)
    shade = 0.93 + 0.14 * folds + 0.02 * canvas.grain()
    palm = np.clip(0.5 - 2.5 * body.normals[:, 1], 0, 1) * body.within("hand")
    if kind == "knitted":
        shade = (
            shade
            * (0.88 + 0.24 * (np.sin(body.z * 2 * np.pi / 0.0045) > 0))
            * (0.94 + 0.12 * (np.sin(body.x * 2 * np.pi / 0.004) > 0))
        )
    canvas.cover(on, colour[None] * shade[:, None])
    if kind == "work":
        grip = np.array([(60, 62, 66), (196, 92, 40), (52, 92, 120)][int(canvas.rng.integers(3))])
        _, along = body.finger
        canvas.cover(
            on * np.maximum(palm, body.within("hand") * edge(along - 1.9, 0.1)),
            grip * (0.75 + 0.4 * canvas.noise(0.004))[:, None],
        )
    canvas.shade(0.7, on * line((body.arm - start - 0.02) * 0.25, 0.002))
    _, along = body.finger
    for joint in (1.0, 2.0):
        canvas.shade(0.82, on * body.within("hand") * np.exp(-(((along - joint) / 0.08) ** 2)))
