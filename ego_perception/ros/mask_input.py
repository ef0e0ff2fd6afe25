"""Hand masks from a topic, on the images that they belong to."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Final

from sensor_msgs.msg import Image

from ego_perception.data import Frame
from ego_perception.errors import FrameError
from ego_perception.messages.hand_removal import decode_hand_mask
from ego_perception.messages.mask_pairing import MaskPairing, PairedImage
from ego_perception.messages.stamp import stamp_ns_of
from ego_perception.ros.lifecycle import EgoLifecycleNode

_TOPIC: Final = "hand_mask_in"
_EXPIRY_PERIOD_S: Final = 0.02


class MaskInput:
    """Subscribes `hand_mask_in` while `scope` lives, and lets each image wait for its mask on the way to a pipeline.

    Args:
        submit: of the pipeline; takes `PairedImage`s, and errors as they are.
        is_required: an image without a mask is useless; else it goes on without, and waits only where somebody sends masks.
        timeout_s: how long an image waits.
        values: as of `decode_hand_mask`.
    """

    def __init__(
        self,
        node: EgoLifecycleNode[Any],
        scope: ExitStack,
        submit: Callable[[Any], object],
        *,
        is_required: bool,
        timeout_s: float,
        values: str = "labels",
    ) -> None:
        self._submit = submit
        self._is_required = is_required
        self._timeout_s, self._values = timeout_s, values
        self._topic = node.resolve_topic_name(_TOPIC)
        self._pairing = MaskPairing(submit, timeout_s, lambda: is_required or node.count_publishers(_TOPIC) > 0)
        node.subscription(scope, Image, _TOPIC, self._take)
        node.timer(scope, _EXPIRY_PERIOD_S, self._pairing.expire, steady=True)

    def submit(self, item: Any) -> bool:
        """Take an image message, or an error in place of one."""
        if isinstance(item, Exception):
            self._submit(item)
        else:
            self._pairing.add_image(stamp_ns_of(item), item)
        return True

    def attach(self, frame: Frame, pair: PairedImage) -> Frame:
        """Put the mask of a pair into the frame of its image; call in the worker.

        Raises:
            FrameError: a mask is required, and there is none or one that cannot be used.
        """
        try:
            if pair.mask is None:
                raise FrameError(f"no hand mask on '{self._topic}' within {self._timeout_s:g} s of its image")
            return replace(frame, hands=decode_hand_mask(pair.mask, frame.size, self._values))
        except FrameError:
            if self._is_required:
                raise
            return frame

    def _take(self, message: Any) -> None:
        self._pairing.add_mask(stamp_ns_of(message), message)
