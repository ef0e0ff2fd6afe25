"""Printed things: art, labels, pages, book backs and covers, rugs, screens, clock faces; each (n, n, 3) uint8, shown once."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.simulation.textures import Colour, Image, Rng, fabric, noise

NUM_SPINES = 8
SPINE_ROWS = 0.75
"""Upper share of the picture of `spines` that holds the backs; below it is the colour of the pages."""
_BRANDS = ("FRESH", "DAILY", "PURE", "GREEN", "CLASSIC", "ORIGINAL", "HOME", "EXTRA", "FINEST", "GARDEN")
_INKS = (
    (176, 62, 54),
    (52, 92, 132),
    (206, 158, 62),
    (72, 116, 84),
    (96, 72, 104),
    (60, 64, 72),
    (196, 118, 70),
    (84, 140, 150),
)
_CLOTHS = (
    (142, 58, 52),
    (54, 78, 106),
    (78, 98, 80),
    (186, 160, 112),
    (64, 62, 66),
    (160, 110, 78),
    (208, 200, 184),
    (104, 82, 100),
)
_NATURALS = (
    (198, 186, 164),
    (150, 140, 126),
    (120, 128, 134),
    (164, 120, 96),
    (104, 116, 104),
    (92, 100, 118),
    (214, 206, 192),
)

Canvas = NDArray[np.float32]


def art(rng: Rng, n: int) -> Image:
    """A picture to hang, often with a pale mount: landscape, sea, abstract shapes or a plant."""
    kind = int(rng.integers(4))
    out = (_landscape, _sea, _abstract, _botanical)[kind](rng, n)
    out = out * (0.97 + 0.06 * noise(rng, n, low=16, octaves=4)[..., None])
    if rng.random() < 0.6:
        m = int(n * rng.uniform(0.1, 0.18))
        mount = np.full_like(out, 238.0) * np.array((1.0, 0.99, 0.96))
        mount[m : n - m, m : n - m] = cv2.resize(out.astype(np.float32), (n - 2 * m, n - 2 * m), interpolation=cv2.INTER_AREA)
        cv2.rectangle(mount, (m, m), (n - 1 - m, n - 1 - m), (206, 202, 194), 1)
        out = mount
    return _bytes(out)


def _gradient(n: int, top: Colour, bottom: Colour) -> Canvas:
    t = np.linspace(0, 1, n, dtype=np.float32)[:, None, None]
    return np.asarray(np.broadcast_to((1 - t) * np.asarray(top) + t * np.asarray(bottom), (n, n, 3)), np.float32).copy()


def _landscape(rng: Rng, n: int) -> Canvas:
    out = _gradient(n, rng.uniform((110, 140, 170), (190, 190, 215)), rng.uniform((215, 200, 180), (245, 232, 215)))
    hill = rng.uniform((60, 80, 70), (130, 140, 120))
    for k in range(4):
        ridge = n * (0.42 + 0.13 * k + 0.16 * (noise(rng, n, low=2, octaves=4)[0] - 0.5))
        colour = hill * (1.25 - 0.22 * k) + (3 - k) * 14
        out = np.where((np.arange(n)[:, None] > ridge[None])[..., None], colour, out)
    return np.asarray(out, np.float32)


def _sea(rng: Rng, n: int) -> Canvas:
    warm = rng.random() < 0.5
    out = _gradient(n, (222, 166, 128) if warm else (150, 184, 212), (246, 220, 180) if warm else (228, 236, 238))
    line = int(n * rng.uniform(0.5, 0.65))
    water = np.array((92.0, 104.0, 124.0) if warm else (78.0, 122.0, 142.0))
    out[line:] = water * (0.8 + 0.4 * noise(rng, n, low=2, octaves=5, stretch=(8, 1))[: n - line, :, None])
    x, r = int(n * rng.uniform(0.25, 0.75)), int(n * 0.06)
    cv2.circle(out, (x, line - int(n * 0.14)), r, (252, 238, 206), -1, cv2.LINE_AA)
    boat = np.array([(x + n // 6, line - n // 5), (x + n // 6, line - n // 40), (x + n // 4, line - n // 40)], np.int32)
    cv2.fillConvexPoly(out, boat, (240, 236, 228), cv2.LINE_AA)
    return out


def _abstract(rng: Rng, n: int) -> Canvas:
    out = np.ones((n, n, 3), np.float32) * np.array(_NATURALS[int(rng.choice([0, 6]))])
    for _ in range(int(rng.integers(4, 8))):
        colour = (np.array(_CLOTHS[int(rng.integers(len(_CLOTHS)))]) * 0.8 + 44).tolist()
        x, y = (int(v) for v in rng.uniform(0.15, 0.85, 2) * n)
        w, h = (int(v) for v in rng.uniform(0.08, 0.3, 2) * n)
        if rng.random() < 0.5:
            cv2.rectangle(out, (x - w, y - h), (x + w, y + h), colour, -1)
        else:
            cv2.circle(out, (x, y), w, colour, -1, cv2.LINE_AA)
    for _ in range(2):
        p = rng.integers(0, n, (2, 2))
        cv2.line(out, tuple(p[0].tolist()), tuple(p[1].tolist()), (58, 56, 56), max(1, n // 80), cv2.LINE_AA)
    return out


def _botanical(rng: Rng, n: int) -> Canvas:
    out = np.ones((n, n, 3), np.float32) * np.array((236.0, 230.0, 216.0))
    green = (np.array((92.0, 122.0, 92.0)) * rng.uniform(0.75, 1.2)).tolist()
    cv2.line(out, (n // 2, int(0.92 * n)), (n // 2, int(0.14 * n)), green, max(1, n // 60), cv2.LINE_AA)
    for k in range(6):
        for side in (-1, 1):
            y, length = int(n * (0.24 + 0.11 * k)), int(n * (0.09 + 0.022 * k))
            centre = (n // 2 + side * length, y - length // 3)
            cv2.ellipse(out, centre, (length, max(2, length // 3)), -24.0 * side, 0, 360, green, -1, cv2.LINE_AA)
    return out


def label(rng: Rng, n: int) -> Image:
    """The printed face of a package: a ground, a band with a name, an emblem, small print."""
    ink = np.array(_INKS[int(rng.integers(len(_INKS)))], float) * rng.uniform(0.9, 1.1)
    ground = np.array((238.0, 232.0, 218.0)) if rng.random() < 0.55 else ink * 0.5 + 110
    out = np.ones((n, n, 3), np.float32) * ground
    top = int(n * rng.uniform(0.12, 0.3))
    cv2.rectangle(out, (0, top), (n, top + n // 4), ink.tolist(), -1)
    _centred(out, str(rng.choice(_BRANDS)), top + n // 8, 0.78 * n, (246, 244, 238))
    accent = np.array(_INKS[int(rng.integers(len(_INKS)))], float)
    centre = (n // 2, int(top + 0.48 * n))
    if rng.random() < 0.5:
        cv2.circle(out, centre, int(0.15 * n), accent.tolist(), -1, cv2.LINE_AA)
        cv2.circle(out, centre, int(0.09 * n), (accent * 0.5 + 118).tolist(), -1, cv2.LINE_AA)
    else:
        for k in (-1, 0, 1):
            middle = (n // 2 + int(k * 0.16 * n), centre[1])
            cv2.ellipse(out, middle, (n // 14, n // 7), 14.0 * k, 0, 360, accent.tolist(), -1, cv2.LINE_AA)
    for row in range(int(top + 0.68 * n), n - 3, max(3, n // 20)):
        cv2.line(out, (n // 5, row), (int(n * rng.uniform(0.55, 0.82)), row), (96, 94, 92), max(1, n // 96))
    return _bytes(out)


def _centred(
    out: NDArray[np.floating], text: str, y: int, width: float, colour: tuple[int, int, int], *, tall: float = 0.17
) -> None:
    """Write a word around the middle column."""
    n, font = len(out), cv2.FONT_HERSHEY_SIMPLEX
    (w, h), _ = cv2.getTextSize(text, font, 1.0, 2)
    scale = min(width / w, tall * n / h)
    origin = (int((n - w * scale) / 2), int(y + h * scale / 2))
    mask = np.zeros(out.shape[:2], np.uint8)
    cv2.putText(mask, text, origin, font, scale, 255, max(1, round(n / 50)), cv2.LINE_AA)
    share = mask[..., None].astype(np.float32) / 255
    out[:] = out * (1 - share) + share * np.array(colour)


def spines(rng: Rng, n: int) -> Image:
    """`NUM_SPINES` book backs side by side in the upper part, paper below: an atlas for rows and stacks of books."""
    out = np.ones((n, n, 3), np.float32) * np.array((232.0, 224.0, 204.0))
    rows, w = int(SPINE_ROWS * n), n // NUM_SPINES
    out[rows:] *= 1 - 0.1 * rng.random((1, n, 1))
    for k in range(NUM_SPINES):
        cloth = np.array(_CLOTHS[int(rng.integers(len(_CLOTHS)))]) * rng.uniform(0.8, 1.12) + rng.uniform(-8, 8, 3)
        bright = cloth.mean() > 140
        ink = (cloth * 0.35 if bright else cloth * 0.3 + 168).tolist()
        x = k * w
        out[:rows, x : x + w] = cloth
        out[:rows, x : x + max(1, w // 10)] *= 0.8
        out[:rows, x + w - max(1, w // 10) : x + w] *= 0.8
        for y in (0.06, 0.9) if rng.random() < 0.7 else (0.5,):
            cv2.rectangle(out, (x + 1, int(y * rows)), (x + w - 2, int(y * rows) + max(1, n // 64)), ink, -1)
        top, length = int(rows * rng.uniform(0.16, 0.3)), int(rows * rng.uniform(0.3, 0.5))
        y = top
        while y < top + length:  # a title of a few words, read from top to bottom
            step = int(rng.integers(max(2, n // 24), max(3, n // 10)))
            cv2.rectangle(out, (x + w // 3, y), (x + 2 * w // 3, min(y + step, top + length)), ink, -1)
            y += step + max(2, n // 48)
    return _bytes(out)


def cover(rng: Rng, n: int) -> Image:
    """The front of a book: title, author, a simple motif."""
    cloth = np.array(_CLOTHS[int(rng.integers(len(_CLOTHS)))]) * rng.uniform(0.85, 1.1)
    ink = (cloth * 0.35 if cloth.mean() > 140 else cloth * 0.3 + 168).tolist()
    out = np.ones((n, n, 3), np.float32) * cloth
    cv2.rectangle(out, (n // 14, n // 14), (n - n // 14, n - n // 14), ink, max(1, n // 80))
    for k, share in enumerate((0.6, 0.45)):
        half = int(share * n / 2)
        y = int(n * (0.2 + 0.1 * k))
        cv2.rectangle(out, (n // 2 - half, y), (n // 2 + half, y + n // 20), ink, -1)
    cv2.circle(out, (n // 2, int(0.6 * n)), int(0.15 * n), ink, max(1, n // 40), cv2.LINE_AA)
    cv2.rectangle(out, (int(0.36 * n), int(0.84 * n)), (int(0.64 * n), int(0.87 * n)), ink, -1)
    return _bytes(out)


def page(rng: Rng, n: int) -> Image:
    """A sheet with a heading and paragraphs, sometimes with a figure."""
    out = np.ones((n, n, 3), np.float32) * rng.uniform(228, 246) * rng.uniform((0.98, 0.97, 0.93), (1.0, 1.0, 1.0))
    ink = (rng.uniform(40, 90) * np.ones(3)).tolist()
    left, right, step = n // 8, n - n // 8, max(4, n // 18)
    cv2.rectangle(out, (left, n // 9), (int(n * rng.uniform(0.45, 0.75)), n // 9 + n // 22), ink, -1)
    box = int(rng.integers(4, 9)) if rng.random() < 0.4 else -9
    for k, y in enumerate(range(n // 9 + 2 * step, n - n // 12, step)):
        if box <= k < box + 4:
            cv2.rectangle(out, (left, y), (right, y + step), (168, 178, 184), -1)
        elif rng.random() < 0.88:
            x = left
            stop = right if rng.random() < 0.75 else int(n * rng.uniform(0.4, 0.7))
            while x < stop:
                w = int(rng.integers(n // 32, n // 10))
                cv2.line(out, (x, y + step // 2), (min(x + w, stop), y + step // 2), ink, max(1, n // 96))
                x += w + max(2, n // 40)
    return _bytes(out)


def rug(rng: Rng, n: int) -> Image:
    """A woven carpet in muted colours: plain with a border, striped, or with a row of diamonds; fringes at two ends."""
    first, second, third = (np.array(_NATURALS[int(i)], float) for i in rng.permutation(len(_NATURALS))[:3])
    out = np.ones((n, n, 3), np.float32) * first
    style, edge = int(rng.integers(3)), n // 12
    if style == 1:
        for x in range(edge, n - edge, n // 8):
            out[:, x : x + int(n / rng.uniform(14, 40))] = second
    elif style == 2:
        for y in range(1, 4):
            for r, colour in ((n // 9, second), (n // 15, third), (n // 30, first)):
                for dx in (-n // 4, 0, n // 4):
                    corners = np.array([(-r, 0), (0, -r), (r, 0), (0, r)], np.int32)
                    cv2.fillConvexPoly(out, corners + np.array([n // 2 + dx, y * n // 4]), colour.tolist(), cv2.LINE_AA)
    for inset, colour in ((edge, second), (edge + n // 28, third)):
        cv2.rectangle(out, (inset, inset), (n - 1 - inset, n - 1 - inset), colour.tolist(), max(2, n // 60))
    out = out * (fabric(rng, n, (128, 128, 128), patterned=0.0).mean(axis=2, keepdims=True) / 128) ** 0.8
    fringe = max(2, n // 28)
    for ends in (slice(0, fringe), slice(n - fringe, n)):
        out[:, ends] = np.where((np.arange(n) % max(3, n // 64) == 0)[:, None, None], 128, 216) * np.array((1.0, 0.97, 0.9))
    return _bytes(out)


def screen(rng: Rng, n: int) -> Image:
    """A desktop with windows full of text."""
    out = _gradient(n, (66, 96, 128), (36, 52, 84))
    for _ in range(2):
        x, y = int(n * rng.uniform(0.03, 0.3)), int(n * rng.uniform(0.04, 0.25))
        w, h = int(n * rng.uniform(0.5, 0.66)), int(n * rng.uniform(0.5, 0.66))
        is_dark = rng.random() < 0.5
        cv2.rectangle(out, (x, y), (x + w, y + h), (38, 42, 50) if is_dark else (240, 241, 242), -1)
        cv2.rectangle(out, (x, y), (x + w, y + n // 24), (70, 76, 88) if is_dark else (204, 208, 214), -1)
        for row in range(y + n // 12, y + h - 4, max(4, n // 26)):
            colour = np.array(_INKS[int(rng.integers(len(_INKS)))]) if is_dark else np.full(3, 96)
            stop = x + int(w * rng.uniform(0.3, 0.9))
            cv2.line(out, (x + w // 12, row), (stop, row), colour.tolist(), max(1, n // 80))
    cv2.rectangle(out, (0, n - n // 18), (n, n), (28, 30, 36), -1)
    return _bytes(out)


def clock_face(rng: Rng, n: int) -> Image:
    """A dial with hours and hands."""
    c, r = n // 2, 0.46 * n
    out = np.ones((n, n, 3), np.float32) * np.array((240.0, 238.0, 230.0))
    cv2.circle(out, (c, c), int(r), (64, 62, 62), max(1, n // 100), cv2.LINE_AA)
    for k in range(60):
        a, inner = k * math.pi / 30, 0.86 if k % 5 == 0 else 0.93
        p, q = ((int(c + s * r * math.sin(a)), int(c - s * r * math.cos(a))) for s in (inner, 0.97))
        cv2.line(out, p, q, (48, 48, 50), max(1, n // (50 if k % 5 == 0 else 128)), cv2.LINE_AA)
    minutes = float(rng.uniform(0, 720))
    for turn, length, width in ((minutes / 720, 0.5, n // 32), (minutes / 60, 0.76, n // 48)):
        a = 2 * math.pi * turn
        tip = (int(c + length * r * math.sin(a)), int(c - length * r * math.cos(a)))
        cv2.line(out, (c, c), tip, (36, 36, 38), max(1, width), cv2.LINE_AA)
    return _bytes(out)


def _bytes(image: NDArray[np.floating]) -> Image:
    return np.ascontiguousarray(np.clip(image, 0, 255).astype(np.uint8))
