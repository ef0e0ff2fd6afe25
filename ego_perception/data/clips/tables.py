"""Everything of a clip that is no image as named arrays, and back: `truth.npz` without pickles.

What a frame has several of (bodies, objects, views) becomes a table: one row each, with the frame's position in the clip in the
column `<table>.frame`. Texts are unicode arrays.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ego_perception.data.frame import Frame
from ego_perception.data.scene_truth import SceneTruth
from ego_perception.data.truth import BodyTruth, ObjectTruth, PhotoTruth, WearerTruth
from ego_perception.errors import SourceError
from ego_perception.geometry import DistortionModel, PinholeCamera

Arrays = dict[str, NDArray[Any]]

_DAMAGE: Final = (
    OSError, ValueError, TypeError, EOFError, KeyError, OverflowError, MemoryError, NotImplementedError, RuntimeError,
    SyntaxError, struct.error, zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error,
)  # fmt: skip
"""What zipfile and numpy raise on changed bytes."""

_TABLES: Final[dict[str, type]] = {"body": BodyTruth, "object": ObjectTruth, "wearer": WearerTruth, "photo": PhotoTruth}
_TEXTS: Final = frozenset({"id", "label", "body_sha256", "activity"})
_OPTIONAL: Final = ("vertices", "vertex_visible")
"""Columns that all rows of a clip have, or none."""


def arrays_of_clip(frames: Sequence[Frame], scene: SceneTruth | None = None) -> Arrays:
    """Collect what the frames of one clip say besides their images.

    Raises:
        SourceError: frames without a camera, or of several sizes or lens models.
    """
    arrays = _camera_arrays(frames)
    arrays["stamp_ns"] = np.array([f.stamp_ns for f in frames], np.int64)
    arrays["index"] = np.array([f.index for f in frames], np.int64)
    unknown = np.full((4, 4), np.nan)
    truths = [f.truth for f in frames]
    poses = [unknown if t is None or t.T_world_cam is None else t.T_world_cam for t in truths]
    arrays["T_world_cam"] = np.array(poses, np.float64)
    for name in _TABLES:
        rows = [(i, row) for i, truth in enumerate(truths) if truth is not None for row in _rows(truth, name)]
        arrays |= _table(name, rows)
    views = [(i, view.T_world_cam) for i, truth in enumerate(truths) if truth is not None for view in truth.views]
    if views:
        arrays["view.frame"] = np.array([i for i, _ in views], np.int64)
        arrays["view.T_world_cam"] = np.array([T for _, T in views], np.float64)
    if scene is not None:
        arrays |= {"scene.points": scene.points, "scene.normals": scene.normals}
        arrays["scene.instance_names"] = np.array(scene.instance_names, np.str_)
    return arrays


def scene_of(arrays: Arrays) -> SceneTruth | None:
    """The clip's own truth, None where it was not known."""
    if "scene.points" not in arrays:
        return None
    names = tuple(str(name) for name in arrays["scene.instance_names"])
    return SceneTruth(arrays["scene.points"], arrays["scene.normals"], names)


def camera_of(arrays: Arrays, row: int) -> PinholeCamera:
    """The camera of one frame."""
    width, height = (int(x) for x in arrays["camera.size"])
    fx, fy, cx, cy = (float(x) for x in arrays["camera.intrinsics"][row])
    model = DistortionModel(str(arrays["camera.model"]))
    return PinholeCamera(width, height, fx, fy, cx, cy, model, tuple(float(k) for k in arrays["camera.distortion"][row]))


def rows_of(arrays: Arrays, name: str, row: int) -> list[Any]:
    """The bodies, objects, wearer or photo of one frame, as their truth classes."""
    column = arrays.get(f"{name}.frame")
    if column is None:
        return []
    found = []
    for k in np.flatnonzero(column == row):
        values = {f.name: _value(arrays, f"{name}.{f.name}", int(k)) for f in fields(_TABLES[name])}
        found.append(_TABLES[name](**{key: value for key, value in values.items() if value is not None}))
    return found


def pack(arrays: Arrays) -> bytes:
    """The arrays as the bytes of an `.npz`; equal arrays give equal bytes."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def unpack(data: bytes, what: str) -> Arrays:
    """The arrays of an `.npz`.

    Raises:
        SourceError: damaged, or with pickled objects.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as content:
            return {name: content[name] for name in content.files}
    except _DAMAGE as error:
        raise SourceError(f"{what} cannot be read: {error}") from error


def _camera_arrays(frames: Sequence[Frame]) -> Arrays:
    cameras = [f.camera for f in frames if f.camera is not None]
    if len(cameras) != len(frames) or len({(c.width, c.height, c.distortion_model, len(c.distortion)) for c in cameras}) != 1:
        raise SourceError("the frames of a clip need cameras of one size and one lens model")
    first = cameras[0]
    return {
        "camera.size": np.array([first.width, first.height], np.int64),
        "camera.intrinsics": np.array([[c.fx, c.fy, c.cx, c.cy] for c in cameras], np.float64),
        "camera.model": np.array(first.distortion_model.value, np.str_),
        "camera.distortion": np.array([c.distortion for c in cameras], np.float64),
    }


def _rows(truth: Any, name: str) -> Iterable[Any]:
    if name in ("wearer", "photo"):
        one = getattr(truth, name)
        return () if one is None else (one,)
    return tuple(truth.bodies if name == "body" else truth.objects)


def _table(name: str, rows: list[tuple[int, Any]]) -> Arrays:
    """Columns of a table; a column that not all rows have is left out."""
    if not rows:
        return {}
    columns: Arrays = {f"{name}.frame": np.array([i for i, _ in rows], np.int64)}
    for f in fields(_TABLES[name]):
        values = [getattr(row, f.name) for _, row in rows]
        if f.name in _OPTIONAL and any(value is None for value in values):
            continue
        columns[f"{name}.{f.name}"] = np.array(values, np.str_ if f.name in _TEXTS else None)
    return columns


def _value(arrays: Arrays, column: str, k: int) -> Any:
    if column not in arrays:
        return None
    value = arrays[column][k]
    if isinstance(value, np.ndarray):
        return tuple(value.tolist()) if column in ("wearer.held", "photo.white_balance") else value
    return value.item()
