"""What surfaces look like: roles (wall, wood, label ...) drawn once per room from muted palettes or, in `hard`, at random."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ego_perception.simulation import pictures, textures
from ego_perception.simulation.outdoors import view_outside
from ego_perception.simulation.textures import Image, Rng


class Role(enum.Enum):
    """The part a surface plays in a room."""

    WALL = "wall"
    FLOOR = "floor"
    CEILING = "ceiling"
    TRIM = "trim"
    DOOR = "door"
    WOOD = "wood"
    FRONT = "front"
    STONE = "stone"
    SPLASH = "splash"
    FABRIC = "fabric"
    LINEN = "linen"
    CURTAIN = "curtain"
    METAL = "metal"
    STEEL = "steel"
    DARK = "dark"
    WHITE = "white"
    GLOSS = "gloss"
    CERAMIC = "ceramic"
    PLASTIC = "plastic"
    GLASS = "glass"
    CLEAR = "clear"
    FRUIT = "fruit"
    CARDBOARD = "cardboard"
    PAPER = "paper"
    LABEL = "label"
    SPINES = "spines"
    COVER = "cover"
    ART = "art"
    RUG = "rug"
    SCREEN = "screen"
    CLOCK = "clock"
    SHADE = "shade"
    LEAF = "leaf"
    PETAL = "petal"
    SOIL = "soil"
    OUTSIDE = "outside"
    LAWN = "lawn"


@dataclass(frozen=True, eq=False)
class Material:
    """One surface finish.

    Attributes:
        image: texture, or None for the flat colour `rgb` (0..1).
        repeat: texture repeats per metre on boxes; 0, and every other shape, shows the picture once.
        is_grained: the texture's rows follow the longer side of a face.
    """

    image: Image | None
    rgb: tuple[float, float, float] = (1.0, 1.0, 1.0)
    repeat: float = 1.0
    specular: float = 0.1
    shininess: float = 0.3
    emission: float = 0.0
    is_grained: bool = False


WALLS: Final = (
    (226, 220, 208),
    (214, 218, 216),
    (206, 212, 218),
    (228, 216, 200),
    (204, 208, 196),
    (222, 214, 216),
    (234, 232, 226),
    (232, 226, 214),
    (176, 186, 188),
)
WOODS: Final = (
    (180, 144, 102),
    (202, 166, 122),
    (112, 80, 58),
    (210, 180, 136),
    (152, 110, 74),
    (92, 68, 54),
    (168, 132, 98),
)
PAINTS: Final = (
    (232, 230, 224),
    (226, 222, 212),
    (128, 142, 144),
    (112, 126, 114),
    (168, 176, 182),
    (208, 200, 182),
    (88, 98, 112),
)
STONES: Final = ((196, 194, 190), (94, 94, 98), (176, 166, 152), (216, 214, 208), (64, 64, 68))
FABRICS: Final = (
    (134, 140, 146),
    (166, 152, 134),
    (108, 120, 112),
    (150, 112, 98),
    (90, 98, 114),
    (196, 186, 170),
    (112, 106, 104),
    (84, 96, 92),
)
CARPETS: Final = ((176, 166, 150), (146, 150, 154), (196, 188, 174), (132, 136, 128))
PLASTICS: Final = ((176, 76, 66), (72, 116, 152), (212, 178, 96), (92, 138, 108), (226, 226, 222), (58, 62, 66), (128, 98, 124))

Palette = tuple[tuple[int, int, int], ...]

_NUM_VARIANTS: Final = {
    Role.WALL: 1, Role.FLOOR: 1, Role.CEILING: 1, Role.TRIM: 1, Role.DOOR: 1, Role.SPLASH: 1, Role.WOOD: 3, Role.FRONT: 2,
    Role.STONE: 1, Role.FABRIC: 4, Role.LINEN: 2, Role.CURTAIN: 1, Role.METAL: 1, Role.STEEL: 1, Role.DARK: 1,
    Role.WHITE: 1, Role.GLOSS: 1, Role.CERAMIC: 5,
    Role.PLASTIC: 6, Role.GLASS: 3, Role.CLEAR: 2, Role.FRUIT: 4, Role.CARDBOARD: 1, Role.PAPER: 2, Role.LABEL: 8,
    Role.SPINES: 2, Role.COVER: 4, Role.ART: 5, Role.RUG: 2, Role.SCREEN: 1, Role.CLOCK: 1, Role.SHADE: 2, Role.LEAF: 2,
    Role.PETAL: 2, Role.SOIL: 1, Role.OUTSIDE: 1, Role.LAWN: 1,
}  # fmt: skip
_SHELL: Final = {Role.WALL, Role.FLOOR, Role.CEILING}
_LOUD: Final = {Role.WALL, Role.FRONT, Role.FABRIC, Role.CURTAIN, Role.RUG, Role.SPLASH}
_NUM_RANDOM: Final = 24
LOUD_SHARE: Final = 0.1
"""Share of rooms whose owners like strong colours."""


class MaterialBook:
    """The finishes of one room; `pick` gives the index of one for a role.

    Args:
        randomness: probability that a role gets any texture at all instead of its own; 0 in the realistic presets.
        size: texture side, pixels.
    """

    def __init__(self, rng: Rng, *, randomness: float = 0.0, size: int = 256) -> None:
        self.materials: list[Material] = []
        self._rng, self._randomness, self._size = rng, randomness, size
        self._pools: dict[Role | None, list[int]] = {}
        self._is_loud = bool(rng.random() < LOUD_SHARE)

    def pick(self, role: Role) -> int:
        """The index of a finish for `role`; variants are limited per room, so that things repeat as they do at home."""
        if self._rng.random() < self._randomness:
            if role in _SHELL:
                return self._from_pool(role, 1, self._random_shell)
            return self._from_pool(None, _NUM_RANDOM, self._random_finish)
        return self._from_pool(role, _NUM_VARIANTS[role], lambda: self._make(role))

    def _make(self, role: Role) -> Material:
        material = _MAKERS[role](self._rng, self._size)
        return _saturated(material) if self._is_loud and role in _LOUD else material

    def _from_pool(self, key: Role | None, limit: int, make: Callable[[], Material]) -> int:
        pool = self._pools.setdefault(key, [])
        if len(pool) < limit and (not pool or self._rng.random() < 0.6):
            self.materials.append(make())
            pool.append(len(self.materials) - 1)
            return pool[-1]
        return pool[int(self._rng.integers(len(pool)))]

    def _random_finish(self) -> Material:
        rng = self._rng
        if rng.random() < 0.25:
            rgb = rng.uniform(0.05, 1) * (1 - rng.random() ** 2 * rng.random(3))
            return Material(None, _triple(rgb), specular=float(rng.choice([0, 0.1, 0.6])), shininess=rng.random())
        image = textures.any_kind(rng, 128)
        repeat = float(rng.choice([0.3, 0.6, 1, 2, 3, 0]))
        return Material(image, repeat=repeat, specular=float(rng.choice([0, 0.1, 0.6])), shininess=rng.random())

    def _random_shell(self) -> Material:
        kinds = ("plain", "noise", "noise", "tiles", "planks", "stripes")
        return Material(
            textures.any_kind(self._rng, 256, kinds), repeat=float(self._rng.choice([0.3, 0.7, 1.5])), specular=0.05
        )


def _saturated(material: Material, factor: float = 1.9) -> Material:
    """The same finish in stronger colours."""
    if material.image is None:
        return material
    colour = material.image.astype(np.float32)
    grey = colour.mean(axis=2, keepdims=True)
    return replace(material, image=np.clip(grey + factor * (colour - grey), 0, 255).astype(np.uint8))


def _triple(rgb: NDArray[np.floating]) -> tuple[float, float, float]:
    return float(rgb[0]), float(rgb[1]), float(rgb[2])


def _choose(rng: Rng, palette: Palette) -> NDArray[np.float64]:
    """A palette colour with a little variation, 0..255."""
    return np.asarray(palette[int(rng.integers(len(palette)))]) * rng.uniform(0.93, 1.05) + rng.uniform(-4, 4, 3)


def _wall(rng: Rng, n: int) -> Material:
    base, kind = _choose(rng, WALLS), rng.random()
    if kind < 0.25:
        return Material(textures.wallpaper(rng, n, base), repeat=float(rng.uniform(0.7, 1.1)), specular=0.0)
    if kind < 0.31:
        image = textures.tiles(rng, n, _choose(rng, ((176, 122, 100), (222, 218, 210))), count=4, grout=0.94, brick=True)
        return Material(image, repeat=1.1, specular=0.0)
    return Material(textures.plaster(rng, n, base, contrast=0.15), repeat=float(rng.uniform(0.6, 0.9)), specular=0.0)


def _floor(rng: Rng, n: int) -> Material:
    kind = rng.random()
    if kind < 0.65:
        image = textures.wood(rng, n, _choose(rng, WOODS), planks=int(rng.choice([6, 8])))
        return Material(image, repeat=0.85, specular=0.12, shininess=0.5)
    if kind < 0.85:
        return Material(textures.tiles(rng, n, _choose(rng, STONES[:4]), count=2, grout=0.82), repeat=0.9, specular=0.15)
    return Material(textures.fabric(rng, n, _choose(rng, CARPETS), patterned=0.0), repeat=1.2, specular=0.0)


def _painted(
    palette: Palette, repeat: float, contrast: float = 0.05, specular: float = 0.15, emission: float = 0.0
) -> Callable[[Rng, int], Material]:
    """A maker of painted or matt surfaces."""

    def make(rng: Rng, n: int) -> Material:
        image = textures.plaster(rng, n // 2, _choose(rng, palette), contrast=contrast)
        return Material(image, repeat=repeat, specular=specular, emission=emission)

    return make


def _flat(palette: Palette, specular: float, shininess: float = 0.6) -> Callable[[Rng, int], Material]:
    """A maker of smooth surfaces of one colour."""

    def make(rng: Rng, n: int) -> Material:
        return Material(None, _triple(_choose(rng, palette).clip(0, 255) / 255), specular=specular, shininess=shininess)

    return make


def _cloth(palette: Palette, repeat: float, patterned: float = 0.0, emission: float = 0.0) -> Callable[[Rng, int], Material]:
    """A maker of woven surfaces."""

    def make(rng: Rng, n: int) -> Material:
        image = textures.fabric(rng, n // 2, _choose(rng, palette), patterned=patterned)
        return Material(image, repeat=repeat, specular=0.0, emission=emission)

    return make


def _ceiling(rng: Rng, n: int) -> Material:
    # Lamps shine downwards here; in a real room the floor lights the ceiling, which a little emission stands for.
    image = textures.plaster(rng, n // 2, _choose(rng, ((238, 236, 232), (234, 234, 234))), contrast=0.06)
    return Material(image, repeat=0.5, specular=0.0, emission=0.22)


def _wood(rng: Rng, n: int) -> Material:
    image = textures.wood(rng, n, _choose(rng, WOODS), planks=int(rng.choice([1, 2])), has_joints=False)
    return Material(image, repeat=float(rng.uniform(1.4, 2.0)), specular=0.12, is_grained=True)


def _front(rng: Rng, n: int) -> Material:
    if rng.random() < 0.3:
        return Material(textures.wood(rng, n, _choose(rng, WOODS), planks=1), repeat=1.6, specular=0.12)
    return Material(textures.plaster(rng, n, _choose(rng, PAINTS), contrast=0.05), repeat=1.5, specular=0.2)


def _door(rng: Rng, n: int) -> Material:
    if rng.random() < 0.3:
        return Material(textures.wood(rng, n, _choose(rng, WOODS), planks=1), repeat=1.2, specular=0.12)
    return Material(textures.plaster(rng, n, _choose(rng, PAINTS[:2]), contrast=0.05), repeat=1.2, specular=0.15)


def _stone(rng: Rng, n: int) -> Material:
    return Material(textures.marble(rng, n, _choose(rng, STONES)), repeat=1.5, specular=0.3, shininess=0.7)


def _splash(rng: Rng, n: int) -> Material:
    image = textures.tiles(rng, n, _choose(rng, PAINTS), count=4, grout=0.88, brick=rng.random() < 0.6)
    return Material(image, repeat=1.8, specular=0.3, shininess=0.7)


def _steel(rng: Rng, n: int) -> Material:
    image = textures.brushed(rng, n // 2, _choose(rng, ((182, 184, 188), (166, 168, 172))))
    return Material(image, repeat=2.0, specular=0.6, shininess=0.6)


def _paper(rng: Rng, n: int) -> Material:
    return Material(pictures.page(rng, n // 2), repeat=0.0, specular=0.0)


def _leaf(rng: Rng, n: int) -> Material:
    base = _choose(rng, ((78, 112, 66), (92, 128, 84), (66, 98, 72)))
    return Material(textures.plaster(rng, n // 4, base, contrast=0.3), repeat=5.0, specular=0.15)


def _picture(
    draw: Callable[[Rng, int], Image], share: float, specular: float, emission: float = 0.0
) -> Callable[[Rng, int], Material]:
    """A maker of surfaces that show one picture whole, of `share` times the room's texture size."""
    return lambda rng, n: Material(draw(rng, int(n * share)), repeat=0.0, specular=specular, emission=emission)


