"""The ten shape directions: displacement fields with a meaning, made orthogonal by the least possible change."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import diags

from ego_perception.body.generate.field import smoothstep
from ego_perception.body.generate.refine import adjacency
from ego_perception.body.model import SHAPE_NAMES
from ego_perception.body.preview import vertex_normals

Array = NDArray[np.float64]

_GRID: Final = 2.0**-25  # stored displacements are multiples of 30 nm: fewer bytes, and still orthogonal to 1e-6
_SMOOTHING_ROUNDS: Final = 12

# One standard deviation of each direction among adults, roughly after ANSUR II; metres unless said otherwise.
_STATURE: Final = 0.036  # share of every length
_GIRTH, _LEG, _SHOULDER, _HIP, _BELLY = 0.010, 0.028, 0.013, 0.011, 0.022
_ARM, _CHEST, _HEAD, _LIMB = 0.020, 0.014, 0.035, 0.0065  # the head's is a share of its size


def shape_directions(vertices: Array, faces: NDArray[np.int64], joints: Array) -> Array:
    """Orthogonal shape directions of the mesh, (V, 3, 10) metres per standard deviation, in the order of `SHAPE_NAMES`.

    Symmetric (Loewdin) orthogonalisation treats all ten alike and stays closest to the fields it is given; each direction
    keeps its own length.
    """
    outwards = _smooth_normals(vertices, faces)
    fields = np.stack(_fields(vertices, outwards, joints), axis=-1).reshape(-1, len(SHAPE_NAMES))
    sizes = np.sqrt((fields**2).sum(axis=0))
    unit = fields / sizes
    values, axes = np.linalg.eigh(unit.T @ unit)
    orthogonal = unit @ (axes / np.sqrt(values)) @ axes.T * sizes
    return np.round(orthogonal.reshape(*vertices.shape, -1) / _GRID) * _GRID


def _fields(vertices: Array, normals: Array, joints: Array) -> list[Array]:
    x, y, z = vertices.T
    side = np.abs(x)
    trunk = 1.0 - smoothstep(side, 0.19, 0.26)
    arm = smoothstep(side, 0.16, 0.26)
    hand = smoothstep(side, 0.64, 0.72)
    head = smoothstep(y, 0.55, 0.66) * trunk
    foot = smoothstep(-y, 0.80, 0.90)
    thigh = smoothstep(-y, 0.12, 0.24)
    neck = smoothstep(y, 0.44, 0.53) * trunk
    soft = (1.0 - hand) * (1.0 - head) * (1.0 - 0.7 * neck) * (1.0 - foot)  # hands, heads and feet keep their shape
    upper = 1.0 - smoothstep(side, 0.22, 0.45)  # at equal reach: what the shoulders gain, the upper arms lose
    limb = soft * np.maximum(arm * (1.0 - hand), thigh)
    flat = _horizontal(normals)
    return [
        _STATURE * vertices,
        _GIRTH * soft[:, None] * (0.8 + 0.2 * trunk)[:, None] * normals,
        _along(1, -_LEG * np.clip((-0.09 - y) / 0.79, 0.0, 1.0)),
        _along(0, _SHOULDER * np.sign(x) * smoothstep(side, 0.0, 0.20) * smoothstep(y, 0.18, 0.40) * (1.0 - head) * upper),
        _HIP * (_bump(y, -0.10, 0.15) * (1.0 - arm))[:, None] * _outwards(x),
        _along(2, _BELLY * _bump(y, 0.10, 0.12) * smoothstep(z, -0.01, 0.10) * trunk),
        _along(0, _ARM * np.sign(x) * np.clip((side - 0.19) / 0.51, 0.0, 1.0)),
        _CHEST * (_bump(y, 0.34, 0.11) * trunk)[:, None] * flat * [0.15, 0.0, 1.0],
        _HEAD * (head[:, None] * (vertices - joints[15])),
        _LIMB * limb[:, None] * normals,
    ]


def _smooth_normals(vertices: Array, faces: NDArray[np.int64]) -> Array:
    """Normals averaged over the surface, so that folds such as armpits do not close when the body grows along them."""
    normals = vertex_normals(vertices, faces)
    links = adjacency(len(vertices), faces)
    mean = diags(1.0 / np.asarray(links.sum(axis=1)).ravel()) @ links
    for _ in range(_SMOOTHING_ROUNDS):
        normals = 0.5 * normals + 0.5 * (mean @ normals)
    return normals


def _bump(value: Array, centre: float, width: float) -> Array:
    bump: Array = np.exp(-(((value - centre) / width) ** 2))
    return bump


def _along(axis: int, amount: Array) -> Array:
    field = np.zeros((len(amount), 3))
    field[:, axis] = amount
    return field


def _horizontal(normals: Array) -> Array:
    flat = normals.copy()
    flat[:, 1] = 0.0
    return flat


def _outwards(x: Array) -> Array:
    return _along(0, np.sign(x) * smoothstep(np.abs(x), 0.0, 0.10))
