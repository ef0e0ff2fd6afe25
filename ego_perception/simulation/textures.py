"""Tileable surface pictures made of numbers: every function returns (n, n, 3) uint8 RGB and draws only from its generator.

Real surfaces are even from afar and rough from near: the contrast lies in the grain, hardly any of it in large blotches.
"""

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


def speckle(rng: Rng, n: int, blur: float = 0.6) -> Field:
    """Make tileable fine grain with mean 0 and standard deviation 1."""
    grain = np.pad(rng.standard_normal((n, n), dtype=np.float32), 4, mode="wrap")
    fine = cv2.GaussianBlur(grain, (0, 0), blur)[4:-4, 4:-4]
    return np.asarray(fine / fine.std(), np.float32)


def wood(rng: Rng, n: int, base: Colour, *, planks: int = 4, has_joints: bool = True) -> Image:
    """Boards side by side along the columns, with fibres, growth rings, joints and a shade of their own."""
    fibre = noise(rng, n, low=4, octaves=4, stretch=(1, 16), decay=0.8) - 0.5
    pore = np.clip(noise(rng, n, low=16, octaves=2, stretch=(1, 8)) - 0.62, 0, 1)
    x = np.arange(n, dtype=np.float32)[None] / n
    out = np.zeros((n, n, 3), np.float32)
    edges = np.linspace(0, n, planks + 1).astype(int)
    for left, right in itertools.pairwise(edges):
        warp = noise(rng, n, low=1, octaves=2, stretch=(1, 2))
        rings = np.sin(2 * np.pi * (int(rng.integers(4, 9)) * x + float(rng.uniform(0.6, 1.4)) * warp))
        shade = 1 + 0.2 * fibre + 0.035 * rings - 0.4 * pore
        board = np.asarray(base) * rng.uniform(0.9, 1.08) * rng.uniform(0.985, 1.015, 3)
        out[:, left:right] = board * np.roll(shade, int(rng.integers(n)), axis=0)[:, left:right, None]
        if planks > 1:
            out[:, left : left + 1] *= 0.66 if has_joints else 0.85
        if planks > 1 and has_joints:
            joint = int(rng.integers(n))
            out[joint : joint + 1, left:right] *= 0.66
    return _bytes(out)


def plaster(rng: Rng, n: int, base: Colour, *, contrast: float = 0.12) -> Image:
    """A painted surface: the grain of roller or brush, and hardly visible unevenness."""
    peel = speckle(rng, n, 1.2)
    uneven = noise(rng, n, low=4, octaves=3) - 0.5
    shade = 1 + contrast * (0.13 * peel + 0.12 * uneven + 0.08 * speckle(rng, n))
    return _bytes(np.asarray(base) * shade[..., None])


def brushed(rng: Rng, n: int, base: Colour) -> Image:
    """Metal with fine scratches along the rows."""
    streak = noise(rng, n, low=2, octaves=5, stretch=(16, 1), decay=0.9) - 0.5
    return _bytes(np.asarray(base) * (1 + 0.16 * streak + 0.015 * speckle(rng, n))[..., None])


