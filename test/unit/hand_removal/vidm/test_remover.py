"""What the remover does around the model: sizes, margins, the cache, and which pixels it may touch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fixtures.vidm_models import TINY

from ego_perception.errors import FrameError
from ego_perception.hand_removal.config import DiffusionConfig
from ego_perception.hand_removal.vidm.inpainter import EncodedFrame, VidmInpainter
from ego_perception.hand_removal.vidm.model import Vidm
from ego_perception.hand_removal.vidm.remover import MaskedImage, VidmRemover
from ego_perception.hand_removal.vidm.window import Window

CONFIG = DiffusionConfig(short_side_px=64, start_time=0, keep_known=False, feather_px=0, crop=False)


class Blue(VidmInpainter):
    """Encodes nothing, fills with blue, and remembers what it was asked."""

    def __init__(self, model: Vidm, config: DiffusionConfig) -> None:
        super().__init__(model, config)
        self.holes: list[np.ndarray] = []
        self.images: list[np.ndarray] = []
        self.contexts: list[int] = []
        self.windows: list[Window | None] = []

    def encode(self, rgb: np.ndarray, hole: np.ndarray) -> EncodedFrame:
        self.images.append(rgb)
        self.holes.append(hole)
        return EncodedFrame(self.model.unet.time_embed[0].weight.new_zeros(1, 4, hole.shape[0] // 4, hole.shape[1] // 4))

    def fill(
        self, target: EncodedFrame, context: Sequence[EncodedFrame], window: Window | None = None, *_: Any, **__: Any
    ) -> np.ndarray:
        self.contexts.append(len(context))
        self.windows.append(window)
        assert window is not None
        return np.broadcast_to(np.array([0, 0, 255], np.uint8), (window.height, window.width, 3)).copy()


def plain(height: int, width: int, colour: tuple[int, int, int] = (200, 30, 30)) -> np.ndarray:
    return np.broadcast_to(np.array(colour, np.uint8), (height, width, 3)).copy()


def box(height: int, width: int, top: int, bottom: int, left: int, right: int) -> np.ndarray:
    hands = np.zeros((height, width), np.bool_)
    hands[top:bottom, left:right] = True
    return hands


@pytest.fixture(name="blue")
def blue_(tiny: Vidm) -> Blue:
    return Blue(tiny, CONFIG)


@pytest.mark.parametrize("size", [(64, 64), (64, 96), (128, 96), (240, 320), (97, 131), (33, 64)])
@pytest.mark.parametrize("crop", [True, False])
def test_all_hands_are_generated_and_all_else_is_the_cameras(tiny: Vidm, size: tuple[int, int], crop: bool) -> None:
    blue = Blue(tiny, replace(CONFIG, crop=crop))
    h, w = size
    hands = box(h, w, h // 3, h // 2, w // 3, w // 2) | box(h, w, h - 1, h, w - 1, w)
    rgb = np.random.default_rng(0).integers(0, 200, (h, w, 3), dtype=np.uint8)
    kept, remover = rgb.copy(), VidmRemover(blue)
    made = remover.remove(MaskedImage(0, rgb, hands))
    assert made.generated[hands].all() and made.generated.mean() < 0.6
    assert np.array_equal(made.rgb[~made.generated], rgb[~made.generated]) and np.array_equal(rgb, kept)
    other = remover.remove(MaskedImage(1, np.where(hands[..., None], 255, rgb).astype(np.uint8), hands))
    assert np.array_equal(other.rgb, made.rgb), "nothing of the hands is read"
    assert np.ptp(made.rgb[made.generated], axis=0).max() <= 1, "a plain fill is plain, in the colours around"


@pytest.mark.parametrize(
    ("size", "expected"), [((64, 64), (64, 64)), ((240, 320), (64, 88)), ((320, 240), (88, 64)), ((33, 70), (64, 136))]
)
def test_the_model_works_at_its_own_size(blue: Blue, size: tuple[int, int], expected: tuple[int, int]) -> None:
    h, w = size
    VidmRemover(blue).remove(MaskedImage(0, plain(h, w), box(h, w, 4, 9, 4, 9)))
    assert TINY.reduction == 8 and blue.holes[0].shape == expected and blue.images[0].shape == (*expected, 3)


@pytest.mark.parametrize(("margin_px", "side"), [(1, 10), (7, 12), (25, 16)])
def test_the_margin_is_meant_at_256_pixels(tiny: Vidm, margin_px: int, side: int) -> None:
    blue = Blue(tiny, replace(CONFIG, margin_px=margin_px))
    VidmRemover(blue).remove(MaskedImage(0, plain(64, 64), box(64, 64, 20, 30, 20, 30)))
    assert blue.holes[0].sum() == side**2 and blue.holes[0][24, 24]


def test_one_pixel_of_a_large_image_is_not_lost(blue: Blue) -> None:
    hands = box(640, 640, 333, 334, 205, 206)
    rgb = np.where(hands[..., None], 255, plain(640, 640)).astype(np.uint8)
    made = VidmRemover(blue).remove(MaskedImage(0, rgb, hands))
    assert blue.holes[0].any() and made.generated[333, 205]
    assert np.array_equal(made.rgb, plain(640, 640)), "a plain fill in the colours around"


@pytest.mark.parametrize(("given", "taken"), [(0, 0), (2, 2), (3, 3), (7, 3)])
def test_the_newest_frames_are_the_context(blue: Blue, given: int, taken: int) -> None:
    images = [MaskedImage(k, plain(64, 64, (k, k, k)), box(64, 64, 10, 20, 10, 20)) for k in range(given + 1)]
    VidmRemover(blue).remove(images[-1], images[:-1])
    assert blue.contexts == [taken]
    assert [int(image[0, 0, 0]) for image in blue.images[1:]] == list(range(given - taken, given))


def test_a_remembered_frame_costs_nothing_later_until_it_is_forgotten(blue: Blue) -> None:
    remover, image = VidmRemover(blue), MaskedImage(7, plain(64, 64), box(64, 64, 10, 20, 10, 20))
    remover.remember(image)
    remover.remove(image)
    remover.remember(image)
    assert len(blue.images) == 1
    remover.remember(replace(image, stamp_ns=8))
    remover.remember(MaskedImage(7, plain(64, 96), box(64, 96, 10, 20, 10, 20)))
    assert len(blue.images) == 3, "another stamp and another size are other frames"
    remover.reset()
    remover.remember(image)
    assert len(blue.images) == 4


def test_a_frame_that_was_used_lately_stays_longer(tiny: Vidm) -> None:
    blue = Blue(tiny, replace(CONFIG, cached_frames=4))
    remover = VidmRemover(blue)
    images = [MaskedImage(k, plain(64, 64), box(64, 64, 10, 20, 10, 20)) for k in range(6)]
    for k in (0, 1, 2, 3, 0, 4, 0):
        remover.remember(images[k])
    assert len(blue.images) == 5
    remover.remember(images[1])
    assert len(blue.images) == 6, "the one that nobody asked for made room"


def test_without_hands_nothing_is_computed_and_with_nothing_else_it_is_refused(blue: Blue) -> None:
    remover = VidmRemover(blue)
    free = MaskedImage(0, plain(64, 64), np.zeros((64, 64), np.bool_))
    assert remover.remove(free).rgb is free.rgb and not blue.images
    with pytest.raises(FrameError, match="frame 1 is hidden completely"):
        remover.remove(MaskedImage(1, plain(64, 64), np.ones((64, 64), np.bool_)))
    assert remover.remove(MaskedImage(2, plain(64, 64), box(64, 64, 1, 9, 1, 9))).generated.any()


def test_the_window_lies_around_the_hands_and_far_pixels_are_the_cameras(tiny: Vidm) -> None:
    blue = Blue(tiny, replace(CONFIG, crop=True, short_side_px=256))
    hands = box(512, 768, 30, 60, 40, 70)
    made = VidmRemover(blue).remove(MaskedImage(0, plain(512, 768), hands))
    window = blue.windows[0]
    assert window == Window(0, 0, 160, 160)
    assert not made.generated[320:].any() and not made.generated[:, 320:].any()
