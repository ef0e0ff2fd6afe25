"""Plants: stems, leaves and blossoms as one mesh each."""

from __future__ import annotations

import math

import numpy as np

from ego_perception.simulation.lathe import lathe, tube
from ego_perception.simulation.roundbox import leaf
from ego_perception.simulation.surface import Surface, merged, rotation
from ego_perception.simulation.textures import Rng


def foliage(rng: Rng, z0: float, height: float, *, spread: float) -> Surface:
    """Leaves on stalks that grow out of one root at `z0`: a bush, upright blades, or leaves along a stem."""
    kind = int(rng.integers(3))
    if kind == 0:
        return _blades(rng, z0, height, spread)
    if kind == 1:
        return _along_stem(rng, z0, height, spread)
    return _bush(rng, z0, height, spread)


def _bush(rng: Rng, z0: float, height: float, spread: float) -> Surface:
    out = []
    for k in range(int(rng.integers(11, 16))):
        turn, up = 2.4 * k + rng.uniform(-0.3, 0.3), rng.uniform(0.35, 1.0)
        reach = 0.45 * spread * (1.2 - 0.6 * up)
        tip = np.array([reach * math.cos(turn), reach * math.sin(turn), z0 + 0.75 * up * height])
        out.append(tube([(0, 0, z0 - 0.02), (*(0.45 * tip[:2]), z0 + 0.5 * up * height), tip], 0.004, segments=4))
        blade = leaf(spread * rng.uniform(0.5, 0.75), spread * rng.uniform(0.16, 0.22), droop=0.35 + 0.3 * (1 - up))
        out.append(blade.turned(rotation("z", turn) @ rotation("y", -0.5 * up)).moved(tip))
    return merged(out)


def _blades(rng: Rng, z0: float, height: float, spread: float) -> Surface:
    out = []
    for k in range(int(rng.integers(8, 12))):
        turn, length = 2.4 * k, height * rng.uniform(0.6, 1.0)
        blade = leaf(length, max(0.018, 0.05 * height), droop=0.05, fold=0.5)
        steep = rng.uniform(1.2, 1.5)
        foot = 0.16 * spread * np.array([math.cos(turn), math.sin(turn), 0.0])
        out.append(blade.turned(rotation("z", turn) @ rotation("y", -steep)).moved((foot[0], foot[1], z0 - 0.02)))
    return merged(out)


def _along_stem(rng: Rng, z0: float, height: float, spread: float) -> Surface:
    out = []
    for k in range(int(rng.integers(2, 4))):
        lean = 0.25 * spread * np.array([math.cos(2.1 * k), math.sin(2.1 * k)])
        top = height * rng.uniform(0.65, 1.0)
        out.append(
            tube([(0, 0, z0 - 0.02), (*(0.6 * lean), z0 + 0.5 * top), (*lean, z0 + top)], 0.005 + 0.004 * height, segments=5)
        )
        for i, t in enumerate(np.linspace(0.3, 1.0, 6)):
            turn = 2.4 * i + k
            blade = leaf(spread * rng.uniform(0.45, 0.65), spread * rng.uniform(0.15, 0.2), droop=0.5)
            at = (*(lean * t), z0 + top * t)
            out.append(blade.turned(rotation("z", turn) @ rotation("y", -0.45)).moved(at))
    return merged(out)


def flowers(rng: Rng, z0: float, height: float) -> tuple[Surface, Surface]:
    """Stems with a few leaves, and the blossoms on them, of cut flowers in a vase whose rim is at `z0`."""
    stems, heads = [], []
    for k in range(int(rng.integers(4, 7))):
        turn, out = 2.4 * k, 0.35 * height * rng.uniform(0.3, 1.0)
        tip = np.array([out * math.cos(turn), out * math.sin(turn), z0 + height * rng.uniform(0.6, 1.0)])
        stems.append(tube([(0, 0, 0.5 * z0), (*(0.3 * tip[:2]), z0 + 0.02), tip], 0.0025, segments=4))
        if k % 2 == 0:
            stems.append(leaf(0.07, 0.016).turned(rotation("z", turn + 1.0)).moved((*(0.5 * tip[:2]), z0 + 0.35 * height)))
        cup = lathe([(0, -0.012), (0.016, 0.0), (0.026, 0.014), (0.022, 0.018), (0.008, 0.008), (0, 0.012)], segments=8)
        heads.append(cup.turned(rotation("z", turn) @ rotation("y", 0.5)).moved(tip))
    return merged(stems), merged(heads)
