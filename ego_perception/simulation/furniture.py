"""Tables, seats, beds and what stands around: each template returns an assembly with the surfaces and seats it offers.

Storage is in `storage`, the kitchen in `kitchen`.
"""

from __future__ import annotations

import math

import numpy as np

from ego_perception.simulation.assembly import Assembly, Support, Vec3
from ego_perception.simulation.greens import foliage
from ego_perception.simulation.lathe import lathe, tube
from ego_perception.simulation.materials import MaterialBook, Role
from ego_perception.simulation.roundbox import pillow, plain_box, rounded_box
from ego_perception.simulation.surface import Surface, merged, rotation
from ego_perception.simulation.textures import Rng

SITTING_M = (0.42, 0.48)
"""Usual heights of seats."""


def four_legs(hx: float, hy: float, height: float, thick: float, *, taper: float = 1.5, is_round: bool = False) -> Surface:
    """Legs at (+-hx, +-hy) from the floor up, thinner at the foot."""
    foot = thick / taper
    if is_round:
        one = lathe([(0, 0), (foot, 0), (thick, height), (0, height)], segments=10)
    else:
        one = plain_box((foot, foot, height / 2), taper=taper).moved((0, 0, height / 2))
    return merged([one.moved((sx * hx, sy * hy, 0.0)) for sx in (-1, 1) for sy in (-1, 1)])


def _apron(hx: float, hy: float, z: float, half_height: float) -> Surface:
    """Four rails between the legs."""
    sides = [plain_box((0.01, hy, half_height)).moved((s * hx, 0, z)) for s in (-1, 1)]
    return merged([*sides, *(plain_box((hx, 0.01, half_height)).moved((0, s * hy, z)) for s in (-1, 1))])


def table(rng: Rng, book: MaterialBook, *, height: float | None = None, half: tuple[float, float] | None = None) -> Assembly:
    """A free-standing table: rectangular with apron and tapered legs, or round on a column."""
    a = Assembly("table", rng, book)
    wood = book.pick(Role.WOOD)
    h = height or a.u(0.72, 0.76)
    hx, hy = half or (a.u(0.6, 0.9), a.u(0.38, 0.45))
    if half is None and a.chance(0.25):
        r = a.u(0.45, 0.58)
        a.mesh(
            lathe([(0, h - 0.03), (r - 0.01, h - 0.03), (r, h - 0.015), (r - 0.004, h), (0, h)], segments=32).from_above(), wood
        )
        column = [
            (0, 0),
            (0.28, 0),
            (0.27, 0.02),
            (0.1, 0.045),
            (0.045, 0.1),
            (0.045, h - 0.12),
            (0.13, h - 0.03),
            (0, h - 0.03),
        ]
        a.mesh(lathe(column, segments=20), book.pick(Role.WOOD if a.chance(0.5) else Role.DARK))
        hx = hy = r * 0.68
    else:
        a.mesh(rounded_box((hx, hy, 0.016), 0.006), wood, (0, 0, h - 0.016))
        inset, is_round = a.u(0.05, 0.1), a.chance(0.4)
        legs = four_legs(hx - inset, hy - inset, h - 0.032, a.u(0.024, 0.036), is_round=is_round)
        frame = wood if a.chance(0.7) else book.pick(Role.WHITE if a.chance(0.5) else Role.DARK)
        a.mesh(merged([legs, _apron(hx - inset, hy - inset, h - 0.077, 0.045)]), frame)
    a.supports.append(Support((0, 0, h), (hx * 0.95, hy * 0.95), 0.6, is_worktop=True, use="table"))
    return a


