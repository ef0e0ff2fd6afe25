"""VISOR annotations: the JSON files of EPIC-KITCHENS VISOR, and what their polygons say of hands.

Darkhalil et al., "EPIC-KITCHENS VISOR benchmark: video segmentations and object relations", NeurIPS 2022. An annotation is one
entry of `video_annotations`: {"image": {"image_path", "name", "video"}, "annotations": [{"name", "segments"}]}; a segment is a
list of [x, y]. Ground truth is sparse and drawn at 1920x1080, interpolations are dense and drawn at 854x480.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.data.hand_removal import HandLabel
from ego_perception.errors import SourceError

SPARSE_SIZE: Final = (1920, 1080)
DENSE_SIZE: Final = (854, 480)
EPIC_SIZE: Final = (456, 256)
"""Width and height of the EPIC-KITCHENS frames; also the raster on which a hand must show up to be present."""

_SIDES: Final = {"left hand": HandLabel.LEFT, "right hand": HandLabel.RIGHT}
_NUMBER: Final = re.compile(r"frame_(\d+)\.(?:png|jpe?g)$", re.IGNORECASE)

Annotation = Mapping[str, Any]


def read_annotations(path: Path) -> list[Annotation]:
    """The entries of a VISOR file.

    Raises:
        SourceError: missing, not JSON, or without annotations.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} cannot be read as JSON: {str(error).splitlines()[0]}") from error
    entries = content.get("video_annotations") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not entries:
        raise SourceError(f"{path} has no 'video_annotations'; give a VISOR annotation file")
    return entries


def parse_annotation(text: str | bytes, what: str) -> Annotation:
    """One entry from its JSON text.

    Raises:
        SourceError: not JSON, or no annotation.
    """
    try:
        entry = json.loads(text)
    except ValueError as error:
        raise SourceError(f"{what} is no JSON: {error}") from error
    if not isinstance(entry, dict):
        raise SourceError(f"{what} is a {type(entry).__name__}, not an annotation")
    return entry


def image_of(entry: Annotation) -> tuple[str, int]:
    """Video and number of the frame that an annotation belongs to.

    Raises:
        SourceError: it names none.
    """
    image = entry.get("image")
    name = str(image.get("name") or image.get("image_path", "")) if isinstance(image, dict) else ""
    match = _NUMBER.search(name)
    if match is None or not isinstance(image, dict):
        raise SourceError(f"an annotation names no frame (its image is {image!r}); a name is <video>_frame_0000000001.jpg")
    video = str(image.get("video") or Path(name).name.partition("_frame_")[0])
    return video, int(match[1])


def hand_labels(entry: Annotation, drawn: tuple[int, int], size: tuple[int, int] = EPIC_SIZE) -> NDArray[np.uint8]:
    """Draw the hands of an annotation.

    Args:
        drawn: width and height that the polygons belong to, `SPARSE_SIZE` or `DENSE_SIZE`.
        size: width and height of the result; the nearest of the pixels as drawn is taken.

    Returns:
        (height, width) `HandLabel` values NONE, LEFT and RIGHT; where both hands are, the one that comes later in the file.

    Raises:
        SourceError: segments that are no polygons.
    """
    labels = np.zeros((drawn[1], drawn[0]), np.uint8)
    objects = entry.get("annotations")
    if not isinstance(objects, list) or not all(isinstance(thing, dict) for thing in objects):
        raise SourceError(f"the annotation of {image_of(entry)} has no list 'annotations' of objects")
    for thing in objects:
        side = _SIDES.get(str(thing.get("name", "")).replace("/", " "))
        polygons = [] if side is None else _polygons(thing, entry)
        if side is not None and polygons:
            cv2.fillPoly(labels, polygons, int(side))
    return labels if size == drawn else np.asarray(cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST), np.uint8)


def hands_present(entry: Annotation, drawn: tuple[int, int]) -> tuple[bool, bool]:
    """Whether the left and the right hand show up on the raster of `EPIC_SIZE`."""
    labels = hand_labels(entry, drawn)
    return bool((labels == HandLabel.LEFT).any()), bool((labels == HandLabel.RIGHT).any())


def _polygons(thing: Mapping[str, Any], entry: Annotation) -> list[NDArray[np.int32]]:
    """Corners in whole pixels, decimals cut off; empty segments, which VISOR has, give none."""
    try:
        corners = [np.asarray(segment, np.float64) for segment in thing["segments"] if len(segment)]
    except (KeyError, TypeError, ValueError) as error:
        raise SourceError(f"the annotation of {image_of(entry)} has segments that are no polygons") from error
    if any(c.ndim != 2 or c.shape[1] != 2 or not np.isfinite(c).all() or np.abs(c).max() > 1e5 for c in corners):
        raise SourceError(f"the annotation of {image_of(entry)} has segments that are no polygons")
    return [c.astype(np.int32) for c in corners]
