"""What surfaces look like: roles (wall, wood, label ...) drawn once per room from muted palettes or, in `hard`, at random."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ego_perception.simulation import textures
from ego_perception.simulation.textures import Image, Rng


class Role(enum.Enum):
    """The part a surface plays in a room."""

    WALL = "wall"
    FLOOR = "floor"
    CEILING = "ceiling"
    TRIM = "trim"
    WOOD = "wood"
    FRONT = "front"
    STONE = "stone"
    SPLASH = "splash"
    FABRIC = "fabric"
    METAL = "metal"
    DARK = "dark"
    CERAMIC = "ceramic"
    PLASTIC = "plastic"
    PAPER = "paper"
    LABEL = "label"
    SPINES = "spines"
    ART = "art"
    RUG = "rug"
    SCREEN = "screen"
    SHADE = "shade"
    LEAF = "leaf"
    OUTSIDE = "outside"


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
    (222, 214, 198),
    (205, 212, 208),
    (196, 205, 215),
    (226, 206, 184),
    (190, 198, 180),
    (214, 205, 212),
    (230, 226, 216),
)
WOODS: Final = ((168, 120, 78), (196, 156, 108), (120, 80, 52), (212, 184, 146), (146, 104, 70), (96, 66, 46))
PAINTS: Final = (
    (226, 222, 212),
    (120, 138, 140),
    (92, 112, 102),
    (150, 164, 178),
    (206, 196, 172),
    (78, 90, 110),
    (176, 120, 92),
)
STONES: Final = ((196, 192, 186), (90, 90, 94), (170, 150, 130), (220, 216, 208))
FABRICS: Final = (
    (120, 132, 146),
    (160, 140, 116),
    (96, 118, 104),
    (150, 92, 80),
    (78, 88, 118),
    (190, 178, 158),
    (110, 100, 96),
)
PLASTICS: Final = ((200, 70, 60), (60, 120, 170), (230, 190, 80), (80, 150, 100), (225, 225, 220), (50, 55, 60), (150, 90, 140))

Palette = tuple[tuple[int, int, int], ...]

_NUM_VARIANTS: Final = {
    Role.WALL: 1, Role.FLOOR: 1, Role.CEILING: 1, Role.TRIM: 1, Role.SPLASH: 1, Role.WOOD: 4, Role.FRONT: 2, Role.STONE: 2,
    Role.FABRIC: 4, Role.METAL: 2, Role.DARK: 1, Role.CERAMIC: 5, Role.PLASTIC: 6, Role.PAPER: 2, Role.LABEL: 10,
    Role.SPINES: 4, Role.ART: 6, Role.RUG: 2, Role.SCREEN: 1, Role.SHADE: 2, Role.LEAF: 1, Role.OUTSIDE: 1,
}  # fmt: skip
_SHELL: Final = {Role.WALL, Role.FLOOR, Role.CEILING}
_NUM_RANDOM: Final = 24


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

    def pick(self, role: Role) -> int:
        """The index of a finish for `role`; variants are limited per room, so that things repeat as they do at home."""
        if self._rng.random() < self._randomness:
            if role in _SHELL:
                return self._from_pool(role, 1, self._random_shell)
            return self._from_pool(None, _NUM_RANDOM, self._random_finish)
        return self._from_pool(role, _NUM_VARIANTS[role], lambda: _MAKERS[role](self._rng, self._size))

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


def _triple(rgb: NDArray[np.floating]) -> tuple[float, float, float]:
    return float(rgb[0]), float(rgb[1]), float(rgb[2])


def _choose(rng: Rng, palette: Palette) -> NDArray[np.float64]:
    """A palette colour with a little variation, 0..255."""
    return np.asarray(palette[int(rng.integers(len(palette)))]) * rng.uniform(0.88, 1.08) + rng.uniform(-6, 6, 3)


def _wall(rng: Rng, n: int) -> Material:
    base, kind = _choose(rng, WALLS), rng.random()
    if kind < 0.45:
        return Material(textures.wallpaper(rng, n, base), repeat=float(rng.uniform(0.8, 1.5)), specular=0.0)
    if kind < 0.55:
        image = textures.tiles(rng, n, _choose(rng, ((176, 110, 88), (214, 206, 196))), count=4, grout=1.0, brick=True)
        return Material(image, repeat=0.9, specular=0.0)
    return Material(textures.plaster(rng, n, base), repeat=float(rng.uniform(0.5, 0.9)), specular=0.0)


def _floor(rng: Rng, n: int) -> Material:
    kind = rng.random()
    if kind < 0.6:
        return Material(textures.wood(rng, n, _choose(rng, WOODS), planks=6), repeat=1.0, specular=0.15, shininess=0.5)
    if kind < 0.85:
        return Material(textures.tiles(rng, n, _choose(rng, STONES), count=3), repeat=0.8, specular=0.2, shininess=0.6)
    return Material(textures.fabric(rng, n, _choose(rng, FABRICS)), repeat=1.2, specular=0.0)


def _painted(palette: Palette, repeat: float, contrast: float = 0.2, specular: float = 0.2) -> Callable[[Rng, int], Material]:
    """A maker of lightly mottled paint or metal."""

    def make(rng: Rng, n: int) -> Material:
        return Material(
            textures.plaster(rng, n // 2, _choose(rng, palette), contrast=contrast), repeat=repeat, specular=specular
        )

    return make


def _ceiling(rng: Rng, n: int) -> Material:
    # Lamps shine downwards here; in a real room the floor lights the ceiling, which a little emission stands for.
    image = textures.plaster(rng, n // 2, _choose(rng, ((236, 234, 228), (228, 228, 230))), contrast=0.16)
    return Material(image, repeat=0.5, specular=0.0, emission=0.22)


def _wood(rng: Rng, n: int) -> Material:
    image = textures.wood(rng, n, _choose(rng, WOODS), planks=int(rng.choice([1, 2, 4])))
    return Material(image, repeat=float(rng.uniform(1.0, 1.6)), specular=0.15, is_grained=True)


def _front(rng: Rng, n: int) -> Material:
    if rng.random() < 0.4:
        return Material(textures.wood(rng, n, _choose(rng, WOODS), planks=2), repeat=1.6, specular=0.15)
    return Material(textures.plaster(rng, n, _choose(rng, PAINTS), contrast=0.18), repeat=1.5, specular=0.2)


def _stone(rng: Rng, n: int) -> Material:
    return Material(textures.marble(rng, n, _choose(rng, STONES)), repeat=1.5, specular=0.3, shininess=0.7)


def _splash(rng: Rng, n: int) -> Material:
    image = textures.tiles(rng, n, _choose(rng, PAINTS), count=4, grout=0.75, brick=rng.random() < 0.5)
    return Material(image, repeat=1.8, specular=0.3, shininess=0.7)


def _fabric(rng: Rng, n: int) -> Material:
    return Material(textures.fabric(rng, n // 2, _choose(rng, FABRICS)), repeat=3.0, specular=0.0)


def _plastic(rng: Rng, n: int) -> Material:
    return Material(None, _triple(_choose(rng, PLASTICS) / 255), specular=0.4, shininess=0.6)


def _ceramic(rng: Rng, n: int) -> Material:
    if rng.random() < 0.4:
        return Material(textures.fabric(rng, n // 4, _choose(rng, PLASTICS)), repeat=6.0, specular=0.4)
    return Material(
        None, _triple(_choose(rng, ((235, 232, 225), (120, 150, 170), (190, 110, 80), (90, 110, 90))) / 255), specular=0.5
    )


def _paper(rng: Rng, n: int) -> Material:
    return Material(textures.page(rng, n // 2), repeat=0.0, specular=0.0)


def _shade(rng: Rng, n: int) -> Material:
    image = textures.fabric(rng, n // 4, _choose(rng, ((240, 225, 190), (235, 235, 225), (225, 190, 150))))
    return Material(image, repeat=4.0, specular=0.0, emission=0.35)


def _leaf(rng: Rng, n: int) -> Material:
    return Material(
        textures.plaster(rng, n // 4, _choose(rng, ((70, 120, 60), (90, 140, 80))), contrast=0.9), repeat=5.0, specular=0.1
    )


_MAKERS: Final[dict[Role, Callable[[Rng, int], Material]]] = {
    Role.WALL: _wall,
    Role.FLOOR: _floor,
    Role.CEILING: _ceiling,
    Role.TRIM: _painted(((234, 232, 226), (200, 180, 150)), 1.0),
    Role.WOOD: _wood,
    Role.FRONT: _front,
    Role.STONE: _stone,
    Role.SPLASH: _splash,
    Role.FABRIC: _fabric,
    Role.METAL: _painted(((176, 178, 182), (120, 122, 128)), 2.0, 0.25, 0.7),
    Role.DARK: _painted(((44, 44, 48), (58, 52, 48)), 2.0, 0.5, 0.3),
    Role.CERAMIC: _ceramic,
    Role.PLASTIC: _plastic,
    Role.PAPER: _paper,
    Role.LABEL: lambda rng, n: Material(textures.label(rng, n // 4), repeat=0.0, specular=0.15),
    Role.SPINES: lambda rng, n: Material(textures.spines(rng, n), repeat=0.0, specular=0.1),
    Role.ART: lambda rng, n: Material(textures.art(rng, n), repeat=0.0, specular=0.1),
    Role.RUG: lambda rng, n: Material(textures.rug(rng, n), repeat=0.0, specular=0.0),
    Role.SCREEN: lambda rng, n: Material(textures.art(rng, n), repeat=0.0, emission=0.3),
    Role.SHADE: _shade,
    Role.LEAF: _leaf,
    Role.OUTSIDE: lambda rng, n: Material(textures.view_outside(rng, 2 * n), repeat=0.0, specular=0.0, emission=0.5),
}