def coffee_table(rng: Rng, book: MaterialBook) -> Assembly:
    """A low table, rectangular with a second board or round."""
    a = Assembly("coffee table", rng, book)
    wood, h = book.pick(Role.WOOD), a.u(0.38, 0.46)
    hx, hy = a.u(0.42, 0.6), a.u(0.26, 0.34)
    if a.chance(0.3):
        hx = hy = a.u(0.36, 0.44)
        a.mesh(
            lathe([(0, h - 0.03), (hx - 0.01, h - 0.03), (hx, h - 0.015), (hx - 0.004, h), (0, h)], segments=28).from_above(),
            wood,
        )
        a.mesh(four_legs(0.62 * hx, 0.62 * hy, h - 0.03, 0.02, is_round=True), wood)
        a.supports.append(Support((0, 0, h), (hx * 0.66, hy * 0.66), 0.5, is_worktop=True, use="living"))
        return a
    a.mesh(rounded_box((hx, hy, 0.016), 0.006), wood, (0, 0, h - 0.016))
    a.mesh(rounded_box((hx - 0.05, hy - 0.05, 0.009), 0.004), wood, (0, 0, 0.14))
    a.mesh(four_legs(hx - 0.045, hy - 0.045, h - 0.032, 0.026, taper=1.25), wood)
    a.supports += [
        Support((0, 0, h), (hx * 0.92, hy * 0.92), 0.5, is_worktop=True, use="living"),
        Support((0, 0, 0.149), (hx * 0.7, hy * 0.7), 0.18, use="living"),
    ]
    return a


def chair(rng: Rng, book: MaterialBook) -> Assembly:
    """A chair facing -y, its back at +y: slats, rungs or a padded back; tapered legs that lean out."""
    a = Assembly("chair", rng, book)
    frame = book.pick(Role.WOOD) if a.chance(0.75) else book.pick(Role.WHITE if a.chance(0.5) else Role.DARK)
    s, z, style = a.u(0.2, 0.225), a.u(0.44, 0.47), int(rng.integers(3))
    top = z + a.u(0.38, 0.48)
    padded = style == 2 or a.chance(0.25)
    thick = 0.03 if padded else 0.014
    a.mesh(rounded_box((s, s, thick), 0.9 * thick, steps=2), book.pick(Role.FABRIC) if padded else frame, (0, 0, z - thick))
    under = z - 2 * thick
    parts = [_apron(s - 0.035, s - 0.035, under - 0.025, 0.022)]
    for sx in (-1, 1):
        parts.append(tube([(sx * (s - 0.01), 0.02 - s, 0), (sx * (s - 0.035), 0.035 - s, under)], [0.012, 0.019], segments=8))
        back = [(sx * (s - 0.015), s + 0.03, 0), (sx * (s - 0.03), s - 0.03, z - 0.02), (sx * (s - 0.03), s + 0.05, top)]
        parts.append(tube(back, [0.012, 0.019, 0.014], segments=8))
    lean = rotation("x", -0.2)
    middle = np.array([0.0, s + 0.015, (z + top) / 2 + 0.05])
    span = top - z - 0.1
    if style == 0:  # upright slats under a top rail
        slats = [plain_box((0.011, 0.006, span / 2)).moved((x, 0, 0)) for x in np.linspace(-0.62, 0.62, 5) * s]
        slats += [rounded_box((s - 0.02, 0.011, 0.026), 0.008).moved((0, 0, e * span / 2)) for e in (-1, 1)]
        parts.append(merged(slats).turned(lean).moved(middle))
    elif style == 1:  # ladder back
        rungs = [rounded_box((s - 0.02, 0.009, 0.026), 0.006).moved((0, 0, e * span / 2)) for e in (-0.7, 0.1, 0.9)]
        parts.append(merged(rungs).turned(lean).moved(middle))
    a.mesh(merged(parts), frame)
    if style == 2:
        a.mesh(rounded_box((s - 0.015, 0.025, span / 2 + 0.02), 0.02, steps=2), a.parts[0].material, _vec(middle), tilt=-0.2)
    a.seat((0, 0, z), (0.95 * s, 0.95 * s))
    return a


