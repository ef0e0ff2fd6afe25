"""The painter's ground: colours on the texels of the body's atlas, and where on a person each texel lies.

Everything is painted as a function of the place on the body at rest (metres, mean shape), never of the texture's pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property, lru_cache
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ego_perception.body.atlas import REGIONS, build_atlas
from ego_perception.body.fingers import finger_chains
from ego_perception.body.landmarks import LANDMARKS
from ego_perception.body.model import BodyModel
from ego_perception.body.skeleton import joint_index
from ego_perception.simulation.textures import Rng

Field = NDArray[np.float32]
Mask = NDArray[np.bool_]
Ids = NDArray[np.int64]
Place = tuple[float, float, float]

EDGE_M: Final = 0.003
"""Width of a painted edge on the trunk; two thirds of a texel there."""
_WAVES: Final = 8


class BodyMap:
    """Places on the body, for texels or for vertices; what follows from the place alone is computed once.

    Args:
        points, normals: (N, 3) at rest, metres.
        region: (N,) index into `REGIONS`.
    """

    def __init__(self, model: BodyModel, points: Field, normals: Field, region: NDArray[np.uint8]) -> None:
        self.model, self.points, self.normals, self.region = model, points, normals, region
        self.x, self.y, self.z = np.ascontiguousarray(points.T)
        self._joints: list[Place] = [tuple(p) for p in (model.joint_regressor @ model.v_template).tolist()]
        self._masks: dict[tuple[str, ...], Mask] = {}

    def __len__(self) -> int:
        return len(self.points)

    def part(self, mask: Mask) -> BodyMap:
        """The places where `mask` is set."""
        return BodyMap(self.model, self.points[mask], self.normals[mask], self.region[mask])

    def joint(self, name: str) -> Place:
        """A joint of the mean shape."""
        return self._joints[joint_index(name)]

    def landmark(self, name: str) -> Place:
        """A landmark vertex of the mean shape."""
        x, y, z = self.model.v_template[LANDMARKS[name]].tolist()
        return x, y, z

    def within(self, *names: str) -> Mask:
        """Where the region is one of these; "arm" means both arms."""
        if names not in self._masks:
            wanted = [region in names or region.rpartition("_")[2] in names for region in REGIONS]
            self._masks[names] = np.array(wanted)[self.region]
        return self._masks[names]

    @cached_property
    def side(self) -> Field:
        """1 on the person's left, -1 on the right."""
        return np.where(self.x >= 0, np.float32(1), np.float32(-1))

    @cached_property
    def arm(self) -> Field:
        """Along the arm: 0 at the shoulder joint, 1 at the elbow, 2 at the wrist, on in units of the lower arm."""
        stations = [abs(self.joint(f"left_{name}")[0]) for name in ("shoulder", "elbow", "wrist")]
        lower = stations[2] - stations[1]
        knots = [stations[0] - 0.2, *stations, stations[2] + lower]
        values = [-0.2 / (stations[1] - stations[0]), 0.0, 1.0, 2.0, 3.0]
        return np.interp(np.abs(self.x), knots, values).astype(np.float32)

    @cached_property
    def leg(self) -> Field:
        """Along the leg: 0 at the hip joint, 1 at the knee, 2 at the ankle."""
        stations = [self.joint(f"left_{name}")[1] for name in ("ankle", "knee", "hip")]
        knots = [stations[0] - 0.2, *stations, stations[2] + 0.4]
        return np.interp(self.y, knots, [2.5, 2.0, 1.0, 0.0, -1.0]).astype(np.float32)

    @cached_property
    def finger(self) -> tuple[NDArray[np.int64], Field]:
        """Nearest finger (0 thumb .. 4), and place along it: 0 knuckle, 1 and 2 its joints, 3 the centre of the tip."""
        chains = finger_chains(self.model).astype(np.float32)
        which, along = np.zeros(len(self), np.int64), np.full(len(self), -1, np.float32)
        for hand, sign in enumerate((1, -1)):
            mine = np.flatnonzero(self.within("hand") & (self.side == sign))
            best = np.full(len(mine), np.inf, np.float32)
            for finger in range(5):
                for k in range(3):
                    a, way = chains[hand, finger, k], chains[hand, finger, k + 1] - chains[hand, finger, k]
                    relative = self.points[mine] - a
                    raw = relative @ way / (way @ way)
                    offset = relative - np.clip(raw, 0.0 if k else -1.0, 1.0)[:, None] * way
                    distance = np.einsum("ij,ij->i", offset, offset)
                    closer = distance < best
                    best[closer], which[mine[closer]] = distance[closer], finger
                    along[mine[closer]] = k + (raw if k == 2 else np.minimum(raw, 1))[closer]
        return which, along


