"""Furniture templates: each takes a generator and the room's finishes and returns an assembly with the surfaces it offers."""

from __future__ import annotations

from ego_perception.simulation.assembly import Assembly, Support
from ego_perception.simulation.materials import MaterialBook, Role
from ego_perception.simulation.textures import Rng


def table(rng: Rng, book: MaterialBook, *, height: float | None = None, half: tuple[float, float] | None = None) -> Assembly:
    """A free-standing table: rectangular or round, four legs or a column."""
    a = Assembly("table", rng, book)
    wood, legs = book.pick(Role.WOOD), book.pick(Role.WOOD if a.chance(0.6) else Role.METAL)
    h = height or a.u(0.70, 0.78)
    hx, hy = half or (a.u(0.5, 0.95), a.u(0.36, 0.5))
    if half is None and a.chance(0.25):
        r = a.u(0.42, 0.6)
        a.cylinder((0, 0, h - 0.02), r, 0.02, wood)
        a.cylinder((0, 0, h / 2), 0.05, h / 2 - 0.02, legs)
        a.cylinder((0, 0, 0.02), 0.28, 0.02, legs)
        hx = hy = r * 0.68
    else:
        leg = a.u(0.02, 0.045)
        a.box((0, 0, h - 0.018), (hx, hy, 0.018), wood)
        a.box((0, 0, h - 0.075), (hx - 0.08, hy - 0.08, 0.035), legs)
        for sx in (-1, 1):
            for sy in (-1, 1):
                a.box((sx * (hx - 0.07), sy * (hy - 0.07), h / 2 - 0.02), (leg, leg, h / 2 - 0.02), legs)
    a.supports.append(Support((0, 0, h), (hx * 0.95, hy * 0.95), 0.6, is_worktop=True))
    return a


def coffee_table(rng: Rng, book: MaterialBook) -> Assembly:
    """A low table with a second board."""
    a = Assembly("coffee table", rng, book)
    wood, hx, hy, h = book.pick(Role.WOOD), a.u(0.4, 0.65), a.u(0.25, 0.38), a.u(0.36, 0.48)
    a.box((0, 0, h - 0.02), (hx, hy, 0.02), wood)
    a.box((0, 0, 0.14), (hx - 0.05, hy - 0.05, 0.012), wood)
    for sx in (-1, 1):
        for sy in (-1, 1):
            a.box((sx * (hx - 0.04), sy * (hy - 0.04), h / 2), (0.028, 0.028, h / 2), wood)
    a.supports += [
        Support((0, 0, h), (hx * 0.92, hy * 0.92), 0.5, is_worktop=True),
        Support((0, 0, 0.155), (hx * 0.7, hy * 0.7), 0.15),
    ]
    return a


def chair(rng: Rng, book: MaterialBook) -> Assembly:
    """A chair facing -y: its back is at +y."""
    a = Assembly("chair", rng, book)
    wood = book.pick(Role.WOOD if a.chance(0.7) else Role.METAL)
    seat = book.pick(Role.FABRIC) if a.chance(0.4) else wood
    s, z = a.u(0.19, 0.23), a.u(0.43, 0.47)
    top = z + a.u(0.36, 0.5)
    a.box((0, 0, z), (s, s, 0.025), seat)
    for sx in (-1, 1):
        a.box((sx * (s - 0.02), -(s - 0.02), z / 2), (0.02, 0.02, z / 2), wood)
        a.box((sx * (s - 0.02), s - 0.02, top / 2), (0.02, 0.02, top / 2), wood)
        a.box((sx * (s - 0.02), 0, z * 0.45), (0.011, s - 0.02, 0.015), wood)
    if a.chance(0.3):
        a.box((0, s - 0.02, (z + top) / 2 + 0.06), (s - 0.03, 0.012, (top - z) / 2 - 0.07), seat)
    else:
        bars = int(rng.integers(2, 5))
        for i in range(bars):
            a.box((0, s - 0.02, z + 0.12 + (top - z - 0.15) * (i + 0.5) / bars), (s - 0.02, 0.012, 0.03), wood)
    if a.chance(0.1):
        a.supports.append(Support((0, 0, z + 0.025), (s * 0.7, s * 0.7), 0.2))
    return a