def office_chair(rng: Rng, book: MaterialBook) -> Assembly:
    """A swivel chair on castors, facing -y."""
    a = Assembly("chair", rng, book)
    z, cloth, dark = a.u(0.45, 0.5), book.pick(Role.FABRIC), book.pick(Role.DARK)
    base = [tube([(0, 0, 0.1), (0, 0, z - 0.08)], 0.025, segments=10)]
    for k in range(5):
        turn = 2 * math.pi * k / 5 + 0.3
        tip = (0.28 * math.cos(turn), 0.28 * math.sin(turn))
        base.append(tube([(0, 0, 0.11), (*tip, 0.065)], [0.024, 0.014], segments=6))
        base.append(
            lathe([(0, -0.012), (0.028, -0.012), (0.028, 0.012), (0, 0.012)], segments=10)
            .turned(rotation("x", 1.5708))
            .moved((*tip, 0.028))
        )
    base.append(tube([(0, 0.12, z - 0.07), (0, 0.27, z - 0.05), (0, 0.28, z + 0.25)], 0.018))
    for sx in (-1, 1):
        base.append(tube([(sx * 0.2, 0.05, z - 0.06), (sx * 0.27, 0.05, z - 0.03), (sx * 0.27, 0.05, z + 0.18)], 0.013))
        base.append(rounded_box((0.028, 0.11, 0.014), 0.012).moved((sx * 0.27, 0.02, z + 0.19)))
    a.mesh(merged(base), dark)
    a.mesh(rounded_box((0.235, 0.23, 0.035), 0.033, steps=2), cloth, (0, 0, z - 0.035))
    a.mesh(rounded_box((0.215, 0.035, 0.26), 0.033, steps=2), cloth, (0, 0.25, z + 0.36), tilt=-0.12)
    a.seat((0, 0, z), (0.21, 0.2))
    return a


def stool(rng: Rng, book: MaterialBook) -> Assembly:
    """A round stool on three or four leaning legs, to sit on or, the high one, for a bar."""
    a = Assembly("stool", rng, book)
    wood, r = book.pick(Role.WOOD), a.u(0.16, 0.19)
    z = a.u(0.43, 0.48) if a.chance(0.7) else a.u(0.62, 0.68)
    a.mesh(lathe([(0, z - 0.035), (0.94 * r, z - 0.035), (r, z - 0.022), (r, z - 0.01), (0.96 * r, z), (0, z)], segments=20),
           book.pick(Role.FABRIC) if a.chance(0.35) else wood)  # fmt: skip
    legs, count = [], int(rng.integers(3, 5))
    for k in range(count):
        c, s = math.cos(2 * math.pi * k / count + 0.5), math.sin(2 * math.pi * k / count + 0.5)
        legs.append(tube([(1.05 * r * c, 1.05 * r * s, 0), (0.6 * r * c, 0.6 * r * s, z - 0.03)], [0.012, 0.018], segments=8))
    ring = [(0.85 * r * math.cos(t), 0.85 * r * math.sin(t), 0.38 * z) for t in np.linspace(0, 2 * math.pi, 17)]
    a.mesh(merged([*legs, tube(ring, 0.008, segments=5)]), wood)
    if z < 0.5:
        a.seat((0, 0, z), (0.8 * r, 0.8 * r))
    else:
        a.supports.append(Support((0, 0, z), (0.6 * r, 0.6 * r), 0.3, use="living"))
    return a


