"""Depth and pose of an image as somebody else knows them, so that the memory is warped by geometry instead of by tracking."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ego_perception.geometry import PinholeCamera


@dataclass(frozen=True, eq=False)
class SceneGeometry:
    """What a reconstruction running beside, an RGB-D camera or a simulator says about one image.

    Only ratios matter: depth and translation may be in any unit as long as it is the same for both and from image to image.

    Attributes:
        stamp_ns: of the image that it belongs to. Geometry of another image than the one it comes with is stale and not used.
        depth: (h, w) float along the optical axis, any size with the image's field of view; not finite or <= 0: unknown.
            Hands need not be left out: what lies in the hole is not read.
        T_world_cam: (4, 4) camera to world; the world must stay the same from image to image.
        camera: intrinsics of the image, of the image's or of the depth map's size.
        world_id: poses of different ids share no world.
    """

    stamp_ns: int
    depth: NDArray[np.floating]
    T_world_cam: NDArray[np.floating]
    camera: PinholeCamera
    world_id: int = 0
