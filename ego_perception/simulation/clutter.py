"""Small things that lie and stand on surfaces."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ego_perception.simulation.assembly import Assembly, Support
from ego_perception.simulation.materials import MaterialBook, Role
from ego_perception.simulation.textures import Rng


def book_row(rng: Rng, book: MaterialBook, width: float, room: float) -> Assembly:
    """Books side by side, standing along x; half of `width` is used."""
    a = Assembly("books", rng, book)
    h = min(a.u(0.1, 0.15), room / 2)
    half = width / 2
    a.box((0, 0, h), (half, a.u(0.07, 0.1), h), book.pick(Role.SPINES))
    return a


def thing(rng: Rng, book: MaterialBook, room: float) -> Assembly:
    """One object standing on z = 0 and lower than `room` metres."""
    makers = (_flat, _package, _package, _bottle, _mug, _bowl, _stack, _plate, _jar, _toy, _vase)
    return makers[int(rng.integers(len(makers)))](rng, book, room)


def _flat(rng: Rng, book: MaterialBook, room: float) -> Assembly:
    a = Assembly("paper", rng, book)
    t = a.u(0.001, 0.004)
    a.box((0, 0, t), (a.u(0.08, 0.15), a.u(0.08, 0.13), t), book.pick(Role.PAPER))
    return a


def _stack(rng: Rng, book: MaterialBook, room: float) -> Assembly:
    a = Assembly("books", rng, book)
    z = 0.0
    for _ in range(int(rng.integers(1, 5))):
        t = a.u(0.008, 0.022)
        if z + 2 * t > room:
            break
        a.box((0, 0, z + t), (a.u(0.08, 0.12), a.u(0.06, 0.1), t), book.pick(Role.LABEL), yaw=a.u(-0.3, 0.3))
        z += 2 * t
    return a if a.parts else _flat(rng, book, room)


def _package(rng: Rng, book: MaterialBook, room: float) -> Assembly:
    a = Assembly("package", rng, book)
    h = min(a.u(0.03, 0.15), room / 2)
    a.box((0, 0, h), (a.u(0.03, 0.1), a.u(0.02, 0.06), h), book.pick(Role.LABEL if a.chance(0.75) else Role.PLASTIC))
    return a


def _bottle(rng: Rng, book: MaterialBook, room: float) -> Assembly:
    a = Assembly("bottle", rng, book)
    h, r, glass = min(a.u(0.08, 0.13), room * 0.36), a.u(0.03, 0.045), book.pick(Role.PLASTIC)
    a.cylinder((0, 0, h), r, h, glass)
    a.cylinder((0, 0, h), r * 1.02, h * 0.4, book.pick(Role.LABEL))
    a.cylinder((0, 0, 2 * h + h * 0.3), r * 0.4, h * 0.3, glass)
    return a


def _mug(rng: Rng, book: MaterialBook, room: float) -> Assembly:
    a = Assembly("mug", rng, book)
    h, r, clay = min(a.u(0.04, 0.055), room / 2), a.u(0.035, 0.045), book.pick(Role.CERAMIC)
    a.cylinder((0, 0, h), r, h, clay)
    a.cylinder((0, 0, 2 * h), r * 0.85, 0.002, book.pick(Role.DARK))
    a.box((r + 0.02, 0, h), (0.006, 0.006, h * 0.6), clay)
    for z in (h * 0.5, h * 1.5):
        a.box((r + 0.008, 0, z), (0.014, 0.006, 0.006), clay)
    return a


def _bowl(rng: Rng, book: MaterialBook, room: float) -> Assembly:
    a = Assembly("bowl", rng, book)
    r, clay = a.u(0.07, 0.12), book.pick(Role.CERAMIC)
    h = min(0.045, room / 3)
    a.cylinder((0, 0, 0.008), r * 0.5, 0.008, clay)
    a.cylinder((0, 0, h), r, h - 0.014, clay)
    for _ in range(int(rng.integers(0, 5))):
        s = a.u(0.028, 0.04)
        a.ellipsoid((a.u(-0.5, 0.5) * r, a.u(-0.5, 0.5) * r, 2 * h), (s, s, s), book.pick(Role.PLASTIC))
    return a


def _plate(rng: Rng, book: MaterialBook, room: float) -> Assembly:
    a = Assembly("plate", rng, book)
    r, clay = a.u(0.09, 0.13), book.pick(Role.CERAMIC)
    a.cylinder((0, 0, 0.006), r * 0.6, 0.006, clay)
    a.cylinder((0, 0, 0.013), r, 0.004, clay)
    return a


def _jar(rng: Rng, book: MaterialBook, room: float) -> Assembly:
    a = Assembly("jar", rng, book)
    h, r = min(a.u(0.04, 0.1), room * 0.4), a.u(0.03, 0.055)
    a.cylinder((0, 0, h), r, h, book.pick(Role.LABEL if a.chance(0.6) else Role.CERAMIC))
    a.cylinder((0, 0, 2 * h + 0.008), r * 0.9, 0.008, book.pick(Role.METAL))
    return a


def _toy(rng: Rng, book: MaterialBook, room: float) -> Assembly:
    a = Assembly("ball", rng, book)
    r = min(a.u(0.03, 0.07), room / 2)
    a.ellipsoid((0, 0, r), (r, r, r), book.pick(Role.FABRIC if a.chance(0.4) else Role.PLASTIC))
    return a


def _vase(rng: Rng, book: MaterialBook, room: float) -> Assembly:
    a = Assembly("vase", rng, book)
    h, leaf = min(0.07, room / 5), book.pick(Role.LEAF)
    a.cylinder((0, 0, h), 0.045, h, book.pick(Role.CERAMIC))
    for _ in range(5):
        z = min(a.u(0.18, 0.3), room * 0.75)
        x, y = a.u(-0.06, 0.06), a.u(-0.06, 0.06)
        a.cylinder((x * 0.6, y * 0.6, z / 2 + h / 2), 0.004, z / 2, leaf)
        a.ellipsoid((x, y, z + h / 2), (0.03, 0.03, 0.03), book.pick(Role.PLASTIC))
    return a


def scatter(rng: Rng, book: MaterialBook, support: Support, count: int) -> Iterator[tuple[Assembly, float, float, float]]:
    """Yield up to `count` things with (x, y, yaw) on a support's own axes, apart from one another.

    Narrow supports with headroom (shelves) get rows of books first.
    """
    taken: list[tuple[float, float, float]] = []
    hx, hy = support.half
    if not support.is_worktop and hy < 0.16 and hx > 0.25 and support.clearance > 0.2 and rng.random() < 0.6:
        width = float(rng.uniform(0.3, 0.9)) * hx
        x = float(rng.uniform(-hx + width / 2, hx - width / 2))
        taken += [(x + dx * width / 2, 0.0, 0.1) for dx in (-1, -0.5, 0, 0.5, 1)]
        yield book_row(rng, book, width, support.clearance), x, 0.0, 0.0
    for _ in range(count):
        item = thing(rng, book, support.clearance)
        box = item.footprint()
        radius = 0.5 * math.hypot(box.x1 - box.x0, box.y1 - box.y0)
        for _ in range(6):
            x, y = float(rng.uniform(-hx, hx)), float(rng.uniform(-hy, hy))
            if all(math.hypot(x - tx, y - ty) > 0.8 * (radius + tr) for tx, ty, tr in taken):
                taken.append((x, y, radius))
                yield item, x, y, float(rng.uniform(0, 2 * math.pi)) if item.kind != "package" else float(rng.normal(0, 0.3))
                break
