"""What a person looks like, drawn from a generator; `wardrobe` paints it.

Skin is drawn evenly over ten tones from very light to very dark, in the manner of the Monk scale; clothes come from muted
palettes and one time in eight from loud ones.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import Final

import numpy as np

from ego_perception.simulation.textures import Rng

Rgb = tuple[float, float, float]

SKIN_TONES: Final[tuple[Rgb, ...]] = (
    (238, 204, 184), (232, 192, 166), (222, 178, 146), (206, 158, 122), (186, 136, 100),
    (160, 112, 78), (134, 90, 60), (106, 70, 47), (80, 53, 38), (58, 40, 31),
)  # fmt: skip
"""Ten tones as a camera sees them in white light, RGB."""
HAIR: Final[tuple[Rgb, ...]] = (
    (24, 20, 18), (24, 20, 18), (44, 30, 22), (66, 44, 30), (96, 66, 42), (140, 104, 64), (176, 140, 92), (122, 62, 34),
    (128, 124, 120), (196, 192, 186),
)  # fmt: skip
IRISES: Final[tuple[Rgb, ...]] = ((70, 44, 26), (58, 36, 22), (92, 66, 34), (84, 110, 128), (92, 112, 84))
TOPS: Final[tuple[Rgb, ...]] = (
    (214, 210, 202), (196, 190, 178), (92, 100, 112), (58, 66, 86), (44, 46, 50), (120, 126, 120), (134, 110, 92),
    (150, 92, 84), (96, 120, 128), (108, 122, 98), (172, 160, 138), (84, 70, 84), (176, 132, 122), (70, 92, 84),
)  # fmt: skip
BOTTOMS: Final[tuple[Rgb, ...]] = (
    (58, 74, 102), (76, 96, 126), (40, 50, 72), (44, 44, 48), (92, 88, 84), (150, 136, 112), (108, 96, 78), (70, 78, 66),
)  # fmt: skip
SHOES: Final[tuple[Rgb, ...]] = ((46, 42, 40), (92, 66, 46), (206, 204, 200), (70, 76, 88), (120, 116, 112))
GLOVES: Final[dict[str, tuple[Rgb, ...]]] = {
    "work": ((150, 146, 140), (84, 88, 92), (176, 150, 104)),
    "rubber": ((222, 190, 60), (72, 122, 176), (60, 140, 110), (206, 120, 150)),
    "nitrile": ((70, 104, 168), (40, 42, 46), (214, 214, 220)),
    "knitted": ((120, 50, 54), (62, 70, 92), (160, 152, 140), (60, 84, 70)),
}

TOP_KINDS: Final = ("tee", "shirt", "jumper", "blouse", "jacket", "polo")
PATTERNS: Final = ("plain", "plain", "plain", "melange", "stripes", "pinstripes", "checks", "dots", "print")
BOTTOM_KINDS: Final = ("trousers", "trousers", "jeans", "jeans", "jeans", "chinos", "shorts", "skirt")
HAIR_STYLES: Final = ("short", "short", "short", "buzz", "medium", "medium", "long", "long", "balding", "bald", "cap", "scarf")


@dataclass(frozen=True)
class Garment:
    """One piece of clothing.

    Attributes:
        end: where a sleeve ends, 0 shoulder to 2 wrist; where trousers end, 0 hip to 2 ankle.
        rolled: the end is turned up.
    """

    kind: str
    colour: Rgb
    accent: Rgb
    pattern: str = "plain"
    end: float = 2.0
    rolled: bool = False


@dataclass(frozen=True)
class Head:
    """Face and hair; `beard` is 0 shaved, 0.5 stubble, 1 full; `brows` 0 thin to 1 bushy."""

    hair_style: str
    hair: Rgb
    iris: Rgb
    beard: float
    lips: float
    brows: float
    glasses: bool
    cloth: Rgb


@dataclass(frozen=True)
class Hands:
    """What is on the hands and wrists; `gloves` is empty or a key of `GLOVES`.

    Attributes:
        watch, bracelet, ring: side they are on, 1 left, -1 right, 0 none.
        polish: colour of the nails, or None.
    """

    gloves: str = ""
    glove_colour: Rgb = (128.0, 128.0, 128.0)
    watch: int = 0
    bracelet: int = 0
    ring: int = 0
    polish: Rgb | None = None
    hairy: float = 0.0


@dataclass(frozen=True)
class Look:
    """One person's looks; colours are RGB in 0..255.

    Attributes:
        tone: 0 the lightest skin to 9 the darkest.
        seed: of the painting's noise.
    """

    tone: float
    skin: Rgb
    head: Head
    top: Garment
    bottom: Garment
    shoes: Rgb
    belt: Rgb | None
    hands: Hands
    seed: int


def draw_look(rng: Rng) -> Look:
    """Draw looks; the same generator state gives the same ones."""
    tone = float(rng.uniform(0, len(SKIN_TONES) - 1))
    is_loud = bool(rng.random() < 0.125)
    top, bottom = _top(rng, is_loud), _bottom(rng, is_loud)
    belt = _near(rng, _pick(rng, ((40, 32, 28), (86, 58, 38), (30, 30, 32)))) if rng.random() < 0.5 else None
    return Look(
        tone=tone,
        skin=skin_colour(tone, float(rng.normal(0, 1))),
        head=_head(rng, tone),
        top=top,
        bottom=bottom,
        shoes=_near(rng, _pick(rng, SHOES)),
        belt=belt,
        hands=_hands(rng),
        seed=int(rng.integers(2**31)),
    )


def skin_colour(tone: float, redness: float = 0.0) -> Rgb:
    """Interpolate the scale of tones; `redness` in standard deviations."""
    scale = np.array(SKIN_TONES)
    low = min(int(tone), len(scale) - 2)
    colour = scale[low] + (tone - low) * (scale[low + 1] - scale[low])
    return _rgb(colour * (1 + redness * np.array([0.02, -0.012, -0.02])))


def _top(rng: Rng, is_loud: bool) -> Garment:
    kind = str(rng.choice(TOP_KINDS))
    colour, accent = (_loud(rng), _loud(rng)) if is_loud else (_near(rng, _pick(rng, TOPS)), _near(rng, _pick(rng, TOPS)))
    short = kind in ("tee", "polo") or (kind == "blouse" and rng.random() < 0.5)
    end = float(rng.uniform(0.25, 0.85)) if short and rng.random() < 0.8 else 1.94
    rolled = False
    if end > 1 and rng.random() < (0.15 if kind == "jacket" else 0.45):
        end, rolled = float(rng.uniform(0.95, 1.8)), bool(rng.random() < 0.7)
    pattern = str(rng.choice(PATTERNS))
    if kind == "jacket":
        pattern = "plain"
    return Garment(kind, colour, accent, pattern, end, rolled)


def _bottom(rng: Rng, is_loud: bool) -> Garment:
    kind = str(rng.choice(BOTTOM_KINDS))
    colour = _pick(rng, BOTTOMS[:3]) if kind == "jeans" else _pick(rng, BOTTOMS[3:])
    if is_loud and kind != "jeans" and rng.random() < 0.5:
        colour = _loud(rng)
    end = float(rng.uniform(0.65, 1.1)) if kind in ("shorts", "skirt") else float(rng.uniform(1.88, 2.02))
    pattern = str(rng.choice(("plain", "plain", "checks", "dots"))) if kind == "skirt" else "plain"
    return Garment(kind, _near(rng, colour), _near(rng, _pick(rng, TOPS)), pattern, end, kind == "jeans" and rng.random() < 0.2)


def _head(rng: Rng, tone: float) -> Head:
    # Light hair and eyes go with light skin.
    last = len(HAIR) if tone < 3.5 else 4
    hair = HAIR[int(rng.integers(last))] if rng.random() < 0.85 else HAIR[-2 + int(rng.integers(2))]
    iris = IRISES[int(rng.integers(len(IRISES) if tone < 3.5 else 3))]
    style = str(rng.choice(HAIR_STYLES))
    beard = 0.0
    if style not in ("long", "scarf") and rng.random() < 0.5:
        beard = float(rng.choice([0.35, 0.6, 1.0]))
    brows = float(rng.uniform(0.6, 1)) if beard else float(rng.uniform(0, 1))
    lips = float(rng.uniform(0.2, 1.0)) if beard == 0 else 0.15
    return Head(
        style,
        _rgb(np.array(hair) * rng.uniform(0.85, 1.15)),
        iris,
        beard,
        lips,
        brows,
        bool(rng.random() < 0.22),
        _near(rng, _pick(rng, TOPS)),
    )


def _hands(rng: Rng) -> Hands:
    gloves = str(rng.choice(list(GLOVES))) if rng.random() < 0.13 else ""
    colour = _near(rng, _pick(rng, GLOVES[gloves])) if gloves else (128.0, 128.0, 128.0)
    watch, bracelet, ring = (int(rng.choice([1, 1, -1])) if rng.random() < p else 0 for p in (0.3, 0.15, 0.3))
    polish = _loud(rng) if rng.random() < 0.12 else None
    return Hands(gloves, colour, watch, bracelet, ring, polish, float(rng.uniform(0, 1)) if rng.random() < 0.4 else 0.0)


def _pick(rng: Rng, palette: tuple[Rgb, ...]) -> Rgb:
    return palette[int(rng.integers(len(palette)))]


def _near(rng: Rng, colour: Rgb, spread: float = 0.12) -> Rgb:
    return _rgb(np.array(colour) * rng.uniform(1 - spread, 1 + spread) + rng.uniform(-6, 6, 3))


def _loud(rng: Rng) -> Rgb:
    return _rgb(255 * np.array(colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.6, 0.9), rng.uniform(0.6, 0.95))))


def _rgb(values: np.ndarray) -> Rgb:
    r, g, b = np.clip(values, 0, 255)
    return float(r), float(g), float(b)
