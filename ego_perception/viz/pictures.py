"""Turns depth, confidence and error images into RGB pictures that can be compared with one another.

Every function takes its scale from the caller, so that all frames of a recording share one. Pixels without a value (NaN) show a
neutral checker and never a colour of the scale.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

_CHECKER_PX: Final = 4
_CHECKER_GREY: Final = (92, 108)


def depth_range(depths: Iterable[NDArray[np.float32]], percent: tuple[float, float] = (1.0, 98.0)) -> tuple[float, float]:
    """Find one near and far limit in metres for many depth images, from percentiles of all their valid pixels.

    Returns:
        (near, far) with 0 < near < far; (0.5, 5.0) where no pixel is valid.
    """
    samples = [d[::4, ::4][np.isfinite(d[::4, ::4])] for d in depths]
    values = np.concatenate(samples) if samples else np.zeros(0, np.float32)
    values = values[values > 0]
    if len(values) == 0:
        return 0.5, 5.0
    near, far = (float(v) for v in np.percentile(values, percent))
    return near, max(far, near * 1.05)


def colour_depth(depth: NDArray[np.floating], near: float, far: float) -> Picture:
    """Colour depth in metres with turbo, near red to far blue, even steps in 1/depth so that near detail is resolved.

    Turbo: A. Mikhailov, "Turbo, an improved rainbow colormap for visualization", Google AI blog, 2019.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        level = (1.0 / depth - 1.0 / far) / (1.0 / near - 1.0 / far)
    return _coloured(np.where(depth > 0, level, np.nan), cv2.COLORMAP_TURBO)


def colour_confidence(confidence: NDArray[np.floating], depth: NDArray[np.floating] | None = None) -> Picture:
    """Colour confidence 0..1 with cividis (dark blue is low, yellow is high), which colour-blind readers see alike.

    Pixels without a value in `depth`, where that is given at the same size, have no confidence either.
    """
    if depth is not None and depth.shape == confidence.shape:
        confidence = np.where(np.isfinite(depth), confidence, np.nan)
    return _coloured(confidence, cv2.COLORMAP_CIVIDIS)


def colour_error(relative_error: NDArray[np.floating], largest: float = 0.5) -> Picture:
    """Colour a relative error with magma: black is none, pale yellow is `largest` and above."""
    return _coloured(relative_error / largest, cv2.COLORMAP_MAGMA)


def _coloured(level: NDArray[np.floating], colour_map: int) -> Picture:
    valid = np.isfinite(level)
    index = np.round(np.clip(np.where(valid, level, 0.0), 0.0, 1.0) * 255).astype(np.uint8)
    rgb = cv2.applyColorMap(index, colour_map)[..., ::-1]
    return np.where(valid[..., None], rgb, checker(level.shape[1], level.shape[0]))


def checker(width: int, height: int) -> Picture:
    """The (height, width, 3) pattern that stands for "no value"."""
    y, x = np.indices((height, width)) // _CHECKER_PX
    grey = np.where((x + y) % 2 == 0, *_CHECKER_GREY).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def overlay_mask(image: Picture, mask: NDArray[np.bool_], colour: tuple[int, int, int], opacity: float = 0.5) -> Picture:
    """Tint the pixels of `mask`; the image itself is left as it was."""
    out = image.copy()
    tint = (1.0 - opacity) * out[mask].astype(np.float32) + opacity * np.array(colour, np.float32)
    out[mask] = np.round(tint).astype(np.uint8)
    return out


def blend(image: Picture, overlay: Picture, opacity: float = 0.5) -> Picture:
    """Lay a picture of any size over `image`, such as coloured depth over what the camera saw."""
    same_size = cv2.resize(overlay, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.addWeighted(image, 1.0 - opacity, same_size, opacity, 0.0), np.uint8)


def contact_sheet(rows: Sequence[Sequence[Picture]], *, width: int = 160, gap: int = 4) -> Picture:
    """Arrange pictures in a grid on white, each scaled to `width` pixels; a short row leaves its end empty.

    Raises:
        ValueError: no picture at all.
    """
    if not any(rows):
        raise ValueError("a contact sheet needs at least one picture")
    scaled = [[fit_width(p, width) for p in row] for row in rows]
    height = max(p.shape[0] for row in scaled for p in row)
    columns = max(len(row) for row in scaled)
    sheet = np.full((len(rows) * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for r, row in enumerate(scaled):
        for c, picture in enumerate(row):
            y, x = r * (height + gap), c * (width + gap)
            sheet[y : y + picture.shape[0], x : x + width] = picture
    return sheet


def fit_width(picture: Picture, width: int) -> Picture:
    """Scale a picture to `width` pixels, keeping its shape."""
    height = max(1, round(picture.shape[0] * width / picture.shape[1]))
    shrinks = width < picture.shape[1]
    scaled = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST)
    return np.asarray(scaled, np.uint8)


def encode_png(picture: Picture) -> bytes:
    """The PNG file of an RGB picture."""
    return _encode(picture, ".png", [cv2.IMWRITE_PNG_COMPRESSION, 9])


def encode_jpeg(picture: Picture, quality: int = 80) -> bytes:
    """The JPEG file of an RGB picture."""
    return _encode(picture, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality])


def data_uri(content: bytes, media_type: str) -> str:
    """A `data:` address that carries the content itself."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def _encode(picture: Picture, suffix: str, options: list[int]) -> bytes:
    done, content = cv2.imencode(suffix, picture[..., ::-1], options)
    if not done:
        raise ValueError(f"a picture of shape {picture.shape} cannot be encoded as {suffix}")
    return content.tobytes()
