"""The way back: messages of hand removal's topics, put together by stamp to the estimates they were made of."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ego_perception.data import Frame
from ego_perception.data.hand_removal import HandRemovalEstimate, RemovalState
from ego_perception.errors import EgoPerceptionError
from ego_perception.messages.hand_removal import RemovalTopic
from ego_perception.messages.image import frame_from_image, image_view
from ego_perception.messages.stamp import stamp_ns_of

LISTENED: Final = (RemovalTopic.IMAGE, RemovalTopic.PROVENANCE_IMAGE, RemovalTopic.HAND_MASK, RemovalTopic.STATUS)
_WITHHELD: Final = "withheld: "
_CAPACITY: Final = 24


@dataclass
class _Parts:
    messages: dict[RemovalTopic, Any] = field(default_factory=dict)


class RemovalAssembler:
    """Collects messages by stamp. Confidence and age are not listened to, so the estimates lack them.

    Args:
        max_age_s: where nothing came for a frame, what came for an older one serves up to this age; 0 asks for the very frame.
    """

    def __init__(self, max_age_s: float = 0.0) -> None:
        self._max_age_s = max_age_s
        self._parts: OrderedDict[int, _Parts] = OrderedDict()
        self._frames: OrderedDict[int, Frame] = OrderedDict()
        self._state, self._reason = RemovalState.UNKNOWN, ""

    def add(self, topic: RemovalTopic, msg: Any) -> None:
        """Take one output message of the node."""
        if topic is RemovalTopic.STATUS:
            # A node in the error state has no image to trust either.
            self._state = RemovalState(min(int(msg.state), RemovalState.WITHHELD))
            self._reason = str(msg.reason).removeprefix(_WITHHELD)
            return
        self._parts.setdefault(stamp_ns_of(msg), _Parts()).messages[topic] = msg
        while len(self._parts) > _CAPACITY:
            self._parts.popitem(last=False)

    def estimate_of(self, frame: Frame) -> HandRemovalEstimate | None:
        """What hand removal said about a frame, or lately; None where it said nothing."""
        self._frames[frame.stamp_ns] = frame
        while len(self._frames) > _CAPACITY:
            self._frames.popitem(last=False)
        stamp_ns = self._newest(frame.stamp_ns)
        if stamp_ns is not None:
            try:
                return self._assemble(self._frames[stamp_ns], self._parts[stamp_ns])
            except EgoPerceptionError as error:
                return HandRemovalEstimate(frame, RemovalState.WITHHELD, str(error))
        if self._state is RemovalState.WITHHELD:
            return HandRemovalEstimate(frame, RemovalState.WITHHELD, self._reason)
        return None

    def _newest(self, stamp_ns: int) -> int | None:
        near = [s for s in self._parts if s in self._frames and 0 <= stamp_ns - s <= self._max_age_s * 1e9]
        return max(filter(self._is_settled, near), default=None)

    def _is_settled(self, stamp_ns: int) -> bool:
        """False where the mask came, which is sent first, and the image may still be on its way."""
        is_whole = self._parts[stamp_ns].messages.keys() >= {RemovalTopic.IMAGE, RemovalTopic.PROVENANCE_IMAGE}
        return is_whole or self._state is RemovalState.WITHHELD or stamp_ns < max(self._parts)

    def _assemble(self, frame: Frame, parts: _Parts) -> HandRemovalEstimate:
        image, provenance = (parts.messages.get(t) for t in (RemovalTopic.IMAGE, RemovalTopic.PROVENANCE_IMAGE))
        mask = parts.messages.get(RemovalTopic.HAND_MASK)
        found = HandRemovalEstimate(
            frame, RemovalState.WITHHELD, self._reason, hand_mask=None if mask is None else image_view(mask)
        )
        if image is None or provenance is None:
            return found
        is_degraded = self._state is RemovalState.DEGRADED
        return replace(
            found,
            state=RemovalState.DEGRADED if is_degraded else RemovalState.CLEAN,
            reason=self._reason if is_degraded else "",
            image=frame_from_image(image).rgb,
            provenance=image_view(provenance),
        )
