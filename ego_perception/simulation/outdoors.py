"""What a window shows: sky with soft clouds, hills in the haze, houses and trees."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.simulation.textures import Image, Rng, noise

HORIZON = 2 / 3
"""Height of the horizon in the picture, from its top."""
_HAZE = np.array((206.0, 220.0, 232.0))
_WALLS = ((214, 204, 188), (196, 178, 160), (176, 126, 104), (224, 220, 210), (190, 186, 178))
_ROOFS = ((132, 82, 66), (96, 88, 88), (120, 102, 88))

Picture = NDArray[np.float32]


def view_outside(rng: Rng, n: int) -> Image:
    """A quiet suburb on a fair day; (n, n, 3), the horizon at `HORIZON` of the height."""
    out = _sky(rng, n)
    horizon = HORIZON * n
    for k, colour in enumerate(((126, 148, 160), (112, 142, 128), (98, 128, 94))):
        ridge = horizon - n * (0.075 - 0.02 * k) * (0.35 + _profile(rng, n, low=2 << k)) + 0.012 * n * k
        _below(out, ridge, _hazed(np.array(colour, float), 0.62 - 0.2 * k))
    _below(out, np.full(n, horizon + 0.02 * n), np.array((124.0, 146.0, 92.0)), noise(rng, n, low=8, octaves=5, stretch=(4, 1)))
    for _ in range(int(rng.integers(3, 6))):
        _house(
            rng,
            out,
            int(rng.uniform(0.16, 0.84) * n),
            int(horizon + n * rng.uniform(0.015, 0.05)),
            n * rng.uniform(0.06, 0.1),
        )
    for _ in range(int(rng.integers(9, 16))):
        _tree(
            rng, out, int(rng.uniform(0.12, 0.88) * n), int(horizon + n * rng.uniform(0.02, 0.09)), n * rng.uniform(0.04, 0.085)
        )
    _hedge(rng, out, n)
    return np.ascontiguousarray(np.clip(out, 0, 255).astype(np.uint8))


def _sky(rng: Rng, n: int) -> Picture:
    t = np.clip(np.linspace(0, 1 / HORIZON, n), 0, 1)[:, None, None].astype(np.float32) ** 1.3
    out = (1 - t) * np.array((108.0, 152.0, 208.0)) + t * _HAZE
    field = noise(rng, n, low=4, octaves=6, stretch=(2, 1), decay=0.5)
    cloud = np.clip((field - float(rng.uniform(0.45, 0.6))) * 3.2, 0, 1)[..., None] * (0.9 - 0.5 * t)
    shaded = np.clip(field - np.roll(field, n // 40, axis=0), -0.1, 0.1)[..., None] * 120
    return np.asarray(np.broadcast_to(out, (n, n, 3)) * (1 - cloud) + cloud * (240 + shaded), np.float32)


def _profile(rng: Rng, n: int, low: int) -> NDArray[np.floating]:
    """An uneven line of n heights in 0..1 whose end meets its start."""
    row = noise(rng, 64, low=low, octaves=3)[0]
    return np.asarray(np.interp(np.arange(n) * 64 / n, np.arange(65), np.append(row, row[0])))


def _hazed(colour: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    return colour * (1 - share) + _HAZE * share


def _below(out: Picture, ridge: NDArray[np.floating], colour: NDArray[np.float64], shade: Picture | None = None) -> None:
    n = len(out)
    mask = np.clip(np.arange(n)[:, None] - ridge[None] + 0.5, 0, 1)[..., None]
    tint = colour if shade is None else colour * (0.86 + 0.28 * shade[..., None])
    out[:] = out * (1 - mask) + tint * mask


def _house(rng: Rng, out: Picture, x: int, foot: int, size: float) -> None:
    """A gabled house with lit sides, windows and a door."""
    w, h = int(size), int(size * rng.uniform(0.55, 0.8))
    wall = _hazed(np.array(_WALLS[int(rng.integers(len(_WALLS)))], float), 0.15)
    roof = _hazed(np.array(_ROOFS[int(rng.integers(len(_ROOFS)))], float), 0.15)
    cv2.rectangle(out, (x - w, foot - h), (x + w, foot), wall.tolist(), -1)
    gable = np.array([(x - w - w // 8, foot - h), (x - w // 2, foot - h - w // 2), (x + w // 2, foot - h - w // 2),
                      (x + w + w // 8, foot - h)], np.int32)  # fmt: skip
    cv2.fillConvexPoly(out, gable, roof.tolist(), cv2.LINE_AA)
    pane = _hazed(np.array((70.0, 84.0, 98.0)), 0.2).tolist()
    size_px = max(2, w // 5)
    for k in range(3):
        left, top = x - w + w // 4 + k * (2 * w // 3), foot - int(0.8 * h)
        cv2.rectangle(out, (left - 1, top - 1), (left + size_px + 1, top + size_px + 2), (232, 230, 224), -1)
        cv2.rectangle(out, (left, top), (left + size_px, top + size_px + 1), pane, -1)
    cv2.rectangle(out, (x - size_px // 2, foot - h // 3), (x + size_px // 2, foot), _hazed(roof, 0.1).tolist(), -1)


def _tree(rng: Rng, out: Picture, x: int, foot: int, size: float) -> None:
    """A crown of shaded blobs on a trunk."""
    green = np.array((84.0, 116.0, 66.0)) * rng.uniform(0.8, 1.15) * rng.uniform(0.95, 1.05, 3)
    cv2.line(out, (x, foot), (x, int(foot - size)), (92, 78, 64), max(1, int(size / 9)), cv2.LINE_AA)
    for k in range(22):
        t = k / 21
        dx, dy = rng.normal(0, 0.34 * size), -size * (0.95 + rng.normal(0, 0.3)) - 0.15 * size * t
        colour = _hazed(green * (0.72 + 0.5 * t), 0.1)
        centre = (int(x + dx), int(foot + dy))
        cv2.circle(out, centre, max(1, int(size * rng.uniform(0.14, 0.3))), colour.tolist(), -1, cv2.LINE_AA)


def _hedge(rng: Rng, out: Picture, n: int) -> None:
    """Bushes along the garden, below everything else."""
    top = n * (HORIZON + 0.12 - 0.03 * _profile(rng, n, low=8))
    _below(out, top, np.array((70.0, 98.0, 56.0)), noise(rng, n, low=16, octaves=5, decay=0.8))
