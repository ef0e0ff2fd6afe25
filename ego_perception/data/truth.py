"""Ground truth that rides with a frame, from a simulator or a recording. Evaluation and display read it, no estimator does."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Image = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class BodyTruth:
    """One person in front of the camera, in the recording's world (z up), metres.

    Attributes:
        id: the same person keeps the same id.
        betas: (10,); global_orient (3,) and body_pose (23, 3) rotation vectors; transl (3,), added after skinning.
        joints: (24, 3).
        joint_visible: (24,) bool, True where the joint projects into the image and no other thing hides it.
        vertices: (V, 3) float32, or None where they were not asked for.
        vertex_visible: (V,) bool, or None.
        body_sha256: checksum of the body model that the parameters belong to.
    """

    id: str
    betas: Array
    global_orient: Array
    body_pose: Array
    transl: Array
    joints: Array
    joint_visible: NDArray[np.bool_]
    vertices: NDArray[np.float32] | None = None
    vertex_visible: NDArray[np.bool_] | None = None
    body_sha256: str = ""


@dataclass(frozen=True, eq=False)
class WearerTruth:
    """The wearer's own body.

    Attributes:
        qpos: (76,) and qvel (75,) of the MuJoCo humanoid, see `body.humanoid`.
        joints: (24, 3) SMPL order, world, metres.
        T_world_head: (4, 4) head joint frame to world.
        foot_contact: (2,) bool, left and right foot on the floor.
        finger_curl: (2, 5), 0 straight to 1 fist.
        held: ids of the objects in the left and right hand, empty where none.
        activity: what the wearer does, such as "walk" or "reach".
    """

    qpos: Array
    qvel: Array
    joints: Array
    T_world_head: Array
    foot_contact: NDArray[np.bool_]
    finger_curl: Array
    held: tuple[str, str] = ("", "")
    activity: str = ""


@dataclass(frozen=True, eq=False)
class ObjectTruth:
    """A movable thing.

    Attributes:
        instance: its number in `FrameTruth.instances`.
        T_world_object: (4, 4), origin at the middle of its foot, z up.
        size: (3,) full extent along its own axes, metres.
    """

    id: str
    label: str
    instance: int
    T_world_object: Array
    size: Array


@dataclass(frozen=True, eq=False)
class ExtraView:
    """The same instant from another pose with the frame's intrinsics.

    Attributes:
        rgb: (H, W, 3) uint8; depth: (H, W) float32 metres; T_world_cam: (4, 4).
    """

    rgb: Image
    depth: NDArray[np.float32]
    T_world_cam: Array


@dataclass(frozen=True)
class PhotoTruth:
    """What the simulated camera did to one image: see `simulation.photo` for the order and the formulas."""

    exposure: float = 1.0
    white_balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    noise_std: float = 0.0
    blur_s: float = 0.0
    rolling_shutter_s: float = 0.0
    jpeg_quality: int = 0


@dataclass(frozen=True, eq=False)
class FrameTruth:
    """Ground truth of one frame; what is None is not known.

    Attributes:
        depth: (H, W) float32 metres along the optical axis, 0 where unknown.
        T_world_cam: (4, 4) camera-to-world in the recording's own world, metres, optical axes.
        classes: (H, W) uint8 `SceneLabel` values.
        instances: (H, W) uint16; 0 nothing, else the number of the thing, see `instance_names`.
        clean: (H, W, 3) uint8 without the wearer, or without hands and arms only (`ProductsConfig.clean_of`), and without the
            wearer's shadow; `clean_depth` (H, W) float32 belongs to it.
        clean_shadowed: (H, W, 3) uint8 without the wearer, but with the shadow: the target for who only sees a mask.
        background: (H, W, 3) uint8 and `background_depth` (H, W) float32: neither wearer nor people nor held objects.
        flow: (H, W, 2) float32 pixels from this frame to the next; NaN where unknown.
        scene_flow: (H, W, 3) float32 metres, world axes: motion of the surface point until the next frame; NaN where unknown.
        views: the same instant from other cameras.
        bodies, wearer, objects: people in front, the wearer, movable things.
        photo: what the camera did to the image.
    """

    depth: NDArray[np.float32] | None = None
    T_world_cam: Array | None = None
    classes: Image | None = None
    instances: NDArray[np.uint16] | None = None
    clean: Image | None = None
    clean_depth: NDArray[np.float32] | None = None
    clean_shadowed: Image | None = None
    background: Image | None = None
    background_depth: NDArray[np.float32] | None = None
    flow: NDArray[np.float32] | None = None
    scene_flow: NDArray[np.float32] | None = None
    views: tuple[ExtraView, ...] = ()
    bodies: tuple[BodyTruth, ...] = ()
    wearer: WearerTruth | None = None
    objects: tuple[ObjectTruth, ...] = ()
    photo: PhotoTruth | None = field(default=None)
