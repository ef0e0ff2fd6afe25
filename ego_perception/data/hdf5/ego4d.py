"""Frames of one Ego4D clip: `labels` (N,), 1 where a hand was detected, `mean_pixel` (N, 3), and `frames` (N,), JPEG files.

Every tenth frame, shorter side 256, the centre square. The JPEG files hold red and blue exchanged: the published script gave
RGB pixels to an encoder that takes BGR, and reads them back the same way. Here both ends keep to that, so that files are
interchangeable; other software shows these images with exchanged colours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.data.folder import FolderSource
from ego_perception.data.hdf5.file import BYTES, add_column, as_flags, column, reading, writing
from ego_perception.data.images import decode_image
from ego_perception.data.video import VideoSource
from ego_perception.errors import OutputError, SourceError

STRIDE: Final = 10
SIDE: Final = 256
_QUALITY: Final = 95

HandDetector = Callable[[NDArray[np.uint8]], bool]
"""Says whether an RGB image (H, W, 3) shows a hand."""


class Ego4dClip:
    """Frames of one packed clip by row.

    Args:
        path: `<clip>.hdf5`.

    Attributes:
        has_hand: (N,) true where a hand was detected.
        mean_pixel: (N, 3) mean colour, 0 to 255.

    Raises:
        SourceError: missing, damaged or of another layout.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.stem
        with reading(path) as file:
            self.has_hand = as_flags(column(file, "labels", "number"))
            rows = len(self.has_hand)
            self.mean_pixel: NDArray[np.int64] = column(file, "mean_pixel", "number", rows=rows, width=3)[()].astype(np.int64)
            column(file, "frames", "bytes", rows=rows)

    def __len__(self) -> int:
        return len(self.has_hand)

    def frames(self, rows: Sequence[int]) -> list[NDArray[np.uint8]]:
        """Decode frames, RGB (256, 256, 3).

        Raises:
            SourceError: there is no such row.
            FrameError: an image that cannot be decoded.
        """
        if not all(0 <= row < len(self) for row in rows):
            raise SourceError(f"{self.path} has {len(self)} frames; rows {list(rows)} were asked for")
        with reading(self.path) as file:
            data = [file["frames"][row].tobytes() for row in rows]
        # The decoder's "BGR" is RGB here, see above.
        return [decode_image(d, f"frame {row} of {self.name}") for row, d in zip(rows, data, strict=True)]


def pack_ego4d(source: Path, output: Path, has_hand: HandDetector, stride: int = STRIDE) -> int:
    """Pack every `stride`-th frame of a video file or a folder of images.

    Args:
        has_hand: asked about each frame at its full size.

    Returns:
        Number of frames.

    Raises:
        SourceError: the source cannot be opened or holds no frame.
        FrameError: an image that cannot be decoded.
        OutputError: the file cannot be written.
    """
    rows = ((square_of(rgb), has_hand(rgb)) for rgb in _every(source, stride))
    return write_ego4d(output, rows)


def write_ego4d(output: Path, rows: Iterable[tuple[NDArray[np.uint8], bool]]) -> int:
    """Write RGB squares and whether each shows a hand; returns their number.

    Raises:
        SourceError: there is none.
        OutputError: the file cannot be written.
    """
    labels, means, frames = [], [], []
    for square, shows_hand in rows:
        labels.append(int(shows_hand))
        means.append(square.mean(axis=(0, 1)).astype(np.int64))
        frames.append(_encoded(square))
    if not frames:
        raise SourceError(f"there is no frame to pack into {output}")
    with writing(output) as file:
        file.create_dataset("labels", data=np.array(labels, np.int64))
        file.create_dataset("mean_pixel", data=np.array(means, np.int64))
        add_column(file, "frames", frames, len(frames), BYTES)
    return len(frames)


def square_of(rgb: NDArray[np.uint8], side: int = SIDE) -> NDArray[np.uint8]:
    """Resize the shorter side to `side` and cut the square out of the middle."""
    height, width = rgb.shape[:2]
    scale = side / min(height, width)
    size = max(side, round(width * scale)), max(side, round(height * scale))
    resized = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    return np.ascontiguousarray(resized[top : top + side, left : left + side], np.uint8)


def _every(source: Path, stride: int) -> Iterator[NDArray[np.uint8]]:
    frames = FolderSource(source) if source.is_dir() else VideoSource(source)
    try:
        for index, frame in enumerate(frames):
            if isinstance(frame, Exception):
                raise frame
            if index % stride == 0:
                yield frame.rgb
    finally:
        frames.close()


def _encoded(square: NDArray[np.uint8]) -> bytes:
    ok, data = cv2.imencode(".jpg", square, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not ok:
        raise OutputError(f"an image of shape {square.shape} cannot be encoded as JPEG")
    return data.tobytes()
