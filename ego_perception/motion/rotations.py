"""Rotations of many samples at once: about the body's axes, along a direction, and on the way between two."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ego_perception.geometry import so3_exp, so3_log

Array = NDArray[np.float64]


def about(axis: str, angle: ArrayLike) -> Array:
    """(..., 3, 3) rotations about "x", "y" or "z" by (...) radians."""
    angle = np.asarray(angle, dtype=np.float64)
    c, s, k = np.cos(angle), np.sin(angle), "xyz".index(axis)
    i, j = (k + 1) % 3, (k + 2) % 3
    out = np.zeros((*angle.shape, 3, 3))
    out[..., k, k] = 1.0
    out[..., i, i] = out[..., j, j] = c
    out[..., i, j], out[..., j, i] = -s, s
    return out


def upright(heading: ArrayLike) -> Array:
    """(..., 3, 3) root rotations of people who stand upright and face `heading`, radians; see `body.skeleton`."""
    heading = np.asarray(heading, dtype=np.float64)
    c, s, zero = np.cos(heading), np.sin(heading), np.zeros_like(heading)
    columns = (np.stack([-s, c, zero], -1), np.stack([zero, zero, zero + 1.0], -1), np.stack([c, s, zero], -1))
    return np.stack(columns, axis=-1)


def unit(v: Array) -> Array:
    """Vectors (..., 3) scaled to length one."""
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-12)


def frame(direction: Array, normal: Array) -> Array:
    """(..., 3, 3) frames whose first axis is `direction` and whose second is as near to `normal` as it can be."""
    a = unit(direction)
    b = unit(normal - (normal * a).sum(-1, keepdims=True) * a)
    return np.stack([a, b, np.cross(a, b)], axis=-1)


def transposed(R: Array) -> Array:
    """Inverse rotations."""
    return np.swapaxes(R, -1, -2)


def between(start: Array, end: Array, weight: Array) -> Array:
    """Rotations on the shortest way from `start` to `end`, both (T, 3, 3), at (T,) shares of it."""
    return start @ so3_exp(weight[:, None] * so3_log(transposed(start) @ end))


def apply(R: Array, v: Array) -> Array:
    """Rotate vectors: (..., 3, 3) and (..., 3)."""
    return np.einsum("...ij,...j->...i", R, v)