def sofa(rng: Rng, book: MaterialBook, *, seats: int = 0) -> Assembly:
    """A sofa or, with one seat, an armchair: base on feet, arms, seat and back cushions, pillows."""
    seats = seats or int(rng.integers(2, 4))
    a = Assembly("sofa" if seats > 1 else "armchair", rng, book)
    cloth, wood = book.pick(Role.FABRIC), book.pick(Role.WOOD if a.chance(0.6) else Role.DARK)
    inner, depth, h = 0.33 * seats, a.u(0.84, 0.94), a.u(*SITTING_M)
    arm, arm_top, back_top = a.u(0.06, 0.09), h + a.u(0.1, 0.2), h + a.u(0.36, 0.46)
    inner += 0.155 - 2 * arm
    w = inner + 2 * arm
    foot, cushion = a.u(0.06, 0.12), 0.07
    bottom = h - 2 * cushion
    a.mesh(
        rounded_box((inner + 0.01, depth / 2 - 0.02, (bottom - foot) / 2), 0.02), cloth, (0, -depth / 2, (bottom + foot) / 2)
    )
    a.mesh(rounded_box((inner + 0.01, 0.085, (back_top - foot) / 2), 0.06, steps=2), cloth, (0, -0.09, (back_top + foot) / 2))
    side = rounded_box((arm, depth / 2, (arm_top - foot) / 2), 0.9 * arm if a.chance(0.5) else 0.035, steps=2)
    a.mesh(merged([side.moved((s * (w - arm), 0, 0)) for s in (-1, 1)]), cloth, (0, -depth / 2, (arm_top + foot) / 2))
    a.mesh(four_legs(w - 0.07, depth / 2 - 0.07, foot + 0.01, 0.028), wood, (0, -depth / 2, 0))
    deep = (depth - 0.2) / 2
    for i in range(seats):
        x = -inner + (2 * i + 1) * inner / seats
        half = inner / seats - 0.004
        a.mesh(rounded_box((half, deep, cushion), 0.05, steps=2), cloth, (x, -depth + deep + 0.005, h - cushion))
        back = rounded_box((half - 0.005, 0.085, (back_top - h) / 2 + 0.02), 0.07, steps=2, bulge=0.03)
        a.mesh(back, cloth, (x, -0.25, (h + back_top) / 2 + 0.03), tilt=-0.2)
        a.seat((x, -depth + deep - 0.04, h), (half - 0.02, deep - 0.1))
    for sx in (-1, 1):
        if a.chance(0.5 if seats > 1 else 0.25):
            at = (sx * (inner - 0.21), -0.39, h + 0.17)
            a.mesh(pillow((0.2, 0.075, 0.19)), book.pick(Role.FABRIC), at, tilt=-0.45, yaw=sx * a.u(-0.4, -0.1))
    return a


def bed(rng: Rng, book: MaterialBook) -> Assembly:
    """A bed with its head at the wall: frame, mattress, duvet folded back, pillows."""
    a = Assembly("bed", rng, book)
    wood, sheet, cover = book.pick(Role.WOOD), book.pick(Role.LINEN), book.pick(Role.FABRIC)
    w, d, top = (a.u(0.46, 0.52) if a.chance(0.4) else a.u(0.72, 0.85)), 1.02, a.u(0.47, 0.53)
    a.mesh(merged([plain_box((0.016, d, 0.09)).moved((s * w, -d, 0.22)) for s in (-1, 1)]
                  + [plain_box((w, 0.016, 0.09)).moved((0, 0.016 - 2 * d, 0.22))]), wood)  # fmt: skip
    a.mesh(four_legs(w - 0.03, d - 0.03, 0.14, 0.03), wood, (0, -d, 0))
    is_padded = a.chance(0.5)
    head = rounded_box((w + 0.03, 0.035, 0.42), 0.03 if is_padded else 0.008, steps=2)
    a.mesh(head, cover if is_padded else wood, (0, -0.036, 0.62))
    mattress = (top - 0.2) / 2
    a.mesh(rounded_box((w - 0.01, d - 0.035, mattress), 0.05, steps=2), sheet, (0, -d - 0.02, 0.2 + mattress))
    fold = 0.62
    length = (2 * d - fold) / 2
    duvet = rounded_box((w + 0.025, length, 0.1), 0.05, steps=2)
    a.mesh(duvet, cover, (0, -2 * d + length - 0.01, top - 0.075))
    a.mesh(rounded_box((w + 0.027, 0.13, 0.03), 0.026, steps=2), sheet, (0, -fold - 0.09, top + 0.01))
    for x in (-0.48, 0.48) if w > 0.6 else (0.0,):
        a.mesh(pillow((0.33, 0.09, 0.2)), sheet, (x * w, -0.27, top + 0.1), tilt=-1.15)
    if a.chance(0.4):
        a.mesh(pillow((0.2, 0.08, 0.2)), book.pick(Role.FABRIC), (a.u(-0.2, 0.2) * w, -0.47, top + 0.16), tilt=-0.75)
    edge = top + 0.025
    for s in (-1, 1):
        a.seat((s * (w - 0.22), -d - 0.25, edge), (0.4, 0.2), facing_rad=0.0 if s > 0 else math.pi)
    a.seat((0, -2 * d + 0.24, edge), (w - 0.1, 0.2))
    return a


