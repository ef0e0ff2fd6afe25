"""Joints: differences at borders fade, specks give way, what was made up before stays where it fits."""

from __future__ import annotations

import numpy as np
import pytest

from ego_perception.hand_removal.fill.joining import calmed, seamless, softness

SHAPE = (32, 40)
LEFT = np.arange(SHAPE[1]) < 20
NOISE = np.random.default_rng(0).uniform(-1, 1, (3, *SHAPE)).astype(np.float32)


def known_left(trust: float = 1.0) -> np.ndarray:
    return np.broadcast_to(np.where(LEFT, np.float32(trust), np.float32(0)), SHAPE)


def test_without_anything_known_the_picture_stays() -> None:
    out = seamless(NOISE, np.full_like(NOISE, 7), np.zeros(SHAPE, np.float32))
    assert np.array_equal(out, NOISE.transpose(1, 2, 0))


def test_a_picture_that_fits_the_memory_stays() -> None:
    assert seamless(NOISE, NOISE, known_left()) == pytest.approx(NOISE.transpose(1, 2, 0), abs=1e-6)


def test_an_offset_is_made_up_for_where_known_and_fades_beyond() -> None:
    row = seamless(NOISE, NOISE + np.float32(0.5), known_left())[16] - NOISE[:, 16].T
    assert row[:19] == pytest.approx(0.5, abs=1e-5) and row[26:] == pytest.approx(0, abs=1e-3)
    assert (np.diff(row, axis=0) <= 1e-6).all() and row[20].min() > 0.25 > row[22].max()


def test_what_is_trusted_less_draws_less() -> None:
    out = [seamless(NOISE, NOISE + np.float32(0.5), known_left(trust)).transpose(2, 0, 1) for trust in (0.05, 0.125, 0.25, 0.9)]
    assert [float((picture - NOISE)[:, 16, 10].mean()) for picture in out] == pytest.approx([0.1, 0.25, 0.5, 0.5], abs=1e-4)


def test_what_is_remembered_of_unknown_places_is_not_read() -> None:
    remembered = np.where(LEFT, NOISE, np.float32(1e3)).astype(np.float32)
    assert np.array_equal(seamless(NOISE, remembered, known_left()), seamless(NOISE, NOISE, known_left()))


def test_memory_gives_way_towards_its_end_and_at_specks() -> None:
    known = np.broadcast_to(LEFT, SHAPE).copy()
    known[10, 30], known[20, 5] = True, False
    soft = softness(known)
    assert (soft[:8, :19] == 1).all() and soft[:8, 19] == pytest.approx(1 / 3, abs=0.01) and not soft[:, 21:].any()
    assert 0.7 < soft[20, 4] < 0.8  # one pixel missing beside it costs little
    assert (softness(np.ones(SHAPE, bool)) == 1).all() and not softness(np.zeros(SHAPE, bool)).any()


@pytest.mark.parametrize(("change", "share"), [(0, 0.8), (10, 0.8 / 1.25), (20, 0.4), (60, 0.08), (-20, 0.4)])
def test_old_and_new_are_mixed_the_less_the_more_they_differ(change: int, share: float) -> None:
    last = np.full((*SHAPE, 3), 120, np.uint8)
    part = np.full((*SHAPE, 3), 120 + change, np.uint8)
    assert np.abs(calmed(part, last, 0.8) - (120 + change * (1 - share))).max() <= 0.6


def test_each_place_is_compared_for_itself_by_its_worst_channel() -> None:
    part, last = np.full((*SHAPE, 3), 100, np.uint8), np.full((*SHAPE, 3), 100, np.uint8)
    last[:, 20:, 2], last[:, :, 0] = 250, 104
    out = calmed(part, last, 0.75).astype(int)
    assert np.abs(out[:, :15, 0] - 103).max() <= 1 and (out[:, 25:] - 100).max() <= 3


def test_without_persistence_nothing_of_the_old_stays() -> None:
    part, last = np.random.default_rng(1).integers(0, 256, (2, *SHAPE, 3), np.uint8)
    assert np.array_equal(calmed(part, last, 0.0), part)


def test_joints_mirror_with_the_pictures_and_treat_all_channels_alike() -> None:
    rng = np.random.default_rng(2)
    memory, say = rng.uniform(-1, 1, NOISE.shape).astype(np.float32), rng.random(SHAPE).astype(np.float32)
    plain = seamless(NOISE, memory, say)
    assert np.abs(seamless(NOISE[:, :, ::-1], memory[:, :, ::-1], say[:, ::-1])[:, ::-1] - plain).max() < 1e-5
    assert np.array_equal(seamless(NOISE[::-1], memory[::-1], say)[..., ::-1], plain)


def test_joints_do_not_depend_on_where_black_and_white_lie() -> None:
    rng = np.random.default_rng(3)
    memory, say = rng.uniform(-1, 1, NOISE.shape).astype(np.float32), rng.random(SHAPE).astype(np.float32)
    scaled = seamless(3 * NOISE + 5, 3 * memory + 5, say)
    assert np.abs(scaled - (3 * seamless(NOISE, memory, say) + 5)).max() < 1e-4


def test_a_picture_that_is_drawn_to_a_flat_offset_is_drawn_no_farther_the_second_time() -> None:
    memory = NOISE + np.float32(0.25)
    once = np.ascontiguousarray(seamless(NOISE, memory, known_left(1.0)).transpose(2, 0, 1))
    twice = seamless(once, memory, known_left(1.0)).transpose(2, 0, 1)
    assert np.abs(twice - once)[:, :, :16].max() < 1e-5


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
def test_pictures_of_one_row_or_pixel_can_be_joined(shape: tuple[int, int]) -> None:
    painted, known = np.zeros((3, *shape), np.float32), np.ones(shape, np.float32)
    assert seamless(painted, painted + 1, known) == pytest.approx(np.ones((*shape, 3)), abs=1e-5)
    assert (softness(np.ones(shape, bool)) == 1).all()
    same = np.full((*shape, 3), 9, np.uint8)
    assert np.array_equal(calmed(same, same, 0.9), same)


def test_softness_is_a_share_that_falls_to_nothing_outside_and_mirrors() -> None:
    known = np.random.default_rng(4).random(SHAPE) < 0.7
    soft = softness(known)
    assert soft.min() >= 0 and soft.max() <= 1 and soft.dtype == np.float32
    assert np.array_equal(softness(known[:, ::-1].copy())[:, ::-1], soft)
    around = [np.roll(known, (dy, dx), (0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    count = np.sum(around, axis=0)[1:-1, 1:-1]
    assert soft[1:-1, 1:-1] == pytest.approx(np.clip(2 * count / 9 - 1, 0, 1), abs=0.01)
    assert not soft[1:-1, 1:-1][count <= 4].any()


def test_a_mixture_lies_between_old_and_new() -> None:
    part, last = np.random.default_rng(5).integers(0, 256, (2, *SHAPE, 3), np.uint8)
    out = calmed(part, last, 0.95).astype(int)
    assert (out >= np.minimum(part, last).astype(int) - 1).all() and (out <= np.maximum(part, last).astype(int) + 1).all()
    assert np.array_equal(calmed(part, part, 0.95), part)


def test_more_persistence_keeps_more_of_the_old() -> None:
    part, last = np.full((*SHAPE, 3), 100, np.uint8), np.full((*SHAPE, 3), 115, np.uint8)
    levels = [int(calmed(part, last, p)[5, 5, 0]) for p in (0.0, 0.3, 0.6, 0.95)]
    assert levels == sorted(levels) and levels[0] == 100 < levels[-1] < 115
