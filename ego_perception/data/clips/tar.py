"""One clip as one uncompressed tar: written in one go with nothing in it that depends on time or user, read by position.

Members: `clip.json` (what the clip is), `truth.npz` (see `tables`), then per frame `NNNNNN.<image>.<jpg|png>` (see `pixels`).
"""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

from ego_perception.data.clips import pixels, tables
from ego_perception.data.frame import Encoding, Frame
from ego_perception.data.scene_truth import SceneTruth
from ego_perception.data.truth import ExtraView, FrameTruth
from ego_perception.errors import FrameError, SourceError

CLIP_NAME: Final = "clip.json"
TRUTH_NAME: Final = "truth.npz"

COLOUR: Final = ("clean", "clean_shadowed", "background")
_CODECS: Final[dict[str, tuple[Any, Any]]] = {
    "depth": (pixels.encode_depth, pixels.decode_depth),
    "classes": (pixels.encode_ids, pixels.decode_ids),
    "instances": (pixels.encode_ids, pixels.decode_ids),
    "clean_depth": (pixels.encode_depth, pixels.decode_depth),
    "background_depth": (pixels.encode_depth, pixels.decode_depth),
    "flow": (pixels.encode_flow, pixels.decode_flow),
    "scene_flow": (pixels.encode_scene_flow, pixels.decode_scene_flow),
}
IMAGES: Final = (*_CODECS, *COLOUR)
"""Names of `FrameTruth` that are images of the frame's size."""
PARTS: Final = (*IMAGES, "T_world_cam", "views", "bodies", "wearer", "objects", "photo")
"""Everything that a `FrameTruth` may hold."""


def write_clip(
    file: IO[bytes], frames: Sequence[Frame], about: dict[str, Any], scene: SceneTruth | None = None, suffix: str = ".jpg"
) -> None:
    """Write a clip.

    Args:
        about: for `clip.json`, plain values; the number of frames and what they hold is added.
        suffix: of colour images, `.jpg` or `.png`.

    Raises:
        OSError: the disk refuses.
    """
    parts = [name for name in PARTS if any(f.truth is not None and _has(f.truth, name) for f in frames)]
    about = {**about, "frames": len(frames), "truth": parts}
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        _add(tar, CLIP_NAME, json.dumps(about, indent=1, sort_keys=True).encode())
        _add(tar, TRUTH_NAME, tables.pack(tables.arrays_of_clip(frames, scene)))
        for row, frame in enumerate(frames):
            for name, data in _images(frame, suffix):
                _add(tar, f"{row:06d}.{name}", data)


@dataclass(frozen=True)
class _Member:
    offset: int
    size: int