def floor_lamp(rng: Rng, book: MaterialBook) -> Assembly:
    """A lamp on a pole, or on three legs."""
    a = Assembly("lamp", rng, book)
    h, r = a.u(1.35, 1.6), a.u(0.17, 0.22)
    if a.chance(0.3):
        legs = [
            tube([(0.24 * math.cos(t), 0.24 * math.sin(t), 0), (0, 0, h - 0.02)], 0.012)
            for t in (0.5, 0.5 + 2.0944, 0.5 + 4.1888)
        ]
        a.mesh(merged(legs), book.pick(Role.WOOD))
    else:
        foot = lathe([(0, 0), (0.14, 0), (0.14, 0.012), (0.03, 0.026), (0.012, 0.04), (0.011, h), (0, h)], segments=20)
        a.mesh(foot, book.pick(Role.DARK if a.chance(0.6) else Role.METAL))
    a.mesh(lamp_shade(r, 0.68 * r, 0.24), book.pick(Role.SHADE), (0, 0, h - 0.05))
    return a


def lamp_shade(r_foot: float, r_top: float, height: float) -> Surface:
    """An open shade from z = 0 up."""
    wall = [(r_foot - 0.004, 0), (r_foot, 0), (r_top, height), (r_top - 0.004, height), (r_foot - 0.004, 0)]
    return lathe(wall, segments=20)


def plant(rng: Rng, book: MaterialBook) -> Assembly:
    """A large plant in a pot on the floor."""
    a = Assembly("plant", rng, book)
    r, h = a.u(0.13, 0.17), a.u(0.24, 0.32)
    pot = [
        (0, 0),
        (0.74 * r, 0),
        (r, 0.9 * h),
        (1.06 * r, 0.91 * h),
        (1.06 * r, h),
        (0.92 * r, h),
        (0.9 * r, 0.9 * h),
        (0, 0.9 * h),
    ]
    a.mesh(lathe(pot, segments=20), book.pick(Role.CERAMIC))
    a.mesh(lathe([(0, 0), (0.9 * r, 0), (0, 0.02)], segments=14), book.pick(Role.SOIL), (0, 0, 0.9 * h))
    a.mesh(foliage(rng, 0.9 * h, a.u(0.6, 1.0), spread=a.u(0.36, 0.5)), book.pick(Role.LEAF))
    return a


def carton(rng: Rng, book: MaterialBook) -> Assembly:
    """A cardboard box, a basket or a bin that stands around."""
    a = Assembly("carton", rng, book)
    if a.chance(0.5):
        half = a.u(0.16, 0.26), a.u(0.13, 0.2), a.u(0.1, 0.2)
        a.mesh(rounded_box(half, 0.004), book.pick(Role.CARDBOARD), (0, 0, half[2]))
        a.mesh(plain_box((half[0] + 0.0006, 0.025, half[2] + 0.0006)), book.pick(Role.PAPER), (0, 0, half[2]))
        a.supports.append(Support((0, 0, 2 * half[2]), (half[0] * 0.8, half[1] * 0.8), 0.3, use="living"))
        return a
    h, r = a.u(0.26, 0.38), a.u(0.13, 0.17)
    woven = a.chance(0.5)
    bin_ = [(0, 0), (0.8 * r, 0), (r, h), (0.96 * r, h), (0.77 * r, 0.012), (0, 0.012)]
    a.mesh(lathe(bin_, segments=20), book.pick(Role.LINEN if woven else Role.STEEL))
    return a


def carpet(rng: Rng, book: MaterialBook, half: tuple[float, float] | None = None) -> Assembly:
    """A rug on the floor."""
    a = Assembly("rug", rng, book, is_walkable=True)
    hx, hy = half or (a.u(0.8, 1.2), a.u(0.55, 0.8))
    a.box((0, 0, 0.004), (hx, hy, 0.004), book.pick(Role.RUG))
    return a


def _vec(v: np.ndarray) -> Vec3:
    return float(v[0]), float(v[1]), float(v[2])
