"""Ground truth of a frame as messages, one topic at a time, so that what nobody asked for is never built."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ego_perception.data import Frame, FrameTruth
from ego_perception.data.scene_truth import SceneTruth
from ego_perception.messages import truth_people as people
from ego_perception.messages.factory import MessageFactory, make_header
from ego_perception.messages.image_encode import image_message
from ego_perception.messages.poses import pose_message, tf_message, transform_message
from ego_perception.messages.truth_scene import names_message, normals_message
from ego_perception.messages.truth_topics import TRUTH_CAMERA_FRAME, TRUTH_WORLD_FRAME, TruthTopic

TRUTH_IMAGES: Final = {
    TruthTopic.CLASSES: ("classes", "mono8"),
    TruthTopic.INSTANCES: ("instances", "mono16"),
    TruthTopic.CLEAN: ("clean", "rgb8"),
    TruthTopic.CLEAN_SHADOWED: ("clean_shadowed", "rgb8"),
    TruthTopic.BACKGROUND: ("background", "rgb8"),
    TruthTopic.FLOW: ("flow", "32FC2"),
    TruthTopic.SCENE_FLOW: ("scene_flow", "32FC3"),
}
"""Field of the truth and encoding, by topic."""
TRUTH_DEPTHS: Final = {
    TruthTopic.DEPTH: "depth",
    TruthTopic.CLEAN_DEPTH: "clean_depth",
    TruthTopic.BACKGROUND_DEPTH: "background_depth",
}


class TruthMessages:
    """Makes the messages of one frame's truth; a builder gives None where the frame does not know.

    Args:
        frame: with its truth and, for `sim/people`, its camera.
    """

    def __init__(self, factory: MessageFactory, frame: Frame) -> None:
        self._factory = factory
        self._frame = frame
        self._truth = frame.truth or FrameTruth()

    def build(self, topic: TruthTopic) -> Any | None:
        """Make the message of one topic of `FRAME_TOPICS`."""
        if topic in TRUTH_IMAGES:
            name, encoding = TRUTH_IMAGES[topic]
            return self._image(getattr(self._truth, name), encoding)
        if topic in TRUTH_DEPTHS:
            return self._depth(getattr(self._truth, TRUTH_DEPTHS[topic]))
        builders: dict[TruthTopic, Callable[[], Any | None]] = {
            TruthTopic.POSE: self._pose,
            TruthTopic.BODIES: self._bodies,
            TruthTopic.PEOPLE: self._people,
            TruthTopic.WEARER: self._wearer,
            TruthTopic.HEAD: self._head,
            TruthTopic.FINGERS: self._fingers,
            TruthTopic.OBJECTS: self._objects,
            TruthTopic.PHOTO: self._photo,
        }
        return builders[topic]()

    def transforms(self) -> Any | None:
        """Make the TFMessage of the world to the true camera."""
        T = self._truth.T_world_cam
        if T is None:
            return None
        edge = transform_message(self._factory, T, self._frame.stamp_ns, TRUTH_WORLD_FRAME, TRUTH_CAMERA_FRAME)
        return tf_message(self._factory, [edge])

    @property
    def _is_simulated(self) -> bool:
        """True where no body and no object means that there is none, and not that nobody knows."""
        return self._truth.classes is not None

    def _image(self, pixels: NDArray[Any] | None, encoding: str) -> Any | None:
        if pixels is None:
            return None
        return image_message(self._factory, pixels, encoding, self._frame.stamp_ns, self._frame.frame_id)

    def _depth(self, depth: NDArray[np.float32] | None) -> Any | None:
        # Unknown depth is NaN in messages (REP-118) and zero in a FrameTruth.
        return None if depth is None else self._image(np.where(depth > 0, depth, np.float32(np.nan)), "32FC1")

    def _pose(self) -> Any | None:
        T = self._truth.T_world_cam
        return None if T is None else pose_message(self._factory, T, self._frame.stamp_ns, TRUTH_WORLD_FRAME)

    def _bodies(self) -> Any | None:
        bodies, camera, T = self._truth.bodies, self._frame.camera, self._truth.T_world_cam
        if camera is None or T is None or not (bodies or self._is_simulated):
            return None
        boxes = people.person_boxes(self._factory, bodies, camera, T)
        return people.bodies_message(self._factory, bodies, self._frame.stamp_ns, TRUTH_WORLD_FRAME, boxes)

    def _people(self) -> Any | None:
        frame, bodies, T = self._frame, self._truth.bodies, self._truth.T_world_cam
        if frame.camera is None or T is None or not (bodies or self._is_simulated):
            return None
        return people.people_message(self._factory, bodies, frame.camera, T, frame.stamp_ns, frame.frame_id)

    def _wearer(self) -> Any | None:
        wearer = self._truth.wearer
        return None if wearer is None else people.wearer_message(self._factory, wearer, self._frame.stamp_ns, TRUTH_WORLD_FRAME)

    def _head(self) -> Any | None:
        wearer, stamp_ns = self._truth.wearer, self._frame.stamp_ns
        return None if wearer is None else pose_message(self._factory, wearer.T_world_head, stamp_ns, TRUTH_WORLD_FRAME)

    def _fingers(self) -> Any | None:
        wearer = self._truth.wearer
        return (
            None if wearer is None else people.fingers_message(self._factory, wearer, self._frame.stamp_ns, TRUTH_WORLD_FRAME)
        )

    def _objects(self) -> Any | None:
        if not (self._truth.objects or self._is_simulated):
            return None
        return people.objects_message(self._factory, self._truth.objects, self._frame.stamp_ns, TRUTH_WORLD_FRAME)

    def _photo(self) -> Any | None:
        photo, make = self._truth.photo, self._factory.make
        if photo is None:
            return None
        values = [
            make("diagnostic_msgs/msg/KeyValue", key=f.name, value=json.dumps(getattr(photo, f.name))) for f in fields(photo)
        ]
        status = make("diagnostic_msgs/msg/DiagnosticStatus", level=b"\x00", name="photo", values=values)
        header = make_header(self._factory, self._frame.stamp_ns, "")
        return make("diagnostic_msgs/msg/DiagnosticArray", header=header, status=[status])


def scene_message(factory: MessageFactory, scene: SceneTruth, topic: TruthTopic, stamp_ns: int) -> Any | None:
    """Make the message of one topic of `SCENE_TOPICS`, None where the scene does not know."""
    if topic is TruthTopic.INSTANCE_NAMES:
        return names_message(factory, scene.instance_names) if scene.instance_names else None
    if len(scene.points) == 0:
        return None
    return normals_message(factory, scene.points, scene.normals, stamp_ns, TRUTH_WORLD_FRAME)