def stool(rng: Rng, book: MaterialBook) -> Assembly:
    """A round stool on three legs."""
    a = Assembly("stool", rng, book)
    wood, z, r = book.pick(Role.WOOD), a.u(0.42, 0.68), a.u(0.15, 0.2)
    a.cylinder((0, 0, z), r, 0.02, book.pick(Role.FABRIC) if a.chance(0.4) else wood)
    for x, y in ((-0.7, -0.4), (0.7, -0.4), (0.0, 0.8)):
        a.cylinder((x * r, y * r, z / 2), 0.016, z / 2, wood)
    return a


def sofa(rng: Rng, book: MaterialBook, *, seats: int = 0) -> Assembly:
    """A sofa or, with one seat, an armchair: base, cushions, back, arms, pillows."""
    seats = seats or int(rng.integers(2, 4))
    a = Assembly("sofa" if seats > 1 else "armchair", rng, book)
    cloth, pillow, dark = book.pick(Role.FABRIC), book.pick(Role.FABRIC), book.pick(Role.DARK)
    hw, d, h = 0.33 * seats + 0.02, a.u(0.4, 0.46), a.u(0.20, 0.24)
    w = hw + 0.11
    a.box((0, -d, h / 2 + 0.06), (w, d, h / 2 - 0.02), cloth)
    a.box((0, -0.11, h + 0.28), (w, 0.11, 0.32), cloth)
    for sx in (-1, 1):
        a.box((sx * (w - 0.06), -d, h + 0.11), (0.085, d + 0.01, 0.2), cloth)
        for y in (-0.08, -2 * d + 0.08):
            a.box((sx * (w - 0.1), y, 0.03), (0.025, 0.025, 0.03), dark)
    for i in range(seats):
        x = -hw + (2 * i + 1) * hw / seats
        a.box((x, -d - 0.08, h + 0.09), (hw / seats - 0.012, d - 0.12, 0.075), cloth)
        a.box((x, -0.27, h + 0.33), (hw / seats - 0.02, 0.06, 0.18), cloth, tilt=-0.2)
    for sx in (-1, 1):
        if a.chance(0.6):
            a.box((sx * (hw - 0.17), -0.42, h + 0.32), (0.19, 0.05, 0.17), pillow, tilt=-0.4, yaw=a.u(-0.4, 0.4))
    a.supports.append(Support((0, -d - 0.15, h + 0.165), (hw * 0.8, d * 0.45), 0.3))
    return a


def bed(rng: Rng, book: MaterialBook) -> Assembly:
    """A bed with its head at the wall."""
    a = Assembly("bed", rng, book)
    wood, sheet, cover = book.pick(Role.WOOD), book.pick(Role.FABRIC), book.pick(Role.FABRIC)
    w, d = a.u(0.45, 0.8), 1.0
    a.box((0, -d, 0.2), (w, d, 0.12), wood)
    a.box((0, -0.03, 0.5), (w, 0.03, 0.5), wood)
    a.box((0, -d, 0.4), (w - 0.03, d - 0.03, 0.1), sheet)
    a.box((0, -d - 0.28, 0.43), (w + 0.01, d - 0.3, 0.11), cover)
    for x in (-0.5, 0.5) if w > 0.6 else (0.0,):
        a.ellipsoid((x * w, -0.32, 0.54), (0.3, 0.2, 0.09), sheet)
    a.supports.append(Support((0, -d - 0.3, 0.54), (w * 0.7, d * 0.5), 0.3))
    return a


