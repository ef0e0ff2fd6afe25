"""How the camera sits on the wearer's head."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ego_perception.body.model import BodyModel
from ego_perception.body.skeleton import joint_index
from ego_perception.body.state import JointFrames
from ego_perception.geometry import make_transform

Array = NDArray[np.float64]

HEAD = joint_index("head")
UP_M, FORWARD_M = 0.085, 0.115
NOSE_GAP_M = 0.006
"""The camera is at least this far ahead of the tip of the nose, so that no part of the face is before it."""
PITCH_DEG = (-25.0, -8.0)


@dataclass(frozen=True)
class CameraMount:
    """Place and tilt of the camera in the frame of the head joint.

    Attributes:
        pitch_rad: negative looks down.
    """

    up_m: float = UP_M
    forward_m: float = FORWARD_M
    pitch_rad: float = math.radians(-15.0)

    @cached_property
    def T_head_cam(self) -> Array:
        """(4, 4) optical camera axes to the head joint's frame (x to the left, y up, z forward)."""
        c, s = math.cos(self.pitch_rad), math.sin(self.pitch_rad)
        # Columns: right, down and forward of the camera.
        R = np.array([[-1.0, 0.0, 0.0], [0.0, -c, s], [0.0, s, c]])
        return make_transform(R, (0.0, self.up_m, self.forward_m))


def draw_mount(rng: np.random.Generator, model: BodyModel, betas: Array) -> CameraMount:
    """Choose a mount: just before the forehead, tilted down as such cameras are."""
    vertices, rest = model.shaped(betas), model.rest_joints(betas)
    face = vertices[model.weights.argmax(axis=1) == HEAD]
    nose = float(face[:, 2].max() - rest[HEAD, 2])
    return CameraMount(UP_M, max(FORWARD_M, nose + NOSE_GAP_M), math.radians(float(rng.uniform(*PITCH_DEG))))


def head_camera(frames: JointFrames, mount: CameraMount) -> Array:
    """(..., 4, 4) camera-to-world poses of a camera on the head of posed people.

    Args:
        frames: joints of one state or of many.
    """
    T = np.zeros((*frames.positions.shape[:-2], 4, 4))
    T[..., :3, :3] = frames.rotations[..., HEAD, :, :]
    T[..., :3, 3] = frames.positions[..., HEAD, :]
    T[..., 3, 3] = 1.0
    return T @ mount.T_head_cam
