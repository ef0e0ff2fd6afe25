"""Holes for training: as many and as large as given, from the same border, and never all of the picture."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ego_perception.hand_removal.fill.holes import foreign_holes

H, W = 96, 128
COUNT = 5
SEEDS = range(40)


def from_below(width: int = 24, height: int = 40) -> list[np.ndarray]:
    """An arm that comes in from below, farther in each frame."""
    holes = []
    for k in range(COUNT):
        hole = np.zeros((H, W), bool)
        hole[H - height // 2 - 4 * k :, 50 : 50 + width] = True
        holes.append(hole)
    return holes


def made(holes: list[np.ndarray], seed: int) -> list[np.ndarray]:
    return foreign_holes(holes, np.random.default_rng(seed))


def is_free_form(seed: int) -> bool:
    return bool(np.random.default_rng(seed).random() < 0.2)


MOVED = [seed for seed in SEEDS if not is_free_form(seed)]
DRAWN = [seed for seed in SEEDS if is_free_form(seed)]


@pytest.mark.parametrize("seed", SEEDS)
def test_there_are_as_many_masks_of_the_same_size(seed: int) -> None:
    holes = from_below()
    out = made(holes, seed)
    assert len(out) == COUNT and all(o.shape == (H, W) and o.dtype == bool and o.flags.c_contiguous for o in out)
    assert all(np.array_equal(hole, same) for hole, same in zip(holes, from_below(), strict=True)), "the given ones are kept"
    assert all(np.array_equal(a, b) for a, b in zip(out, made(holes, seed), strict=True)), "chance is in the generator alone"


def test_time_runs_backwards_and_the_hands_come_from_the_border_they_came_from() -> None:
    for seed in MOVED:
        areas = [int(o.sum()) for o in made(from_below(), seed)]
        assert areas == sorted(areas, reverse=True) and areas[0] > 0
        last = made(from_below(), seed)[-1]
        assert last[-1].any() and not last[:10].any()


def test_sizes_differ_within_their_limits_and_the_picture_is_never_mostly_hidden() -> None:
    widths = [int(made(from_below(), seed)[0][-1].sum()) for seed in MOVED]
    uncut = [w for w in widths if w > 0.8 * 24 - 2]
    assert min(uncut) >= 0.8 * 24 - 2 and max(widths) <= 2.5 * 24 + 2 and max(widths) > 1.8 * min(uncut)
    large = from_below(width=60, height=120)
    for seed in MOVED:
        assert max(o.mean() for o in made(large, seed)) < 0.42


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_other_borders_are_kept_too(turns: int) -> None:
    holes = [np.ascontiguousarray(np.rot90(hole, turns)) for hole in from_below()]
    for seed in MOVED[:12]:
        last = made(holes, seed)[-1]
        upright = np.rot90(last, -turns)
        assert upright[-1].any() or (turns % 2 and upright[0].any()), "or it was mirrored"
        assert not (upright[-1].any() and upright[0].any())


def test_half_of_them_are_mirrored() -> None:
    holes = from_below()
    middles = np.array([np.flatnonzero(made(holes, seed)[0].any(axis=0)).mean() for seed in MOVED])
    assert 0.2 < (middles > W / 2).mean() < 0.8 and np.abs(middles - W / 2).max() < 0.25 * W + 25


@pytest.mark.parametrize("seed", DRAWN)
def test_strokes_drift_evenly_and_little(seed: int) -> None:
    out = made(from_below(), seed)
    assert all(0 < o.mean() <= 0.42 for o in out)
    for before, after in itertools.pairwise(out):
        changed = (before ^ after).mean()
        assert changed < 0.25
    assert max(o.mean() for o in out) < 2 * min(o.mean() for o in out) + 0.05


def test_without_hands_there_is_nothing_to_move() -> None:
    for seed in MOVED[:5]:
        assert not any(o.any() for o in made([np.zeros((H, W), bool)] * 3, seed))
    assert len(made([np.zeros((H, W), bool)], MOVED[0])) == 1


def test_all_hidden_is_made_no_larger() -> None:
    for seed in MOVED[:8]:
        share = made([np.ones((H, W), bool)] * 2, seed)[0].mean()
        assert 0.3 < share < 0.9
