"""Hand masks of a recording on the images that they belong to, by the rules of the live node.

Messages come on the recording's own clock, so an image that waited too long for its mask live does so here, every time again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from ego_perception.bag.reader import BagReader, RawMessage
from ego_perception.bag.topics import choose_mask_topic
from ego_perception.data import Frame
from ego_perception.errors import BagError, FrameError
from ego_perception.messages import stamp_ns_of
from ego_perception.messages.hand_removal import decode_hand_mask
from ego_perception.messages.mask_pairing import HandMaskRequest, MaskPairing, PairedImage

_log = logging.getLogger(__name__)
_NS: Final = 1e-9


class HandMasks:
    """Puts the masks of one recording into its frames.

    Args:
        request: None leaves all frames as they are.

    Raises:
        BagError: on construction, no topic with masks where they are required; the message lists what there is.
    """

    def __init__(self, reader: BagReader, request: HandMaskRequest | None) -> None:
        self.topic: str | None = None
        if request is not None:
            self.topic = choose_mask_topic(reader, request.topic, is_required=request.is_required)
        self._reader, self._request = reader, request or HandMaskRequest()
        self._now_s = 0.0
        self._out: list[Frame | Exception] = []
        is_expected, clock = (lambda: self.topic is not None), (lambda: self._now_s)
        self._pairing = MaskPairing(self._give, self._request.timeout_s, is_expected, clock)
        self._warned: set[str] = set()

    def add_frame(self, frame: Frame | Exception, log_time_ns: int) -> None:
        """Take the next image of the recording."""
        self._now_s = log_time_ns * _NS
        if isinstance(frame, Exception):
            self._out.append(frame)
        else:
            self._pairing.add_image(frame.stamp_ns, frame)

    def add_mask(self, raw: RawMessage) -> None:
        """Take the next mask of the recording."""
        self.wait_until(raw.log_time_ns)
        try:
            message = self._reader.decode(raw).message
            self._pairing.add_mask(stamp_ns_of(message) or raw.log_time_ns, message)
        except BagError as error:
            self._warn(str(error))

    def wait_until(self, log_time_ns: int) -> None:
        """Let the recording's clock go on; images that waited long enough go on without a mask."""
        self._now_s = max(self._now_s, log_time_ns * _NS)
        self._pairing.expire()

    def ready(self) -> Iterator[Frame | Exception]:
        """Give the frames that wait for no mask any more."""
        given, self._out = self._out, []
        yield from given

    def rest(self) -> Iterator[Frame | Exception]:
        """Give all frames."""
        self._now_s = float("inf")
        self._pairing.expire()
        return self.ready()

    def _give(self, pair: PairedImage) -> None:
        self._out.append(self._with_mask(pair.image, pair.mask))

    def _with_mask(self, frame: Frame, mask: Any) -> Frame:
        if mask is None:
            return frame
        try:
            return replace(frame, hands=decode_hand_mask(mask, frame.size, self._request.values))
        except FrameError as error:
            self._warn(str(error))
            return frame

    def _warn(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            _log.warning("hand masks on %s: %s; their images count as images without a mask", self.topic, text)