def shelf(rng: Rng, book: MaterialBook, w: float | None = None) -> Assembly:
    """Open shelves at a wall."""
    a = Assembly("shelf", rng, book)
    w, d, h, n = w or a.u(0.35, 0.7), a.u(0.13, 0.19), a.u(0.9, 2.1), int(rng.integers(3, 6))
    wood = book.pick(Role.WOOD)
    for s in (-1, 1):
        a.box((s * w, -d, h / 2), (0.015, d, h / 2), wood)
    if a.chance(0.6):
        a.box((0, -0.008, h / 2), (w, 0.008, h / 2), book.pick(Role.WOOD))
    for i in range(n + 1):
        z = 0.06 + i * (h - 0.08) / n
        a.box((0, -d, z), (w, d, 0.012), wood)
        a.supports.append(Support((0, -d, z + 0.012), (w * 0.93, d * 0.75), (h - 0.08) / n - 0.05 if i < n else 0.35))
    return a


def cabinet(rng: Rng, book: MaterialBook, w: float | None = None) -> Assembly:
    """A wardrobe, cupboard or fridge, with doors and handles."""
    a = Assembly("cabinet", rng, book)
    w, h, d = w or a.u(0.3, 0.6), a.u(1.2, 2.1), a.u(0.2, 0.32)
    front = book.pick(Role.FRONT)
    a.box((0, -d, h / 2), (w, d, h / 2), book.pick(Role.WOOD) if a.chance(0.5) else front)
    doors(a, w, 0.08, h - 0.04, -2 * d - 0.008, front, book.pick(Role.METAL), width=0.4)
    if h < 1.8:
        a.supports.append(Support((0, -d, h), (w * 0.9, d * 0.8), 0.4))
    return a


def dresser(rng: Rng, book: MaterialBook, w: float | None = None) -> Assembly:
    """A chest of drawers."""
    a = Assembly("dresser", rng, book)
    w, h, d = w or a.u(0.35, 0.65), a.u(0.7, 1.0), a.u(0.2, 0.26)
    front, knob = book.pick(Role.FRONT), book.pick(Role.METAL)
    a.box((0, -d, h / 2), (w, d, h / 2), book.pick(Role.WOOD))
    rows = int(rng.integers(3, 5))
    for i in range(rows):
        z = 0.08 + (h - 0.12) * (i + 0.5) / rows
        a.box((0, -2 * d - 0.008, z), (w - 0.02, 0.008, (h - 0.12) / rows / 2 - 0.008), front)
        for s in (-0.5, 0.5):
            a.box((s * w, -2 * d - 0.025, z), (0.05, 0.008, 0.008), knob)
    a.supports.append(Support((0, -d, h), (w * 0.93, d * 0.8), 0.5, is_worktop=True))
    return a


def desk(rng: Rng, book: MaterialBook) -> Assembly:
    """A desk at a wall with a screen and a keyboard."""
    a = Assembly("desk", rng, book)
    w, d, h = a.u(0.5, 0.8), a.u(0.3, 0.38), a.u(0.71, 0.76)
    wood, dark = book.pick(Role.WOOD), book.pick(Role.DARK)
    a.box((0, -d, h - 0.02), (w, d, 0.02), wood)
    for s in (-1, 1):
        a.box((s * (w - 0.02), -d, h / 2 - 0.02), (0.02, d - 0.02, h / 2 - 0.02), wood)
    a.box((-w + 0.25, -d, h - 0.12), (0.2, d - 0.03, 0.08), book.pick(Role.FRONT))
    x, yaw = a.u(-0.3, 0.3) * w, a.u(-0.3, 0.3)
    a.cylinder((x, -0.22, h + 0.01), 0.11, 0.01, dark)
    a.box((x, -0.2, h + 0.12), (0.02, 0.015, 0.12), dark)
    a.box((x, -0.22, h + 0.33), (0.28, 0.016, 0.17), dark, yaw=yaw)
    a.box((x, -0.24, h + 0.33), (0.265, 0.005, 0.155), book.pick(Role.SCREEN), yaw=yaw)
    a.box((x, -0.47, h + 0.012), (0.21, 0.065, 0.01), dark)
    a.supports.append(Support((0, -d - 0.05, h), (w * 0.92, d * 0.7), 0.4, is_worktop=True))
    return a


