"""The kitchen: counter with sink, hob and oven, wall cupboards, hood, fridge, island."""

from __future__ import annotations

import math

import numpy as np

from ego_perception.simulation.assembly import Assembly, Support
from ego_perception.simulation.lathe import lathe, tube
from ego_perception.simulation.materials import MaterialBook, Role
from ego_perception.simulation.roundbox import extruded, plain_box, rounded_box
from ego_perception.simulation.storage import bow_handle, doors, drawer_row
from ego_perception.simulation.surface import Surface, merged
from ego_perception.simulation.textures import Rng

DEPTH_M = 0.31
"""Half the depth of base cupboards."""
TOP_M = 0.9
_SINK = (0.22, 0.17)
_CLEAR_M = 0.42


def counter(rng: Rng, book: MaterialBook, w: float | None = None, *, has_sink: bool | None = None) -> Assembly:
    """A run of base cupboards with a worktop; wide ones have a sink, a hob with oven, or both; cupboards or a hood above."""
    a = Assembly("counter", rng, book)
    w, d, h = w or a.u(0.6, 1.3), DEPTH_M, TOP_M
    front, metal, top = book.pick(Role.FRONT), book.pick(Role.METAL), book.pick(Role.STONE)
    sink = -0.5 * w if w > 0.85 else 0.0
    with_sink = has_sink if has_sink is not None else a.chance(0.6)
    with_hob = w > 0.85 or (not with_sink and w > 0.4)
    hob = 0.5 * w if w > 0.85 else 0.0
    _carcass(a, w, d, h, front, book.pick(Role.DARK))
    _worktop(a, w, d, h, top, sink if with_sink else None)
    taken = []
    if with_sink:
        _sink(a, sink, d, h, book.pick(Role.STEEL), metal)
        taken.append((sink - _SINK[0] - 0.03, sink + _SINK[0] + 0.03))
    if with_hob:
        _hob_and_oven(a, hob, d, h)
        taken.append((hob - 0.31, hob + 0.31))
    _fronts(a, w, d, h, front, metal, hob if with_hob else None)
    if a.chance(0.85):
        a.box((0, -0.004, h + 0.29), (w, 0.004, 0.26), book.pick(Role.SPLASH))
    _above(a, w, hob if with_hob else None, front, metal)
    for t0, t1 in _between(-w, w, taken):
        if t1 - t0 > 0.2:
            at = ((t0 + t1) / 2, -d, h)
            a.supports.append(Support(at, ((t1 - t0) / 2 - 0.02, d * 0.8), _CLEAR_M, is_worktop=True, use="kitchen"))
    return a


def _between(low: float, high: float, taken: list[tuple[float, float]]) -> list[tuple[float, float]]:
    out, t = [], low
    for t0, t1 in sorted(taken):
        out.append((t, t0))
        t = t1
    return [*out, (t, high)]


def _carcass(a: Assembly, w: float, d: float, h: float, front: int, dark: int) -> None:
    low, high = 0.09, h - 0.2
    body = [plain_box((w, d - 0.015, (high - low) / 2)).moved((0, 0, (high + low) / 2))]
    body += [plain_box((0.009, d - 0.015, 0.085)).moved((s * (w - 0.009), 0, h - 0.115)) for s in (-1, 1)]
    a.mesh(merged(body), front, (0, -d + 0.015, 0))
    a.mesh(plain_box((w - 0.005, d - 0.05, 0.045)), dark, (0, -d + 0.05, 0.045))


def _worktop(a: Assembly, w: float, d: float, h: float, top: int, sink: float | None) -> None:
    """A slab 4 cm thick, with a hole for the sink."""
    half = d + 0.01
    if sink is None:
        a.mesh(rounded_box((w + 0.004, half, 0.018), 0.006), top, (0, -half, h - 0.018))
        return
    sx, sy = _SINK
    left, right = sink - sx, sink + sx
    pieces = [
        rounded_box(((left + w) / 2, half, 0.018), 0.004).moved(((left - w) / 2, 0, 0)),
        rounded_box(((w - right) / 2, half, 0.018), 0.004).moved(((w + right) / 2, 0, 0)),
        *(plain_box((sx + 0.005, (half - sy) / 2, 0.018)).moved((sink, s * (half + sy) / 2, 0)) for s in (-1, 1)),
    ]
    a.mesh(merged(pieces), top, (0, -half, h - 0.018))


