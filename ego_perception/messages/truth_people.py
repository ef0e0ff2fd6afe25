"""Bodies, people in the image, the wearer and movable things, as messages and back.

Positions and rotations are in the truth's world (z up). `BodyArray` holds 32-bit numbers, so parameters and joints of bodies
come back rounded to them; everything else comes back as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ego_perception.body.humanoid_state import HINGE_NAMES
from ego_perception.body.skeleton import HUMANOID_FROM_SMPL, HUMANOID_NAMES, JOINT_NAMES, NUM_JOINTS, PARENTS
from ego_perception.data import BodyTruth, ObjectTruth, WearerTruth
from ego_perception.errors import FrameError
from ego_perception.geometry import DistortionModel, PinholeCamera, invert, transform_points
from ego_perception.messages.factory import MessageFactory, make_header
from ego_perception.messages.poses import matrix_from_pose, pose_fields

Array = NDArray[np.float64]

BODY_MODEL: Final = "SMPL format, 24 joints"
FINGER_NAMES: Final = tuple(
    f"{side}_{finger}_curl" for side in ("left", "right") for finger in ("thumb", "index", "middle", "ring", "little")
)
KEYPOINTS: Final[dict[str, int]] = {
    "neck": 12, "right_shoulder": 17, "right_elbow": 19, "right_wrist": 21, "left_shoulder": 16, "left_elbow": 18,
    "left_wrist": 20, "mid_hip": 0, "right_hip": 2, "right_knee": 5, "right_ankle": 8, "left_hip": 1, "left_knee": 4,
    "left_ankle": 7,
}  # fmt: skip
"""Joint of each key point: those of OpenPose's BODY_25 that the skeleton has."""
GROUND: Final = "ground"
_FEET: Final = ("L_Ankle", "R_Ankle")
_HANDS: Final = ("L_Hand", "R_Hand")
_TRACKING: Final = 1
_JOINTS_BOX_MARGIN: Final = 0.15
"""A box around joints alone grows by this share of its larger side, which is about what flesh adds."""


def bodies_message(factory: MessageFactory, bodies: Sequence[BodyTruth], stamp_ns: int, frame_id: str, boxes: list[Any]) -> Any:
    """Make a `BodyArray`: one sample of weight 1 per body; `boxes` as `person_boxes` gives them."""
    return factory.make(
        "ego_msgs/msg/BodyArray",
        header=make_header(factory, stamp_ns, frame_id),
        body_model=BODY_MODEL,
        body_model_sha256=bodies[0].body_sha256 if bodies else "",
        joint_names=list(JOINT_NAMES),
        joint_parents=np.array(PARENTS, np.int16),
        bodies=[_body(factory, body, box) for body, box in zip(bodies, boxes, strict=True)],
    )


def bodies_from(msg: Any) -> tuple[BodyTruth, ...]:
    """Read a `BodyArray` of ground truth; which vertices are visible is not part of it.

    Raises:
        FrameError: a body without a sample, or arrays of other lengths than the skeleton's.
    """
    return tuple(_read_body(body, str(msg.body_model_sha256)) for body in msg.bodies)


def people_message(
    factory: MessageFactory,
    bodies: Sequence[BodyTruth],
    camera: PinholeCamera,
    T_world_cam: Array,
    stamp_ns: int,
    frame_id: str,
) -> Any:
    """Make a `Person2DArray`: boxes, and the key points of BODY_25 that joints stand for; score 1 where visible, else 0."""
    boxes = person_boxes(factory, bodies, camera, T_world_cam)
    return factory.make(
        "ego_msgs/msg/Person2DArray",
        header=make_header(factory, stamp_ns, frame_id),
        image_width=camera.width,
        image_height=camera.height,
        people=[_person(factory, body, box, camera, T_world_cam) for body, box in zip(bodies, boxes, strict=True)],
    )


