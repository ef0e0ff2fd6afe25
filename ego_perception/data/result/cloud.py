"""Fusion of many depth images into one coloured cloud of bounded size, and its PLY file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ego_perception.data.result.layout import write_atomic
from ego_perception.errors import SourceError

_BITS: Final = 21
_HALF: Final = 1 << (_BITS - 1)
_PENDING_LIMIT: Final = 300_000
_VERTEX: Final = np.dtype([("xyz", "<f4", 3), ("rgb", "u1", 3)])
_HEADER: Final = (
    "ply\nformat binary_little_endian 1.0\nelement vertex {}\n"
    "property float x\nproperty float y\nproperty float z\n"
    "property uchar red\nproperty uchar green\nproperty uchar blue\nend_header\n"
)
Float = NDArray[np.float64]


class VoxelCloud:
    """A sparse grid that keeps the weighted mean position and colour of each voxel.

    When it outgrows `max_voxels` the voxels double in size, so memory stays bounded on an endless stream. A voxel seen in one
    frame alone is left out as long as other frames could have confirmed it: most of those are flying pixels.

    Args:
        voxel_m: edge of a voxel, metres.
        max_voxels: upper bound of voxels kept.
    """

    def __init__(self, voxel_m: float = 0.02, max_voxels: int = 1_000_000) -> None:
        self.voxel_m = voxel_m
        self.num_frames = 0
        self._max_voxels = max_voxels
        self._keys: NDArray[np.int64] = np.zeros(0, np.int64)
        self._sums: Float = np.zeros((0, 8))  # weighted x y z r g b, weight, number of frames
        self._pending: list[tuple[NDArray[np.int64], Float]] = []

    def add(self, points: NDArray[np.float32], colours: NDArray[np.uint8], weights: NDArray[np.float32]) -> None:
        """Fuse the points of one frame.

        Args:
            points: (N, 3) world, metres; those not finite are skipped.
            colours: (N, 3) RGB.
            weights: (N,) positive.
        """
        usable = np.isfinite(points).all(axis=1) & (np.abs(points).max(axis=1, initial=0.0) < _HALF * self.voxel_m)
        if not usable.any():
            return
        xyz, w = points[usable].astype(np.float64), weights[usable].astype(np.float64)[:, None]
        rows = np.concatenate([xyz * w, colours[usable] * w, w, np.zeros_like(w)], axis=1)
        keys, sums = _group(self._key(xyz), rows)
        sums[:, 7] = 1.0
        self._pending.append((keys, sums))
        self.num_frames += 1
        if sum(len(keys) for keys, _ in self._pending) > _PENDING_LIMIT:
            self._merge()

    def points(self) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """The (N, 3) float32 positions and (N, 3) uint8 colours so far, in a fixed order."""
        self._merge()
        sums = self._sums[self._sums[:, 7] >= min(2, self.num_frames)]
        mean = sums[:, :6] / sums[:, 6:7]
        return mean[:, :3].astype(np.float32), np.clip(np.rint(mean[:, 3:]), 0, 255).astype(np.uint8)

    def __len__(self) -> int:
        self._merge()
        return len(self._keys)

    def _merge(self) -> None:
        if not self._pending:
            return
        keys = np.concatenate([self._keys, *(k for k, _ in self._pending)])
        sums = np.concatenate([self._sums, *(s for _, s in self._pending)])
        self._pending.clear()
        self._keys, self._sums = _group(keys, sums)
        while len(self._keys) > self._max_voxels:
            self.voxel_m *= 2
            self._keys, self._sums = _group(self._key(self._sums[:, :3] / self._sums[:, 6:7]), self._sums)

    def _key(self, xyz: Float) -> NDArray[np.int64]:
        cell = np.floor(xyz / self.voxel_m).astype(np.int64) + _HALF
        return (cell[:, 0] << 2 * _BITS) | (cell[:, 1] << _BITS) | cell[:, 2]


def _group(keys: NDArray[np.int64], rows: Float) -> tuple[NDArray[np.int64], Float]:
    """Sum the rows of equal keys; the result is sorted by key."""
    order = np.argsort(keys, kind="stable")
    unique, start = np.unique(keys[order], return_index=True)
    return unique, np.add.reduceat(rows[order], start, axis=0)


def write_ply(path: Path, points: NDArray[np.float32], colours: NDArray[np.uint8]) -> None:
    """Write (N, 3) points and colours as binary PLY, in one step."""
    vertices = np.empty(len(points), _VERTEX)
    vertices["xyz"], vertices["rgb"] = points, colours
    write_atomic(path, _HEADER.format(len(points)).encode("ascii") + vertices.tobytes())


def read_ply(path: Path) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Read (N, 3) points and colours from a file of `write_ply`.

    Raises:
        SourceError: missing, cut short or of another layout.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SourceError(f"cloud '{path}' cannot be read: {error.strerror}") from error
    header, mark, body = data.partition(b"end_header\n")
    num_vertices = len(body) // _VERTEX.itemsize
    if header + mark != _HEADER.format(num_vertices).encode("ascii") or len(body) != num_vertices * _VERTEX.itemsize:
        raise SourceError(f"cloud '{path}' is damaged or was not written by this package")
    vertices = np.frombuffer(body, _VERTEX)
    return vertices["xyz"].copy(), vertices["rgb"].copy()
