"""What the user may name as input of a command: every recording, and live ROS topics."""

from __future__ import annotations

from typing import Final

from ego_perception import sources
from ego_perception.data.intrinsics import parse_intrinsics
from ego_perception.errors import SourceError
from ego_perception.messages.mask_pairing import HandMaskRequest
from ego_perception.runtime import Source

KINDS: Final = sources.KINDS.replace(" or ", ", ") + " or ros"


def open_source(
    spec: str, *, fps: float | None = None, intrinsics: str | None = None, hand_masks: HandMaskRequest | None = None
) -> Source:
    """Open what the user named; arguments and errors as `sources.open_source`."""
    if spec != "ros":
        return sources.open_source(spec, fps=fps, intrinsics=intrinsics, hand_masks=hand_masks, kinds=KINDS)
    if fps is not None:
        raise SourceError("--fps sets the rate of folders and videos; live topics bring their own stamps")
    if hand_masks is not None and hand_masks.is_required:
        raise SourceError("masks on live topics are taken by the node: ego up hand_removal --ros-args -p mask_source:=topic")
    from ego_perception.ros.source import RosSource

    return sources.calibrated(RosSource(), None if intrinsics is None else parse_intrinsics(intrinsics))
