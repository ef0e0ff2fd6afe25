"""EPIC-KITCHENS frames of one video: `frame_numbers` (N,) and `frames` (N,), the JPEG files as they were.

Frames are found by their number. (The published loader takes row = number - 1, so that one missing frame shifts all later
ones against their annotations.)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ego_perception.data.hdf5.file import BYTES, add_column, column, reading, writing
from ego_perception.data.images import decode_image
from ego_perception.errors import FrameError, SourceError

_NAME = re.compile(r"frame_(\d+)\.jpe?g$", re.IGNORECASE)


class EpicVideo:
    """Frames of one packed video by number.

    Args:
        path: `<video>.hdf5`.

    Attributes:
        name: of the video, as VISOR calls it.
        numbers: (N,) of the frames that are there, in the order of the file.

    Raises:
        SourceError: missing, damaged, of another layout, or with a number twice.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.stem
        with reading(path) as file:
            self.numbers: NDArray[np.int64] = column(file, "frame_numbers", "number")[()].astype(np.int64)
            column(file, "frames", "bytes", rows=len(self.numbers))
        self._rows = {int(number): row for row, number in enumerate(self.numbers)}
        if len(self._rows) != len(self.numbers):
            raise SourceError(f"{path} holds a frame number twice; pack it again")

    def __len__(self) -> int:
        return len(self.numbers)

    def __contains__(self, number: object) -> bool:
        return number in self._rows

    def frames(self, numbers: Sequence[int]) -> list[NDArray[np.uint8]]:
        """Decode frames, RGB (H, W, 3).

        Raises:
            SourceError: a frame is not there.
            FrameError: an image that cannot be decoded.
        """
        missing = [number for number in numbers if number not in self._rows]
        if missing:
            raise SourceError(f"{self.path} has no frame {missing[0]}; it holds {len(self)} frames, some are left out")
        with reading(self.path) as file:
            data = [file["frames"][self._rows[number]].tobytes() for number in numbers]
        named = zip(numbers, data, strict=True)
        return [np.ascontiguousarray(decode_image(d, f"frame {n} of {self.name}")[..., ::-1]) for n, d in named]


def pack_epic(folder: Path, output: Path) -> int:
    """Pack a folder of `frame_0000000001.jpg`; the files' bytes are kept.

    Returns:
        Number of frames.

    Raises:
        SourceError: no such folder, or no frame in it.
        FrameError: an image that cannot be decoded.
        OutputError: the file cannot be written.
    """
    if not folder.is_dir():
        raise SourceError(f"folder '{folder}' does not exist")
    numbered = sorted((int(match[1]), path) for path in folder.iterdir() if (match := _NAME.search(path.name)))
    if not numbered:
        raise SourceError(f"folder '{folder}' holds no frame_<number>.jpg; give the folder of one EPIC-KITCHENS video")
    write_epic(output, [number for number, _ in numbered], (_checked(path) for _, path in numbered))
    return len(numbered)


def write_epic(output: Path, numbers: Sequence[int], frames: Iterable[bytes]) -> None:
    """Write frame numbers and as many JPEG files.

    Raises:
        OutputError: the file cannot be written.
    """
    with writing(output) as file:
        file.create_dataset("frame_numbers", data=np.array(numbers, np.int64))
        add_column(file, "frames", frames, len(numbers), BYTES)


def _checked(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FrameError(f"{path} cannot be read: {error.strerror}") from error
    decode_image(data, str(path))
    return data