def _sink(a: Assembly, x: float, d: float, h: float, steel: int, metal: int) -> None:
    """A basin under the worktop and a tap that bends over it."""
    sx, sy = _SINK
    y, deep = -d - 0.01, 0.16
    wall, bottom = 0.006, h - deep
    basin = [plain_box((sx, sy, 0.004)).moved((x, y, bottom))]
    for s in (-1, 1):
        basin.append(plain_box((wall, sy, deep / 2)).moved((x + s * sx, y, bottom + deep / 2)))
        basin.append(plain_box((sx, wall, deep / 2)).moved((x, y + s * sy, bottom + deep / 2)))
        basin.append(plain_box((sx + 0.012, 0.006, 0.0015)).moved((x, y + s * (sy + 0.006), h + 0.0015)))
        basin.append(plain_box((0.006, sy + 0.012, 0.0015)).moved((x + s * (sx + 0.006), y, h + 0.0015)))
    a.mesh(merged(basin), steel)
    bend = np.linspace(0, math.pi, 8)
    back = y + sy + 0.055
    over = [(x, back - 0.075 * (1 - math.cos(t)), h + 0.2 + 0.075 * math.sin(t)) for t in bend[1:]]
    path = [(x, back, h), (x, back, h + 0.2), *over, (x, back - 0.15, h + 0.16)]
    lever = tube([(x + 0.015, back, h + 0.07), (x + 0.075, back, h + 0.1)], 0.006)
    foot = lathe([(0, 0), (0.025, 0), (0.022, 0.04), (0, 0.04)], segments=12).moved((x, back, h))
    a.mesh(merged([tube(path, 0.011, segments=8), lever, foot]), metal)


def _hob_and_oven(a: Assembly, x: float, d: float, h: float) -> None:
    """Four plates on black glass above an oven with a window, knobs and a bar."""
    gloss, metal, y = a.book.pick(Role.GLOSS), a.book.pick(Role.METAL), -d - 0.01
    a.mesh(rounded_box((0.29, 0.25, 0.004), 0.003), gloss, (x, y, h + 0.003))
    spots = [(0.14, 0.11, 0.085), (-0.14, 0.11, 0.07), (0.14, -0.12, 0.07), (-0.14, -0.12, 0.095)]
    a.mesh(merged([_ring(r).moved((x + dx, y + dy, h + 0.0071)) for dx, dy, r in spots]), metal)
    face = -2 * d + 0.012
    a.mesh(plain_box((0.297, 0.01, 0.3)), a.book.pick(Role.STEEL), (x, face - 0.002, 0.4))
    a.mesh(plain_box((0.22, 0.004, 0.15)), gloss, (x, face - 0.013, 0.36))
    knobs = [
        tube([(x + k * 0.075, face - 0.01, 0.645), (x + k * 0.075, face - 0.035, 0.645)], 0.017, segments=10)
        for k in (-3, -2, 0, 2, 3)
    ]
    a.mesh(merged([bow_handle(0.24).moved((x, face - 0.014, 0.56)), *knobs]), metal)
    if a.chance(0.5):
        dx, dy, _ = spots[int(a.rng.integers(4))]
        r, tall = a.u(0.085, 0.105), a.u(0.06, 0.12)
        a.mesh(lathe([(0, 0), (r, 0), (r, tall), (r + 0.004, tall), (0.2 * r, tall + 0.018), (0, tall + 0.018)], segments=20),
               a.book.pick(Role.STEEL), (x + dx, y + dy, h + 0.0075))  # fmt: skip
        grips = merged(
            [
                tube([(r, 0, 0.8 * tall), (r + 0.15, 0, 0.85 * tall)], 0.009),
                tube([(0, 0, tall + 0.015), (0, 0, tall + 0.04)], 0.013),
            ]
        )
        a.mesh(grips, a.book.pick(Role.DARK), (x + dx, y + dy, h + 0.0075), yaw=a.u(3.6, 5.8))


def _ring(r: float) -> Surface:
    return lathe([(r - 0.004, 0), (r, 0), (r, 0.0008), (r - 0.004, 0.0008), (r - 0.004, 0)], segments=20)


def _fronts(a: Assembly, w: float, d: float, h: float, front: int, metal: int, hob: float | None) -> None:
    """Drawers above doors, left and right of the oven."""
    y = -2 * d + 0.012
    gaps = _between(-w, w, [] if hob is None else [(hob - 0.3, hob + 0.3)])
    for t0, t1 in gaps:
        if t1 - t0 < 0.08:
            if t1 - t0 > 0.004:
                a.mesh(plain_box(((t1 - t0) / 2, 0.009, (h - 0.14) / 2)), front, ((t0 + t1) / 2, y - 0.009, (h + 0.06) / 2))
            continue
        piece = Assembly(a.kind, a.rng, a.book)
        half = (t1 - t0) / 2
        doors(piece, half, 0.1, h - 0.2, y, front, metal, width=0.24)
        drawer_row(piece, half, h - 0.2, h - 0.045, y, front, metal, columns=max(1, round(half / 0.24)))
        a.add(piece, (t0 + t1) / 2)
    if hob is not None:
        a.mesh(rounded_box((0.296, 0.009, 0.075), 0.003), front, (hob, y - 0.009, h - 0.12))


