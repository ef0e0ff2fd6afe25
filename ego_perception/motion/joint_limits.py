"""Whether joints stay within their range, also where three angles about fixed axes are not unique."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ego_perception.body.limits import JOINT_LIMITS, joint_angles, limit_violation
from ego_perception.motion.curves import wrap_angle
from ego_perception.motion.rotations import about, transposed

Array = NDArray[np.float64]

LOCK_RAD = 0.1
"""Near gimbal lock, turns as small as this about the lost axis show as large angles; they do not count."""


def joint_excess(rotations: Array) -> Array:
    """How far each joint is outside its range, (..., 24) radians.

    A bend of about a quarter turn about y leaves the first and third angle free against each other (gimbal lock). There the
    whole turn is given to the first angle, and the rotation that this leaves unexplained counts as excess beyond `LOCK_RAD`.

    Args:
        rotations: (..., 24, 3, 3) local rotations.
    """
    plain = limit_violation(rotations)
    if not plain.any():
        return plain
    a, b, c = np.moveaxis(joint_angles(rotations), -1, 0)
    a = wrap_angle(a + np.sign(b) * c)
    for bend in (b, np.sign(b) * np.pi - b):
        near = about("x", a) @ about("y", bend)
        cosine = 0.5 * (np.trace(transposed(near) @ rotations, axis1=-2, axis2=-1) - 1.0)
        over = [np.maximum(JOINT_LIMITS[:, k, 0] - x, x - JOINT_LIMITS[:, k, 1]) for k, x in enumerate((a, bend))]
        unexplained = np.arccos(np.clip(cosine, -1.0, 1.0))
        plain = np.minimum(plain, np.maximum(unexplained - LOCK_RAD, 0.0) + np.maximum(np.maximum(*over), 0.0))
    return plain