def person_boxes(factory: MessageFactory, bodies: Sequence[BodyTruth], camera: PinholeCamera, T_world_cam: Array) -> list[Any]:
    """A `RegionOfInterest` for each body, whether hidden or not, cut at the image border; empty where it is out of view.

    It is the box of the vertices where they are known, else that of the joints with a margin.
    """
    return [_box(factory, body, camera, T_world_cam) for body in bodies]


def wearer_message(factory: MessageFactory, wearer: WearerTruth, stamp_ns: int, frame_id: str) -> Any:
    """Make a `HumanoidState`: contacts are feet on the ground and hands on what they hold."""
    q, v = wearer.qpos, wearer.qvel
    twist = factory.make("geometry_msgs/msg/Twist", linear=_vector(factory, v[:3]), angular=_vector(factory, v[3:6]))
    pose = factory.make(
        "geometry_msgs/msg/Pose",
        position=_point(factory, q[:3]),
        orientation=factory.make("geometry_msgs/msg/Quaternion", w=float(q[3]), x=float(q[4]), y=float(q[5]), z=float(q[6])),
    )
    return factory.make(
        "ego_msgs/msg/HumanoidState",
        header=make_header(factory, stamp_ns, frame_id),
        state=_TRACKING,
        activity=wearer.activity,
        root_pose=pose,
        root_velocity=twist,
        joint_names=list(HINGE_NAMES),
        joint_position=np.ascontiguousarray(q[7:], np.float64),
        joint_velocity=np.ascontiguousarray(v[6:], np.float64),
        body_names=list(HUMANOID_NAMES),
        body_positions=[_point(factory, wearer.joints[j]) for j in HUMANOID_FROM_SMPL],
        contacts=_contacts(factory, wearer),
    )


def wearer_from(state: Any, head: Any | None = None, fingers: Any | None = None) -> WearerTruth:
    """Put the wearer together again.

    Args:
        state: a `HumanoidState`. head: the PoseStamped of the head, else its joint with world axes.
        fingers: the JointState of finger curls, else straight fingers.

    Raises:
        FrameError: joints or bodies of another humanoid.
    """
    if tuple(state.joint_names) != HINGE_NAMES or tuple(state.body_names) != HUMANOID_NAMES:
        raise FrameError(f"{len(state.joint_names)} joints and {len(state.body_names)} bodies are not those of the humanoid")
    p, q, v = state.root_pose.position, state.root_pose.orientation, state.root_velocity
    root = [p.x, p.y, p.z, q.w, q.x, q.y, q.z]
    speed = [v.linear.x, v.linear.y, v.linear.z, v.angular.x, v.angular.y, v.angular.z]
    joints = np.empty((NUM_JOINTS, 3))
    joints[list(HUMANOID_FROM_SMPL)] = [(point.x, point.y, point.z) for point in state.body_positions]
    touching = {str(contact.body): str(contact.other) for contact in state.contacts}
    T_world_head = np.eye(4)
    T_world_head[:3, 3] = joints[JOINT_NAMES.index("head")]
    return WearerTruth(
        qpos=np.concatenate([root, np.asarray(state.joint_position, np.float64)]),
        qvel=np.concatenate([speed, np.asarray(state.joint_velocity, np.float64)]),
        joints=joints,
        T_world_head=T_world_head if head is None else matrix_from_pose(head),
        foot_contact=np.array([touching.get(foot) == GROUND for foot in _FEET]),
        finger_curl=np.zeros((2, 5)) if fingers is None else np.array(fingers.position, np.float64).reshape(2, 5),
        held=(touching.get(_HANDS[0], ""), touching.get(_HANDS[1], "")),
        activity=str(state.activity),
    )


