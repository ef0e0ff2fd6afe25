"""Hand removal as messages, masks from elsewhere, and the way back from topics to estimates."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import removal_fakes as fakes
from removal_fakes import FaultyEstimator, frame_with_hand, hand_pixels

from ego_perception.bag.types import RosbagsFactory
from ego_perception.data import Frame
from ego_perception.data.hand_removal import HandLabel, HandRemovalEstimate, Provenance, RemovalState
from ego_perception.errors import FrameError
from ego_perception.geometry import PinholeCamera
from ego_perception.messages import decode_confidence, image_message, image_view
from ego_perception.messages.hand_removal import (
    HAND_FREE,
    RemovalMessages,
    RemovalTopic,
    decode_hand_mask,
    observed_age_s,
    removal_facts,
)
from ego_perception.messages.image import frame_from_image
from ego_perception.messages.removal_assembler import RemovalAssembler

FACTORY = RosbagsFactory()
T0, STEP = 10**18, 66_666_667


def estimates(count: int = 6) -> list[HandRemovalEstimate]:
    """A hand that wanders before a still camera."""
    estimator = FaultyEstimator()
    found = []
    for k in range(count):
        frame = frame_with_hand(k, T0 + k * STEP)
        found.append(estimator.push(replace(frame, camera=PinholeCamera.from_fov(*frame.size, 1.0))))
    return [e for e in found if e is not None]


@pytest.fixture(scope="module")
def estimate() -> HandRemovalEstimate:
    return estimates()[-1]


def withheld(estimate: HandRemovalEstimate) -> HandRemovalEstimate:
    return replace(estimate, state=RemovalState.WITHHELD, reason="no hand mask")


def mask_of(labels: Any, encoding: str = "mono8") -> Any:
    return image_message(FACTORY, labels, encoding, T0, "cam")


def test_every_topic_is_built_with_stamp_frame_and_type(estimate: HandRemovalEstimate) -> None:
    messages = RemovalMessages(FACTORY, estimate)
    for topic in RemovalTopic:
        message = messages.build(topic)
        assert message.__msgtype__ == topic.type_name
        assert message.header.frame_id == "cam_optical"
        assert not topic.is_latched


def test_images_hold_what_the_estimate_holds(estimate: HandRemovalEstimate) -> None:
    messages = RemovalMessages(FACTORY, estimate)
    assert np.array_equal(frame_from_image(messages.image()).rgb, estimate.image)
    assert np.array_equal(image_view(messages.hand_mask()), estimate.hand_mask)
    assert np.array_equal(image_view(messages.provenance_image()), estimate.provenance)
    assert np.array_equal(decode_confidence(messages.confidence()), estimate.confidence)
    agent = image_view(messages.agent())
    hands = estimate.hand_mask == HandLabel.LEFT
    assert hands.any()
    assert np.array_equal(agent[hands], estimate.frame.rgb[hands])
    assert not agent[~hands].any()
    assert messages.compressed().format.startswith("rgb8; jpeg")


def test_a_held_object_is_not_the_agents(estimate: HandRemovalEstimate) -> None:
    mask = np.where(estimate.hand_mask > 0, HandLabel.HELD_OBJECT, HandLabel.NONE).astype(np.uint8)
    assert not image_view(RemovalMessages(FACTORY, replace(estimate, hand_mask=mask)).agent()).any()


def test_withheld_shows_nothing_but_the_mask_even_if_the_estimate_still_holds_an_image(estimate: HandRemovalEstimate) -> None:
    messages = RemovalMessages(FACTORY, withheld(estimate))
    assert [messages.build(topic) for topic in (*HAND_FREE, RemovalTopic.REFINED)] == [None] * (len(HAND_FREE) + 1)
    assert messages.hand_mask() is not None
    nothing = RemovalMessages(FACTORY, HandRemovalEstimate(estimate.frame, RemovalState.WITHHELD, "dead"))
    assert nothing.hand_mask() is None and nothing.agent() is None


def test_no_camera_no_camera_info(estimate: HandRemovalEstimate) -> None:
    bare = replace(estimate, frame=replace(estimate.frame, camera=None))
    assert RemovalMessages(FACTORY, bare).camera_info() is None


def test_the_summary_counts_pixels_and_tells_the_median_age(estimate: HandRemovalEstimate) -> None:
    provenance, age = np.zeros((72, 96), np.uint8), np.zeros((72, 96), np.float32)
    provenance[:36, :48], provenance[36:, :48], provenance[36:, 48:] = 1, 2, 3
    age[:36, :24], age[:36, 24:48] = 1.0, 3.0
    age[36:] = np.nan
    summary = RemovalMessages(
        FACTORY, replace(estimate, provenance=provenance, age_s=age, model_id="x", expected_miss=0.0)
    ).provenance()
    assert list(summary.fractions) == [0.25] * 4
    assert summary.observed_age_p50_s == pytest.approx(2.0)
    assert (summary.image_width, summary.image_height, summary.model_id) == (96, 72, "x")
    assert (summary.state, summary.reason, summary.expected_miss) == (summary.TRACKING, "", 0)
    doubted = replace(estimate, state=RemovalState.DEGRADED, reason="missed", expected_miss=0.25)
    told = RemovalMessages(FACTORY, doubted).provenance()
    assert (told.state, told.reason, told.expected_miss) == (told.DEGRADED, "missed", 0.25)
    assert np.isnan(observed_age_s(replace(estimate, provenance=np.zeros((72, 96), np.uint8))))


def test_codes_are_those_of_the_message_definitions(estimate: HandRemovalEstimate) -> None:
    status = RemovalMessages(FACTORY, withheld(estimate)).status()
    assert status.state == status.LOST
    assert status.reason == "withheld: no hand mask"
    summary = RemovalMessages(FACTORY, estimate).provenance()
    assert [int(p) for p in Provenance] == [summary.LIVE, summary.OBSERVED, summary.GENERATED, summary.UNKNOWN]
    assert removal_facts(estimate)["frame_id"] == "cam_optical"


class TestMasksFromElsewhere:
    LABELS = np.array([[0, 1, 2, 3], [255, 0, 0, 1], [0, 0, 0, 0]], np.uint8)

    def test_labels_come_as_they_are(self) -> None:
        assert np.array_equal(decode_hand_mask(mask_of(self.LABELS), (4, 3)), self.LABELS)
        assert np.array_equal(decode_hand_mask(mask_of(self.LABELS), (640, 480)), self.LABELS), "a small mask serves"

    def test_a_larger_mask_loses_nothing_of_a_hand(self) -> None:
        mask = np.zeros((480, 640), np.uint8)
        mask[:, 333] = HandLabel.LEFT
        mask[100, 100] = HandLabel.ANY
        mask[200:204, :] = HandLabel.HELD_OBJECT
        mask[:, 333] = HandLabel.LEFT
        small = decode_hand_mask(mask_of(mask), (64, 48))
        assert small.shape == (48, 64)
        assert (small[:, 33] == HandLabel.LEFT).all()
        assert small[10, 10] == HandLabel.ANY
        assert (small[20, :33] == HandLabel.HELD_OBJECT).all()

    @pytest.mark.parametrize(("values", "hand"), [("nonzero", LABELS != 0), ("zero", LABELS == 0)])
    def test_both_polarities_of_a_mask_without_labels(self, values: str, hand: np.ndarray) -> None:
        for scale in (1, 7, 100):
            given = np.where(self.LABELS == 255, 128, self.LABELS * scale % 251).astype(np.uint8)
            found = decode_hand_mask(mask_of(given), (4, 3), values)
            assert np.array_equal(found, np.where(hand, HandLabel.ANY, HandLabel.NONE))

    @pytest.mark.parametrize(
        ("message", "words"),
        [
            (lambda: mask_of(np.zeros((3, 4, 3), np.uint8), "rgb8"), "encoding 'rgb8'"),
            (lambda: mask_of(np.zeros((3, 4), np.float32), "32FC1"), "encoding '32FC1'"),
            (lambda: mask_of(np.full((3, 4), 4, np.uint8)), "the value 4"),
            (lambda: mask_of(np.full((3, 4), 254, np.uint8)), "the value 254"),
            (lambda: mask_of(np.zeros((4, 3), np.uint8)), "is 3x4; the image is 4x3"),
            (lambda: mask_of(np.zeros((3, 5), np.uint8)), "another shape"),
        ],
    )
    def test_others_are_refused_with_what_is_wrong(self, message: Any, words: str) -> None:
        with pytest.raises(FrameError, match=words) as caught:
            decode_hand_mask(message(), (4, 3))
        assert len(str(caught.value).splitlines()) == 1

    def test_a_mask_cut_short_is_refused(self) -> None:
        message = mask_of(np.zeros((30, 40), np.uint8))
        message.data = message.data[:100]
        with pytest.raises(FrameError, match="cut short"):
            decode_hand_mask(message, (40, 30))


class TestTheWayBack:
    def send(self, assembler: RemovalAssembler, estimate: HandRemovalEstimate, *leave_out: RemovalTopic) -> None:
        messages = RemovalMessages(FACTORY, estimate)
        for topic in (RemovalTopic.IMAGE, RemovalTopic.PROVENANCE_IMAGE, RemovalTopic.HAND_MASK, RemovalTopic.STATUS):
            if topic not in leave_out and (message := messages.build(topic)) is not None:
                assembler.add(topic, message)

    def test_an_estimate_comes_back(self, estimate: HandRemovalEstimate) -> None:
        assembler = RemovalAssembler()
        self.send(assembler, estimate)
        back = assembler.estimate_of(estimate.frame)
        assert back is not None and back.state is estimate.state
        assert np.array_equal(back.image, estimate.image)
        assert np.array_equal(back.provenance, estimate.provenance)
        assert np.array_equal(back.hand_mask, estimate.hand_mask)

    def test_a_withheld_frame_comes_back_with_its_reason_and_mask(self, estimate: HandRemovalEstimate) -> None:
        assembler = RemovalAssembler()
        self.send(assembler, withheld(estimate))
        back = assembler.estimate_of(estimate.frame)
        assert back is not None and (back.state, back.reason, back.image) == (RemovalState.WITHHELD, "no hand mask", None)
        assert back.hand_mask is not None

    def test_an_image_without_its_provenance_is_not_shown(self, estimate: HandRemovalEstimate) -> None:
        assembler = RemovalAssembler()
        self.send(assembler, estimate, RemovalTopic.PROVENANCE_IMAGE)
        assert assembler.estimate_of(estimate.frame) is None, "it may be on its way"
        later = replace(estimate, frame=replace(estimate.frame, stamp_ns=estimate.frame.stamp_ns + 1))
        self.send(assembler, later)
        back = assembler.estimate_of(estimate.frame)
        assert back is not None and back.image is None

    def test_a_mask_that_came_before_its_image_leaves_the_last_image_in_place(self) -> None:
        older, newer = estimates()[0], estimates()[1]
        assembler = RemovalAssembler(1.0)
        self.send(assembler, older)
        assembler.estimate_of(older.frame)
        assembler.add(RemovalTopic.HAND_MASK, RemovalMessages(FACTORY, newer).build(RemovalTopic.HAND_MASK))
        back = assembler.estimate_of(newer.frame)
        assert back is not None and back.frame is older.frame and back.image is not None

    def test_an_older_one_serves_only_within_its_age_and_with_its_own_frame(self) -> None:
        older, newer = estimates()[0], estimates()[1]
        for age_s, serves in ((0.0, False), (0.05, False), (0.1, True)):
            assembler = RemovalAssembler(age_s)
            self.send(assembler, older)
            assembler.estimate_of(older.frame)
            back = assembler.estimate_of(newer.frame)
            assert (back is not None) == serves
            if back is not None:
                assert back.frame is older.frame

    def test_nothing_said_gives_nothing_and_lost_without_a_frame_gives_the_reason(self, estimate: HandRemovalEstimate) -> None:
        assembler = RemovalAssembler()
        assert assembler.estimate_of(estimate.frame) is None
        assembler.add(RemovalTopic.STATUS, RemovalMessages(FACTORY, withheld(estimate)).status())
        back = assembler.estimate_of(estimate.frame)
        assert back is not None and back.reason == "no hand mask"

    def test_memory_is_bounded(self, estimate: HandRemovalEstimate) -> None:
        assembler = RemovalAssembler()
        for k in range(100):
            later = replace(estimate, frame=replace(estimate.frame, stamp_ns=T0 + k))
            self.send(assembler, later)
            assembler.estimate_of(later.frame)
        assert len(assembler._parts) < 40 and len(assembler._frames) < 40


def test_no_picture_of_any_topic_shows_a_hand_but_the_agents() -> None:
    for estimate in estimates(10):
        messages = RemovalMessages(FACTORY, estimate)
        for topic in (RemovalTopic.IMAGE, RemovalTopic.COMPRESSED, RemovalTopic.REFINED):
            assert hand_pixels(frame_from_image(messages.build(topic)).rgb) == 0
        assert hand_pixels(frame_from_image(messages.agent()).rgb) > 0


def test_a_frame_with_a_hand_in_every_pixel_has_only_a_mask() -> None:
    image = np.zeros((72, 96, 3), np.uint8) + np.array(fakes.HAND_RGB, np.uint8)
    estimate = FaultyEstimator().push(Frame(T0, image))
    assert estimate is not None
    messages = RemovalMessages(FACTORY, estimate)
    assert [t for t in RemovalTopic if messages.build(t) is not None] == [
        RemovalTopic.HAND_MASK,
        RemovalTopic.AGENT,
        RemovalTopic.STATUS,
    ]
