"""What hangs on walls and ceilings: pictures, clocks, boards with things on them, radiators, lamps."""

from __future__ import annotations

from collections.abc import Iterator

from ego_perception.simulation.assembly import Assembly
from ego_perception.simulation.materials import MaterialBook, Role
from ego_perception.simulation.textures import Rng


def hangings(rng: Rng, book: MaterialBook, half: float) -> Iterator[tuple[Assembly, float, float]]:
    """Yield things for one wall with their place along it and the height of their origin, metres."""
    for _ in range(int(rng.integers(3, 8))):
        makers = (picture, picture, picture, clock, wall_shelf, calendar, coat_hooks)
        a = makers[int(rng.integers(len(makers)))](rng, book)
        yield a, float(rng.uniform(-0.9, 0.9)) * half, float(rng.uniform(1.3, 1.75))
    if rng.random() < 0.3:
        yield radiator(rng, book), float(rng.uniform(-0.7, 0.7)) * half, 0.0


def picture(rng: Rng, book: MaterialBook) -> Assembly:
    """A framed picture."""
    a = Assembly("picture", rng, book)
    w, h = a.u(0.12, 0.42), a.u(0.12, 0.34)
    a.box((0, -0.008, 0), (w + 0.025, 0.008, h + 0.025), book.pick(Role.WOOD if a.chance(0.5) else Role.DARK))
    a.box((0, -0.018, 0), (w, 0.003, h), book.pick(Role.ART))
    return a


def calendar(rng: Rng, book: MaterialBook) -> Assembly:
    """A few sheets of paper pinned to the wall."""
    a = Assembly("notes", rng, book)
    for _ in range(int(rng.integers(1, 5))):
        a.box((a.u(-0.3, 0.3), -0.003, a.u(-0.2, 0.2)), (a.u(0.06, 0.12), 0.002, a.u(0.08, 0.16)), book.pick(Role.PAPER))
    return a


def clock(rng: Rng, book: MaterialBook) -> Assembly:
    """A round clock."""
    a = Assembly("clock", rng, book)
    r, dark = a.u(0.12, 0.17), book.pick(Role.DARK)
    a.cylinder((0, -0.015, 0.2), r, 0.014, dark, tilt=1.5708)
    a.cylinder((0, -0.022, 0.2), r * 0.88, 0.012, book.pick(Role.TRIM), tilt=1.5708)
    a.box((r * 0.2, -0.036, 0.2), (r * 0.25, 0.002, 0.008), dark)
    a.box((0, -0.036, 0.2 + r * 0.33), (0.006, 0.002, r * 0.36), dark)
    return a


def wall_shelf(rng: Rng, book: MaterialBook) -> Assembly:
    """A board on the wall with books and a pot."""
    a = Assembly("wall shelf", rng, book)
    w = a.u(0.25, 0.55)
    a.box((0, -0.1, 0), (w, 0.1, 0.012), book.pick(Role.WOOD))
    x = -w + 0.02
    while x < w - 0.12:
        t, h = a.u(0.012, 0.03), a.u(0.08, 0.13)
        if a.chance(0.8):
            a.box((x + t, -0.09, 0.012 + h), (t, 0.08, h), book.pick(Role.LABEL if a.chance(0.5) else Role.PLASTIC))
        x += 2 * t + (0.003 if a.chance(0.8) else a.u(0.05, 0.2))
    a.cylinder((w - 0.06, -0.1, 0.072), 0.045, 0.06, book.pick(Role.CERAMIC))
    return a


def coat_hooks(rng: Rng, book: MaterialBook) -> Assembly:
    """A rail with a coat or a bag on it."""
    a = Assembly("coat hooks", rng, book)
    w = a.u(0.2, 0.4)
    a.box((0, -0.012, 0.1), (w, 0.012, 0.035), book.pick(Role.WOOD))
    for i in range(4):
        x = w * (-0.75 + 0.5 * i)
        a.box((x, -0.04, 0.09), (0.008, 0.03, 0.008), book.pick(Role.METAL))
        if a.chance(0.5):
            length = a.u(0.18, 0.4)
            a.ellipsoid((x, -0.07, 0.08 - length), (a.u(0.08, 0.12), 0.05, length), book.pick(Role.FABRIC))
    return a


def radiator(rng: Rng, book: MaterialBook) -> Assembly:
    """A ribbed radiator near the floor."""
    a = Assembly("radiator", rng, book)
    trim, w = book.pick(Role.TRIM), a.u(0.3, 0.5)
    a.box((0, -0.05, 0.4), (w, 0.02, 0.26), trim)
    for i in range(int(w / 0.04)):
        a.box((-w + 0.04 + i * 0.08, -0.07, 0.4), (0.025, 0.02, 0.28), trim)
    return a


def ceiling_lamp(rng: Rng, book: MaterialBook) -> Assembly:
    """A lamp hanging from z = 0."""
    a = Assembly("ceiling lamp", rng, book)
    drop = a.u(0.1, 0.25)
    a.cylinder((0, 0, -drop / 2), 0.008, drop / 2, book.pick(Role.DARK))
    if a.chance(0.5):
        a.ellipsoid((0, 0, -drop - 0.1), (0.16, 0.16, 0.12), book.pick(Role.SHADE))
    else:
        a.cylinder((0, 0, -drop - 0.08), a.u(0.14, 0.22), 0.08, book.pick(Role.SHADE))
    return a
