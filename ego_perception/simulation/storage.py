"""Cupboards, shelves, chests and desks: what stands with its back at a wall."""

from __future__ import annotations

import functools

import numpy as np

from ego_perception.simulation.assembly import Assembly, Support
from ego_perception.simulation.furniture import four_legs, lamp_shade
from ego_perception.simulation.lathe import lathe, tube
from ego_perception.simulation.materials import MaterialBook, Role
from ego_perception.simulation.roundbox import plain_box, rounded_box
from ego_perception.simulation.surface import Surface, merged
from ego_perception.simulation.textures import Rng

GAP_M = 0.002
"""Half of the gap between two doors."""


def shelf(rng: Rng, book: MaterialBook, w: float | None = None) -> Assembly:
    """Open shelves at a wall."""
    a = Assembly("shelf", rng, book)
    w, d, h = w or a.u(0.35, 0.6), a.u(0.13, 0.17), a.u(1.0, 2.0)
    n = max(3, round(h / 0.36))
    wood = book.pick(Role.WOOD) if a.chance(0.75) else book.pick(Role.WHITE)
    sides = [plain_box((0.011, d, h / 2)).moved((s * (w - 0.011), -d, h / 2)) for s in (-1, 1)]
    if a.chance(0.6):
        sides.append(plain_box((w - 0.022, 0.004, h / 2 - 0.03)).moved((0, -0.006, h / 2 + 0.02)))
    a.mesh(merged(sides), wood)
    step = (h - 0.09) / n
    for i in range(n + 1):
        z = 0.07 + i * step
        a.box((0, -d, z), (w - 0.022, d - 0.002, 0.01), wood)
        clearance = step - 0.04 if i < n else 0.35
        a.supports.append(Support((0, -d, z + 0.01), (w * 0.93 - 0.02, d * 0.8), clearance, use="shelf"))
    return a


def cabinet(rng: Rng, book: MaterialBook, w: float | None = None) -> Assembly:
    """A wardrobe or cupboard with doors, plinth and a board on top."""
    a = Assembly("cabinet", rng, book)
    tall = a.chance(0.6)
    w, d = w or (a.u(0.45, 0.7) if tall else a.u(0.4, 0.6)), a.u(0.28, 0.3) if tall else a.u(0.2, 0.24)
    h = a.u(1.85, 2.05) if tall else a.u(1.0, 1.3)
    front = book.pick(Role.FRONT)
    body = merged(
        [
            plain_box((w, d - 0.012, h / 2 - 0.035)).moved((0, 0, 0.035)),
            plain_box((w - 0.02, d - 0.03, 0.035)).moved((0, 0.01, -h / 2 + 0.035)),
        ]
    )
    a.mesh(body, front, (0, -d + 0.012, h / 2))
    a.mesh(rounded_box((w + 0.012, d + 0.008, 0.014), 0.006), front, (0, -d, h - 0.014))
    doors(a, w, 0.075, h - 0.035, -2 * d + 0.014, front, book.pick(Role.METAL), width=0.25)
    if not tall:
        a.supports.append(Support((0, -d, h), (w * 0.9, d * 0.8), 0.4, use="shelf"))
    return a


def dresser(rng: Rng, book: MaterialBook, w: float | None = None) -> Assembly:
    """A chest of drawers on short legs."""
    a = Assembly("dresser", rng, book)
    w, h, d = w or a.u(0.38, 0.6), a.u(0.74, 0.92), a.u(0.2, 0.24)
    wood = book.pick(Role.WOOD)
    front = wood if a.chance(0.5) else book.pick(Role.FRONT)
    foot = a.u(0.08, 0.14)
    a.mesh(plain_box((w, d - 0.01, (h - foot) / 2 - 0.01)), wood, (0, -d + 0.01, (h + foot) / 2 - 0.01))
    a.mesh(rounded_box((w + 0.01, d + 0.006, 0.012), 0.005), wood, (0, -d - 0.004, h - 0.012))
    a.mesh(four_legs(w - 0.05, d - 0.05, foot, 0.024), wood, (0, -d, 0))
    rows, handle = int(rng.integers(3, 5)), book.pick(Role.METAL if a.chance(0.6) else Role.DARK)
    pitch = (h - 0.03 - foot) / rows
    for i in range(rows):
        drawer_row(
            a, w, foot + i * pitch, foot + (i + 1) * pitch, -2 * d + 0.016, front, handle, columns=2 if i == rows - 1 else 1
        )
    a.supports.append(Support((0, -d, h), (w * 0.95, d * 0.85), 0.5, is_worktop=True, use="shelf"))
    return a


