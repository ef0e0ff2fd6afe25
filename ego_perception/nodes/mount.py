"""Where the camera sits on the head, from the parameters that every node with TF frames has."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ego_perception.errors import ConfigError
from ego_perception.geometry import make_transform
from ego_perception.nodes.config import FramesConfig


def mount_of(frames: FramesConfig) -> NDArray[np.float64]:
    """The (4, 4) transform from `camera_link` to `head_link`.

    Raises:
        ConfigError: a position or rotation without three numbers.
    """
    if len(frames.camera_position_m) != 3 or len(frames.camera_rpy_rad) != 3:
        raise ConfigError("frames.camera_position_m and frames.camera_rpy_rad take three numbers each")
    return make_transform(Rotation.from_euler("xyz", frames.camera_rpy_rad).as_matrix(), frames.camera_position_m)
