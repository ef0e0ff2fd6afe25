"""The kept frames of a run: pictures and one line each, thinned evenly when there are too many."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TextIO

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.data.hand_removal import HandRemovalEstimate
from ego_perception.data.result.layout import write_atomic
from ego_perception.data.result.record import FrameRecord
from ego_perception.data.scene import SceneEstimate
from ego_perception.geometry import PinholeCamera

_MAX_WIDTH: Final = 640
_JPEG_QUALITY: Final = 85
_MAX_MILLIMETRES: Final = 65534


class FrameLog:
    """Keeps every k-th frame; k doubles whenever more than `max_frames` are kept.

    Args:
        folder: an existing folder for the pictures.
        log: the file with one line per kept frame, appended and flushed frame by frame.
    """

    def __init__(self, folder: Path, log: Path, max_frames: int = 400) -> None:
        self._folder = folder
        self._log_path = log
        self._max_frames = max(2, max_frames)
        self._stride = 1
        self._kept: list[FrameRecord] = []
        self._log: TextIO = log.open("w", encoding="utf-8")

    def write(self, index: int, estimate: SceneEstimate) -> None:
        """Keep one frame if it is its turn.

        Raises:
            OSError: as the file system gives it.
        """
        if index % self._stride:
            return
        record = self._save(index, estimate)
        self._log.write(record.to_line() + "\n")
        self._log.flush()
        self._kept.append(record)
        if len(self._kept) > self._max_frames:
            self._thin()

    def close(self) -> None:
        """Close the log."""
        self._log.close()

    def _save(self, index: int, estimate: SceneEstimate) -> FrameRecord:
        truth = estimate.frame.truth
        camera = estimate.depth_camera or _display_camera(estimate.camera)
        size = (camera.width, camera.height)
        files = {"image": f"{index:06d}.jpg"}
        self._picture(files["image"], _display_image(estimate), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        if estimate.depth is not None:
            files["depth"] = f"{index:06d}.depth.png"
            self._picture(files["depth"], _to_millimetres(estimate.depth))
        if estimate.confidence is not None:
            files["confidence"] = f"{index:06d}.conf.png"
            scaled = np.rint(255 * np.clip(np.nan_to_num(estimate.confidence), 0, 1))
            self._picture(files["confidence"], scaled.astype(np.uint8))
        if truth is not None and truth.depth is not None:
            files["truth"] = f"{index:06d}.truth.png"
            self._picture(files["truth"], _to_millimetres(_nearest(truth.depth, size)))
        removed = estimate.hand_removal
        if removed is not None:
            files |= self._save_hand_removal(index, removed)
        return FrameRecord(
            index,
            estimate.frame.stamp_ns,
            estimate.state,
            estimate.reason,
            replace(camera, distortion=(), distortion_model=type(camera.distortion_model).NONE),
            estimate.T_world_cam,
            None if truth is None else truth.T_world_cam,
            files,
            estimate.map_id,
            {} if removed is None else {"state": removed.state.name, "reason": removed.reason},
        )

    def _save_hand_removal(self, index: int, removed: HandRemovalEstimate) -> dict[str, str]:
        """Pictures at the size of the colour picture; of a withheld image there is at most the mask."""
        files = {}
        if removed.image is not None and removed.provenance is not None:
            files["hand_free"] = f"{index:06d}.free.jpg"
            bgr = _shrunk(np.ascontiguousarray(removed.image[..., ::-1]), cv2.INTER_AREA)
            self._picture(files["hand_free"], bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
            files["provenance"] = f"{index:06d}.prov.png"
            self._picture(files["provenance"], _shrunk(removed.provenance, cv2.INTER_NEAREST))
        if removed.hand_mask is not None:
            files["hand_mask"] = f"{index:06d}.hands.png"
            self._picture(files["hand_mask"], _shrunk(removed.hand_mask, cv2.INTER_NEAREST))
        return files

    def _picture(self, name: str, image: Any, parameters: list[int] | None = None) -> None:
        ok, data = cv2.imencode(Path(name).suffix, image, parameters or [cv2.IMWRITE_PNG_COMPRESSION, 1])
        if not ok:
            raise OSError(f"picture {name} cannot be encoded")
        (self._folder / name).write_bytes(data.tobytes())

    def _thin(self) -> None:
        """Drop every second kept frame: first from the log, then from the disk, so that the log never names a missing file."""
        self._stride *= 2
        dropped = [record for record in self._kept if record.index % self._stride]
        self._kept = [record for record in self._kept if record.index % self._stride == 0]
        self._log.close()
        write_atomic(self._log_path, "".join(record.to_line() + "\n" for record in self._kept).encode())
        self._log = self._log_path.open("a", encoding="utf-8")
        for record in dropped:
            for name in record.files.values():
                (self._folder / name).unlink()


def _display_camera(camera: PinholeCamera) -> PinholeCamera:
    if camera.width <= _MAX_WIDTH:
        return camera
    return camera.resized(_MAX_WIDTH, max(1, round(camera.height * _MAX_WIDTH / camera.width)))


def _shrunk(image: NDArray[np.uint8], interpolation: int) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    if width <= _MAX_WIDTH:
        return image
    size = (_MAX_WIDTH, max(1, round(height * _MAX_WIDTH / width)))
    return np.asarray(cv2.resize(image, size, interpolation=interpolation), np.uint8)


def _display_image(estimate: SceneEstimate) -> NDArray[np.uint8]:
    bgr = estimate.frame.rgb[..., ::-1]
    camera = _display_camera(estimate.camera)
    if bgr.shape[1] <= _MAX_WIDTH:
        return np.ascontiguousarray(bgr)
    small = cv2.resize(np.ascontiguousarray(bgr), (camera.width, camera.height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def _to_millimetres(depth: NDArray[np.floating]) -> NDArray[np.uint16]:
    millimetres = np.rint(np.nan_to_num(depth, nan=0.0, posinf=0.0, neginf=0.0) * 1000.0)
    return np.where((millimetres > 0) & (millimetres <= _MAX_MILLIMETRES), millimetres, 0).astype(np.uint16)


def _nearest(depth: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST), np.float32)
