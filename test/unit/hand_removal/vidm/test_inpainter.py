"""Each fast path against the plain one, and what the remover promises about every pixel."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.random_weights import numbers
from fixtures.vidm_models import TINY, random_vidm
from numpy.typing import NDArray
from torch import Tensor

from ego_perception.errors import ConfigError, FrameError
from ego_perception.hand_removal.config import DiffusionConfig, published_diffusion
from ego_perception.hand_removal.vidm.inpainter import EncodedFrame, VidmInpainter
from ego_perception.hand_removal.vidm.model import Vidm
from ego_perception.hand_removal.vidm.noise import NoiseTable
from ego_perception.hand_removal.vidm.remover import MaskedImage, VidmRemover
from ego_perception.hand_removal.vidm.window import Window, around_hole, whole

FAST = DiffusionConfig(steps=3, short_side_px=64, start_time=0, keep_known=False, keep_observed=False, noise_follows=False)
Mask = NDArray[np.bool_]


def picture(name: str, height: int = 64, width: int = 64) -> NDArray[np.uint8]:
    return (numbers(name, (height, width, 3)) * 50 + 128).clamp(0, 255).numpy().astype(np.uint8)


def box(height: int = 64, width: int = 64, top: int = 20, left: int = 24, side: int = 12) -> Mask:
    hole = np.zeros((height, width), np.bool_)
    hole[top : top + side, left : left + side] = True
    return hole


def frames(inpainter: VidmInpainter, count: int = 4) -> list[EncodedFrame]:
    return [inpainter.encode(picture(f"frame{i}"), box(left=8 + 8 * i)) for i in range(count)]


def test_latents_of_frames_encoded_one_by_one_are_exact(small: Vidm) -> None:
    """What the cache rests on: no frame's latent depends on another frame."""
    inpainter = VidmInpainter(small)
    images = torch.stack([torch.from_numpy(picture(f"frame{i}")) for i in range(4)]).permute(0, 3, 1, 2) / 127.5 - 1
    together = small.first_stage.encode(images)
    for i in range(4):
        alone = inpainter.encode(picture(f"frame{i}"), np.zeros((64, 64), np.bool_)).condition[0, :3]
        torch.testing.assert_close(alone, together[i], atol=2e-5, rtol=0)


@pytest.mark.parametrize("shape", [(1, 4, 7, 16, 16), (2, 4, 7, 24, 16)])
def test_channels_last_changes_nothing(small: Vidm, shape: tuple[int, ...]) -> None:
    x, times = numbers("x", shape), torch.full((shape[0],), 300)
    expected = small.unet(x, times)
    other = random_vidm(small.sizes).unet.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    torch.testing.assert_close(other(x, times), expected, atol=2e-5, rtol=0)


def test_bfloat16_stays_close(tiny: Vidm) -> None:
    x, times = numbers("x", (1, 4, 7, 8, 8)), torch.tensor([300])
    expected = tiny.unet(x, times)
    with VidmInpainter(tiny, replace(FAST, precision="bfloat16"))._precision():
        result = tiny.unet(x, times)
    assert result.dtype is torch.bfloat16
    assert float((result.float() - expected).norm() / expected.norm()) < 3e-2