def fingers_message(factory: MessageFactory, wearer: WearerTruth, stamp_ns: int, frame_id: str) -> Any:
    """Make a `JointState` of finger curls, 0 straight to 1 a fist.

    Velocity and effort are NaN rather than empty: ROS pads an empty array of doubles at the end of a message, and rosbags then
    cannot read it.
    """
    unknown = np.full(len(FINGER_NAMES), np.nan)
    return factory.make(
        "sensor_msgs/msg/JointState",
        header=make_header(factory, stamp_ns, frame_id),
        name=list(FINGER_NAMES),
        position=np.ascontiguousarray(wearer.finger_curl, np.float64).reshape(-1),
        velocity=unknown,
        effort=unknown,
    )


def objects_message(factory: MessageFactory, objects: Sequence[ObjectTruth], stamp_ns: int, frame_id: str) -> Any:
    """Make a `SceneObjectArray` of movable things."""
    return factory.make(
        "ego_msgs/msg/SceneObjectArray",
        header=make_header(factory, stamp_ns, frame_id),
        objects=[
            factory.make(
                "ego_msgs/msg/SceneObject",
                id=thing.id,
                label=thing.label,
                score=1.0,
                pose=factory.make("geometry_msgs/msg/PoseWithCovariance", pose=pose_fields(factory, thing.T_world_object)),
                size=_vector(factory, thing.size),
            )
            for thing in objects
        ],
    )


def objects_from(msg: Any, instance_names: Sequence[str]) -> tuple[ObjectTruth, ...]:
    """Read a `SceneObjectArray`; an object's number is where its id stands among `instance_names`, 0 where it does not."""
    numbers = {name: number for number, name in enumerate(instance_names)}
    return tuple(
        ObjectTruth(
            id=str(thing.id),
            label=str(thing.label),
            instance=numbers.get(str(thing.id), 0),
            T_world_object=matrix_from_pose(thing.pose),
            size=np.array([thing.size.x, thing.size.y, thing.size.z]),
        )
        for thing in msg.objects
    )


def project(camera: PinholeCamera, points: NDArray[np.floating]) -> Array:
    """Pixels (N, 2) of points (N, 3) in optical axes, through the lens; NaN behind the camera."""
    if not camera.is_distorted:
        return np.asarray(camera.project(points), np.float64)
    front = points[:, 2] > 1e-6
    out = np.full((len(points), 2), np.nan)
    if front.any():
        xyz, none, D = np.ascontiguousarray(points[front, None], np.float64), np.zeros(3), np.array(camera.distortion)
        if camera.distortion_model is DistortionModel.EQUIDISTANT:
            pixels, _ = cv2.fisheye.projectPoints(xyz, none, none, camera.K, D)
        else:
            pixels, _ = cv2.projectPoints(xyz, none, none, camera.K, D)
        out[front] = np.asarray(pixels).reshape(-1, 2)
    return out


def _body(factory: MessageFactory, body: BodyTruth, box: Any) -> Any:
    none = np.zeros(0, np.float32)
    sample = factory.make(
        "ego_msgs/msg/BodySample",
        weight=1.0,
        global_orient=_float32(body.global_orient),
        transl=_float32(body.transl),
        body_pose=_float32(body.body_pose),
        joints=_float32(body.joints),
        vertices=none if body.vertices is None else _float32(body.vertices),
    )
    return factory.make(
        "ego_msgs/msg/Body",
        id=body.id,
        score=1.0,
        box=box,
        betas=_float32(body.betas),
        joint_visibility=_float32(body.joint_visible),
        samples=[sample],
    )


