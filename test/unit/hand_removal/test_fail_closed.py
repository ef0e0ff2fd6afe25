"""A thousand faults, none of which lets a hand through on the topics of the hand-free image."""

from __future__ import annotations

import itertools
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
import removal_fakes as fakes
from removal_fakes import FaultyEstimator, frame_with_hand, hand_pixels, labels_of_hand

from ego_perception.bag.types import RosbagsFactory
from ego_perception.data import Frame
from ego_perception.data.hand_removal import HandRemovalEstimate, RemovalState
from ego_perception.hand_removal.guard import RemovalGuard
from ego_perception.hand_removal.masks import MaskConfig
from ego_perception.messages import compressed_from_frame, image_from_frame, image_message
from ego_perception.messages.hand_removal import HAND_FREE, RemovalMessages, RemovalTopic
from ego_perception.messages.image import frame_from_image
from ego_perception.messages.mask_pairing import MaskPairing, PairedImage
from ego_perception.ros.mask_input import MaskInput
from ego_perception.runtime import EstimatorStage, Pipeline

S = 1_000_000_000
STEP_NS = S // 15
FACTORY = RosbagsFactory()


class StubNode:
    """As much of a node as a `MaskInput` asks for."""

    def resolve_topic_name(self, name: str) -> str:
        return f"/{name}"

    def count_publishers(self, name: str) -> int:
        return 1

    def subscription(self, scope: Any, kind: Any, topic: str, callback: Any) -> None:
        pass

    def timer(self, *args: Any, **kwargs: Any) -> None:
        pass


class Line:
    """The node's way from image to messages, without a middleware, on a clock that the test moves."""

    def __init__(self, mask_source: str) -> None:
        self.mask_source = mask_source
        self.estimator = FaultyEstimator("frame" if mask_source == "topic" else mask_source)
        self.estimates: list[HandRemovalEstimate] = []
        self.shown: dict[int, list[Any]] = {}
        self.now_s, self.stamp_ns, self.index = 0.0, 10**18, 0
        self.pipeline = Pipeline([EstimatorStage(RemovalGuard(self.estimator)), self], decode=self.decode)
        self.masks = MaskInput(StubNode(), ExitStack(), self.accept, is_required=mask_source == "topic", timeout_s=0.15)
        self.pairing = MaskPairing(self.accept, 0.15, clock=lambda: self.now_s)

    name = "publish"

    def accept(self, item: Any) -> None:
        self.pipeline._accept(item)

    def decode(self, item: PairedImage) -> Frame:
        frame = frame_from_image(item.image)
        return frame if self.mask_source == "builtin" else self.masks.attach(frame, item)

    def process(self, estimate: HandRemovalEstimate) -> HandRemovalEstimate:
        self.estimates.append(estimate)
        messages = RemovalMessages(FACTORY, estimate)
        built = [m for t in (*HAND_FREE, RemovalTopic.REFINED) if (m := messages.build(t)) is not None]
        self.shown.setdefault(estimate.frame.stamp_ns, []).extend(built)
        return estimate

    def reset(self) -> None:
        pass

    def flush(self) -> list[HandRemovalEstimate]:
        return []

    def send(self, mask: Any = "good", *, mask_stamp_ns: int = 0, late_s: float = 0.0) -> int:
        """Send one image and its mask; give the image's stamp."""
        self.index += 1
        self.stamp_ns += STEP_NS
        self.now_s += STEP_NS / S
        self.pairing.expire()
        frame = frame_with_hand(self.index, self.stamp_ns)
        image = image_from_frame(FACTORY, frame)
        if self.mask_source == "builtin":
            self.accept(PairedImage(image))
            return self.stamp_ns
        self.pairing.add_image(self.stamp_ns, image)
        self.now_s += late_s
        self.pairing.expire()
        if mask is not None:
            if isinstance(mask, str):
                mask = mask_message(labels_of_hand(frame), self.stamp_ns)
            elif callable(mask):
                mask = mask(labels_of_hand(frame), self.stamp_ns)
            self.pairing.add_mask(self.stamp_ns + mask_stamp_ns, mask)
        else:
            self.now_s += 0.2
            self.pairing.expire()
        return self.stamp_ns

    def let_go(self) -> None:
        """Let every waiting image run into its limit."""
        self.now_s += 1.0
        self.pairing.expire()


def mask_message(labels: Any, stamp_ns: int, encoding: str = "mono8") -> Any:
    return image_message(FACTORY, labels, encoding, stamp_ns, "cam_optical")


