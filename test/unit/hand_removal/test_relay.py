"""What an estimator tells and asks in the middle of a frame, passed on through any number of others."""

from __future__ import annotations

import numpy as np
import pytest
from removal_fakes import frame_with_hand

from ego_perception.data import Frame
from ego_perception.geometry import PinholeCamera
from ego_perception.hand_removal.background.geometry_warp import SceneGeometry
from ego_perception.hand_removal.relay import GeometryGiver, MaskListener, Relay, Speaks

FRAME, OTHER = frame_with_hand(0, 10**18), frame_with_hand(1, 2 * 10**18)
LABELS = np.zeros((72, 96), np.uint8)
GEOMETRY = SceneGeometry(10**18, np.ones((72, 96)), np.eye(4), PinholeCamera.from_fov(96, 72, 1.0))


class Speaker:
    """An estimator that tells and asks."""

    def __init__(self) -> None:
        self.on_mask: MaskListener | None = None
        self.geometry_of: GeometryGiver | None = None


def chain(length: int) -> tuple[Speaker, Relay]:
    speaker = Speaker()
    outer: Relay | Speaker = speaker
    for _ in range(length):
        outer = Relay(outer)
    assert isinstance(outer, Relay)
    return speaker, outer


@pytest.mark.parametrize("length", [1, 2, 5])
def test_each_mask_arrives_once_with_its_own_frame(length: int) -> None:
    speaker, outer = chain(length)
    told: list[tuple[Frame, np.ndarray]] = []
    outer.on_mask = lambda frame, labels: told.append((frame, labels))
    assert speaker.on_mask is not None
    speaker.on_mask(FRAME, LABELS)
    assert len(told) == 1 and told[0][0] is FRAME and told[0][1] is LABELS


@pytest.mark.parametrize("length", [1, 2, 5])
def test_the_answer_comes_back_as_it_was_given(length: int) -> None:
    speaker, outer = chain(length)
    outer.geometry_of = lambda frame: GEOMETRY if frame is FRAME else None
    assert speaker.geometry_of is not None
    assert speaker.geometry_of(FRAME) is GEOMETRY and speaker.geometry_of(OTHER) is None


def test_nobody_need_listen_or_know() -> None:
    speaker, _ = chain(3)
    assert speaker.on_mask is not None and speaker.geometry_of is not None
    speaker.on_mask(FRAME, LABELS)
    assert speaker.geometry_of(FRAME) is None


def test_who_listens_may_change_and_go() -> None:
    speaker, outer = chain(2)
    told: list[str] = []
    assert speaker.on_mask is not None
    for name in ("first", "second"):
        outer.on_mask = lambda frame, labels, name=name: told.append(name)  # type: ignore[misc]
        speaker.on_mask(FRAME, LABELS)
    outer.on_mask = None
    speaker.on_mask(FRAME, LABELS)
    assert told == ["first", "second"]


def test_what_goes_wrong_at_the_listener_is_not_hidden() -> None:
    speaker, outer = chain(2)

    def refuse(frame: Frame) -> SceneGeometry | None:
        raise ValueError(f"no depth at {frame.stamp_ns}")

    outer.geometry_of = refuse
    assert speaker.geometry_of is not None
    with pytest.raises(ValueError, match=f"no depth at {10**18}"):
        speaker.geometry_of(FRAME)


def test_who_does_not_speak_is_left_alone() -> None:
    class Half:
        on_mask = None

    half = Half()
    assert not isinstance(half, Speaks) and isinstance(Relay(half), Speaks)
    assert half.on_mask is None and not hasattr(half, "geometry_of")
    for silent in (None, object(), 3):
        assert Relay(silent).ask_geometry(FRAME) is None


def test_the_inner_ears_belong_to_the_relay() -> None:
    """What somebody had asked of the inner one before is replaced: there is one listener per estimator."""
    speaker = Speaker()
    speaker.geometry_of = lambda frame: GEOMETRY
    Relay(speaker)
    assert speaker.geometry_of(FRAME) is None