_MAKERS: Final[dict[Role, Callable[[Rng, int], Material]]] = {
    Role.WALL: _wall,
    Role.FLOOR: _floor,
    Role.CEILING: _ceiling,
    Role.TRIM: _painted(((236, 234, 230), (228, 224, 214)), 1.0),
    Role.DOOR: _door,
    Role.WOOD: _wood,
    Role.FRONT: _front,
    Role.STONE: _stone,
    Role.SPLASH: _splash,
    Role.FABRIC: _cloth(FABRICS, 2.5, 0.2),
    Role.LINEN: _cloth(((236, 234, 230), (222, 218, 210), (204, 210, 214)), 2.5),
    Role.CURTAIN: _cloth(((224, 218, 206), (186, 184, 178), (154, 160, 158), (198, 180, 160)), 2.0),
    Role.METAL: _flat(((190, 192, 196), (156, 158, 162)), 0.7),
    Role.STEEL: _steel,
    Role.DARK: _painted(((52, 52, 54), (62, 58, 56)), 2.0, 0.1, 0.3),
    Role.WHITE: _flat(((238, 238, 236),), 0.3),
    Role.GLOSS: _flat(((24, 25, 28),), 0.6, 0.8),
    Role.CERAMIC: _flat(
        ((238, 236, 230), (234, 230, 220), (130, 150, 164), (178, 122, 96), (122, 136, 118), (72, 80, 92)), 0.5
    ),
    Role.PLASTIC: _flat(PLASTICS, 0.4),
    Role.GLASS: _flat(((60, 96, 66), (112, 74, 44), (176, 200, 204), (66, 92, 110)), 0.9, 0.9),
    Role.CLEAR: _flat(((204, 216, 218), (190, 208, 214), (212, 220, 212)), 0.9, 0.9),
    Role.FRUIT: _flat(((186, 52, 42), (124, 158, 62), (226, 138, 44), (232, 196, 70)), 0.3),
    Role.CARDBOARD: _painted(((188, 152, 112), (176, 142, 104)), 2.0, 0.12, 0.0),
    Role.PAPER: _paper,
    Role.LABEL: _picture(pictures.label, 0.5, 0.15),
    Role.SPINES: _picture(pictures.spines, 1.0, 0.1),
    Role.COVER: _picture(pictures.cover, 0.5, 0.1),
    Role.ART: _picture(pictures.art, 1.0, 0.05),
    Role.RUG: _picture(pictures.rug, 1.0, 0.0),
    Role.SCREEN: _picture(pictures.screen, 1.0, 0.1, 0.3),
    Role.CLOCK: _picture(pictures.clock_face, 0.5, 0.1),
    Role.SHADE: _cloth(((244, 234, 210), (240, 238, 230), (228, 206, 176)), 4.0, emission=0.35),
    Role.LEAF: _leaf,
    Role.PETAL: _flat(((206, 96, 104), (232, 190, 90), (236, 228, 224), (158, 112, 160), (222, 138, 96)), 0.1),
    Role.SOIL: _painted(((74, 58, 46),), 4.0, 0.5, 0.0),
    Role.OUTSIDE: _picture(view_outside, 2.0, 0.0, 0.5),
    Role.LAWN: _painted(((118, 142, 84), (104, 130, 76)), 1.0, 0.5, 0.0, 0.4),
}
