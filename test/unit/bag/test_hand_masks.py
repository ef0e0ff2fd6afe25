"""Hand masks out of recordings: which topic, which image, and what becomes of masks that cannot be used."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ego_perception import sources
from ego_perception.bag import BagReader, BagSource, BagWriter
from ego_perception.bag.topics import choose_mask_topic
from ego_perception.cli import sources as cli_sources
from ego_perception.cli.settings import resolve_removal
from ego_perception.cli.tasks import Selection
from ego_perception.data import Frame
from ego_perception.data.hand_removal import HandLabel
from ego_perception.errors import BagError, SourceError
from ego_perception.messages import image_from_frame, image_message
from ego_perception.messages.mask_pairing import HandMaskRequest

IMAGE = "sensor_msgs/msg/Image"
STEP_NS = 100_000_000  # as in make_frame


@pytest.fixture
def bag(tmp_path, factory, make_frame):
    """Ten images and, by index, (mask, stamp offset, delay of its arrival) or None."""

    def make(mask_of: Any, topics: tuple[str, ...] = ("/hand_mask_in",), count: int = 10) -> Path:
        rows = []
        for i in range(count):
            frame = make_frame(i)
            rows.append((frame.stamp_ns, "/image", image_from_frame(factory, frame)))
            if (given := mask_of(i)) is not None:
                pixels, offset_ns, delay_ns = given
                encoding = "mono8" if pixels.ndim == 2 else "rgb8"
                message = image_message(factory, pixels, encoding, frame.stamp_ns + offset_ns, "cam")
                rows += [(frame.stamp_ns + delay_ns, topic, message) for topic in topics]
        with BagWriter(tmp_path / "bag") as writer:
            for topic in ("/image", *topics):
                writer.add_topic(topic, IMAGE)
            for time, topic, message in sorted(rows, key=lambda row: row[0]):
                writer.write(topic, message, time)
        return tmp_path / "bag"

    return make


def mask(index: int) -> np.ndarray:
    pixels = np.zeros((12, 16), np.uint8)
    pixels[index % 12, 3:6] = 2
    return pixels


def frames(path: Path, **request: Any) -> list[Frame]:
    found = list(BagSource(path, hand_masks=HandMaskRequest(**request)))
    assert all(isinstance(frame, Frame) for frame in found)
    return found  # type: ignore[return-value]


@pytest.mark.parametrize("delay_ms", [0, 40, 140])
def test_each_image_gets_its_own_mask_in_order(bag, delay_ms):
    found = frames(bag(lambda i: (mask(i), 0, delay_ms * 1_000_000)))
    assert [frame.index for frame in found] == list(range(10))
    for frame in found:
        assert np.array_equal(frame.hands, mask(frame.index))


def test_without_a_request_frames_come_without_masks(bag):
    path = bag(lambda i: (mask(i), 0, 0))
    assert all(frame.hands is None for frame in BagSource(path))


def test_an_image_waits_no_longer_than_it_would_live(bag):
    path = bag(lambda i: (mask(i), 0, 600_000_000 if i == 4 else 20_000_000))
    assert [f.index for f in frames(path) if f.hands is None] == [4]
    assert [f.index for f in frames(path, timeout_s=1.0) if f.hands is None] == [4], "masks of newer images have come"


def test_a_slow_mask_node_is_waited_for_where_that_is_asked(bag):
    path = bag(lambda i: (mask(i), 0, 600_000_000))
    assert all(f.hands is None for f in frames(path))
    assert all(f.hands is not None for f in frames(path, timeout_s=1.0))


def test_stamps_pair_up_to_half_a_step(bag):
    path = bag(lambda i: (mask(i), 40_000_000 if i % 2 else 60_000_000, 0), count=8)
    found = frames(path)
    assert all((f.hands is not None) == (f.index % 2 == 1) for f in found if f.index > 2)


def test_masks_that_are_missing_or_cannot_be_used_leave_the_frame_and_are_told_once(bag, caplog):
    wrong = {2: None, 5: (np.zeros((16, 12), np.uint8), 0, 0), 6: (np.full((12, 16), 7, np.uint8), 0, 0)}
    wrong |= {8: (np.zeros((12, 16, 3), np.uint8), 0, 0), 9: (np.zeros((12, 16, 3), np.uint8), 0, 0)}
    with caplog.at_level(logging.WARNING):
        found = frames(bag(lambda i: wrong.get(i, (mask(i), 0, 0))))
    assert [f.index for f in found if f.hands is None] == [2, 5, 6, 8, 9]
    told = [r.getMessage() for r in caplog.records if "hand masks on /hand_mask_in" in r.getMessage()]
    assert len(told) == 3
    assert any("12x16" in text for text in told) and any("the value 7" in text for text in told)


def test_values_may_be_of_either_polarity(bag):
    path = bag(lambda i: (np.where(mask(i) > 0, 0, 200).astype(np.uint8), 0, 0))
    for frame in frames(path, values="zero"):
        assert np.array_equal(frame.hands == HandLabel.ANY, mask(frame.index) > 0)


def test_a_mask_of_twice_the_size_serves(bag):
    for frame in frames(bag(lambda i: (np.kron(mask(i), np.ones((2, 2), np.uint8)), 0, 0))):
        assert np.array_equal(frame.hands, mask(frame.index))


@pytest.mark.parametrize(
    ("topics", "asked", "chosen"),
    [
        (("/hand_mask_in",), None, "/hand_mask_in"),
        (("/hand_removal/hand_mask/image",), None, "/hand_removal/hand_mask/image"),
        (("/hand_removal/hand_mask/image", "/hand_mask_in"), None, "/hand_mask_in"),
        (("/a/hand_mask", "/b/hand_mask"), "/b/hand_mask", "/b/hand_mask"),
        (("/seg",), "/seg", "/seg"),
    ],
)
def test_the_topic_is_chosen_by_name(bag, topics, asked, chosen):
    assert choose_mask_topic(BagReader(bag(lambda i: (mask(i), 0, 0), topics)), asked) == chosen


def test_no_topic_or_several_are_one_line(bag):
    several = bag(lambda i: (mask(i), 0, 0), ("/a/hand_mask", "/b/hand_mask"))
    with pytest.raises(BagError, match="several topics with hand masks: /a/hand_mask, /b/hand_mask"):
        BagSource(several, hand_masks=HandMaskRequest())
    with pytest.raises(BagError, match="has no topic /c"):
        BagSource(several, hand_masks=HandMaskRequest("/c"))


def test_none_where_they_are_needed_is_one_line_and_else_goes_on(frame_bag):
    path = frame_bag(3)
    with pytest.raises(BagError, match="no topic with hand masks; it has /"):
        BagSource(path, hand_masks=HandMaskRequest())
    assert len(frames(path, is_required=False)) == 3


@pytest.mark.parametrize("spec", ["sim:3", "folder", "ros"])
def test_inputs_that_bring_no_masks_say_so(tmp_path, monkeypatch, spec):
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match="masks"):
        cli_sources.open_source(spec, hand_masks=HandMaskRequest())


def test_a_selection_asks_for_masks_only_where_hand_removal_takes_them():
    def asked(tasks: tuple[str, ...], *settings: str) -> HandMaskRequest | None:
        return Selection(tasks, resolve_removal(list(settings))).hand_masks("/m")

    topic = "hand_removal.mask_source=topic"
    assert asked(("reconstruction",), topic) is None
    assert asked(("hand_removal",)) is None
    values = ("hand_removal.mask_values=zero", "hand_removal.mask_timeout_s=0.5")
    assert asked(("hand_removal",), topic, *values) == HandMaskRequest("/m", "zero", 0.5, is_required=True)
    automatic = asked(("hand_removal",), "hand_removal.mask_source=auto")
    assert automatic is not None and not automatic.is_required


def test_masks_come_through_the_general_way_too(bag):
    source = sources.open_source(str(bag(lambda i: (mask(i), 0, 0))), hand_masks=HandMaskRequest())
    assert all(frame.hands is not None for frame in source)  # type: ignore[union-attr]
