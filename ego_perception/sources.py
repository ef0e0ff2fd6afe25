"""What the user may name as input, and the source it becomes. Each kind is imported only when it is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from ego_perception.data import Frame
from ego_perception.data.folder import FolderSource
from ego_perception.data.intrinsics import Intrinsics, parse_intrinsics
from ego_perception.data.video import VideoSource, WebcamSource
from ego_perception.errors import CalibrationError, FrameError, SourceError
from ego_perception.messages.mask_pairing import HandMaskRequest
from ego_perception.runtime import Source

KINDS: Final = "a video file, a folder of images, a rosbag2 folder or file, webcam:0 or sim:SEED"
_DEFAULT_FPS: Final = 15.0
_BAG_SUFFIXES: Final = frozenset({".mcap", ".db3"})


def open_source(
    spec: str,
    *,
    fps: float | None = None,
    intrinsics: str | None = None,
    image_topic: str | None = None,
    hand_masks: HandMaskRequest | None = None,
    kinds: str = KINDS,
) -> Source:
    """Open what the user named.

    Args:
        spec: one of `KINDS`.
        fps: rate of a folder without stamps (15 by default), or instead of a video's own stamps, Hz.
        intrinsics: `fx,fy,cx,cy` in pixels or a calibration file; overrides what the input brings.
        image_topic: of a bag; None chooses by name.
        hand_masks: hand masks that are wanted beside the images; only a bag has any.
        kinds: what may be given here, for the message.

    Raises:
        SourceError, BagError: not found, unclear, or unreadable; the message says what was tried.
        CalibrationError: intrinsics that are none.
    """
    camera = None if intrinsics is None else parse_intrinsics(intrinsics)
    path = Path(spec).expanduser()
    if hand_masks is not None and hand_masks.is_required and not is_bag(path) and (path.exists() or ":" in spec):
        raise SourceError(f"'{spec}' is no bag and brings no hand masks; find hands anew with hand_removal.mask_source=builtin")
    if path.is_dir() and not is_bag(path):
        return FolderSource(path, fps=_DEFAULT_FPS if fps is None else fps, intrinsics=camera)
    if path.is_file() and not is_bag(path):
        return VideoSource(path, fps=fps, intrinsics=camera)
    if fps is not None:
        raise SourceError(f"--fps sets the rate of folders and videos; '{spec}' brings its own stamps")
    if path.exists():
        from ego_perception.bag import BagSource, BagTopics

        return calibrated(BagSource(path, BagTopics(image=image_topic), hand_masks), camera)
    return _open_scheme(spec, camera, kinds)


def is_bag(path: Path) -> bool:
    """True for a rosbag2 file, and for a folder with such a file or with a rosbag2 `metadata.yaml`."""
    if path.is_file():
        return path.suffix.lower() in _BAG_SUFFIXES
    if not path.is_dir():
        return False
    if any(entry.suffix.lower() in _BAG_SUFFIXES for entry in path.iterdir()):
        return True
    metadata = path / "metadata.yaml"
    return metadata.is_file() and b"rosbag2_bagfile_information" in metadata.read_bytes()


def _open_scheme(spec: str, camera: Intrinsics | None, kinds: str) -> Source:
    kind, _, argument = spec.partition(":")
    if kind == "webcam" and re.fullmatch(r"\d*", argument):
        return WebcamSource(int(argument or 0), intrinsics=camera)
    if kind == "sim" and re.fullmatch(r"\d*", argument):
        from ego_perception.simulation import EgoSimConfig, SimSource

        return calibrated(SimSource(EgoSimConfig(seed=int(argument or 0))), camera)
    raise SourceError(f"'{spec}' is no file or folder here, and no other input; give {kinds}")


def calibrated(source: Source, intrinsics: Intrinsics | None) -> Source:
    """A source with its cameras replaced by what the user gave, or as it is."""
    return source if intrinsics is None else CalibratedSource(source, intrinsics)


class CalibratedSource:
    """Another source with its cameras replaced by what the user gave."""

    def __init__(self, source: Source, intrinsics: Intrinsics) -> None:
        self.name, self.is_live = source.name, source.is_live
        self._source = source
        self._intrinsics = intrinsics

    def __iter__(self) -> Iterator[Frame | Exception]:
        for item in self._source:
            yield item if isinstance(item, Exception) else self._calibrate(item)

    def close(self) -> None:
        """Close the source inside."""
        self._source.close()

    def _calibrate(self, frame: Frame) -> Frame | Exception:
        if self._intrinsics.size is None:
            self._intrinsics = replace(self._intrinsics, size=frame.size)
        try:
            return replace(frame, camera=self._intrinsics.camera(*frame.size))
        except CalibrationError as error:
            return FrameError(f"frame {frame.index}: {error}")
