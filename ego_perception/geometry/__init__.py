"""Rigid geometry, cameras and alignment; numpy only. Frames and units: metres, radians, optical camera axes."""

from ego_perception.geometry.alignment import Similarity, umeyama
from ego_perception.geometry.camera import DistortionModel, PinholeCamera
from ego_perception.geometry.transforms import (
    R_FLU_OPTICAL,
    invert,
    make_transform,
    matrix_from_quat_xyzw,
    quat_xyzw_from_matrix,
    so3_exp,
    so3_log,
    transform_points,
)

__all__ = [
    "R_FLU_OPTICAL",
    "DistortionModel",
    "PinholeCamera",
    "Similarity",
    "invert",
    "make_transform",
    "matrix_from_quat_xyzw",
    "quat_xyzw_from_matrix",
    "so3_exp",
    "so3_log",
    "transform_points",
    "umeyama",
]