def nightstand(rng: Rng, book: MaterialBook) -> Assembly:
    """A bedside cabinet with a lamp."""
    a = Assembly("nightstand", rng, book)
    w, d, h, wood = a.u(0.2, 0.25), 0.2, a.u(0.48, 0.56), book.pick(Role.WOOD)
    a.mesh(rounded_box((w, d - 0.01, (h - 0.12) / 2), 0.004), wood, (0, -d + 0.01, (h + 0.12) / 2))
    a.mesh(four_legs(w - 0.03, d - 0.04, 0.12, 0.02), wood, (0, -d, 0))
    drawer_row(a, w, 0.14, (h + 0.12) / 2, -2 * d + 0.016, wood, book.pick(Role.METAL), columns=1)
    drawer_row(a, w, (h + 0.12) / 2, h - 0.015, -2 * d + 0.016, wood, book.pick(Role.METAL), columns=1)
    table_lamp(a, (-0.35 * w, -0.13, h))
    a.supports.append(Support((0.3 * w, -d - 0.06, h), (0.6 * w, 0.11), 0.25, use="living"))
    return a


def table_lamp(a: Assembly, at: tuple[float, float, float]) -> None:
    """Put a small lamp on a surface."""
    foot = [(0, 0), (0.055, 0), (0.06, 0.015), (0.04, 0.05), (0.05, 0.1), (0.03, 0.16), (0.01, 0.19), (0.01, 0.26), (0, 0.26)]
    a.mesh(lathe(foot, segments=14), a.book.pick(Role.CERAMIC), at)
    a.mesh(lamp_shade(0.115, 0.08, 0.15), a.book.pick(Role.SHADE), (at[0], at[1], at[2] + 0.2))


def desk(rng: Rng, book: MaterialBook) -> Assembly:
    """A desk at a wall with screen, keyboard, mouse, drawers and often a lamp."""
    a = Assembly("desk", rng, book)
    w, d, h = a.u(0.6, 0.8), a.u(0.33, 0.38), a.u(0.72, 0.75)
    wood, dark = book.pick(Role.WOOD), book.pick(Role.DARK)
    a.mesh(rounded_box((w, d, 0.014), 0.005), wood, (0, -d, h - 0.014))
    if a.chance(0.5):
        a.mesh(four_legs(w - 0.05, d - 0.05, h - 0.028, 0.026), wood if a.chance(0.5) else dark, (0, -d, 0))
    else:
        a.mesh(
            merged([plain_box((0.014, d - 0.02, h / 2 - 0.014)).moved((s * (w - 0.03), 0, 0)) for s in (-1, 1)]),
            wood,
            (0, -d, h / 2 - 0.014),
        )
        block = plain_box((0.19, d - 0.05, 0.26))
        a.mesh(block, wood, (-w + 0.25, -d + 0.01, h - 0.29))
        front, handle = book.pick(Role.FRONT), book.pick(Role.METAL)
        for i in range(3):
            top = h - 0.035 - 0.17 * i
            _front_panel(a, -w + 0.25, 0.19, top - 0.17, top, -2 * d + 0.06, front, handle)
    monitor(a, (a.u(-0.1, 0.25) * w, -0.2, h), yaw=a.u(-0.15, 0.15))
    if a.chance(0.5):
        table_lamp(a, (-w + 0.16, -0.16, h))
    a.supports += [
        Support((s * w * 0.66, -d - 0.03, h), (w * 0.27, d * 0.62), 0.25, is_worktop=s > 0, use="desk") for s in (-1, 1)
    ]
    return a


def monitor(a: Assembly, at: tuple[float, float, float], yaw: float) -> None:
    """Put a screen with keyboard and mouse on a desk."""
    dark = a.book.pick(Role.DARK)
    x, y, z = at
    foot, neck = rounded_box((0.11, 0.08, 0.006), 0.005), plain_box((0.022, 0.012, 0.12))
    case = rounded_box((0.29, 0.014, 0.175), 0.008).moved((0, 0.01, 0.3))
    a.mesh(merged([foot.moved((0, 0, 0.006)), neck.moved((0, 0.03, 0.12)), case]), dark, at, yaw=yaw)
    a.mesh(plain_box((0.28, 0.001, 0.165)).moved((0, -0.0045, 0.3)), a.book.pick(Role.SCREEN), at, yaw=yaw)
    front = y - 0.27
    a.mesh(
        merged(
            [rounded_box((0.21, 0.062, 0.008), 0.005).moved((0, 0, 0.008)), keyboard_keys(0.2, 0.054).moved((0, 0, 0.0175))]
        ),
        dark,
        (x, front, z),
    )
    a.mesh(rounded_box((0.031, 0.052, 0.017), 0.016, steps=2), dark, (x + 0.29, front, z + 0.017))


@functools.cache
def keyboard_keys(half_x: float, half_y: float) -> Surface:
    """Five rows of keys; the lowest is the space bar."""
    rows, cols = 5, 13
    w, d = half_x / cols, half_y / rows
    keys = [
        plain_box((0.82 * w, 0.82 * d, 0.0015)).moved((-half_x + (2 * i + 1) * w, -half_y + (2 * j + 1) * d, 0.0))
        for i in range(cols)
        for j in range(1, rows)
    ]
    return merged([*keys, plain_box((0.4 * half_x, 0.82 * d, 0.0015)).moved((0, -half_y + d, 0))])


