"""Tileable surface pictures made of numbers: every function returns (n, n, 3) uint8 RGB and draws only from its generator."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Field = NDArray[np.float32]
Colour = Sequence[float] | NDArray[np.float64]
Rng = np.random.Generator

RANDOM_KINDS = ("plain", "noise", "noise", "stripes", "tiles", "planks", "shapes", "text")


def noise(rng: Rng, n: int, *, low: int = 2, octaves: int = 5, stretch: tuple[int, int] = (1, 1), decay: float = 0.55) -> Field:
    """Make tileable multi-octave value noise in 0..1.

    Args:
        n: side of the picture, pixels; a power of two, as are `low` and `stretch`, or the seam would show.
        low: cells of the coarsest octave along each side.
        stretch: factors on the cells along rows and columns; unequal ones give grain.
        decay: amplitude ratio of successive octaves.
    """
    out = np.zeros((n, n), np.float32)
    for k in range(octaves):
        rows, cols = (min(n, max(1, low * 2**k * s)) for s in stretch)
        grid = np.pad(rng.random((rows, cols), dtype=np.float32), 2, mode="wrap")  # cubic interpolation reaches two cells
        dy, dx = 2 * n // rows, 2 * n // cols
        fine = cv2.resize(grid, (n + 2 * dx, n + 2 * dy), interpolation=cv2.INTER_CUBIC)
        out += decay**k * fine[dy : dy + n, dx : dx + n]
    out -= out.min()
    return out / max(float(out.max()), 1e-6)


def wood(rng: Rng, n: int, base: Colour, *, planks: int = 4) -> Image:
    """Boards side by side along the columns, with grain, joints and a shade of their own."""
    out = np.zeros((n, n, 3), np.float32)
    edges = np.linspace(0, n, planks + 1).astype(int)
    for left, right in itertools.pairwise(edges):
        grain = noise(rng, n, low=2, octaves=6, stretch=(1, 8), decay=0.75)[:, : right - left]
        board = np.asarray(base) * rng.uniform(0.8, 1.12)
        out[:, left:right] = board * (0.68 + 0.5 * grain[..., None])
        if planks > 1:
            out[:, left : left + 1] *= 0.6
            joint = int(rng.integers(n))
            out[joint : joint + 1, left:right] *= 0.6
    return _bytes(out)


def plaster(rng: Rng, n: int, base: Colour, *, contrast: float = 0.36) -> Image:
    """A painted wall: blotches, brush grain and speckle."""
    blotch = noise(rng, n, low=2, octaves=7, decay=0.72)
    speckle = rng.random((n, n), dtype=np.float32)
    shade = 1 + contrast * (blotch - 0.5) + 0.12 * contrast * (speckle - 0.5)
    shade[rng.random((n, n)) < 0.002] *= 0.8
    return _bytes(np.asarray(base) * cv2.GaussianBlur(shade, (0, 0), 0.6)[..., None])


def wallpaper(rng: Rng, n: int, base: Colour) -> Image:
    """Plaster with a repeated printed motif: dots, leaves, diamonds or stripes."""
    out = plaster(rng, n, base, contrast=0.2).astype(np.float32)
    ink = np.asarray(base) * rng.uniform(0.6, 0.85) + rng.uniform(-14, 14, 3)
    mask = np.zeros((n, n), np.uint8)
    motif, cells = int(rng.integers(4)), int(rng.choice([4, 6, 8]))
    step = n / cells
    for i in range(cells):
        for j in range(cells):
            c = (int((j + 0.5) * step), int((i + (0.25 if j % 2 else 0.75)) * step))
            if motif == 0:
                cv2.circle(mask, c, max(2, int(step * 0.2)), 255, -1, cv2.LINE_AA)
            elif motif == 1:
                cv2.ellipse(
                    mask, c, (int(step * 0.36), int(step * 0.12)), 45 if (i + j) % 2 else -45, 0, 360, 255, -1, cv2.LINE_AA
                )
            elif motif == 2:
                r = int(step * 0.3)
                cv2.polylines(
                    mask, [np.array([(c[0] - r, c[1]), (c[0], c[1] - r), (c[0] + r, c[1]), (c[0], c[1] + r)])], True, 255, 2
                )
    if motif == 3:
        mask[:, (np.arange(n) // max(2, int(step / 2))) % 2 == 0] = 255
    a = mask[..., None].astype(np.float32) / 255 * 0.75
    return _bytes(out * (1 - a) + ink * a)


def fabric(rng: Rng, n: int, base: Colour) -> Image:
    """Woven cloth: plain, striped or checked."""
    y, x = np.mgrid[:n, :n]
    shade = 0.8 + 0.12 * ((x // 2 + y // 2) % 2) + 0.32 * (noise(rng, n, octaves=6, decay=0.7) - 0.3)
    out = np.asarray(base) * shade[..., None]
    accent = np.asarray(base) * rng.uniform(0.45, 1.35) + rng.uniform(-25, 25, 3)
    style, period = int(rng.integers(3)), int(rng.choice([16, 32]))
    band = (x % period) < period // 4 if style == 1 else ((x % period) < period // 4) ^ ((y % period) < period // 4)
    if style > 0:
        out = np.where(band[..., None], 0.4 * out + 0.6 * accent * shade[..., None], out)
    return _bytes(out)


def tiles(rng: Rng, n: int, base: Colour, *, count: int = 4, grout: float = 0.7, brick: bool = False) -> Image:
    """Square tiles, or bricks laid in a half bond, each with a shade of its own."""
    y, x = np.mgrid[:n, :n]
    p = n // count
    rows = p // 2 if brick else p
    shifted = (x + (y // rows % 2) * (p // 2)) % n if brick else x
    shade = rng.uniform(0.84, 1.06, (n // rows + 1, n // p + 1))[y // rows, shifted // p]
    shade = shade * (0.86 + 0.28 * noise(rng, n, low=4, octaves=6, decay=0.75))
    line = (shifted % p < max(1, n // 100)) | (y % rows < max(1, n // 100))
    return _bytes(np.asarray(base) * np.where(line, grout, shade)[..., None])


def marble(rng: Rng, n: int, base: Colour) -> Image:
    """Stone with veins and grains."""
    warp = noise(rng, n, low=2, octaves=6)
    veins = 1 - np.abs(2 * ((noise(rng, n, low=2, octaves=4) + 0.6 * warp) % 0.5) / 0.5 - 1)
    grain = rng.random((n, n), dtype=np.float32)
    shade = 0.78 + 0.34 * warp - 0.3 * veins**6 + 0.22 * (cv2.GaussianBlur(grain, (0, 0), 0.8) - 0.5)
    return _bytes(np.asarray(base) * shade[..., None])


def art(rng: Rng, n: int) -> Image:
    """A picture to hang: a landscape, or an abstract composition."""
    if rng.random() < 0.5:
        return _landscape(rng, n)
    out = np.ones((n, n, 3), np.float32) * rng.uniform(120, 240, 3)
    for _ in range(14):
        colour = tuple(float(v) for v in rng.uniform(20, 240, 3))
        p = rng.integers(0, n, (4, 2)).astype(np.int32)
        if rng.random() < 0.5:
            cv2.fillConvexPoly(out, cv2.convexHull(p), colour, cv2.LINE_AA)
        else:
            cv2.circle(out, (int(p[0, 0]), int(p[0, 1])), int(rng.integers(4, n // 4)), colour, -1, cv2.LINE_AA)
    return _bytes(_muted(out) * (0.85 + 0.3 * noise(rng, n)[..., None]))


def _landscape(rng: Rng, n: int) -> Image:
    out = np.linspace(rng.uniform(120, 220, 3), rng.uniform(200, 250, 3), n)[:, None] * np.ones((1, n, 1))
    for k in range(4):
        ridge = n * (0.35 + 0.16 * k + 0.22 * (noise(rng, n, low=2, octaves=4)[0] - 0.5))
        hill = rng.uniform((30, 60, 30), (120, 140, 110)) * (1.15 - 0.2 * k)
        out = np.where((np.arange(n)[:, None] > ridge[None])[..., None], hill, out)
    return _bytes(out * (0.8 + 0.4 * noise(rng, n, octaves=6)[..., None]))


def view_outside(rng: Rng, n: int) -> Image:
    """What a window shows: sky with clouds above trees and houses."""
    sky = np.linspace((120, 165, 225), (225, 235, 242), n)[:, None] * np.ones((1, n, 1))
    cloud = np.clip(noise(rng, n, low=4, octaves=6) * 2 - 0.95, 0, 1)[..., None]
    out = sky * (1 - cloud) + 248 * cloud
    for _ in range(6):
        x, w, top = int(rng.integers(n)), int(rng.integers(n // 12, n // 5)), int(rng.integers(n // 2, 3 * n // 4))
        out[top:, x : x + w] = rng.uniform(120, 200) * rng.uniform((0.95, 0.85, 0.75), (1.05, 1.0, 0.95))
        for wy in range(top + 6, n - 6, 14):
            for wx in range(x + 4, min(x + w - 6, n - 6), 12):
                out[wy : wy + 7, wx : wx + 6] = (70, 80, 95)
    trees = n * (0.74 + 0.2 * (noise(rng, n, low=4, octaves=6)[0] - 0.5))
    green = np.array((70, 105, 55)) * (0.5 + 0.9 * noise(rng, n, low=8, octaves=5)[..., None])
    return _bytes(np.where((np.arange(n)[:, None] > trees[None])[..., None], green, out))


def label(rng: Rng, n: int) -> Image:
    """The printed face of a package: coloured fields, a motif and lines that look like text."""
    base, ink = rng.uniform(60, 240, 3), rng.uniform(0, 120, 3) if rng.random() < 0.6 else rng.uniform(150, 255, 3)
    out = np.ones((n, n, 3), np.float32) * base
    top, bottom = sorted(rng.uniform(0.1, 0.9, 2) * n)
    out[int(top) : int(bottom)] = rng.uniform(40, 250, 3)
    cv2.circle(out, (int(rng.integers(n)), int(rng.integers(n))), n // 5, tuple(float(v) for v in rng.uniform(0, 255, 3)), -1)
    for row in range(n // 8, n - 4, n // 8):
        left, right = sorted(rng.integers(2, n - 2, 2))
        cv2.line(out, (int(left), row), (int(right), row), tuple(float(v) for v in ink), max(1, int(rng.integers(1, 4))))
    return _bytes(_muted(out))


def spines(rng: Rng, n: int) -> Image:
    """A row of book backs, for filled shelves."""
    out = np.zeros((n, n, 3), np.float32)
    x = 0
    while x < n:
        w = int(rng.integers(n // 16, n // 7))
        out[:, x : x + w] = rng.uniform(30, 210) * (1 - 0.6 * rng.random(3))
        out[int(rng.uniform(0.1, 0.4) * n) :, x : x + w][: n // 10] += rng.uniform(-60, 90)
        out[:, x : x + 1] *= 0.4
        x += w
    return _bytes(out)


def rug(rng: Rng, n: int) -> Image:
    """A carpet with a border and a mirrored pattern."""
    a, b, c = (rng.uniform(60, 190) * (1 - 0.55 * rng.random(3)) for _ in range(3))
    field = noise(rng, n, low=8, octaves=3)
    field = field + field[:, ::-1] + field[::-1] + field[::-1, ::-1]
    level = (field - field.min()) / np.ptp(field)
    out = np.where((level > 0.55)[..., None], a, np.where((level > 0.35)[..., None], b, c))
    for inset, colour in ((0, b), (n // 16, a), (n // 10, c)):
        cv2.rectangle(out, (inset, inset), (n - 1 - inset, n - 1 - inset), tuple(float(v) for v in colour), n // 24)
    return _bytes(out * (0.75 + 0.35 * rng.random((n, n, 1))))


def any_kind(rng: Rng, n: int, kinds: Sequence[str] = RANDOM_KINDS) -> Image:
    """A surface of a random kind in random colours, for domain randomisation (Tobin et al., IROS 2017)."""
    kind = str(rng.choice(list(kinds)))
    a = rng.uniform(30, 250) * (1 - rng.random() ** 2 * rng.random(3))
    b = a * rng.uniform(0.3, 1.5) if rng.random() < 0.7 else rng.uniform(10, 255, 3)
    if kind == "shapes":
        return art(rng, n)
    if kind == "text":
        return _text(rng, n, a, b)
    mask = _random_mask(rng, n, kind)
    grain = rng.normal(0, rng.uniform(0, 10), (n, n, 1))
    return _bytes(a + (b - a) * mask[..., None].clip(0, 1.3) + grain)


def _random_mask(rng: Rng, n: int, kind: str) -> NDArray[np.floating]:
    y, x = np.mgrid[:n, :n]
    rough = noise(
        rng, n, low=1, octaves=6, stretch=tuple(rng.choice([1, 1, 1, 8], 2).tolist()), decay=float(rng.uniform(0.4, 1))
    )
    if kind == "noise":
        return rough
    if kind == "stripes":
        return rng.random(n)[(x + (rough * rng.uniform(0, 9)).astype(int)) % n // int(rng.integers(1, 12))]
    if kind == "tiles":
        p = n // int(rng.integers(2, 10))
        return ((x % p < 2) | (y % p < 2)) * 1.0 + 0.3 * rng.random((n, n))[y // p, x // p]
    if kind == "planks":
        p = n // int(rng.integers(2, 8))
        return 0.6 * rng.random(n)[x // p] + 0.4 * rough + (x % p < 1)
    return np.zeros((n, n), np.float32)


def page(rng: Rng, n: int) -> Image:
    """Dark lines of writing on pale paper."""
    return _text(rng, n, rng.uniform(215, 245) * rng.uniform((0.97, 0.95, 0.88), (1.0, 1.0, 1.0)), rng.uniform(30, 110, 3))


def _text(rng: Rng, n: int, paper: Colour, ink: Colour) -> Image:
    out = np.ones((n, n, 3), np.float32) * np.asarray(paper)
    for row in range(6, n - 4, int(rng.integers(5, 14))):
        for col in range(6, n - 14, 8):
            cv2.line(out, (col, row), (col + int(rng.integers(0, 9)), row), tuple(float(v) for v in ink), 2)
    return _bytes(out)


def _muted(image: NDArray[np.floating], amount: float = 0.4) -> NDArray[np.floating]:
    """Move colours towards grey."""
    return image * (1 - amount) + amount * image.mean(axis=2, keepdims=True)


def _bytes(image: NDArray[np.floating]) -> Image:
    return np.ascontiguousarray(np.clip(image, 0, 255).astype(np.uint8))