def tv_stand(rng: Rng, book: MaterialBook) -> Assembly:
    """A low board with a television."""
    a = Assembly("tv stand", rng, book)
    w, h, dark = a.u(0.5, 0.8), a.u(0.4, 0.55), book.pick(Role.DARK)
    a.box((0, -0.2, h / 2), (w, 0.2, h / 2), book.pick(Role.WOOD))
    doors(a, w, 0.06, h - 0.03, -0.408, book.pick(Role.FRONT), book.pick(Role.METAL), width=0.4)
    a.box((0, -0.14, h + 0.03), (0.15, 0.08, 0.012), dark)
    a.box((0, -0.12, h + 0.36), (0.5, 0.025, 0.3), dark)
    a.box((0, -0.148, h + 0.36), (0.48, 0.004, 0.28), book.pick(Role.SCREEN))
    a.supports.append(Support((0, -0.28, h), (w * 0.93, 0.08), 0.2))
    return a


def counter(rng: Rng, book: MaterialBook, w: float | None = None) -> Assembly:
    """A kitchen counter, often with sink or stove, splash back, wall cabinets, hood and things on hooks."""
    a = Assembly("counter", rng, book)
    w, d, h = w or a.u(0.5, 1.4), a.u(0.27, 0.33), a.u(0.84, 0.95)
    front, metal, dark, top = book.pick(Role.FRONT), book.pick(Role.METAL), book.pick(Role.DARK), book.pick(Role.STONE)
    a.box((0, -d, h / 2 + 0.04), (w, d - 0.01, h / 2 - 0.06), front)
    a.box((0, -d + 0.03, 0.04), (w, d - 0.04, 0.04), dark)
    a.box((0, -d - 0.015, h), (w + 0.005, d + 0.015, 0.02), top)
    doors(a, w, 0.1, h - 0.2, -2 * d - 0.004, front, metal)
    doors(a, w, h - 0.19, h - 0.03, -2 * d - 0.004, front, metal)
    if a.chance(0.7):
        a.box((0, -0.005, h + 0.28), (w, 0.006, 0.26), book.pick(Role.SPLASH))
    if w > 0.6:
        _appliance(a, a.u(-0.45, 0.45) * w, d, h + 0.02, metal, dark)
    if a.chance(0.65):
        z = a.u(1.38, 1.5)
        a.box((0, -0.17, z + 0.35), (w, 0.165, 0.35), front)
        doors(a, w, z + 0.01, z + 0.69, -0.342, front, metal)
    elif a.chance(0.6):
        z = a.u(1.35, 1.55)
        a.box((0, -0.12, z), (w * 0.8, 0.12, 0.014), book.pick(Role.WOOD))
        a.supports.append(Support((0, -0.12, z + 0.014), (w * 0.75, 0.09), 0.3))
    else:
        a.box((0, -0.03, 1.42), (w * 0.7, 0.008, 0.008), metal)
        for _ in range(int(rng.integers(2, 7))):
            x, length = a.u(-0.65, 0.65) * w, a.u(0.06, 0.14)
            a.box((x, -0.03, 1.41 - length), (0.008, 0.006, length), metal)
            a.ellipsoid((x, -0.03, 1.4 - 2 * length), (0.035, 0.012, 0.045), metal)
    a.supports.append(Support((0, -d - 0.02, h + 0.02), (w * 0.95, d * 0.75), 0.38, is_worktop=True))
    return a


