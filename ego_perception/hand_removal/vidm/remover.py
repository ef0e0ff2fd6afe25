"""Hand removal from frames of any size with the diffusion model: resize, remember latents, fill, composite.

Pixels outside the hole are the camera's, bit by bit. A frame without a hole passes through without any computation; a frame
that is all hole is refused, since nothing of it would be real.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ego_perception.errors import FrameError
from ego_perception.hand_removal.vidm.compositing import blend
from ego_perception.hand_removal.vidm.images import with_margin, work_size
from ego_perception.hand_removal.vidm.inpainter import EncodedFrame, VidmInpainter
from ego_perception.hand_removal.vidm.sizes import IMAGE_SIZE
from ego_perception.hand_removal.vidm.window import Window, around_hole, whole


@dataclass(frozen=True)
class MaskedImage:
    """A camera image and where the hands are in it.

    Attributes:
        stamp_ns: tells frames apart; the same stamp means the same image and mask.
        rgb: (H, W, 3).
        hands: (H, W) bool.
    """

    stamp_ns: int
    rgb: NDArray[np.uint8]
    hands: NDArray[np.bool_]


@dataclass(frozen=True)
class HandFreeImage:
    """An image without hands.

    Attributes:
        rgb: (H, W, 3).
        generated: (H, W) bool, pixels that were made up; all others are the camera's.
    """

    rgb: NDArray[np.uint8]
    generated: NDArray[np.bool_]


class VidmRemover:
    """Removes hands from one frame after another, with earlier frames as context."""

    def __init__(self, inpainter: VidmInpainter) -> None:
        self.inpainter = inpainter
        self._cache: OrderedDict[tuple[int, tuple[int, int]], tuple[EncodedFrame, NDArray[np.bool_]]] = OrderedDict()

    def reset(self) -> None:
        """Forget all frames: the source begins anew."""
        self._cache.clear()

    def remember(self, image: MaskedImage) -> None:
        """Encode a frame as it arrives, so that it costs nothing when it serves as context.

        Raises:
            FrameError: shapes that do not fit.
        """
        self._encoded(image)

    def remove(
        self,
        target: MaskedImage,
        context: Sequence[MaskedImage] = (),
        guess: NDArray[np.uint8] | None = None,
        place: NDArray[np.float64] | None = None,
    ) -> HandFreeImage:
        """Fill the hands of one frame.

        Args:
            target: the frame.
            context: other frames of the same camera, oldest first; the newest ones count.
            guess: (H, W, 3) the frame as it may look without hands; only the settings `start_time` and `keep_known` use it.
            place: (3, 3) homography to where the background was in the first frame, in shares of width and height: the noise
                moves with it.

        Raises:
            FrameError: shapes that do not fit, a frame that is all hole, or a result that is not finite.
        """
        _check(target)
        if not target.hands.any():
            return HandFreeImage(target.rgb, np.zeros_like(target.hands))
        encoded, hole = self._encoded(target)
        if hole.all():
            raise FrameError(f"frame {target.stamp_ns} is hidden completely by hands and margin; nothing of it can be kept")
        count = self.inpainter.sizes.frames - 1
        others = [self._encoded(image)[0] for image in context[-count:]] if count else []
        window = self._window(hole)
        latent = (
            None if guess is None or not self.inpainter.config.uses_guess else self._guessed(target, guess, hole.shape, window)
        )
        fill = self.inpainter.fill(encoded, others, window, guess=latent, place=place)
        return self._composite(target, hole, fill, window)

    def _guessed(self, target: MaskedImage, guess: NDArray[np.uint8], shape: tuple[int, ...], window: Window) -> Tensor:
        """The latent of a first guess, at working size, in the window."""
        if guess.shape != target.rgb.shape or guess.dtype != np.uint8:
            raise FrameError(f"the first guess is {guess.dtype} {guess.shape} for an image of {target.rgb.shape}")
        small = np.asarray(cv2.resize(guess, (shape[1], shape[0]), interpolation=cv2.INTER_AREA), np.uint8)
        return self.inpainter.encode_guess(small[window.pixels])

    def _encoded(self, image: MaskedImage) -> tuple[EncodedFrame, NDArray[np.bool_]]:
        """Latent and hole at working size, computed once per frame."""
        key = (image.stamp_ns, image.rgb.shape[:2])
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        _check(image)
        config = self.inpainter.config
        height, width = image.rgb.shape[:2]
        size = work_size(width, height, config.short_side_px, self.inpainter.sizes.reduction)
        rgb = np.asarray(cv2.resize(image.rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
        # A cell that holds any part of a hand is hand, however small the part: nothing may slip through the resizing.
        touched = cv2.resize(image.hands.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
        reach = round((config.margin_px - 1) / 2 * min(size) / IMAGE_SIZE)
        hole = with_margin(touched.astype(np.uint8) * np.uint8(255), 1 + 2 * reach)
        entry = (self.inpainter.encode(rgb, hole), hole)
        self._cache[key] = entry
        if len(self._cache) > config.cached_frames:
            self._cache.popitem(last=False)
        return entry

    def _window(self, hole: NDArray[np.bool_]) -> Window:
        if not self.inpainter.config.crop:
            return whole(hole.shape[1], hole.shape[0])
        return around_hole(hole, self.inpainter.sizes.reduction)

    def _composite(
        self, target: MaskedImage, hole: NDArray[np.bool_], fill: NDArray[np.uint8], window: Window
    ) -> HandFreeImage:
        """Bring the fill to the camera's size and put it in; the camera's own pixels elsewhere keep their sharpness."""
        height, width = target.rgb.shape[:2]
        config = self.inpainter.config
        patch = np.zeros((*hole.shape, 3), np.uint8)
        patch[window.pixels] = fill
        large = np.asarray(cv2.resize(patch, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
        grown = cv2.resize(hole.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
        generated = np.asarray(grown | target.hands)
        rows, columns = _scaled(window, hole.shape, (height, width))
        rgb = target.rgb.copy()
        rgb[rows, columns] = blend(target.rgb[rows, columns], large[rows, columns], generated[rows, columns], config.feather_px)
        return HandFreeImage(rgb, generated)


def _scaled(window: Window, small: tuple[int, ...], large: tuple[int, int]) -> tuple[slice, slice]:
    """The window's rows and columns in the large image, rounded inwards so that no pixel outside the window is taken."""
    slices = []
    for part, had, has in zip(window.pixels, small, large, strict=False):
        slices.append(slice(-(-part.start * has // had), part.stop * has // had))
    return slices[0], slices[1]


def _check(image: MaskedImage) -> None:
    if image.rgb.ndim != 3 or image.rgb.dtype != np.uint8 or image.rgb.shape[2] != 3:
        raise FrameError(f"image is {image.rgb.dtype} {image.rgb.shape}; it must be uint8 (H, W, 3)")
    if image.hands.dtype != np.bool_ or image.hands.shape != image.rgb.shape[:2]:
        raise FrameError(
            f"mask is {image.hands.dtype} {image.hands.shape} for an image of {image.rgb.shape[:2]}; give bool of that size"
        )
