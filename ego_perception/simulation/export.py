"""Writes clips so that what carries the wanted name is whole: everything grows in `NAME.partial/` and is moved at the end."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.data import Frame
from ego_perception.data.clips.tables import pack
from ego_perception.data.clips.tar import truth_files
from ego_perception.data.scene_truth import SceneTruth
from ego_perception.errors import OutputError
from ego_perception.geometry import PinholeCamera

JPEG_QUALITY = 95


@contextlib.contextmanager
def whole_or_partial(out: Path) -> Iterator[Path]:
    """Give a path to write to and move it to `out` when the block ends without an error.

    After an error or Ctrl-C the part that was written stays under `NAME.partial`; the next run replaces it.

    Raises:
        OutputError: `out` exists already, or the disk refuses.
    """
    partial = out.with_name(f"{out.name}.partial")
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise OutputError(f"{out} exists already; remove it or choose another name")
    with _translated(out):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            yield partial / out.name
        except BaseException:
            with contextlib.suppress(OSError):  # not empty: what was written stays
                partial.rmdir()
            raise
        if out.is_dir():
            out.rmdir()
        (partial / out.name).replace(out)
        partial.rmdir()


class FolderWriter:
    """Frames as files, in the layout of the 7-Scenes recordings (Shotton et al., CVPR 2013): `frame-NNNNNN.color.jpg`,
    `.depth.png` (uint16 millimetres, 0 invalid), `.pose.txt` (4x4 camera-to-world, metres) and `camera-intrinsics.txt` (3x3).

    Beside them lies what else is known: `.classes.png`, `.instances.png`, `.clean.jpg`, `.clean_shadowed.jpg`,
    `.background.jpg`, `.clean_depth.png`, `.background_depth.png`, `.flow.png`, `.scene_flow.png` and `.truth.npz` (bodies,
    wearer, objects, photo), each as in a data set of clips; see docs/dataset_format.md.

    Raises:
        OutputError: on construction and on writing, where the disk refuses.
    """

    def __init__(self, folder: Path, camera: PinholeCamera) -> None:
        self._folder = folder
        with _translated(folder):
            folder.mkdir(parents=True, exist_ok=True)
            np.savetxt(folder / "camera-intrinsics.txt", camera.K, fmt="%.9g")

    def write(self, frame: Frame) -> None:
        """Add one frame; depth and pose where it has truth."""
        stem = self._folder / f"frame-{frame.index:06d}"
        quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        with _translated(self._folder):
            _write_image(stem.with_suffix(".color.jpg"), np.asarray(cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2BGR)), quality)
            if frame.truth is not None and frame.truth.depth is not None:
                _write_image(stem.with_suffix(".depth.png"), millimetres(frame.truth.depth), [])
            if frame.truth is not None and frame.truth.T_world_cam is not None:
                np.savetxt(stem.with_suffix(".pose.txt"), frame.truth.T_world_cam, fmt="%.12g")
            for name, data in truth_files(frame):
                stem.with_suffix(f".{name}").write_bytes(data)

    def close(self) -> None:
        """Every file is finished already."""

    def write_scene(self, scene: SceneTruth, stamp_ns: int) -> None:
        """Add what belongs to the whole clip: `scene.npz` with points, normals and instance_names."""
        with _translated(self._folder):
            names = np.array(scene.instance_names, np.str_)
            data = pack({"points": scene.points, "normals": scene.normals, "instance_names": names})
            (self._folder / "scene.npz").write_bytes(data)


def millimetres(depth: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Round depth in metres to uint16 millimetres, 0 where unknown."""
    return np.clip(np.nan_to_num(depth) * 1e3 + 0.5, 0, 65535).astype(np.uint16)


def _write_image(path: Path, image: NDArray[np.integer], options: list[int]) -> None:
    _, data = cv2.imencode(path.suffix, image, options)
    path.write_bytes(data.tobytes())


@contextlib.contextmanager
def _translated(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write {out}: {error.strerror or error}") from error
