"""A refined picture that comes late: it fills what nobody saw, moves with the background, and gives way to what is seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from ego_perception.data import Frame
from ego_perception.data.hand_removal import HandLabel, HandRemovalEstimate, Provenance, RemovalState
from ego_perception.hand_removal.guard import problem_of
from ego_perception.hand_removal.recollection import RecollectingEstimator, Recollection

S = 1_000_000_000
W, H = 160, 120
WIDE = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 255, (H, 320, 3), dtype=np.uint8), (0, 0), 1.2)
PAINT = (20, 220, 40)


def estimate(seconds: float, turn: int = 0, hand_x: int = 60, refined: bool = False) -> HandRemovalEstimate:
    """A camera turned by `turn` pixels; of the hand's place, the upper third was seen before and the rest was not."""
    truth = np.ascontiguousarray(WIDE[:, turn : turn + W])
    hands = np.zeros((H, W), np.uint8)
    hands[50:90, hand_x : hand_x + 30] = HandLabel.RIGHT
    rgb = truth.copy()
    rgb[hands > 0] = (250, 30, 240)
    provenance = np.where(hands > 0, Provenance.UNKNOWN, Provenance.LIVE).astype(np.uint8)
    provenance[50:63, hand_x : hand_x + 30] = Provenance.OBSERVED
    image = np.where((provenance == Provenance.UNKNOWN)[..., None], np.uint8(0), truth)
    if refined:
        image[provenance == Provenance.UNKNOWN] = PAINT
        provenance[provenance == Provenance.UNKNOWN] = Provenance.GENERATED
    state = RemovalState.CLEAN if refined else RemovalState.DEGRADED
    confidence = np.where(hands > 0, np.float32(0.5), np.float32(1))
    age = np.where(hands > 0, np.float32(1), np.float32(0))
    frame = Frame(round(seconds * S), rgb)
    reason = "" if refined else "parts were never seen"
    return HandRemovalEstimate(frame, state, reason, image, hands, provenance, confidence, age, "vidm 1" if refined else "")


def painted(image: NDArray[np.uint8] | None) -> NDArray[np.bool_]:
    assert image is not None
    return (np.abs(image.astype(np.int64) - PAINT) < 60).all(axis=2) & (image[..., 1] > 150)


def test_a_still_camera_shows_the_refined_picture_and_says_that_it_is_made_up() -> None:
    recollection = Recollection(10.0)
    recollection.offer(estimate(1, refined=True))
    live = estimate(3)
    out = recollection.apply(live)
    assert out.provenance is not None and out.image is not None and live.provenance is not None and out.confidence is not None
    unknown = live.provenance == Provenance.UNKNOWN
    assert painted(out.image)[unknown].mean() > 0.95
    assert (out.provenance[unknown] == Provenance.GENERATED).all()
    assert np.array_equal(out.provenance[~unknown], live.provenance[~unknown])
    assert np.array_equal(out.image[~unknown], live.image[~unknown])  # type: ignore[index]
    assert (out.confidence[unknown] <= 0.1 + 1e-6).all() and out.age_s is not None and np.isnan(out.age_s[unknown]).all()
    assert (out.state, out.reason, out.model_id) == (RemovalState.CLEAN, "", "vidm 1")
    assert problem_of(live.frame, out) == ""


def test_it_moves_with_the_background() -> None:
    """The camera turns by 12 pixels and the hand stays: only what the refined picture covered is filled."""
    recollection = Recollection(10.0)
    recollection.offer(estimate(1, refined=True))
    live = estimate(2, turn=12)
    out = recollection.apply(live)
    assert out.provenance is not None and out.image is not None
    columns = np.flatnonzero(painted(out.image)[70])
    assert 60 <= int(columns[0]) <= 64, "the hand's border, where the seam fades"
    assert abs(int(columns[-1]) - (89 - 12)) <= 2, "the picture's right border, moved"
    # To the right the refined picture showed the background itself.
    right = out.image[70, 80:88].astype(np.int64) - WIDE[70, 92:100]
    assert np.abs(right).mean() < 25


def test_a_camera_that_turned_far_is_followed() -> None:
    """From the refined frame to the last one the camera turns by half the image, frame by frame."""
    recollection = Recollection(10.0)
    recollection.apply(estimate(1, hand_x=100))
    for k in range(1, 10):
        recollection.apply(estimate(1 + 0.1 * k, turn=8 * k, hand_x=100))
        if k == 4:
            recollection.offer(estimate(1, hand_x=100, refined=True))
    out = recollection.apply(estimate(2, turn=80, hand_x=20))
    assert out.image is not None and out.model_id == "vidm 1"
    columns = np.flatnonzero(painted(out.image)[75])
    assert 20 <= columns[0] <= 24 and abs(int(columns[-1]) - 49) <= 4


def test_what_was_really_seen_comes_first() -> None:
    recollection = Recollection(10.0)
    recollection.offer(estimate(1, refined=True))
    live = estimate(3)
    assert live.provenance is not None
    seen = replace(live, provenance=np.where(live.provenance == Provenance.UNKNOWN, Provenance.OBSERVED, 0).astype(np.uint8))
    assert recollection.apply(seen) is seen