def _above(a: Assembly, w: float, hob: float | None, front: int, metal: int) -> None:
    """Wall cupboards, with a hood above the hob; or a board with things."""
    z, tall = a.u(1.42, 1.48), a.u(0.6, 0.7)
    if a.chance(0.25) and hob is None:
        a.mesh(rounded_box((w * 0.85, 0.12, 0.012), 0.004), a.book.pick(Role.WOOD), (0, -0.12, z))
        a.supports.append(Support((0, -0.12, z + 0.012), (w * 0.8, 0.1), 0.3, use="kitchen"))
        return
    spans = _between(-w, w, [] if hob is None else [(hob - 0.3, hob + 0.3)])
    for t0, t1 in spans:
        if t1 - t0 > 0.25:
            half = (t1 - t0) / 2
            a.mesh(plain_box((half, 0.165, tall / 2)), front, ((t0 + t1) / 2, -0.165, z + tall / 2))
            piece = Assembly(a.kind, a.rng, a.book)
            doors(piece, half, z + 0.004, z + tall - 0.004, -0.33, front, metal, width=0.24)
            a.add(piece, (t0 + t1) / 2)
    if hob is not None:
        outline = [(-0.45, 0.0), (0.0, 0.0), (0.0, 0.3), (-0.13, 0.3), (-0.22, 0.09), (-0.45, 0.05)]
        steel = a.book.pick(Role.STEEL)
        a.mesh(extruded(outline, 0.28), steel, (hob, -0.002, z + 0.06))
        a.mesh(plain_box((0.12, 0.1, 0.2)), steel, (hob, -0.11, z + 0.5))


def fridge(rng: Rng, book: MaterialBook) -> Assembly:
    """A fridge with a freezer below."""
    a = Assembly("fridge", rng, book)
    w, d, h = 0.3, 0.32, a.u(1.7, 1.88)
    skin = book.pick(Role.STEEL if a.chance(0.5) else Role.WHITE)
    a.mesh(plain_box((w, d - 0.04, h / 2 - 0.015)), skin, (0, -d + 0.04, h / 2 + 0.015))
    a.mesh(plain_box((w - 0.03, d - 0.06, 0.02)), book.pick(Role.DARK), (0, -d + 0.05, 0.02))
    split = a.u(0.55, 0.7)
    for z0, z1 in ((0.05, split), (split, h)):
        a.mesh(rounded_box((w, 0.035, (z1 - z0) / 2 - 0.003), 0.012), skin, (0, -2 * d + 0.04, (z0 + z1) / 2))
    bars = [bow_handle(0.16, is_upright=True).moved((-w + 0.05, -2 * d + 0.006, z)) for z in (split - 0.24, split + 0.26)]
    a.mesh(merged(bars), book.pick(Role.METAL))
    for _ in range(int(rng.integers(0, 3))):
        at = (a.u(-0.1, 0.18), -2 * d + 0.0045, a.u(1.1, 1.5))
        a.mesh(plain_box((0.05, 0.0006, 0.07)), book.pick(Role.PAPER), at, yaw=0.0)
    return a


def island(rng: Rng, book: MaterialBook) -> Assembly:
    """A free-standing block with a worktop on all sides."""
    a = Assembly("island", rng, book)
    w, d, h = a.u(0.55, 0.8), a.u(0.3, 0.38), TOP_M
    front, top = book.pick(Role.FRONT), book.pick(Role.STONE if a.chance(0.5) else Role.WOOD)
    a.mesh(plain_box((w - 0.03, d - 0.03, h / 2 - 0.06)), front, (0, 0, h / 2 + 0.03))
    a.mesh(plain_box((w - 0.07, d - 0.07, 0.045)), book.pick(Role.DARK), (0, 0, 0.045))
    a.mesh(rounded_box((w, d, 0.018), 0.006), top, (0, 0, h - 0.018))
    doors(a, w - 0.035, 0.1, h - 0.045, -d + 0.03, front, book.pick(Role.METAL), width=0.28)
    a.supports.append(Support((0, 0, h), (w * 0.92, d * 0.9), 0.6, is_worktop=True, use="kitchen"))
    return a