class ClipFile:
    """A clip's tar, opened for reading; positions are read with `pread`, so that forked readers do not disturb each other.

    Attributes:
        about: content of `clip.json`.

    Raises:
        SourceError: on construction, for a file that is no clip, or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1
        try:
            with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
                self._members = {m.name: _Member(m.offset_data, m.size) for m in tar.getmembers()}
                size = os.fstat(file.fileno()).st_size
        except (OSError, tarfile.TarError, ValueError) as error:
            raise self._damaged(str(error) or type(error).__name__) from error
        # An archive ends with two empty blocks; without them members may be missing behind the last one.
        if size < max((m.offset + m.size for m in self._members.values()), default=0) + 2 * tarfile.BLOCKSIZE:
            raise self._damaged("it was cut short")
        self.about: dict[str, Any] = self._read_about()
        self._arrays: tables.Arrays | None = None

    def __len__(self) -> int:
        return int(self.about["frames"])

    @property
    def arrays(self) -> tables.Arrays:
        """Content of `truth.npz`."""
        if self._arrays is None:
            self._arrays = tables.unpack(self._read(TRUTH_NAME), f"{self.path}: {TRUTH_NAME}")
        return self._arrays

    @property
    def scene(self) -> SceneTruth | None:
        """What belongs to the whole clip."""
        return tables.scene_of(self.arrays)

    def frame(self, row: int, parts: Collection[str] = PARTS) -> Frame:
        """Decode one frame with the wanted parts of its truth.

        Raises:
            SourceError: outside the clip, or damaged.
        """
        if not 0 <= row < len(self):
            raise SourceError(f"frame {row} is outside the clip {self.path} of {len(self)} frames")
        try:
            arrays, rgb = self.arrays, self._image(row, "rgb")
            truth = self._truth(row, parts)
            camera = tables.camera_of(arrays, row)
            stamp_ns, index = int(arrays["stamp_ns"][row]), int(arrays["index"][row])
            return Frame(stamp_ns, rgb, Encoding.RGB, camera, index=index, truth=truth)
        except (FrameError, KeyError, IndexError, ValueError, TypeError) as error:
            raise self._damaged(f"frame {row}: {error}") from error

    def close(self) -> None:
        """Give the file back; it is opened again when it is needed."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _truth(self, row: int, parts: Collection[str]) -> FrameTruth:
        arrays = self.arrays
        fields: dict[str, Any] = {name: self._image(row, name) for name in IMAGES if name in parts and self._holds(row, name)}
        if "T_world_cam" in parts and np.isfinite(arrays["T_world_cam"][row]).all():
            fields["T_world_cam"] = arrays["T_world_cam"][row]
        for name, table in (("bodies", "body"), ("objects", "object")):
            if name in parts:
                fields[name] = tuple(tables.rows_of(arrays, table, row))
        for name in ("wearer", "photo"):
            if name in parts:
                fields[name] = next(iter(tables.rows_of(arrays, name, row)), None)
        if "views" in parts and "view.frame" in arrays:
            fields["views"] = tuple(self._views(row))
        return FrameTruth(**fields)

    def _views(self, row: int) -> Iterator[ExtraView]:
        rows = np.flatnonzero(self.arrays["view.frame"] == row)
        for k, T in enumerate(self.arrays["view.T_world_cam"][rows]):
            rgb, depth = (
                self._image(row, f"view{k:02d}.rgb"),
                pixels.decode_depth(self._read(f"{row:06d}.view{k:02d}.depth.png")),
            )
            yield ExtraView(rgb, depth, T)

    def _holds(self, row: int, name: str) -> bool:
        return any(f"{row:06d}.{name}{suffix}" in self._members for suffix in (".png", ".jpg"))

    def _image(self, row: int, name: str) -> Any:
        stem = f"{row:06d}.{name}"
        suffix = ".png" if f"{stem}.png" in self._members else ".jpg"
        decode = _CODECS[name][1] if name in _CODECS else pixels.decode_colour
        return decode(self._read(stem + suffix))

    def _read(self, name: str) -> bytes:
        member = self._members.get(name)
        if member is None:
            raise self._damaged(f"'{name}' is missing")
        try:
            if self._fd < 0:
                self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            data = os.pread(self._fd, member.size, member.offset)
        except OSError as error:
            raise self._damaged(error.strerror or str(error)) from error
        if len(data) != member.size:
            raise self._damaged("it was cut short")
        return data

    def _read_about(self) -> dict[str, Any]:
        data = self._read(CLIP_NAME)
        try:
            about = json.loads(data)
            complete = isinstance(about, dict) and int(about["frames"]) > 0 and f"{int(about['frames']) - 1:06d}.rgb"
        except (ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
            raise self._damaged(f"{CLIP_NAME}: {error}") from error
        if not complete or not any(complete + suffix in self._members for suffix in (".jpg", ".png")):
            raise self._damaged("its last frame is missing")
        return dict(about)

    def _damaged(self, reason: str) -> SourceError:
        self.close()
        return SourceError(f"clip {self.path} cannot be read: {reason}; delete it and run `ego dataset` again")

    def __del__(self) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_fd": -1}


def _has(truth: FrameTruth, name: str) -> bool:
    value = getattr(truth, name)
    return value is not None and not (isinstance(value, tuple) and not value)


def truth_files(frame: Frame) -> Iterator[tuple[str, bytes]]:
    """What is known of a single frame beyond image, depth and pose: endings of file names, and contents."""
    truth = frame.truth
    if truth is None:
        return
    yield from _truth_images(replace(truth, depth=None, views=()), ".jpg")
    if frame.camera is not None and any(_has(truth, name) for name in ("bodies", "wearer", "objects", "photo")):
        yield TRUTH_NAME, tables.pack(tables.arrays_of_clip([frame]))


def _images(frame: Frame, suffix: str) -> Iterator[tuple[str, bytes]]:
    yield f"rgb{suffix}", pixels.encode_colour(frame.rgb, suffix)
    if frame.truth is not None:
        yield from _truth_images(frame.truth, suffix)


def _truth_images(truth: FrameTruth, suffix: str) -> Iterator[tuple[str, bytes]]:
    for name in IMAGES:
        image = getattr(truth, name)
        if image is None:
            continue
        if name in COLOUR:
            yield f"{name}{suffix}", pixels.encode_colour(image, suffix)
        else:
            yield f"{name}.png", _CODECS[name][0](image)
    for k, view in enumerate(truth.views):
        yield f"view{k:02d}.rgb{suffix}", pixels.encode_colour(view.rgb, suffix)
        yield f"view{k:02d}.depth.png", pixels.encode_depth(view.depth)


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    member.mode = 0o644
    tar.addfile(member, io.BytesIO(data))