def test_fused_attention_equals_the_plain_formula(small: Vidm) -> None:
    from torch.nn.attention import SDPBackend, sdpa_kernel

    x, times = numbers("x", (1, 4, 7, 16, 16)), torch.tensor([300])
    with sdpa_kernel(SDPBackend.MATH):
        expected = small.unet(x, times)
    torch.testing.assert_close(small.unet(x, times), expected, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_compiled_network_equals_the_plain_one(tiny: Vidm, monkeypatch: pytest.MonkeyPatch) -> None:
    """The graph that is captured, in one piece; generating its code takes minutes on a CPU and is not repeated here."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager", fullgraph=True))
    compiled = VidmInpainter(random_vidm(TINY), replace(FAST, compile=True))
    x, times = numbers("x", (1, 4, 7, 16, 16)), torch.tensor([300])
    with torch.inference_mode():
        torch.testing.assert_close(compiled._unet(x, times), tiny.unet(x, times), atol=2e-5, rtol=0)


def test_a_window_over_everything_changes_nothing(tiny: Vidm) -> None:
    inpainter = VidmInpainter(tiny, FAST)
    encoded = frames(inpainter)
    plain = inpainter.fill(encoded[3], encoded[:3])
    assert np.array_equal(inpainter.fill(encoded[3], encoded[:3], whole(64, 64)), plain)
    part = inpainter.fill(encoded[3], encoded[:3], Window(16, 32, 32, 32))
    assert part.shape == (32, 32, 3)


def test_noise_belongs_to_places(tiny: Vidm) -> None:
    """Moving the window does not move the noise, so that the fill does not swim with the hole."""
    inpainter = VidmInpainter(tiny, FAST)
    field = inpainter._fixed_noise((16, 16), whole(64, 64))()
    part = inpainter._fixed_noise((16, 16), Window(16, 32, 32, 24))()
    assert torch.equal(part, field[:, :, 8:14, 4:12])
    assert not torch.equal(field, VidmInpainter(tiny, replace(FAST, seed=1))._fixed_noise((16, 16), whole(64, 64))())


def test_missing_context_is_made_up_for(tiny: Vidm) -> None:
    inpainter = VidmInpainter(tiny, FAST)
    *context, target = frames(inpainter)
    repeated = inpainter.fill(target, [context[0], context[0], context[2]])
    assert np.array_equal(inpainter.fill(target, [context[0], context[2]]), repeated)
    assert np.array_equal(inpainter.fill(target, [target, *context]), inpainter.fill(target, context)), "the newest count"
    blank = inpainter.encode(np.full((64, 64, 3), 200, np.uint8), np.ones((64, 64), np.bool_))
    assert np.array_equal(inpainter.fill(target, []), inpainter.fill(target, [blank] * 3))
    assert not np.array_equal(inpainter.fill(target, []), repeated)


def test_bad_frames_and_settings(tiny: Vidm) -> None:
    inpainter = VidmInpainter(tiny, FAST)
    with pytest.raises(FrameError, match="image is 60x64; sides must be multiples of 8"):
        inpainter.encode(picture("a", 64, 60), box(64, 60))
    target, other = frames(inpainter, 1)[0], inpainter.encode(picture("a", 64, 96), box(64, 96))
    with pytest.raises(FrameError, match="context frames have other sizes"):
        inpainter.fill(target, [other])
    with pytest.raises(ConfigError, match="eta is 1"):
        VidmInpainter(tiny, DiffusionConfig(eta=1.0))
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="torch sees no GPU"):
            VidmInpainter(tiny, device="cuda")


def test_numbers_that_are_not_finite_are_no_image() -> None:
    model = random_vidm(TINY)
    model.first_stage.vq.decoder.conv_out.bias.data.fill_(float("nan"))
    inpainter = VidmInpainter(model, FAST)
    with pytest.raises(FrameError, match="not finite"):
        inpainter.fill(frames(inpainter, 1)[0], [])


def test_published_settings() -> None:
    config = published_diffusion()
    assert (config.solver, config.steps, config.eta, config.quirks, config.crop) == ("ddim", 200, 1.0, True, False)


class Counting(VidmInpainter):
    """Counts what is computed."""

    encoded = filled = 0

    def encode(self, rgb: NDArray[np.uint8], hole: Mask) -> EncodedFrame:
        self.encoded += 1
        return super().encode(rgb, hole)

    def fill(self, *arguments: Any, **options: Any) -> NDArray[np.uint8]:
        self.filled += 1
        return super().fill(*arguments, **options)


def clip(count: int = 5, height: int = 96, width: int = 128) -> list[MaskedImage]:
    return [MaskedImage(i, picture(f"clip{i}", height, width), box(height, width, 30 + i, 40, 20)) for i in range(count)]


def test_each_frame_is_encoded_once(tiny: Vidm) -> None:
    inpainter = Counting(tiny, FAST)
    remover, images = VidmRemover(inpainter), clip()
    streamed = [remover.remove(image, images[:i]).rgb for i, image in enumerate(images)]
    assert (inpainter.encoded, inpainter.filled) == (6, 5)  # five frames and, for the first one, the blank
    for i, image in enumerate(images):
        fresh = VidmRemover(VidmInpainter(tiny, FAST)).remove(image, images[:i])
        assert np.array_equal(fresh.rgb, streamed[i])
    remover.reset()
    assert np.array_equal(remover.remove(images[4], images[:4]).rgb, streamed[4]) and inpainter.encoded == 10


def test_the_cache_is_bounded(tiny: Vidm) -> None:
    inpainter = Counting(tiny, replace(FAST, cached_frames=4, steps=1))
    remover, images = VidmRemover(inpainter), clip(12)
    for image in images:
        remover.remove(image)
    assert len(remover._cache) == 4
    remover.remove(images[11])
    assert inpainter.encoded == 13
    remover.remove(images[0])
    assert inpainter.encoded == 14


@pytest.mark.parametrize("crop", [True, False])
@pytest.mark.parametrize("size", [(64, 64), (96, 128), (90, 161), (40, 50)])
def test_pixels_outside_the_hole_are_the_cameras(tiny: Vidm, crop: bool, size: tuple[int, int]) -> None:
    """Whatever the sizes: outside bit by bit, inside nothing of the hand."""
    remover = VidmRemover(VidmInpainter(tiny, replace(FAST, crop=crop, steps=1)))
    rng = np.random.default_rng(size[1])
    hands = np.zeros(size, np.bool_)
    top, left = rng.integers(0, size[0] - 12), rng.integers(0, size[1] - 12)
    hands[top : top + 10, left : left + 12] = True
    hands[-1, -1] = True  # one lost pixel in the corner
    rgb = picture("scene", *size)
    result = remover.remove(MaskedImage(0, rgb, hands))
    assert result.generated[hands].all() and result.generated.mean() < 0.9
    assert np.array_equal(result.rgb[~result.generated], rgb[~result.generated])
    remover.reset()
    other = rgb.copy()
    other[hands] = 255 - other[hands]
    assert np.array_equal(remover.remove(MaskedImage(1, other, hands)).rgb, result.rgb)


def test_a_frame_without_hands_passes_untouched(tiny: Vidm) -> None:
    inpainter = Counting(tiny, FAST)
    image = MaskedImage(0, picture("scene"), np.zeros((64, 64), np.bool_))
    result = VidmRemover(inpainter).remove(image)
    assert result.rgb is image.rgb and not result.generated.any() and inpainter.encoded == inpainter.filled == 0


def test_a_frame_that_is_all_hand_is_refused(tiny: Vidm) -> None:
    remover = VidmRemover(VidmInpainter(tiny, FAST))
    for hands in (np.ones((64, 64), np.bool_), ~box(side=1)):
        with pytest.raises(FrameError, match="hidden completely"):
            remover.remove(MaskedImage(0, picture("scene"), hands))
        remover.reset()


def test_masks_that_do_not_fit_are_refused(tiny: Vidm) -> None:
    remover = VidmRemover(VidmInpainter(tiny, FAST))
    with pytest.raises(FrameError, match=r"mask is bool \(32, 64\)"):
        remover.remove(MaskedImage(0, picture("scene"), box(32, 64)))
    with pytest.raises(FrameError, match="mask is uint8"):
        remover.remove(MaskedImage(0, picture("scene"), box().astype(np.uint8)))  # type: ignore[arg-type]
    with pytest.raises(FrameError, match="image is float32"):
        remover.remove(MaskedImage(0, picture("scene").astype(np.float32), box()))  # type: ignore[arg-type]
    with pytest.raises(FrameError, match="image is uint8"):
        remover.remove(MaskedImage(0, picture("scene"), box()), [MaskedImage(1, picture("scene")[..., 0], box())])


def test_a_resolution_change_needs_a_reset(tiny: Vidm) -> None:
    remover = VidmRemover(VidmInpainter(tiny, FAST))
    small, large = clip(1)[0], MaskedImage(9, picture("large", 64, 160), box(64, 160))
    with pytest.raises(FrameError, match="other sizes"):
        remover.remove(large, [small])
    assert remover.remove(large).rgb.shape == (64, 160, 3)


def test_the_window_is_used(tiny: Vidm) -> None:
    """With a crop the network sees the window only, so that pixels far from the hole cannot matter."""
    seen: list[Tensor] = []
    model = random_vidm(TINY)
    forward = model.unet.forward
    model.unet.forward = lambda x, t: (seen.append(x), forward(x, t))[1]  # type: ignore[method-assign, func-returns-value]
    config = replace(FAST, short_side_px=256, steps=1)
    VidmRemover(VidmInpainter(model, config)).remove(MaskedImage(0, picture("scene", 256, 256), box(256, 256, side=20)))
    window = around_hole(box(256, 256, side=26), model.sizes.reduction)
    assert tuple(seen[0].shape[-2:]) == (window.height // 4, window.width // 4) == (40, 40)


GUIDED = replace(FAST, start_time=400, start_steps=2, keep_known=True)


def test_with_every_option_off_guess_and_place_change_nothing(tiny: Vidm) -> None:
    """The plain way is what it was before there were first guesses: bit by bit, published or not."""
    images, guess = clip(4), picture("guess", 96, 128)
    for config in (FAST, replace(published_diffusion(), steps=2, short_side_px=64)):
        plain = VidmRemover(VidmInpainter(tiny, config)).remove(images[3], images[:3])
        other = VidmRemover(VidmInpainter(tiny, config)).remove(images[3], images[:3], guess)
        assert np.array_equal(plain.rgb, other.rgb)


def test_the_published_settings_exclude_what_is_taken_from_elsewhere(tiny: Vidm) -> None:
    published = published_diffusion()
    assert not published.uses_guess and not published.keep_observed and not published.noise_follows
    for change in ({"start_time": 300}, {"keep_known": True}, {"keep_observed": True}):
        with pytest.raises(ConfigError, match="quirks go with start_time 0"):
            VidmInpainter(tiny, replace(published, **change))


def test_a_first_guess_is_refined_in_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """From near the end of the diffusion nothing but the guess can come out, as far as the first stage can tell it."""
    calls: list[int] = []
    model = random_vidm(TINY)
    forward = model.unet.forward
    model.unet.forward = lambda x, t: (calls.append(int(t[0])), forward(x, t))[1]  # type: ignore[method-assign, func-returns-value]
    inpainter = VidmInpainter(model, replace(GUIDED, keep_known=False))
    *context, target = frames(inpainter)
    guess = inpainter.encode_guess(picture("guess"))
    inpainter.fill(target, context, guess=guess)
    assert len(calls) == 2 and calls[0] == 400
    inpainter.fill(target, context)
    assert len(calls) == 5, "without a guess: from noise, in the steps for that"
    decoded: list[Tensor] = []
    decode = model.first_stage.decode
    monkeypatch.setattr(model.first_stage, "decode", lambda z: (decoded.append(z), decode(z))[1])
    late = VidmInpainter(model, replace(GUIDED, keep_known=False, start_time=1, start_steps=1))
    late.fill(target, context, guess=guess)
    inpainter.fill(target, context)
    errors = [float((latent - guess).abs().mean()) for latent in decoded]
    assert errors[0] < 0.2 and errors[0] < errors[1] / 3


@pytest.mark.parametrize("with_guess", [True, False])
def test_known_cells_keep_their_latent(tiny: Vidm, monkeypatch: pytest.MonkeyPatch, with_guess: bool) -> None:
    """Of the guess; without one those of the frame itself, but for the cells beside the hole, which have seen its black."""
    decoded: list[Tensor] = []
    model = random_vidm(TINY)
    decode = model.first_stage.decode
    monkeypatch.setattr(model.first_stage, "decode", lambda z: (decoded.append(z), decode(z))[1])
    inpainter = VidmInpainter(model, replace(GUIDED, start_time=0))
    target = inpainter.encode(picture("frame"), box(top=20, left=24, side=12))
    guess = inpainter.encode_guess(picture("frame"))
    window = Window(0, 8, 64, 40)
    rows, columns = window.cells
    inpainter.fill(target, [], window, guess=inpainter.encode_guess(picture("frame")[window.pixels]) if with_guess else None)
    same = (decoded[0] == target.condition[:, :-1, rows, columns]).all(dim=1)[0]
    if with_guess:
        same = (decoded[0] == inpainter.encode_guess(picture("frame")[window.pixels])).all(dim=1)[0]
    expected = torch.ones_like(same)
    grow = 0 if with_guess else 1
    expected[5 - 2 - grow : 8 - 2 + grow, 6 - grow : 9 + grow] = False
    assert torch.equal(same, expected) and guess.shape == (1, 3, 16, 16)


def test_guesses_that_do_not_fit_are_refused(tiny: Vidm) -> None:
    inpainter = VidmInpainter(tiny, GUIDED)
    target = frames(inpainter, 1)[0]
    with pytest.raises(FrameError, match=r"the first guess has \(8, 8\) cells, the window \(16, 16\)"):
        inpainter.fill(target, [], guess=inpainter.encode_guess(picture("guess", 32, 32)))
    remover = VidmRemover(inpainter)
    with pytest.raises(FrameError, match=r"the first guess is uint8 \(32, 64, 3\)"):
        remover.remove(MaskedImage(0, picture("scene"), box()), guess=picture("guess", 32, 64))


def test_what_lies_under_the_hands_cannot_come_back_with_a_guess(tiny: Vidm) -> None:
    hands, rgb, guess = box(96, 128, 30, 40, 20), picture("scene", 96, 128), picture("guess", 96, 128)
    other = rgb.copy()
    other[hands] = 255 - other[hands]
    results = [VidmRemover(VidmInpainter(tiny, GUIDED)).remove(MaskedImage(0, i, hands), (), guess) for i in (rgb, other)]
    assert np.array_equal(results[0].rgb, results[1].rgb)
    assert np.array_equal(results[0].rgb[~results[0].generated], rgb[~results[0].generated])


class TestNoiseTable:
    def test_is_white_and_the_same_every_time(self) -> None:
        field = NoiseTable(3, 5).field((64, 64), np.eye(3))
        assert torch.equal(field, NoiseTable(3, 5).field((64, 64), np.eye(3)))
        assert not torch.equal(field, NoiseTable(3, 6).field((64, 64), np.eye(3)))
        assert abs(float(field.mean())) < 0.03 and abs(float(field.std()) - 1) < 0.03
        assert abs(float((field[..., 1:] * field[..., :-1]).mean())) < 0.03

    @pytest.mark.parametrize(("across", "down"), [(3, 0), (0, -5), (-2, 7), (400, -300)])
    def test_moves_with_the_background(self, across: int, down: int) -> None:
        """A background that was `across` cells further to the right in the first frame takes the noise from there."""
        table, (h, w) = NoiseTable(3, 0), (24, 32)
        place = np.array([[1, 0, across / w], [0, 1, down / h], [0, 0, 1.0]])
        rows, columns = (np.arange(h) + down) % 256, (np.arange(w) + across) % 256
        large = table.field((256, 256), np.eye(3))
        assert torch.equal(table.field((h, w), place), large[:, :, rows][..., columns])

    def test_a_homography_that_runs_away_gives_noise_all_the_same(self) -> None:
        field = NoiseTable(3, 0).field((16, 16), np.array([[1, 0, 0], [0, 1, 0], [2, 0, -1.0]]))
        assert bool(torch.isfinite(field).all())

    def test_the_fill_follows(self, tiny: Vidm) -> None:
        inpainter = VidmInpainter(tiny, FAST)
        target = frames(inpainter, 1)[0]
        place = np.array([[1, 0, 0.5], [0, 1, 0], [0, 0, 1.0]])
        still, moved = (inpainter.fill(target, [], place=p) for p in (np.eye(3), place))
        assert not np.array_equal(still, moved)
        assert np.array_equal(moved, inpainter.fill(target, [], place=place))