def test_what_the_fill_network_made_up_gives_way_too() -> None:
    recollection = Recollection(10.0)
    recollection.offer(estimate(1, refined=True))
    live = estimate(3)
    assert live.provenance is not None and live.image is not None
    unknown = live.provenance == Provenance.UNKNOWN
    filled = replace(
        live,
        state=RemovalState.CLEAN,
        reason="",
        image=np.where(unknown[..., None], np.uint8(128), live.image),
        provenance=np.where(unknown, np.uint8(Provenance.GENERATED), live.provenance),
        model_id="fill 1",
    )
    out = recollection.apply(filled)
    assert painted(out.image)[unknown].mean() > 0.95 and out.model_id == "fill 1, vidm 1"


@pytest.mark.parametrize(
    "live",
    [
        estimate(12),  # too late
        estimate(0.5),  # an older frame
        replace(estimate(2), image=None, state=RemovalState.WITHHELD),
    ],
)
def test_stale_pictures_and_withheld_estimates_stay_out(live: HandRemovalEstimate) -> None:
    recollection = Recollection(10.0)
    recollection.offer(estimate(1, refined=True))
    assert recollection.apply(live) is live


def test_another_scene_and_another_size_get_nothing() -> None:
    recollection = Recollection(10.0)
    recollection.offer(estimate(1, refined=True))
    elsewhere = estimate(2)
    assert elsewhere.image is not None and elsewhere.provenance is not None
    other = cv2.GaussianBlur(np.random.default_rng(9).integers(0, 255, (H, W, 3), dtype=np.uint8), (0, 0), 1.2)
    live = elsewhere.provenance == Provenance.LIVE
    cut = replace(elsewhere, image=np.where(live[..., None], other, elsewhere.image))
    assert recollection.apply(cut) is cut
    small = Frame(2 * S, np.zeros((60, 80, 3), np.uint8))
    part = (slice(0, 60), slice(0, 80))
    crop = {name: getattr(elsewhere, name)[part] for name in ("image", "hand_mask", "provenance", "confidence", "age_s")}
    resized = replace(elsewhere, frame=small, **crop)
    assert recollection.apply(resized) is resized


def test_nothing_wrong_is_kept() -> None:
    """A refined picture with a hand in it, of another frame, or withheld is no picture."""
    good = estimate(1, refined=True)
    assert good.provenance is not None
    for bad in (
        replace(good, provenance=np.zeros_like(good.provenance)),
        replace(good, image=good.frame.rgb),
        replace(good, image=None),
        replace(good, confidence=np.full((H, W), np.nan, np.float32)),
    ):
        recollection = Recollection(10.0)
        recollection.offer(bad)
        live = estimate(2)
        assert recollection.apply(live) is live


def test_the_newest_is_kept_whatever_the_order_and_reset_forgets() -> None:
    recollection = Recollection(10.0)
    recollection.offer(estimate(5, refined=True))
    recollection.offer(estimate(1, refined=True))
    assert recollection.apply(estimate(13)).model_id == "vidm 1", "that of second 1 would be too old"
    recollection.reset()
    live = estimate(6)
    assert recollection.apply(live) is live
    never = Recollection(0.0)
    never.offer(estimate(5, refined=True))
    assert never.apply(live) is live


def test_a_source_that_begins_anew_is_served_anew() -> None:
    recollection = Recollection(10.0)
    recollection.offer(estimate(50, refined=True))
    assert recollection.apply(estimate(2)).model_id == ""
    recollection.offer(estimate(2, refined=True))
    assert recollection.apply(estimate(3)).model_id == "vidm 1"


def test_what_was_in_work_at_a_reset_is_not_kept() -> None:
    recollection, resets = Recollection(10.0), [False, True]

    def refine(_: HandRemovalEstimate) -> HandRemovalEstimate:
        if resets.pop():
            recollection.reset()
        return estimate(1, refined=True)

    forgotten: list[int] = []
    keeping = recollection.keeping(refine, lambda: forgotten.append(1))
    assert keeping(estimate(1)).model_id == "vidm 1" and recollection.apply(estimate(2)).model_id == ""
    assert not forgotten, "the refinement in work at the reset is not disturbed"
    keeping(estimate(1))
    assert recollection.apply(estimate(2)).model_id == "vidm 1"
    assert forgotten == [1], "the next one begins anew"


def test_nothing_is_kept_for_no_time() -> None:
    recollection = Recollection(0.0)
    recollection.offer(estimate(2, refined=True))
    assert recollection.apply(estimate(2)).model_id == ""


class Live:
    """Gives one estimate after another."""

    def __init__(self, estimates: list[HandRemovalEstimate]) -> None:
        self._estimates, self.num_resets = estimates, 0
        self.on_mask = self.geometry_of = None

    def reset(self) -> None:
        self.num_resets += 1

    def push(self, frame: Frame) -> HandRemovalEstimate | None:
        if self.on_mask is not None:
            self.on_mask(frame, np.zeros((H, W), np.uint8))
        return self._estimates.pop(0) if self._estimates else None

    def flush(self) -> Iterable[HandRemovalEstimate]:
        return self._estimates


def test_around_an_estimator() -> None:
    recollection, inner = Recollection(10.0), Live([estimate(2), estimate(3), estimate(4)])
    outer, told = RecollectingEstimator(inner, recollection), []
    outer.on_mask = lambda frame, labels: told.append(frame.stamp_ns)
    first = outer.push(estimate(2).frame)
    assert first is not None and first.model_id == ""
    recollection.offer(estimate(2, refined=True))
    second = outer.push(estimate(3).frame)
    assert second is not None and second.model_id == "vidm 1" and told == [2 * S, 3 * S]
    assert [e.model_id for e in outer.flush()] == ["vidm 1"]
    outer.reset()
    assert inner.num_resets == 1 and [e.model_id for e in outer.flush()] == [""]