def tv_stand(rng: Rng, book: MaterialBook) -> Assembly:
    """A low board with a television."""
    a = Assembly("tv stand", rng, book)
    w, h, d = a.u(0.65, 0.85), a.u(0.42, 0.52), 0.2
    wood, front = book.pick(Role.WOOD), book.pick(Role.FRONT)
    a.mesh(rounded_box((w, d, (h - 0.1) / 2), 0.005), wood, (0, -d, (h + 0.1) / 2))
    a.mesh(four_legs(w - 0.06, d - 0.05, 0.1, 0.022), wood, (0, -d, 0))
    doors(a, w - 0.012, 0.115, h - 0.015, -2 * d - 0.001, front, book.pick(Role.METAL), width=0.3)
    dark, half = book.pick(Role.DARK), a.u(0.46, 0.58)
    tall = half * 9 / 16
    feet = [plain_box((0.02, 0.1, 0.006)).moved((s * 0.6 * half, 0, 0.006)) for s in (-1, 1)]
    feet += [plain_box((0.012, 0.012, 0.03)).moved((s * 0.6 * half, 0, 0.03)) for s in (-1, 1)]
    panel = rounded_box((half, 0.02, tall), 0.006).moved((0, 0, 0.055 + tall))
    a.mesh(merged([*feet, panel]), dark, (0, -0.16, h))
    a.mesh(
        plain_box((half - 0.012, 0.001, tall - 0.014)),
        book.pick(Role.GLOSS),
        (0, -0.181, h + 0.055 + tall),
    )
    a.supports += [Support((s * (w - 0.1), -0.3, h), (0.09, 0.08), 0.2, use="living") for s in (-1, 1)]
    return a


def doors(a: Assembly, w: float, z0: float, z1: float, y: float, front: int, handle: int, width: float = 0.3) -> None:
    """Cover the width -w..w with framed door leaves, 4 mm apart, and handles; `y` is where they begin to stand out."""
    n = max(1, round(w / width))
    half, tall = w / n, (z1 - z0) / 2 - GAP_M
    leaves, bars = [], []
    for i in range(n):
        x = -w + half * (2 * i + 1)
        leaves.append(door_leaf(half - GAP_M, tall).moved((x, y, (z0 + z1) / 2)))
        side = 1.0 if i % 2 == 0 and n > 1 else -1.0
        grip = x + side * (half - 0.045)
        low = z0 + 0.12 if z0 > 1.2 else (z0 + z1) / 2 if tall > 0.5 else z1 - 0.16
        bars.append(bow_handle(0.055, is_upright=True).moved((grip, y - 0.019, low)))
    a.mesh(merged(leaves), front)
    a.mesh(merged(bars), handle)


def door_leaf(half_width: float, half_height: float) -> Surface:
    """A leaf with a sunk panel, its back at y = 0."""
    rail = min(0.055, 0.3 * half_width)
    flat = plain_box((half_width, 0.006, half_height)).moved((0, -0.006, 0))
    if min(half_width, half_height) < 0.12:
        return merged([flat, plain_box((half_width, 0.003, half_height)).moved((0, -0.015, 0))])
    stiles = [plain_box((rail / 2, 0.0035, half_height)).moved((s * (half_width - rail / 2), -0.0155, 0)) for s in (-1, 1)]
    rails = [
        plain_box((half_width - rail, 0.0035, rail / 2)).moved((0, -0.0155, s * (half_height - rail / 2))) for s in (-1, 1)
    ]
    return merged([flat, *stiles, *rails])


def bow_handle(half: float, *, is_upright: bool = False) -> Surface:
    """A bow-shaped handle in front of y = 0."""
    path = np.array([(-half, 0.002, 0.0), (-half, -0.022, 0.0), (half, -0.022, 0.0), (half, 0.002, 0.0)])
    return tube(path[:, [2, 1, 0]] if is_upright else path, 0.005, segments=5)


def drawer_row(a: Assembly, w: float, z0: float, z1: float, y: float, front: int, handle: int, *, columns: int = 1) -> None:
    """Fill -w..w with drawer fronts."""
    half = w / columns
    for i in range(columns):
        _front_panel(a, -w + half * (2 * i + 1), half, z0, z1, y, front, handle)


def _front_panel(a: Assembly, x: float, half: float, z0: float, z1: float, y: float, front: int, handle: int) -> None:
    tall = (z1 - z0) / 2 - GAP_M
    a.mesh(rounded_box((half - GAP_M - 0.004, 0.009, tall - 0.002), 0.003), front, (x, y - 0.009, (z0 + z1) / 2))
    a.mesh(bow_handle(min(0.06, 0.5 * half)), handle, (x, y - 0.018, (z0 + z1) / 2))
