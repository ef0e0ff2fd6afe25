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
