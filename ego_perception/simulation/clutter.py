"""Small things that lie and stand on surfaces, in their real sizes; most of them can be taken in a hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from ego_perception.simulation.assembly import Assembly, Support
from ego_perception.simulation.greens import flowers, foliage
from ego_perception.simulation.lathe import lathe, tube
from ego_perception.simulation.materials import MaterialBook, Role
from ego_perception.simulation.pictures import NUM_SPINES, SPINE_ROWS
from ego_perception.simulation.roundbox import plain_box, rounded_box
from ego_perception.simulation.storage import keyboard_keys
from ego_perception.simulation.surface import Surface, merged, rotation
from ego_perception.simulation.textures import Rng

Maker = Callable[[Rng, MaterialBook, float], Assembly]


def _thing(kind: str, rng: Rng, book: MaterialBook, *, is_graspable: bool = True) -> Assembly:
    return Assembly(kind, rng, book, is_graspable=is_graspable)


def mug(rng: Rng, book: MaterialBook, room: float) -> Assembly:
    """A mug with a handle, sometimes with coffee."""
    a = _thing("mug", rng, book)
    h, r = min(a.u(0.085, 0.1), room), a.u(0.037, 0.043)
    cup = lathe([(0, 0), (r * 0.82, 0), (r, 0.012), (r, h), (r - 0.004, h), (r - 0.005, 0.008), (0, 0.008)], segments=16)
    a.mesh(merged([cup, _handle(r, h)]), book.pick(Role.CERAMIC))
    if a.chance(0.5):
        a.mesh(
            lathe([(0, 0), (r - 0.0045, 0), (r - 0.0045, 0.002), (0, 0.002)], segments=12),
            book.pick(Role.SOIL),
            (0, 0, 0.8 * h),
        )
    return a


def _handle(r: float, h: float) -> Surface:
    turn = np.linspace(-0.5 * math.pi, 0.5 * math.pi, 7)
    path = np.stack([r - 0.004 + 0.3 * h * np.cos(turn), 0 * turn, h / 2 + 0.33 * h * np.sin(turn)], axis=1)
    return tube(path, 0.0055)


def glass(rng: Rng, book: MaterialBook, room: float) -> Assembly:
    """A drinking glass."""
    a = _thing("glass", rng, book)
    h, r = min(a.u(0.1, 0.14), room), a.u(0.03, 0.036)
    profile = [(0, 0), (0.82 * r, 0), (r, h), (r - 0.002, h), (0.8 * r, 0.01), (0, 0.01)]
    a.mesh(lathe(profile, segments=16), book.pick(Role.CLEAR))
    return a


def cup(rng: Rng, book: MaterialBook, room: float) -> Assembly:
    """A paper cup with a lid."""
    a = _thing("cup", rng, book)
    h, r = min(a.u(0.1, 0.12), 0.85 * room), 0.042
    a.mesh(lathe([(0, 0), (0.72 * r, 0), (r, h), (0, h)], segments=16, wraps=2), book.pick(Role.LABEL))
    lid = [(0, 0), (1.05 * r, 0), (1.05 * r, 0.006), (0.95 * r, 0.012), (0.93 * r, 0.016), (0, 0.014)]
    a.mesh(lathe(lid, segments=16), book.pick(Role.WHITE), (0, 0, h))
    return a


def bottle(rng: Rng, book: MaterialBook, room: float) -> Assembly:
    """A bottle of glass or plastic with label and cap."""
    a = _thing("bottle", rng, book)
    h, r = min(a.u(0.22, 0.31), 0.93 * room), a.u(0.032, 0.038)
    slope = a.u(0.52, 0.68)
    body = [(0, 0), (0.92 * r, 0), (r, 0.006), (r, slope * h), (0.9 * r, (slope + 0.06) * h), (0.42 * r, (slope + 0.17) * h),
            (0.36 * r, 0.94 * h), (0.36 * r, h), (0, h)]  # fmt: skip
    a.mesh(lathe(body, segments=16), book.pick(Role.GLASS if a.chance(0.6) else Role.PLASTIC))
    a.mesh(_band(1.015 * r, 0.14 * h, (slope - 0.08) * h), book.pick(Role.LABEL))
    cap = [(0, 0), (0.42 * r, 0), (0.42 * r, 0.018), (0, 0.018)]
    a.mesh(lathe(cap, segments=12), book.pick(Role.PLASTIC if a.chance(0.6) else Role.METAL), (0, 0, h - 0.01))
    return a


def _band(r: float, z0: float, z1: float) -> Surface:
    """A printed sleeve."""
    return lathe([(0.98 * r, z0), (r, z0), (r, z1), (0.98 * r, z1)], segments=16, wraps=2)


def can(rng: Rng, book: MaterialBook, room: float) -> Assembly:
    """A drink can, or a food tin where it is low."""
    a = _thing("can", rng, book)
    tall = a.chance(0.6)
    h, r = min(0.122 if tall else a.u(0.08, 0.11), room), 0.033 if tall else a.u(0.036, 0.042)
    a.mesh(
        lathe([(r * 0.96, 0.008), (r, 0.012), (r, h - 0.012), (r * 0.94, h - 0.005)], segments=16, wraps=2),
        book.pick(Role.LABEL),
    )
    foot = [(0, 0), (0.88 * r, 0), (0.96 * r, 0.008), (0.955 * r, 0.012)]
    ends = [*foot, (0.93 * r, h - 0.012), (0.94 * r, h - 0.005), (0.85 * r, h), (0.8 * r, h - 0.004), (0, h - 0.004)]
    a.mesh(lathe(ends, segments=16), book.pick(Role.METAL))
    return a


def bowl(rng: Rng, book: MaterialBook, room: float) -> Assembly:
    """A bowl, often with fruit."""
    a = _thing("bowl", rng, book)
    r, h = a.u(0.07, 0.115), min(a.u(0.05, 0.075), 0.8 * room)
    turn = np.linspace(0.25, 1.0, 5)
    outer = [
        (0.42 * r, 0.0),
        *((r * math.sin(t * math.pi / 2), 0.006 + (h - 0.006) * (1 - math.cos(t * math.pi / 2))) for t in turn),
    ]
    inner = [(max(x - 0.004, 0.0), max(z, 0.01)) for x, z in reversed(outer)]
    a.mesh(lathe([(0, 0), *outer, *inner, (0, 0.01)], segments=20), book.pick(Role.CERAMIC))
    if r > 0.085 and room > 0.12 and a.chance(0.6):
        for k in range(int(rng.integers(2, 5))):
            angle, s = 2.1 * k + a.u(0, 0.4), a.u(0.032, 0.038)
            a.mesh(_apple_surface(s), book.pick(Role.FRUIT), (0.48 * r * math.cos(angle), 0.48 * r * math.sin(angle), 0.35 * h))
    return a


def plate(rng: Rng, book: MaterialBook, room: float) -> Assembly:
    """A plate."""
    a = _thing("plate", rng, book)
    r = a.u(0.095, 0.13)
    rim = [(0, 0), (0.6 * r, 0), (0.68 * r, 0.006), (r, 0.018), (r, 0.021), (0.7 * r, 0.011), (0.62 * r, 0.006), (0, 0.006)]
    a.mesh(lathe(rim, segments=24), book.pick(Role.CERAMIC))
    return a


def _apple_surface(r: float) -> Surface:
    """A round body with hollows at stalk and blossom."""
    turn = np.linspace(0.0, math.pi, 9)
    radius = r * np.sin(turn) * (1 - 0.06 * np.cos(turn))
    z = -r * np.cos(turn) * (1 - 0.28 * np.exp(-((np.sin(turn) / 0.4) ** 2)))
    z -= z.min()
    body = lathe([(max(float(x), 0.0), float(y)) for x, y in zip(radius, z, strict=True)], segments=14)
    top = float(z[-1])
    return merged([body, tube([(0, 0, top - 0.004), (0.002, 0, top + 0.012)], 0.0016, segments=4)])


def fruit(rng: Rng, book: MaterialBook, room: float) -> Assembly:
    """An apple or an orange."""
    a = _thing("apple", rng, book)
    a.mesh(_apple_surface(min(a.u(0.034, 0.041), room / 2.4)), book.pick(Role.FRUIT))
    return a


def ball(rng: Rng, book: MaterialBook, room: float) -> Assembly:
    """A small ball."""
    a = _thing("ball", rng, book)
    r = min(a.u(0.03, 0.05), room / 2)
    a.ellipsoid((0, 0, r), (r, r, r), book.pick(Role.PLASTIC))
    return a


def volume(rng: Rng, book: MaterialBook, room: float) -> Assembly:
    """One book, lying."""
    a = _thing("book", rng, book)
    half = a.u(0.062, 0.085), a.u(0.09, 0.12), min(a.u(0.007, 0.018), room / 2)
    boards = [rounded_box((half[0], half[1], 0.0018), 0.0012).moved((0, 0, z)) for z in (0.0018, 2 * half[2] - 0.0018)]
    back = (
        rounded_box((0.0018, half[1], half[2]), 0.0012).pictured(0.02, 0.02, 0.05, 0.05).moved((0.0018 - half[0], 0, half[2]))
    )
    a.mesh(merged([*boards, back]), book.pick(Role.COVER))
    pages = plain_box((half[0] - 0.004, half[1] - 0.004, half[2] - 0.0036)).pictured(0, 0.0, 0.05, 0.05)
    a.mesh(pages.moved((0.0, 0, half[2])), book.pick(Role.PAPER))
    return a


def package(rng: Rng, book: MaterialBook, room: float) -> Assembly:
    """A printed carton: cereal, tea, soap."""
    a = _thing("box", rng, book)
    sizes = ((0.095, 0.03, 0.14), (0.06, 0.035, 0.09), (0.075, 0.04, 0.04), (0.04, 0.04, 0.1))
    half = np.array(sizes[int(rng.integers(len(sizes)))]) * a.u(0.85, 1.1)
    half[2] = min(half[2], room / 2.05)
    a.mesh(rounded_box((float(half[0]), float(half[1]), float(half[2])), 0.002), book.pick(Role.LABEL), (0, 0, float(half[2])))
    return a


def phone(rng: Rng, book: MaterialBook, room: float) -> Assembly:
    """A mobile phone, screen up."""
    a = _thing("phone", rng, book)
    a.mesh(rounded_box((0.0365, 0.076, 0.004), 0.003, steps=2), book.pick(Role.DARK), (0, 0, 0.004))
    a.mesh(plain_box((0.0335, 0.072, 0.0004)).pictured(0.05, 0.02, 0.5, 0.95), book.pick(Role.SCREEN), (0, 0, 0.0081))
    return a


def remote(rng: Rng, book: MaterialBook, room: float) -> Assembly:
    """A remote control with keys."""
    a = _thing("remote", rng, book)
    a.mesh(rounded_box((0.022, 0.085, 0.009), 0.006, steps=2), book.pick(Role.DARK), (0, 0, 0.009))
    keys = [
        plain_box((0.0042, 0.0035, 0.001)).moved((x, y, 0.0185))
        for x in (-0.011, 0, 0.011)
        for y in np.arange(-0.03, 0.07, 0.014)
    ]
    a.mesh(merged(keys), book.pick(Role.METAL))
    return a


def spoon(rng: Rng, book: MaterialBook, room: float) -> Assembly:
    """A spoon."""
    a = _thing("spoon", rng, book)
    length = a.u(0.15, 0.19)
    stem = tube([(0, -length / 2, 0.004), (0, -0.02, 0.008), (0, length / 2 - 0.05, 0.004)], [0.0042, 0.0028, 0.0024])
    dish = lathe([(0, 0), (0.6, 0.12), (1, 0.5), (0.94, 0.5), (0.55, 0.2), (0, 0.1)], segments=12)
    scaled = Surface(dish.vertices * (0.019, 0.029, 0.016), dish.normals, dish.metric, dish.whole, dish.triangles)
    a.mesh(merged([stem, scaled.moved((0, length / 2 - 0.026, 0.0))]), book.pick(Role.METAL))
    return a


def knife(rng: Rng, book: MaterialBook, room: float) -> Assembly:
    """A kitchen knife."""
    a = _thing("knife", rng, book)
    length = a.u(0.1, 0.16)
    a.mesh(rounded_box((0.012, 0.055, 0.008), 0.005), book.pick(Role.DARK), (0, -0.055, 0.008))
    blade = merged(
        [plain_box((0.014, length / 2, 0.001)), plain_box((0.008, 0.012, 0.001)).moved((-0.005, length / 2 + 0.012, 0))]
    )
    a.mesh(blade, book.pick(Role.METAL), (0, length / 2, 0.008))
    return a


def jar(rng: Rng, book: MaterialBook, room: float) -> Assembly:
    """A storage jar with a lid."""
    a = _thing("jar", rng, book)
    h, r = min(a.u(0.09, 0.17), 0.85 * room), a.u(0.036, 0.05)
    body = [(0, 0), (0.94 * r, 0), (r, 0.008), (r, 0.82 * h), (0.86 * r, 0.93 * h), (0.86 * r, h), (0, h)]
    a.mesh(lathe(body, segments=16), book.pick(Role.CLEAR if a.chance(0.5) else Role.CERAMIC))
    lid = [(0, 0), (0.92 * r, 0), (0.92 * r, 0.014), (0, 0.016)]
    a.mesh(lathe(lid, segments=16), book.pick(Role.WOOD if a.chance(0.4) else Role.METAL), (0, 0, h - 0.003))
    if a.chance(0.6):
        a.mesh(_band(1.012 * r, 0.2 * h, 0.7 * h), book.pick(Role.LABEL))
    return a


def paper(rng: Rng, book: MaterialBook, room: float) -> Assembly:
    """Sheets or a magazine."""
    a = _thing("paper", rng, book)
    a.box((0, 0, 0.002), (0.105, 0.148, 0.002), book.pick(Role.PAPER))
    return a


def vase(rng: Rng, book: MaterialBook, room: float) -> Assembly:
    """A vase, with flowers where there is room for them."""
    a = _thing("vase", rng, book, is_graspable=False)
    h, r = min(a.u(0.14, 0.22), 0.6 * room), a.u(0.04, 0.06)
    body = [
        (0, 0),
        (0.6 * r, 0),
        (r, 0.35 * h),
        (0.92 * r, 0.55 * h),
        (0.42 * r, 0.85 * h),
        (0.55 * r, h),
        (0.45 * r, h),
        (0, 0.85 * h),
    ]
    a.mesh(lathe(body, segments=16), book.pick(Role.CERAMIC))
    if room > 0.3:
        stems, heads = flowers(rng, h, min(0.2, room - h - 0.05))
        a.mesh(stems, book.pick(Role.LEAF))
        a.mesh(heads, book.pick(Role.PETAL))
    return a


def pot_plant(rng: Rng, book: MaterialBook, room: float) -> Assembly:
    """A small plant in a pot."""
    a = _thing("pot plant", rng, book, is_graspable=False)
    h = min(0.11, 0.35 * room)
    pot = [(0, 0), (0.6 * h, 0), (0.78 * h, 0.85 * h), (0.84 * h, 0.86 * h), (0.84 * h, h), (0.74 * h, h), (0, 0.9 * h)]
    a.mesh(lathe(pot, segments=16), book.pick(Role.CERAMIC))
    a.mesh(foliage(rng, 0.9 * h, min(0.22, room - h), spread=min(0.13, 0.5 * room)), book.pick(Role.LEAF))
    return a


def photo(rng: Rng, book: MaterialBook, room: float) -> Assembly:
    """A photograph in a frame that leans back."""
    a = _thing("photo", rng, book, is_graspable=False)
    h = min(a.u(0.075, 0.11), 0.45 * room)
    w = h * a.u(0.75, 1.3)
    a.box((0, 0, h), (w, 0.008, h), book.pick(Role.WOOD if a.chance(0.5) else Role.DARK), tilt=-0.2)
    a.box((0, -0.0085, h), (w - 0.013, 0.002, h - 0.013), book.pick(Role.ART), tilt=-0.2)
    return a


def laptop(rng: Rng, book: MaterialBook, room: float) -> Assembly:
    """An open laptop."""
    a = _thing("laptop", rng, book, is_graspable=False)
    if room < 0.28:
        return volume(rng, book, room)
    shell, dark = book.pick(Role.METAL), book.pick(Role.DARK)
    a.mesh(rounded_box((0.16, 0.11, 0.009), 0.006), shell, (0, 0, 0.009))
    a.mesh(keyboard_keys(0.14, 0.05), dark, (0, 0.025, 0.0185))
    lid = rounded_box((0.16, 0.004, 0.105), 0.003).moved((0, 0, 0.105))
    a.mesh(lid, shell, (0, 0.108, 0.014), tilt=-0.3)
    a.mesh(plain_box((0.152, 0.0008, 0.096)).moved((0, -0.005, 0.106)), book.pick(Role.SCREEN), (0, 0.108, 0.014), tilt=-0.3)
    return a


def pens(rng: Rng, book: MaterialBook, room: float) -> Assembly:
    """A holder with pens."""
    a = _thing("pens", rng, book)
    h = min(0.1, 0.6 * room)
    a.mesh(lathe([(0, 0), (0.036, 0), (0.038, h), (0.035, h), (0.034, 0.006), (0, 0.006)], segments=14), book.pick(Role.DARK))
    for _ in range(3):
        x, y = a.u(-0.02, 0.02), a.u(-0.02, 0.02)
        pen = tube([(0, 0, 0.008), (x, y, 1.5 * h)], 0.0038, segments=5)
        a.mesh(pen, book.pick(Role.PLASTIC))
    return a


def saucepan(rng: Rng, book: MaterialBook, room: float) -> Assembly:
    """A saucepan with a lid."""
    a = _thing("pan", rng, book, is_graspable=False)
    r, h = a.u(0.08, 0.11), min(a.u(0.08, 0.12), 0.7 * room)
    a.mesh(
        lathe([(0, 0), (r, 0), (r, h), (1.03 * r, h), (0.2 * r, h + 0.02), (0, h + 0.02)], segments=20), book.pick(Role.STEEL)
    )
    dark = merged(
        [tube([(r, 0, 0.75 * h), (r + 0.16, 0, 0.85 * h)], 0.01), tube([(0, 0, h + 0.015), (0, 0, h + 0.045)], 0.014)]
    )
    a.mesh(dark, book.pick(Role.DARK))
    return a


def kettle(rng: Rng, book: MaterialBook, room: float) -> Assembly:
    """An electric kettle."""
    if room < 0.27:
        return mug(rng, book, room)
    a = _thing("kettle", rng, book)
    a.mesh(
        lathe([(0, 0), (0.085, 0), (0.085, 0.02), (0.078, 0.025), (0.062, 0.2), (0.05, 0.215), (0, 0.22)], segments=20),
        book.pick(Role.STEEL),
    )
    turn = np.linspace(-0.5, 0.5, 7) * math.pi
    path = np.stack([0.06 + 0.06 * np.cos(turn), 0 * turn, 0.125 + 0.075 * np.sin(turn)], axis=1)
    spout = tube([(-0.06, 0, 0.16), (-0.1, 0, 0.195)], [0.018, 0.01])
    a.mesh(merged([tube(path, 0.011), spout, tube([(0, 0, 0.215), (0, 0, 0.24)], 0.014)]), book.pick(Role.DARK))
    return a


def books(rng: Rng, book: MaterialBook, room: float) -> Assembly:
    """A small pile of books."""
    a = _thing("books", rng, book, is_graspable=False)
    slabs, z = [], 0.0
    for k in rng.permutation(NUM_SPINES)[: int(rng.integers(2, 5))]:
        half = a.u(0.012, 0.02), a.u(0.065, 0.085), a.u(0.09, 0.12)
        if z + 2 * half[0] > room:
            break
        lying = _spined(int(k), half).turned(rotation("y", math.pi / 2))
        slabs.append(lying.turned(rotation("z", a.u(-0.25, 0.25))).moved((0, 0, z + half[0])))
        z += 2 * half[0]
    if not slabs:
        return volume(rng, book, room)
    a.mesh(merged(slabs), book.pick(Role.SPINES))
    return a


def _spined(column: int, half: tuple[float, float, float]) -> Surface:
    """A standing book: its back, towards -y, shows a column of the atlas, its covers have that cloth, its edges are paper."""
    u0, u1 = (column + 0.02) / NUM_SPINES, (column + 0.98) / NUM_SPINES
    solid = plain_box(half)
    is_back = solid.normals[:, 1] < -0.5
    is_side = np.abs(solid.normals[:, 0]) > 0.5
    back = solid.pictured(u0, 0.01, u1, SPINE_ROWS - 0.01).whole
    side = solid.pictured(u0 + 0.2 * (u1 - u0), 0.01 * SPINE_ROWS, u0 + 0.25 * (u1 - u0), 0.04 * SPINE_ROWS).whole
    pages = solid.pictured(u0, SPINE_ROWS + 0.05, u1, 0.98).whole
    whole = np.where(is_back[:, None], back, np.where(is_side[:, None], side, pages))
    return Surface(solid.vertices, solid.normals, solid.metric, whole, solid.triangles)


def book_row(rng: Rng, book: MaterialBook, width: float, room: float) -> Assembly:
    """Books of different sizes side by side along x on `width` metres, the last one often leaning."""
    a = _thing("books", rng, book, is_graspable=False)
    row: list[Surface] = []
    x = -width / 2
    while x < width / 2 - 0.03:
        half = a.u(0.009, 0.021), a.u(0.065, 0.085), min(a.u(0.09, 0.135), 0.47 * room)
        one = _spined(int(rng.integers(NUM_SPINES)), half).moved((half[0], -half[1] + 0.08, half[2]))
        lean = a.u(0.1, 0.22) if row and a.chance(0.08) else 0.0
        row.append(one.turned(rotation("y", -lean)).moved((x + 2 * half[2] * math.sin(lean), 0, 0)))
        x += 2 * half[0] + 0.001 + 2 * half[2] * math.sin(lean)
    a.mesh(merged(row), book.pick(Role.SPINES))
    return a


_USES: dict[str, tuple[Maker, ...]] = {
    "table": (mug, glass, bottle, bowl, plate, volume, phone, fruit, package, can, vase, laptop, cup, spoon, paper),
    "kitchen": (mug, glass, bottle, bowl, plate, jar, jar, package, can, spoon, knife, kettle, fruit, saucepan),
    "desk": (mug, volume, phone, paper, paper, pens, glass, books, cup, pot_plant),
    "living": (remote, mug, volume, paper, glass, bowl, phone, can, vase, fruit, cup),
    "shelf": (vase, package, jar, ball, photo, pot_plant, books, volume, bowl, can, bottle),
}  # fmt: skip


def thing(rng: Rng, book: MaterialBook, room: float, use: str = "table") -> Assembly:
    """One object standing on z = 0, lower than `room` metres, of a kind that belongs there."""
    makers = _USES[use]
    return makers[int(rng.integers(len(makers)))](rng, book, room)


def scatter(rng: Rng, book: MaterialBook, support: Support, count: int) -> Iterator[tuple[Assembly, float, float, float]]:
    """Yield up to `count` things with (x, y, yaw) on a support's own axes, apart from one another and not over the edge.

    Shelves get rows of books first.
    """
    taken: list[tuple[float, float, float]] = []
    hx, hy = support.half
    if support.use == "shelf" and hx > 0.22 and support.clearance > 0.2 and rng.random() < 0.65:
        width = float(rng.uniform(0.4, 1.1)) * hx
        x = float(rng.uniform(-hx + width / 2, hx - width / 2))
        taken += [(x + dx * width / 2, 0.0, 0.09) for dx in (-1, -0.5, 0, 0.5, 1)]
        yield book_row(rng, book, width, support.clearance), x, 0.0, 0.0
    for _ in range(count):
        item = thing(rng, book, support.clearance, support.use)
        box = item.footprint()
        radius = 0.5 * math.hypot(box.x1 - box.x0, box.y1 - box.y0)
        for _ in range(8):
            yaw = _yaw(rng, item.kind)
            rect = item.footprint(0.0, 0.0, yaw)
            spare = hx - max(rect.x1, -rect.x0), hy - max(rect.y1, -rect.y0)
            if min(spare) < -0.02:
                continue
            x, y = (float(rng.uniform(-1, 1)) * max(s, 0.0) for s in spare)
            if all(math.hypot(x - tx, y - ty) > 0.8 * (radius + tr) for tx, ty, tr in taken):
                taken.append((x, y, radius))
                yield item, x, y, yaw
                break


def _yaw(rng: Rng, kind: str) -> float:
    """Things with a front face the room; the others lie any way."""
    if kind in ("box", "photo", "laptop", "books"):
        return float(rng.normal(0, 0.25))
    if kind in ("paper", "book", "phone", "remote"):
        return float(rng.normal(0, 0.5))
    return float(rng.uniform(0, 2 * math.pi))