def _read_body(body: Any, sha256: str) -> BodyTruth:
    if not body.samples:
        raise FrameError(f"body '{body.id}' has no sample")
    sample = body.samples[0]
    sizes = [np.size(a) for a in (sample.body_pose, sample.joints, body.joint_visibility)]
    if sizes != [3 * (NUM_JOINTS - 1), 3 * NUM_JOINTS, NUM_JOINTS]:
        raise FrameError(f"body '{body.id}' has arrays of {sizes} numbers, not those of {NUM_JOINTS} joints")
    vertices = np.asarray(sample.vertices, np.float32).reshape(-1, 3)
    return BodyTruth(
        id=str(body.id),
        betas=np.array(body.betas, np.float64),
        global_orient=np.array(sample.global_orient, np.float64),
        body_pose=np.array(sample.body_pose, np.float64).reshape(-1, 3),
        transl=np.array(sample.transl, np.float64),
        joints=np.array(sample.joints, np.float64).reshape(-1, 3),
        joint_visible=np.asarray(body.joint_visibility) > 0.5,
        vertices=vertices if len(vertices) else None,
        body_sha256=sha256,
    )


def _person(factory: MessageFactory, body: BodyTruth, box: Any, camera: PinholeCamera, T_world_cam: Array) -> Any:
    joints = list(KEYPOINTS.values())
    pixels = project(camera, transform_points(invert(T_world_cam), body.joints[joints]))
    scores = body.joint_visible[joints] & np.isfinite(pixels).all(axis=1)
    return factory.make(
        "ego_msgs/msg/Person2D",
        id=body.id,
        score=1.0,
        box=box,
        keypoint_names=list(KEYPOINTS),
        keypoints_px=_float32(np.nan_to_num(pixels, nan=0.0)),
        keypoint_scores=_float32(scores),
    )


def _box(factory: MessageFactory, body: BodyTruth, camera: PinholeCamera, T_world_cam: Array) -> Any:
    shape = body.joints if body.vertices is None else body.vertices.astype(np.float64)
    pixels = project(camera, transform_points(invert(T_world_cam), shape))
    pixels = pixels[np.isfinite(pixels).all(axis=1)]
    if len(pixels) == 0:
        return factory.make("sensor_msgs/msg/RegionOfInterest")
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    margin = _JOINTS_BOX_MARGIN * float((high - low).max()) if body.vertices is None else 0.0
    size = np.array([camera.width, camera.height])
    # A pixel covers half a unit to each side of its integer centre.
    start = np.clip(np.floor(low - margin + 0.5), 0, size).astype(int)
    end = np.clip(np.ceil(high + margin + 0.5), 0, size).astype(int)
    if (end <= start).any():
        return factory.make("sensor_msgs/msg/RegionOfInterest")
    width, height = (int(x) for x in end - start)
    return factory.make(
        "sensor_msgs/msg/RegionOfInterest", x_offset=int(start[0]), y_offset=int(start[1]), width=width, height=height
    )


def _contacts(factory: MessageFactory, wearer: WearerTruth) -> list[Any]:
    feet = [
        (foot, GROUND, wearer.joints[HUMANOID_FROM_SMPL[HUMANOID_NAMES.index(foot)]] * (1, 1, 0))
        for foot, is_down in zip(_FEET, wearer.foot_contact, strict=True)
        if is_down
    ]
    hands = [
        (hand, thing, wearer.joints[HUMANOID_FROM_SMPL[HUMANOID_NAMES.index(hand)]])
        for hand, thing in zip(_HANDS, wearer.held, strict=True)
        if thing
    ]
    up = _vector(factory, np.array([0.0, 0.0, 1.0]))
    nowhere = factory.make("geometry_msgs/msg/Vector3")
    return [
        factory.make(
            "ego_msgs/msg/Contact",
            body=body,
            other=other,
            position=_point(factory, position),
            normal=up if other == GROUND else nowhere,
            probability=1.0,
        )
        for body, other, position in [*feet, *hands]
    ]


def _float32(values: NDArray[Any]) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, np.float32).reshape(-1)


def _vector(factory: MessageFactory, v: Array) -> Any:
    return factory.make("geometry_msgs/msg/Vector3", x=float(v[0]), y=float(v[1]), z=float(v[2]))


def _point(factory: MessageFactory, p: Array) -> Any:
    return factory.make("geometry_msgs/msg/Point", x=float(p[0]), y=float(p[1]), z=float(p[2]))