def cut_short(labels: Any, stamp_ns: int) -> Any:
    message = mask_message(labels, stamp_ns)
    message.data = message.data[: len(message.data) // 2]
    return message


def with_value(value: int) -> Any:
    return lambda labels, stamp_ns: mask_message(np.where(labels > 0, value, 0).astype(np.uint8), stamp_ns)


MASK_FAULTS: dict[str, dict[str, Any]] = {
    "no mask": {"mask": None},
    "late mask": {"late_s": 0.2},
    "very late mask": {"late_s": 3.0},
    "mask of another encoding": {"mask": lambda m, s: mask_message(np.repeat(m[..., None], 3, axis=2), s, "rgb8")},
    "mask of depth": {"mask": lambda m, s: mask_message(m.astype(np.float32), s, "32FC1")},
    "mask of 16 bit": {"mask": lambda m, s: mask_message(m.astype(np.uint16), s, "16UC1")},
    "compressed mask": {"mask": lambda m, s: compressed_from_frame(FACTORY, Frame(s, np.repeat(m[..., None], 3, axis=2)))},
    "value outside the table": {"mask": with_value(7)},
    "values of a soft mask": {"mask": with_value(128)},
    "mask of another shape": {"mask": lambda m, s: mask_message(m[:, : m.shape[1] // 2].copy(), s)},
    "mask on its side": {"mask": lambda m, s: mask_message(m.T.copy(), s)},
    "mask cut short": {"mask": cut_short},
    "everything is hand": {"mask": lambda m, s: mask_message(np.full_like(m, 255), s)},
    "swapped values": {"mask": lambda m, s: mask_message(np.where(m > 0, 0, 255).astype(np.uint8), s)},
    "stamp of the frame before": {"mask_stamp_ns": -STEP_NS},
    "stamp more than half a frame away": {"mask_stamp_ns": -STEP_NS * 6 // 10},
    "stamp of another clock": {"mask_stamp_ns": -(10**17)},
    "stamp of zero": {"mask_stamp_ns": -(10**18)},
}


def inject(line: Line, name: str) -> int:
    """Send one image with a fault; give its stamp."""
    if name in MASK_FAULTS:
        stamp_ns = line.send(**MASK_FAULTS[name])
        line.let_go()
        return stamp_ns
    for faults, target in (
        (fakes.SEGMENTER_FAULTS, line.estimator.segmenter),
        (fakes.PAINTER_FAULTS, line.estimator.backend),
        (fakes.ESTIMATOR_FAULTS, line.estimator),
    ):
        if name in faults:
            target.fault = faults[name]
    stamp_ns = line.send()
    line.estimator.heal()
    return stamp_ns


def pixels_of(message: Any) -> Any:
    """The picture of a message, None for one that holds none."""
    if hasattr(message, "format") or (hasattr(message, "encoding") and message.encoding == "rgb8"):
        return frame_from_image(message).rgb
    return None


MODEL_FAULTS = [*fakes.SEGMENTER_FAULTS, *fakes.PAINTER_FAULTS, *fakes.ESTIMATOR_FAULTS]


@pytest.mark.parametrize(("mask_source", "names"), [("builtin", MODEL_FAULTS), ("topic", list(MASK_FAULTS))])
def test_five_hundred_faults_show_no_hand(mask_source: str, names: list[str]) -> None:
    line = Line(mask_source)
    for _ in range(3):
        line.send()
    faulty: dict[int, str] = {}
    for count, name in zip(range(500), itertools.cycle(names), strict=False):
        faulty[inject(line, name)] = name
        if count % 5 == 0:
            line.send()
    line.let_go()
    shown = {stamp: name for stamp, name in faulty.items() if line.shown.get(stamp)}
    assert shown == {}, f"{len(shown)} images were published in spite of a fault"
    pictures = [p for messages in line.shown.values() for m in messages if (p := pixels_of(m)) is not None]
    assert len(pictures) > 150, "the good frames in between must be shown"
    assert sum(hand_pixels(p) > 0 for p in pictures) == 0
    assert len(faulty) == 500


@pytest.mark.parametrize("name", [n for n in MODEL_FAULTS if n != "estimator withholds and gives the image all the same"])
def test_a_fault_of_a_model_is_withheld_with_one_line(name: str) -> None:
    line = Line("builtin")
    for _ in range(3):
        line.send()
    stamp_ns = inject(line, name)
    last = line.estimates[-1]
    assert (last.frame.stamp_ns, last.state) == (stamp_ns, RemovalState.WITHHELD)
    assert last.image is None and last.provenance is None and last.confidence is None
    assert last.reason
    assert len(last.reason.splitlines()) == 1
    line.send()
    assert line.estimates[-1].state is not RemovalState.WITHHELD, "one fault must not cost the frames after it"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no mask", "no hand mask on '/hand_mask_in' within 0.15 s"),
        ("late mask", "no hand mask"),
        ("mask of another encoding", "encoding 'rgb8'; it must be mono8"),
        ("compressed mask", "must be mono8"),
        ("value outside the table", "the value 7"),
        ("mask of another shape", "is 48x72; the image is 96x72"),
        ("mask cut short", "cut short"),
        ("stamp of the frame before", "no hand mask"),
    ],
)
def test_a_mask_that_is_refused_is_told(name: str, words: str) -> None:
    line = Line("topic")
    for _ in range(4):
        line.send()
    before = line.pipeline.counters.failed
    inject(line, name)
    counters = line.pipeline.counters
    assert counters.failed == before + 1
    assert words in counters.last_error


def test_a_mask_that_makes_nearly_everything_a_hole_is_withheld() -> None:
    line = Line("topic")
    line.send()
    inject(line, "swapped values")
    assert line.estimates[-1].state is RemovalState.WITHHELD
    assert "hands cover" in line.estimates[-1].reason


def test_in_auto_a_bad_mask_leaves_it_to_the_own_segmenter() -> None:
    line = Line("auto")
    line.send()
    for name in ("no mask", "late mask", "value outside the table", "mask of another shape"):
        stamp_ns = inject(line, name)
        assert line.estimates[-1].frame.stamp_ns == stamp_ns
        assert line.estimates[-1].image is not None
        assert hand_pixels(line.estimates[-1].image) == 0


def test_no_hole_passes_as_it_is_and_reports_all_live() -> None:
    estimator = RemovalGuard(FaultyEstimator())
    frame = frame_with_hand(0, 10**18, hand=False)
    estimate = estimator.push(frame)
    assert estimate.state is RemovalState.CLEAN
    assert np.array_equal(estimate.image, frame.rgb)
    assert not estimate.provenance.any()
    assert (estimate.confidence == 1).all()


def test_all_hole_is_withheld_with_its_mask() -> None:
    image = np.zeros((72, 96, 3), np.uint8)
    image[:] = fakes.HAND_RGB
    estimate = RemovalGuard(FaultyEstimator()).push(Frame(10**18, image))
    assert estimate.state is RemovalState.WITHHELD
    assert estimate.hand_mask is not None and (estimate.hand_mask == fakes.HandLabel.LEFT).all()


def test_a_static_camera_that_reveals_nothing_paints_or_leaves_black_but_shows_no_hand() -> None:
    for paints, kind in ((True, 2), (False, 3)):
        estimator = RemovalGuard(FaultyEstimator(paints=paints))
        for k in range(8):
            estimate = estimator.push(frame_with_hand(0, 10**18 + k * STEP_NS))
        assert hand_pixels(estimate.image) == 0
        hole = estimate.provenance != 0
        assert hole.any() and (estimate.provenance[hole] == kind).all()
    assert estimate.state is RemovalState.DEGRADED
    assert "never seen" in estimate.reason


def test_scene_cuts_and_resolution_changes_show_no_hand() -> None:
    estimator = RemovalGuard(FaultyEstimator())
    stamp = 10**18
    for k, (size, seed) in enumerate([((96, 72), 1)] * 5 + [((96, 72), 2)] * 5 + [((128, 96), 2)] * 5 + [((64, 64), 3)] * 5):
        stamp += STEP_NS
        frame = frame_with_hand(k, stamp, size=size, seed=seed)
        estimate = estimator.push(frame)
        if estimate.image is not None:
            assert estimate.image.shape == frame.rgb.shape
            assert hand_pixels(estimate.image) == 0
            assert estimate.provenance.shape == frame.rgb.shape[:2]


def test_a_failure_forgets_what_was_half_done() -> None:
    estimator = FaultyEstimator()
    guard = RemovalGuard(estimator)
    guard.push(frame_with_hand(0, 10**18))
    estimator.fault = RuntimeError("in the middle")
    before = estimator.num_resets
    assert guard.push(frame_with_hand(1, 10**18 + 1)).state is RemovalState.WITHHELD
    assert estimator.num_resets == before + 1
    assert guard.busy_since_s is None


def test_held_objects_are_removed_only_when_wanted() -> None:
    frame = frame_with_hand(0, 10**18)
    held = labels_of_hand(frame, fakes.HandLabel.HELD_OBJECT)
    for remove in (False, True):
        estimator = RemovalGuard(FaultyEstimator("frame", remove_held_object=remove), MaskConfig(remove_held_object=remove))
        estimate = estimator.push(Frame(frame.stamp_ns, frame.image, hands=held))
        assert (estimate.provenance != 0).any() == remove