def _appliance(a: Assembly, x: float, d: float, z: float, metal: int, dark: int) -> None:
    """A sink with a tap, or a stove with plates and pots."""
    if a.chance(0.5):
        a.box((x, -d, z + 0.001), (0.24, 0.19, 0.003), metal)
        a.box((x, -d - 0.01, z + 0.003), (0.19, 0.14, 0.002), dark)
        a.cylinder((x, -0.12, z + 0.13), 0.014, 0.13, metal)
        a.box((x, -0.21, z + 0.26), (0.012, 0.1, 0.012), metal)
        return
    a.box((x, -d, z + 0.002), (0.28, 0.24, 0.004), dark)
    for sx in (-1, 1):
        for sy in (-1, 1):
            a.cylinder((x + sx * 0.13, -d + sy * 0.11, z + 0.008), 0.085, 0.004, metal)
            if a.chance(0.35):
                hh = a.u(0.03, 0.08)
                a.cylinder((x + sx * 0.13, -d + sy * 0.11, z + 0.012 + hh), 0.095, hh, metal)
                a.box((x + sx * 0.28, -d + sy * 0.11, z + 2 * hh), (0.08, 0.012, 0.008), dark)


def doors(a: Assembly, w: float, z0: float, z1: float, y: float, front: int, handle: int, width: float = 0.3) -> None:
    """Cover the width -w..w with door leaves and handles."""
    n = max(1, round(w / width))
    half = w / n
    for i in range(n):
        x = -w + half * (2 * i + 1)
        a.box((x, y, (z0 + z1) / 2), (half - 0.005, 0.009, (z1 - z0) / 2 - 0.005), front)
        if z1 - z0 > 0.3:
            a.box((x + (0.75 if i % 2 == 0 else -0.75) * half, y - 0.02, (z0 + z1) / 2), (0.007, 0.009, 0.07), handle)
        else:
            a.box((x, y - 0.02, (z0 + z1) / 2), (min(0.07, half * 0.4), 0.009, 0.007), handle)


def floor_lamp(rng: Rng, book: MaterialBook) -> Assembly:
    """A lamp on a pole."""
    a = Assembly("lamp", rng, book)
    metal, h = book.pick(Role.DARK), a.u(1.3, 1.65)
    a.cylinder((0, 0, 0.015), 0.15, 0.015, metal)
    a.cylinder((0, 0, h / 2), 0.014, h / 2, metal)
    a.cylinder((0, 0, h + 0.1), a.u(0.15, 0.2), 0.13, book.pick(Role.SHADE))
    return a


def plant(rng: Rng, book: MaterialBook) -> Assembly:
    """A plant in a pot: stalks and leaves."""
    a = Assembly("plant", rng, book)
    r, leaf = a.u(0.11, 0.17), book.pick(Role.LEAF)
    a.cylinder((0, 0, r), r, r, book.pick(Role.CERAMIC))
    for _ in range(int(rng.integers(6, 12))):
        angle, reach, z = a.u(0, 6.28), a.u(0.05, 0.25), a.u(0.45, 1.2)
        a.cylinder((reach * 0.3, 0, z / 2 + r), 0.007, z / 2, leaf)
        part = (reach * a.u(-1, 1), reach * a.u(-1, 1), z + r)
        a.ellipsoid(part, (a.u(0.08, 0.16), 0.04, 0.1), leaf, yaw=angle)
    return a


def carton(rng: Rng, book: MaterialBook) -> Assembly:
    """A box, basket or bin that stands around."""
    a = Assembly("box", rng, book)
    if a.chance(0.6):
        half = a.u(0.12, 0.3), a.u(0.12, 0.25), a.u(0.1, 0.28)
        a.box((0, 0, half[2]), half, book.pick(Role.LABEL if a.chance(0.5) else Role.WOOD))
        a.supports.append(Support((0, 0, 2 * half[2]), (half[0] * 0.8, half[1] * 0.8), 0.3))
    else:
        h = a.u(0.15, 0.3)
        a.cylinder((0, 0, h), a.u(0.12, 0.18), h, book.pick(Role.PLASTIC))
    return a


def carpet(rng: Rng, book: MaterialBook) -> Assembly:
    """A rug on the floor."""
    a = Assembly("rug", rng, book, is_walkable=True)
    a.box((0, 0, 0.005), (a.u(0.6, 1.2), a.u(0.45, 0.8), 0.005), book.pick(Role.RUG))
    return a
