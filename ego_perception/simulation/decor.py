"""What hangs on walls and ceilings: pictures, clocks, boards with things on them, radiators, lamps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ego_perception.simulation.assembly import Assembly
from ego_perception.simulation.clutter import book_row, pot_plant
from ego_perception.simulation.furniture import lamp_shade
from ego_perception.simulation.lathe import lathe, tube
from ego_perception.simulation.materials import MaterialBook, Role
from ego_perception.simulation.roundbox import extruded, plain_box, rounded_box
from ego_perception.simulation.surface import Surface, merged, rotation
from ego_perception.simulation.textures import Rng


def hangings(rng: Rng, book: MaterialBook, half: float, *, has_clock: bool = False) -> Iterator[tuple[Assembly, float, float]]:
    """Yield things for one wall with their place along it and the height of their origin, metres."""
    if has_clock:
        yield clock(rng, book), float(rng.uniform(-0.8, 0.8)) * half, float(rng.uniform(1.6, 1.8))
    for _ in range(int(rng.integers(3, 8))):
        makers = (picture, picture, picture, wall_shelf, calendar, coat_hooks)
        a = makers[int(rng.integers(len(makers)))](rng, book)
        yield a, float(rng.uniform(-0.9, 0.9)) * half, float(rng.uniform(1.45, 1.7))
    if rng.random() < 0.3:
        yield radiator(rng, book), float(rng.uniform(-0.7, 0.7)) * half, 0.0


def picture(rng: Rng, book: MaterialBook) -> Assembly:
    """A picture in a moulded frame."""
    a = Assembly("picture", rng, book)
    w = a.u(0.16, 0.46)
    h = min(w * a.u(0.65, 1.35), 0.45)
    wide = a.u(0.01, 0.02)
    bars = [rounded_box((wide, 0.012, h + 2 * wide), 0.006).moved((s * (w + wide), 0, 0)) for s in (-1, 1)]
    bars += [rounded_box((w, 0.012, wide), 0.006).moved((0, 0, s * (h + wide))) for s in (-1, 1)]
    a.mesh(merged(bars), book.pick(Role.WOOD if a.chance(0.5) else Role.DARK if a.chance(0.6) else Role.WHITE), (0, -0.012, 0))
    a.mesh(plain_box((w + 0.002, 0.003, h + 0.002)), book.pick(Role.ART), (0, -0.011, 0))
    return a


def calendar(rng: Rng, book: MaterialBook) -> Assembly:
    """A pinboard with a few sheets."""
    a = Assembly("notes", rng, book)
    w, h = a.u(0.26, 0.4), a.u(0.2, 0.28)
    a.mesh(rounded_box((w, 0.008, h), 0.004), book.pick(Role.CARDBOARD), (0, -0.008, 0))
    for k in range(int(rng.integers(2, 4))):
        at = (w * (-0.55 + 0.55 * k), -0.0175, a.u(-0.25, 0.25) * h)
        a.mesh(plain_box((0.07, 0.001, 0.098)), book.pick(Role.PAPER), at)
    return a


def clock(rng: Rng, book: MaterialBook) -> Assembly:
    """A round clock."""
    a = Assembly("clock", rng, book)
    r = a.u(0.12, 0.16)
    rim = [(0, 0), (r, 0), (r, 0.03), (r - 0.014, 0.035), (r - 0.016, 0.024), (0, 0.024)]
    a.mesh(
        lathe(rim, segments=32).turned(rotation("x", math.pi / 2)),
        book.pick(Role.DARK if a.chance(0.6) else Role.METAL),
        (0, 0, 0.2),
    )
    a.mesh(_disc(r - 0.013), book.pick(Role.CLOCK), (0, -0.025, 0.2))
    return a


def _disc(r: float, count: int = 32) -> Surface:
    """A thin upright disc that shows the middle of a picture."""
    turn = np.linspace(0, 2 * math.pi, count, endpoint=False)
    outline = [(r * math.cos(t), r * math.sin(t)) for t in turn]
    flat = extruded(outline, 0.001).turned(rotation("z", -math.pi / 2))
    whole = 0.5 + np.stack([flat.vertices[:, 0], -flat.vertices[:, 2]], axis=1) / (2 * r / 0.94)
    return Surface(flat.vertices, flat.normals, flat.metric, whole, flat.triangles)


def wall_shelf(rng: Rng, book: MaterialBook) -> Assembly:
    """A board on brackets with books and a small plant."""
    a = Assembly("wall shelf", rng, book)
    w = a.u(0.3, 0.5)
    a.mesh(rounded_box((w, 0.1, 0.012), 0.004), book.pick(Role.WOOD), (0, -0.1, 0))
    bracket = [(0.0, 0.0), (0.0, -0.12), (-0.01, -0.12), (-0.15, -0.01), (-0.15, 0.0)]
    arms = [extruded(list(reversed(bracket)), 0.008).moved((s * 0.7 * w, 0, -0.012)) for s in (-1, 1)]
    a.mesh(merged(arms), book.pick(Role.DARK))
    row = book_row(rng, book, 1.2 * w, 0.3)
    a.parts.extend(replace(p, center=(p.center[0] - 0.3 * w, p.center[1] - 0.1, p.center[2] + 0.012)) for p in row.parts)
    green = pot_plant(rng, book, 0.15)
    a.parts.extend(replace(p, center=(p.center[0] + w - 0.13, p.center[1] - 0.1, p.center[2] + 0.012)) for p in green.parts)
    return a


def coat_hooks(rng: Rng, book: MaterialBook) -> Assembly:
    """A rail with coats and bags on it."""
    a = Assembly("coat hooks", rng, book)
    w = a.u(0.25, 0.4)
    a.mesh(rounded_box((w, 0.011, 0.04), 0.006), book.pick(Role.WOOD), (0, -0.011, 0.1))
    places = [w * (-0.75 + 0.5 * i) for i in range(4)]
    hooks = [tube([(x, -0.02, 0.11), (x, -0.06, 0.09), (x, -0.075, 0.12)], 0.006) for x in places]
    a.mesh(merged(hooks), book.pick(Role.METAL))
    for x in places:
        if a.chance(0.45):
            length = a.u(0.5, 0.8)
            drape = [(0.012, 0.0), (0.05, -0.05), (0.085, -0.16), (0.1, -0.6 * length), (0.115, -length), (0.0, -length)]
            cloth = lathe(list(reversed(drape)), segments=14)
            flat = Surface(cloth.vertices * (1.3, 0.5, 1.0), cloth.normals, cloth.metric, cloth.whole, cloth.triangles)
            a.mesh(flat, book.pick(Role.FABRIC), (x, -0.085, 0.12))
    return a


def radiator(rng: Rng, book: MaterialBook) -> Assembly:
    """A ribbed radiator with pipes to the floor."""
    a = Assembly("radiator", rng, book)
    w = a.u(0.35, 0.55)
    ribs = [rounded_box((0.024, 0.03, 0.27), 0.02).moved((x, 0, 0)) for x in np.arange(-w + 0.03, w, 0.06)]
    rails = [tube([(-w, 0, z), (w, 0, z)], 0.018, segments=8) for z in (-0.22, 0.22)]
    pipe = tube([(w, 0, -0.22), (w + 0.05, 0, -0.22), (w + 0.05, 0, -0.4)], 0.01)
    a.mesh(merged([*ribs, *rails, pipe]), book.pick(Role.WHITE), (0, -0.07, 0.4))
    return a


def ceiling_lamp(rng: Rng, book: MaterialBook) -> Assembly:
    """A lamp hanging from z = 0: a globe, a cone or a drum."""
    a = Assembly("ceiling lamp", rng, book)
    drop, dark = a.u(0.12, 0.26), book.pick(Role.DARK)
    cord = lathe([(0, -drop), (0.005, -drop), (0.005, -0.03), (0.05, -0.03), (0.05, 0.0), (0, 0.0)], segments=12)
    a.mesh(cord, dark)
    kind = int(rng.integers(3))
    if kind == 0:
        turn = np.linspace(0, math.pi, 10)
        ball = [(0.15 * math.sin(t), -drop - 0.15 - 0.15 * math.cos(t)) for t in turn]
        a.mesh(lathe(ball, segments=20), book.pick(Role.SHADE))
    elif kind == 1:
        r = a.u(0.16, 0.22)
        cone = [(r - 0.006, -drop - 0.16), (r, -drop - 0.16), (0.7 * r, -drop - 0.06), (0.03, -drop), (0, -drop)]
        a.mesh(
            lathe([(0.0, -drop - 0.02), (0.66 * r, -drop - 0.07), *cone], segments=24),
            dark if a.chance(0.5) else book.pick(Role.METAL),
        )
        bulb = [(0.035 * math.sin(t), -drop - 0.09 - 0.035 * math.cos(t)) for t in np.linspace(0, math.pi, 7)]
        a.mesh(lathe(bulb, segments=12), book.pick(Role.SHADE))
    else:
        a.mesh(lamp_shade(0.2, 0.18, 0.18), book.pick(Role.SHADE), (0, 0, -drop - 0.18))
    return a