def wallpaper(rng: Rng, n: int, base: Colour) -> Image:
    """Plaster with a printed motif in nearly the same tone: dots, leaves, diamonds or stripes."""
    out = plaster(rng, n, base, contrast=0.1).astype(np.float32)
    ink = np.asarray(base) * rng.uniform(0.86, 0.95) + rng.uniform(-5, 5, 3)
    mask = np.zeros((n, n), np.uint8)
    motif, cells = int(rng.integers(4)), 8
    step = n / cells
    if motif == 3:
        mask[:, (np.arange(n) // max(2, int(step / 2))) % 2 == 0] = 255
    else:
        for i, j in itertools.product(range(-1, cells + 1), repeat=2):
            _motif(mask, motif, (int((j + 0.5) * step), int((i + (0.25 if j % 2 else 0.75)) * step)), step, (i + j) % 2 == 0)
    a = mask[..., None].astype(np.float32) / 255
    return _bytes(out * (1 - a) + ink * a * (out / np.asarray(base)))


def _motif(mask: Image, motif: int, c: tuple[int, int], step: float, is_even: bool) -> None:
    if motif == 0:
        cv2.circle(mask, c, max(2, int(step * 0.14)), 255, -1, cv2.LINE_AA)
    elif motif == 1:
        turn = 45 if is_even else -45
        cv2.ellipse(mask, c, (max(1, int(step * 0.34)), max(1, int(step * 0.1))), turn, 0, 360, 255, -1, cv2.LINE_AA)
    else:
        r = int(step * 0.3)
        corners = np.array([(c[0] - r, c[1]), (c[0], c[1] - r), (c[0] + r, c[1]), (c[0], c[1] + r)])
        cv2.polylines(mask, [corners], True, 255, max(1, int(step / 16)), cv2.LINE_AA)


def fabric(rng: Rng, n: int, base: Colour, *, patterned: float = 0.25) -> Image:
    """Woven cloth: nearly always plain with a melange, striped or checked with the probability `patterned`."""
    y, x = np.mgrid[:n, :n]
    weave = 0.06 * (((x // 2 + y // 2) % 2) - 0.5)
    yarn = 0.16 * (noise(rng, n, low=8, octaves=4, stretch=(1, 4), decay=0.9) - 0.5)
    yarn += 0.16 * (noise(rng, n, low=8, octaves=4, stretch=(4, 1), decay=0.9) - 0.5)
    shade = 1 + weave + yarn + 0.03 * speckle(rng, n)
    out = np.asarray(base) * shade[..., None]
    style, period = int(rng.choice(3, p=[1 - patterned, 0.7 * patterned, 0.3 * patterned])), n // int(rng.choice([2, 4]))
    accent = np.asarray(base) * rng.uniform(0.7, 1.2) + rng.uniform(-8, 8, 3)
    band = (x % period) < period // 4 if style == 1 else ((x % period) < period // 4) ^ ((y % period) < period // 4)
    if style > 0:
        out = np.where(band[..., None], accent * shade[..., None], out)
    return _bytes(out)


def tiles(rng: Rng, n: int, base: Colour, *, count: int = 4, grout: float = 0.7, brick: bool = False) -> Image:
    """Square tiles, or bricks in a half bond, `count` along the rows; `grout` is the brightness of the joints."""
    p = n // count
    rows = p // 2 if brick else p
    y, x = np.mgrid[:n, :n]
    shifted = x + (p // 2) * ((y // rows) % 2) if brick else x
    across = shifted // p % max(1, n // p)
    spread = 0.07 if brick else 0.04
    shade = rng.uniform(1 - spread, 1 + spread, (n // rows + 1, n // p + 1))[y // rows, across]
    shade = shade + 0.06 * (noise(rng, n, low=4, octaves=5, decay=0.7) - 0.5) + 0.012 * speckle(rng, n)
    line = (shifted % p < max(1, n // 100)) | (y % rows < max(1, n // 100))
    return _bytes(np.asarray(base) * np.where(line, grout + 0.02 * speckle(rng, n), shade)[..., None])


def marble(rng: Rng, n: int, base: Colour) -> Image:
    """Polished stone: granite with flecks, or marble with thin soft veins."""
    if rng.random() < 0.5:
        fleck = noise(rng, n, low=32, octaves=3, decay=0.9) - 0.5
        spots = np.where(speckle(rng, n, 0.8) > 1.6, -0.2, 0.0) + np.where(speckle(rng, n, 0.8) > 1.8, 0.16, 0.0)
        return _bytes(np.asarray(base) * (1 + 0.22 * fleck + spots)[..., None])
    warp = noise(rng, n, low=2, octaves=5)
    field = 2 * noise(rng, n, low=2, octaves=4) + 0.8 * warp
    vein = np.exp(-((np.abs(np.sin(np.pi * field)) / 0.06) ** 2)) * noise(rng, n, low=4, octaves=3)
    return _bytes(np.asarray(base) * (1 + 0.07 * (warp - 0.5) - 0.2 * vein + 0.02 * speckle(rng, n))[..., None])


def any_kind(rng: Rng, n: int, kinds: Sequence[str] = RANDOM_KINDS) -> Image:
    """A surface of a random kind in random colours, for domain randomisation (Tobin et al., IROS 2017)."""
    kind = str(rng.choice(list(kinds)))
    a = rng.uniform(30, 250) * (1 - rng.random() ** 2 * rng.random(3))
    b = a * rng.uniform(0.3, 1.5) if rng.random() < 0.7 else rng.uniform(10, 255, 3)
    if kind == "shapes":
        return _shapes(rng, n)
    if kind == "text":
        return _lines(rng, n, a, b)
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


def _shapes(rng: Rng, n: int) -> Image:
    out = np.ones((n, n, 3), np.float32) * rng.uniform(120, 240, 3)
    for _ in range(14):
        colour = tuple(float(v) for v in rng.uniform(20, 240, 3))
        p = rng.integers(0, n, (4, 2)).astype(np.int32)
        if rng.random() < 0.5:
            cv2.fillConvexPoly(out, cv2.convexHull(p), colour, cv2.LINE_AA)
        else:
            cv2.circle(out, (int(p[0, 0]), int(p[0, 1])), int(rng.integers(4, n // 4)), colour, -1, cv2.LINE_AA)
    return _bytes(out * (0.85 + 0.3 * noise(rng, n)[..., None]))


def _lines(rng: Rng, n: int, paper: Colour, ink: Colour) -> Image:
    out = np.ones((n, n, 3), np.float32) * np.asarray(paper)
    for row in range(6, n - 4, int(rng.integers(5, 14))):
        for col in range(6, n - 14, 8):
            cv2.line(out, (col, row), (col + int(rng.integers(0, 9)), row), tuple(float(v) for v in ink), 2)
    return _bytes(out)


def _bytes(image: NDArray[np.floating]) -> Image:
    return np.ascontiguousarray(np.clip(image, 0, 255).astype(np.uint8))