@lru_cache(maxsize=2)
def texel_map(model: BodyModel) -> BodyMap:
    """The places of a body's texels."""
    atlas = build_atlas(model)
    return BodyMap(model, atlas.points, atlas.normals, atlas.texel_region)


@lru_cache(maxsize=8)
def texel_part(model: BodyModel, name: str) -> tuple[Ids, BodyMap]:
    """Texels that one painter needs, with their places: "head" down to the shoulders, or "hands" up to the elbows."""
    body = texel_map(model)
    if name == "head":
        mask = body.within("head") | (body.within("trunk") & (body.y > body.joint("neck")[1] - 0.2))
    else:
        mask = body.within("hand") | (body.within("arm") & (body.arm > 1.4))
    return np.flatnonzero(mask), body.part(mask)


class Canvas:
    """Places on the body with a colour each, RGB in 0..255, to paint on."""

    def __init__(self, body: BodyMap, rng: Rng, rgb: Field | None = None) -> None:
        self.body, self.rng = body, rng
        self.rgb = np.zeros((len(body), 3), np.float32) if rgb is None else rgb

    @contextmanager
    def part(self, name: str) -> Iterator[Canvas]:
        """A smaller canvas, see `texel_part`; what is painted on it is there afterwards."""
        ids, body = texel_part(self.body.model, name)
        small = Canvas(body, self.rng, self.rgb[ids])
        yield small
        self.rgb[ids] = small.rgb

    def cover(self, alpha: ArrayLike, colour: ArrayLike) -> None:
        """Paint a colour (3,), or one per place (N, 3), with opacity `alpha` in 0..1 (N,)."""
        a = np.minimum(np.asarray(alpha, np.float32), 1)
        ids, c = np.flatnonzero(a > 0.002), np.asarray(colour, np.float32)
        self.rgb[ids] += a[ids, None] * ((c if c.ndim == 1 else c[ids]) - self.rgb[ids])

    def shade(self, factor: ArrayLike, where: ArrayLike = 1.0) -> None:
        """Multiply the colours by a number, one per place (N,) or one per channel (3,), as far as `where` (N,) says."""
        f, w = np.asarray(factor, np.float32), np.asarray(where, np.float32)
        if w.ndim == 0:
            self.rgb *= 1 + w * ((f[:, None] if f.ndim and f.shape != (3,) else f) - 1)
            return
        ids = np.flatnonzero(np.abs(w) > 0.002)
        f = f[ids, None] if f.ndim and f.shape != (3,) else f
        self.rgb[ids] *= 1 + w[ids, None] * (f - 1)

    def noise(self, cell_m: float | tuple[float, float, float], octaves: int = 1) -> Field:
        """Smooth noise over the body, mostly in 0..1, with blobs of about this size (per axis, if three).

        A sum of plane waves of random directions, so that it costs the same at every scale and knows no seams.
        """
        cells = np.broadcast_to(np.asarray(cell_m, np.float64), 3)
        out = np.zeros(len(self.body), np.float32)
        for octave in range(octaves):
            direction = self.rng.normal(size=(_WAVES, 3))
            direction *= self.rng.uniform(0.7, 1.3, (_WAVES, 1)) / np.linalg.norm(direction, axis=1, keepdims=True)
            for (kx, ky, kz), phase in zip(
                (0.5 * 2**octave * direction / cells).tolist(), self.rng.random(_WAVES), strict=True
            ):
                turn = kx * self.body.x + ky * self.body.y
                turn += kz * self.body.z + float(phase)
                turn -= np.rint(turn)
                out += 0.5**octave * turn * (8 - 16 * np.abs(turn))  # sin(2 pi turn) to 6 %, at a tenth of the time
        deviation = np.sqrt(_WAVES / 2 * sum(0.25**octave for octave in range(octaves)))
        return np.clip(0.5 + out / np.float32(4 * deviation), 0, 1)

    def grain(self) -> Field:
        """Independent noise of each place, normal with unit deviation."""
        return self.rng.standard_normal(len(self.body), dtype=np.float32)


def edge(distance: ArrayLike, width: float = EDGE_M) -> Field:
    """Opacity of what begins at distance 0 and lies on the positive side, metres."""
    return np.clip(np.asarray(distance, np.float32) / width + 0.5, 0, 1)


def line(distance: ArrayLike, width: float) -> Field:
    """Opacity of a line of `width` metres around distance 0."""
    return np.asarray(edge(width / 2 - np.abs(np.asarray(distance, np.float32)), max(0.4 * width, 0.0012)))


def bump(value: ArrayLike, centre: float, deviation: float) -> Field:
    """A bell of height 1."""
    return np.asarray(np.exp(-0.5 * ((np.asarray(value, np.float32) - centre) / deviation) ** 2), np.float32)
