"""A folder of images as a source, with intrinsics, depth and poses where they lie beside the images."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ego_perception.data.frame import Encoding, Frame
from ego_perception.data.images import read_depth, read_image
from ego_perception.data.intrinsics import Intrinsics, find_intrinsics
from ego_perception.data.listing import Entry, list_folder
from ego_perception.data.truth import FrameTruth
from ego_perception.errors import CalibrationError, FrameError, SourceError
from ego_perception.geometry import PinholeCamera

_log = logging.getLogger(__name__)
_ROTATION_TOLERANCE = 1e-2


class FolderSource:
    """Frames of a folder in the order of their names or of its lists.

    An image that cannot be used is yielded as a `FrameError` in its place. Ground truth that is damaged or does not fit its
    image is left out, counted in `num_truth_problems` and named in a warning: it is for evaluation and must not stop a run.

    Args:
        folder: see `list_folder` for the layouts.
        fps: rate of layouts without stamps, Hz.
        intrinsics: overrides the calibration found in the folder.

    Raises:
        SourceError: no such folder, no images, a rate that is not positive.
        CalibrationError: a calibration file that is none.
    """

    is_live = False

    def __init__(self, folder: Path, *, fps: float = 15.0, intrinsics: Intrinsics | None = None) -> None:
        if not (math.isfinite(fps) and fps > 0):
            raise SourceError(f"fps is {fps}; the frame rate of a folder must be positive")
        self.name = folder.name
        self.num_truth_problems = 0
        self._entries = list_folder(folder, fps)
        self._intrinsics = intrinsics or find_intrinsics(folder)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Frame | Exception]:
        for index, entry in enumerate(self._entries):
            try:
                yield self._load(index, entry)
            except (FrameError, CalibrationError) as error:
                yield FrameError(f"frame {index}: {error}")

    def close(self) -> None:
        """Nothing is held open."""

    def _load(self, index: int, entry: Entry) -> Frame:
        image = read_image(entry.image)
        height, width = image.shape[:2]
        camera = self._camera(width, height)
        truth = self._truth(entry, (height, width))
        return Frame(entry.stamp_ns, image, Encoding.BGR, camera=camera, index=index, truth=truth)

    def _camera(self, width: int, height: int) -> PinholeCamera | None:
        if self._intrinsics is None:
            return None
        if self._intrinsics.size is None:
            self._intrinsics = replace(self._intrinsics, size=(width, height))
        return self._intrinsics.camera(width, height)

    def _truth(self, entry: Entry, shape: tuple[int, int]) -> FrameTruth | None:
        depth, pose = None, entry.T_world_cam
        try:
            if entry.depth is not None:
                depth = _read_fitting_depth(entry, shape)
        except FrameError as error:
            self._report(error)
        try:
            if entry.pose_file is not None:
                pose = read_pose(entry.pose_file)
        except FrameError as error:
            self._report(error)
        return None if depth is None and pose is None else FrameTruth(depth, pose)

    def _report(self, error: FrameError) -> None:
        self.num_truth_problems += 1
        if self.num_truth_problems == 1:
            _log.warning("ground truth left out where damaged; first case: %s", error)


def read_pose(path: Path) -> NDArray[np.float64]:
    """Read a 4x4 camera-to-world matrix in metres from text.

    Raises:
        FrameError: unreadable, of another shape, not finite, or not a rigid transform.
    """
    try:
        T = np.array([[float(word) for word in line.split()] for line in path.read_text().splitlines() if line.strip()])
    except (OSError, ValueError) as error:
        raise FrameError(f"pose {path.name} cannot be read: {error}") from error
    if T.shape != (4, 4) or not np.isfinite(T).all():
        raise FrameError(f"pose {path.name} has shape {T.shape} or a value that is not finite; a 4x4 matrix is needed")
    R = T[:3, :3]
    if np.abs(R @ R.T - np.eye(3)).max() > _ROTATION_TOLERANCE or np.linalg.det(R) < 0:
        raise FrameError(f"pose {path.name} is no rigid transform: its upper left block is no rotation")
    # Text files round each entry; the nearest rotation restores exact orthogonality.
    U, _, Vt = np.linalg.svd(R)
    T[:3, :3] = U @ Vt
    return T


def _read_fitting_depth(entry: Entry, shape: tuple[int, int]) -> NDArray[np.float32]:
    assert entry.depth is not None
    depth = read_depth(entry.depth, entry.units_per_metre)
    if depth.shape != shape:
        raise FrameError(
            f"depth {entry.depth.name} is {depth.shape[1]}x{depth.shape[0]} but its image is {shape[1]}x{shape[0]}"
        )
    return depth
