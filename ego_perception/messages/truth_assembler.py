"""The way back: messages of ground truth, put together by stamp to what they were made of."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ego_perception.data import FrameTruth, PhotoTruth
from ego_perception.data.scene_truth import SceneTruth
from ego_perception.errors import EgoPerceptionError, FrameError
from ego_perception.messages import truth_people as people
from ego_perception.messages.image import decode_depth, image_view
from ego_perception.messages.poses import matrix_from_pose
from ego_perception.messages.truth import TRUTH_DEPTHS, TRUTH_IMAGES
from ego_perception.messages.truth_scene import names_from, normals_from
from ego_perception.messages.truth_topics import TruthTopic

Messages = Mapping[TruthTopic, Any]


class TruthAssembler:
    """Reads truth back: the messages of one stamp become a `FrameTruth`, latched ones the `SceneTruth`.

    Topics have no messages for extra views and for the visibility of vertices; an object's instance number needs the names.

    Args:
        warn: told in one line of a message that cannot be used; its part of the truth is left out.

    Attributes:
        scene: what was latched so far.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self.scene: SceneTruth | None = None

    def take_scene(self, topic: TruthTopic, msg: Any) -> None:
        """Take a latched message."""
        scene = self.scene or SceneTruth.named(())
        try:
            if topic is TruthTopic.INSTANCE_NAMES:
                self.scene = replace(scene, instance_names=names_from(msg))
            else:
                points, normals = normals_from(msg)
                self.scene = replace(scene, points=points, normals=normals)
        except (FrameError, AttributeError) as error:
            self._warn(f"ground truth on {topic.value} cannot be used: {error}")

    def frame_truth(self, messages: Messages) -> FrameTruth | None:
        """Put the messages of one stamp together; None where nothing of them can be used."""
        found: dict[str, Any] = {}
        for topic in messages:
            try:
                found |= self._read(topic, messages)
            except (EgoPerceptionError, AttributeError, TypeError, ValueError) as error:
                self._warn(f"ground truth on {topic.value} cannot be used: {error}")
        return FrameTruth(**found) if found else None

    def _read(self, topic: TruthTopic, messages: Messages) -> dict[str, Any]:
        """The fields that one topic settles; people follow from the bodies, head and fingers belong to the wearer."""
        msg = messages[topic]
        if topic in TRUTH_IMAGES:
            name, encoding = TRUTH_IMAGES[topic]
            if msg.encoding != encoding:
                raise FrameError(f"its encoding is '{msg.encoding}', not '{encoding}'")
            return {name: image_view(msg)}
        if topic in TRUTH_DEPTHS:
            return {TRUTH_DEPTHS[topic]: np.nan_to_num(decode_depth(msg), nan=0.0)}
        readers: dict[TruthTopic, tuple[str, Callable[[Messages], Any]]] = {
            TruthTopic.POSE: ("T_world_cam", lambda m: matrix_from_pose(m[TruthTopic.POSE])),
            TruthTopic.BODIES: ("bodies", lambda m: people.bodies_from(m[TruthTopic.BODIES])),
            TruthTopic.WEARER: ("wearer", _wearer_from),
            TruthTopic.OBJECTS: ("objects", self._objects_from),
            TruthTopic.PHOTO: ("photo", lambda m: _photo_from(m[TruthTopic.PHOTO])),
        }
        if topic not in readers:
            return {}
        name, read = readers[topic]
        return {name: read(messages)}

    def _objects_from(self, messages: Messages) -> Any:
        return people.objects_from(messages[TruthTopic.OBJECTS], self.scene.instance_names if self.scene else ())


def _wearer_from(messages: Messages) -> Any:
    return people.wearer_from(messages[TruthTopic.WEARER], messages.get(TruthTopic.HEAD), messages.get(TruthTopic.FINGERS))


def _photo_from(msg: Any) -> PhotoTruth:
    values: dict[str, Any] = {str(pair.key): json.loads(pair.value) for status in msg.status for pair in status.values}
    given: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return PhotoTruth(**given)
