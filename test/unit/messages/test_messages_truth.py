"""Ground truth as messages: what is built says what the truth says, and comes back as it was."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fixtures.truth_frames import body_truth, full_frame, scene_truth

from ego_perception.bag import RosbagsFactory, jazzy_types
from ego_perception.body.skeleton import HUMANOID_NAMES, JOINT_NAMES
from ego_perception.data import Frame, FrameTruth
from ego_perception.errors import FrameError
from ego_perception.geometry import R_FLU_OPTICAL, DistortionModel, PinholeCamera, make_transform
from ego_perception.messages import (
    FRAME_TOPICS,
    SCENE_TOPICS,
    TruthAssembler,
    TruthMessages,
    TruthTopic,
    image_view,
    is_truth_topic,
    scene_message,
    stamp_ns_of,
)
from ego_perception.messages.truth_people import KEYPOINTS, project

NOT_CARRIED = {"views", "vertex_visible"}


@pytest.fixture(scope="module")
def ros() -> RosbagsFactory:
    return RosbagsFactory()


def through_bytes(message: Any) -> Any:
    """What a reader of a recording gets."""
    store = jazzy_types()
    return store.deserialize_cdr(bytes(store.serialize_cdr(message, message.__msgtype__)), message.__msgtype__)


def read_back(ros: RosbagsFactory, frame: Frame, topics: Any = FRAME_TOPICS) -> FrameTruth | None:
    def refuse(text: str) -> None:
        raise AssertionError(text)

    assembler = TruthAssembler(refuse)
    for topic in SCENE_TOPICS:
        assembler.take_scene(topic, through_bytes(scene_message(ros, scene_truth(), topic, 5)))
    built = {topic: TruthMessages(ros, frame).build(topic) for topic in topics}
    return assembler.frame_truth({t: through_bytes(m) for t, m in built.items() if m is not None})


def assert_same(a: Any, b: Any, where: str = "") -> None:
    """Equal truth: images to the bit, bodies to 32 bits, poses to the rounding of a quaternion."""
    for f in dataclasses.fields(a):
        x, y, name = getattr(a, f.name), getattr(b, f.name), f"{where}{f.name}"
        if f.name in NOT_CARRIED:
            continue
        if dataclasses.is_dataclass(x):
            assert_same(x, y, f"{name}.")
        elif isinstance(x, tuple) and x and dataclasses.is_dataclass(x[0]):
            assert len(x) == len(y)
            for p, q in zip(x, y, strict=True):
                assert_same(p, q, f"{name}.")
        elif isinstance(x, np.ndarray):
            assert x.dtype == y.dtype and x.shape == y.shape, name
            if where == "bodies.":
                np.testing.assert_array_equal(np.asarray(x, np.float32), y, err_msg=name)
            elif f.name.startswith("T_"):
                np.testing.assert_allclose(x, y, atol=1e-12, err_msg=name)
            else:
                np.testing.assert_array_equal(x, y, err_msg=name)
        else:
            assert x == y, name


@pytest.mark.parametrize("index", [0, 1, 2])
def test_everything_comes_back(ros: RosbagsFactory, index: int) -> None:
    frame = full_frame(index)
    read = read_back(ros, frame)
    assert read is not None and frame.truth is not None
    assert_same(frame.truth, read)


def test_the_scene_comes_back(ros: RosbagsFactory) -> None:
    assembler = TruthAssembler(pytest.fail)
    for topic in SCENE_TOPICS:
        message = scene_message(ros, scene_truth(), topic, 5)
        assert message.__msgtype__ == topic.type_name
        assembler.take_scene(topic, through_bytes(message))
    scene = assembler.scene
    assert scene is not None and scene.instance_names == scene_truth().instance_names
    np.testing.assert_array_equal(scene.points, scene_truth().points)
    np.testing.assert_array_equal(scene.normals, scene_truth().normals)
    names = json.loads(scene_message(ros, scene, TruthTopic.INSTANCE_NAMES, 5).data)
    assert names["classes"]["left_hand"] == 6


@pytest.mark.parametrize("topic", FRAME_TOPICS)
def test_each_message_has_its_type_stamp_and_frame(ros: RosbagsFactory, topic: TruthTopic) -> None:
    frame = full_frame(1)
    message = TruthMessages(ros, frame).build(topic)
    assert message.__msgtype__ == topic.type_name
    assert stamp_ns_of(message) == frame.stamp_ns
    in_world = topic in (
        TruthTopic.POSE, TruthTopic.BODIES, TruthTopic.WEARER, TruthTopic.HEAD, TruthTopic.FINGERS, TruthTopic.OBJECTS
    )  # fmt: skip
    expected = "" if topic is TruthTopic.PHOTO else "sim_world" if in_world else frame.frame_id
    assert message.header.frame_id == expected


@pytest.mark.parametrize("topic", FRAME_TOPICS)
def test_what_is_not_known_is_not_said(ros: RosbagsFactory, topic: TruthTopic) -> None:
    assert TruthMessages(ros, replace(full_frame(1), truth=FrameTruth())).build(topic) is None
    assert TruthMessages(ros, replace(full_frame(1), truth=None)).build(topic) is None


def test_nobody_and_nothing_there_is_said_by_a_simulator_only(ros: RosbagsFactory) -> None:
    simulated = TruthMessages(ros, full_frame(0, objects=()))
    recorded = TruthMessages(ros, full_frame(0, objects=(), classes=None))
    for topic, field in ((TruthTopic.BODIES, "bodies"), (TruthTopic.PEOPLE, "people"), (TruthTopic.OBJECTS, "objects")):
        assert getattr(simulated.build(topic), field) == []
        assert recorded.build(topic) is None
    assert scene_message(ros, replace(scene_truth(), instance_names=()), TruthTopic.INSTANCE_NAMES, 0) is None


def test_transforms_name_frames_of_their_own(ros: RosbagsFactory) -> None:
    (edge,) = TruthMessages(ros, full_frame(1)).transforms().transforms
    assert (edge.header.frame_id, edge.child_frame_id) == ("sim_world", "sim_camera_optical_frame")
    assert TruthMessages(ros, replace(full_frame(1), truth=None)).transforms() is None


def test_unknown_depth_is_nan_in_the_message(ros: RosbagsFactory) -> None:
    frame = full_frame(1)
    assert frame.truth is not None and frame.truth.depth is not None
    values = image_view(TruthMessages(ros, frame).build(TruthTopic.DEPTH))
    np.testing.assert_array_equal(np.isnan(values), frame.truth.depth == 0)
    assert np.isnan(values).any()


class TestWearer:
    def test_the_state_is_the_humanoids(self, ros: RosbagsFactory) -> None:
        frame = full_frame(1)
        assert frame.truth is not None and frame.truth.wearer is not None
        wearer, state = frame.truth.wearer, TruthMessages(ros, frame).build(TruthTopic.WEARER)
        assert len(state.joint_names) == 69 and state.joint_names[:4] == ["L_Hip_z", "L_Hip_y", "L_Hip_x", "L_Knee_z"]
        assert state.root_pose.orientation.w == wearer.qpos[3] and state.root_velocity.angular.z == wearer.qvel[5]
        np.testing.assert_array_equal(state.joint_position, wearer.qpos[7:])
        head = state.body_positions[state.body_names.index("Head")]
        np.testing.assert_array_equal([head.x, head.y, head.z], wearer.joints[JOINT_NAMES.index("head")])
        assert (state.state, state.source, state.activity) == (1, 0, "carry")

    def test_contacts_are_feet_and_full_hands(self, ros: RosbagsFactory) -> None:
        expected_of = {
            0: [("L_Ankle", "ground"), ("R_Ankle", "ground")],
            1: [("L_Ankle", "ground"), ("R_Hand", "mug_5")],
        }
        for index, expected in expected_of.items():
            contacts = TruthMessages(ros, full_frame(index)).build(TruthTopic.WEARER).contacts
            assert [(c.body, c.other) for c in contacts] == expected
            assert contacts[0].position.z == 0.0 and contacts[0].normal.z == 1.0 and contacts[-1].probability == 1.0
            assert {c.body for c in contacts} <= set(HUMANOID_NAMES)

    def test_without_head_and_fingers_the_rest_is_read(self, ros: RosbagsFactory) -> None:
        read = read_back(ros, full_frame(1), [TruthTopic.WEARER])
        assert read is not None and read.wearer is not None
        assert not read.wearer.finger_curl.any()
        np.testing.assert_array_equal(read.wearer.T_world_head[:3, 3], read.wearer.joints[JOINT_NAMES.index("head")])


class TestPeople:
    CAMERA = PinholeCamera.from_fov(320, 240, 1.0)
    T = make_transform(R_FLU_OPTICAL, (0.0, 0.0, 1.0))

    def frame(self, **changes: Any) -> Frame:
        body = replace(body_truth(np.random.default_rng(0)), **changes)
        truth = FrameTruth(T_world_cam=self.T, bodies=(body,))
        return Frame(5, np.zeros((240, 320, 3), np.uint8), camera=self.CAMERA, truth=truth)

    def test_the_box_is_that_of_the_vertices_cut_at_the_border(self, ros: RosbagsFactory) -> None:
        ahead = np.array([[2.0, 0.5, 1.3], [2.0, -9.0, 0.8]], np.float32)
        (person,) = TruthMessages(ros, self.frame(vertices=ahead)).build(TruthTopic.PEOPLE).people
        f = self.CAMERA.fx
        left, top, bottom = 159.5 - f * 0.25, 119.5 - f * 0.15, 119.5 + f * 0.1
        box = person.box
        assert box.x_offset == round(left) and box.x_offset + box.width == 320
        assert box.y_offset == pytest.approx(top, abs=1) and box.y_offset + box.height == pytest.approx(bottom, abs=1.5)
        (body,) = TruthMessages(ros, self.frame(vertices=ahead)).build(TruthTopic.BODIES).bodies
        assert body.box == box

    def test_without_vertices_the_joints_box_has_a_margin(self, ros: RosbagsFactory) -> None:
        body = self.frame(vertices=None).truth.bodies[0]  # type: ignore[union-attr]
        (person,) = TruthMessages(ros, self.frame(vertices=None)).build(TruthTopic.PEOPLE).people
        pixels = project(self.CAMERA, (body.joints - self.T[:3, 3]) @ self.T[:3, :3])
        inside = pixels.clip(0, (319, 239))
        assert person.box.x_offset < max(1, inside[:, 0].min()) and person.box.height > 0

    def test_key_points_are_projected_joints_with_visibility_as_score(self, ros: RosbagsFactory) -> None:
        frame = self.frame()
        (person,) = TruthMessages(ros, frame).build(TruthTopic.PEOPLE).people
        body = frame.truth.bodies[0]  # type: ignore[union-attr]
        points = np.array(person.keypoints_px).reshape(-1, 2)
        for k, (name, joint) in enumerate(KEYPOINTS.items()):
            assert person.keypoint_names[k] == name
            x, y, z = (body.joints[joint] - self.T[:3, 3]) @ self.T[:3, :3]
            np.testing.assert_allclose(points[k], [159.5 + self.CAMERA.fx * x / z, 119.5 + self.CAMERA.fy * y / z], rtol=1e-5)
            assert person.keypoint_scores[k] == body.joint_visible[joint]
        assert JOINT_NAMES[KEYPOINTS["left_wrist"]] == "left_wrist" and KEYPOINTS["mid_hip"] == 0

    def test_somebody_behind_has_no_box_and_no_score(self, ros: RosbagsFactory) -> None:
        joints = np.tile([-2.0, 0.0, 1.0], (24, 1))
        frame = self.frame(joints=joints, vertices=None, joint_visible=np.ones(24, bool))
        (person,) = TruthMessages(ros, frame).build(TruthTopic.PEOPLE).people
        assert (person.box.width, person.box.height) == (0, 0)
        assert not np.any(person.keypoint_scores) and np.isfinite(person.keypoints_px).all()

    @pytest.mark.parametrize(
        ("model", "coefficients"),
        [(DistortionModel.PLUMB_BOB, (-0.2, 0.05, 0.0, 0.0, 0.0)), (DistortionModel.EQUIDISTANT, (0.05, 0.0, 0.0, 0.0))],
    )
    def test_the_lens_bends_what_is_projected(self, model: DistortionModel, coefficients: tuple[float, ...]) -> None:
        camera = replace(self.CAMERA, distortion_model=model, distortion=coefficients)
        points = np.array([[0.0, 0.0, 2.0], [1.0, 0.0, 2.0], [0.0, 0.0, -1.0]])
        pixels = project(camera, points)
        np.testing.assert_allclose(pixels[0], [159.5, 119.5], atol=1e-9)
        r, theta = 0.5, np.arctan(0.5)
        bent = r * (1 - 0.2 * r**2 + 0.05 * r**4) if model is DistortionModel.PLUMB_BOB else theta + 0.05 * theta**3
        assert pixels[1, 0] == pytest.approx(159.5 + camera.fx * bent, abs=1e-6)
        assert np.isnan(pixels[2]).all()


class TestDamage:
    def read(self, ros: RosbagsFactory, topic: TruthTopic, **changes: Any) -> tuple[FrameTruth | None, list[str]]:
        message = TruthMessages(ros, full_frame(1)).build(topic)
        for name, value in changes.items():
            object.__setattr__(message, name, value)
        told: list[str] = []
        return TruthAssembler(told.append).frame_truth({topic: message}), told

    @pytest.mark.parametrize(
        ("topic", "changes", "words"),
        [
            (TruthTopic.CLASSES, {"encoding": "rgb8"}, "encoding is 'rgb8', not 'mono8'"),
            (TruthTopic.FLOW, {"data": np.zeros(3, np.uint8)}, "cut short"),
            (TruthTopic.DEPTH, {"encoding": "bgr8"}, "must be 32FC1"),
            (TruthTopic.WEARER, {"joint_names": ["a"]}, "not those of the humanoid"),
            (TruthTopic.PHOTO, {"status": [None]}, "sim/photo"),
            (TruthTopic.OBJECTS, {"objects": [None]}, "sim/objects"),
        ],
    )
    def test_a_part_that_cannot_be_used_is_told_and_left_out(
        self, ros: RosbagsFactory, topic: TruthTopic, changes: dict[str, Any], words: str
    ) -> None:
        truth, told = self.read(ros, topic, **changes)
        assert truth is None and len(told) == 1 and words in told[0] and "\n" not in told[0]

    def test_a_body_without_sample_or_with_other_joints(self, ros: RosbagsFactory) -> None:
        message = TruthMessages(ros, full_frame(1)).build(TruthTopic.BODIES)
        sample = message.bodies[0].samples[0]
        for change in ({"samples": []}, {"samples": [replace(sample, joints=np.zeros(9, np.float32))]}):
            told: list[str] = []
            broken = replace(message, bodies=[replace(message.bodies[0], **change)])
            assert TruthAssembler(told.append).frame_truth({TruthTopic.BODIES: broken}) is None
            assert "body 'person_0' has" in told[0]

    def test_scene_messages_that_are_none(self, ros: RosbagsFactory) -> None:
        told: list[str] = []
        assembler = TruthAssembler(told.append)
        assembler.take_scene(TruthTopic.INSTANCE_NAMES, ros.make("std_msgs/msg/String", data="{}"))
        assembler.take_scene(TruthTopic.SCENE_POINTS, ros.make("sensor_msgs/msg/PointCloud2"))
        assert len(told) == 2 and assembler.scene is None


def test_every_topic_is_known_by_its_name_in_any_namespace() -> None:
    for topic in TruthTopic:
        assert is_truth_topic(f"/{topic.value}") and is_truth_topic(f"/robot/{topic.value}")
    assert not is_truth_topic("/camera/image_raw") and not is_truth_topic("/mysim/flow")


def test_products_are_those_of_the_simulator() -> None:
    from ego_perception.simulation.config import ProductsConfig

    known = {f.name for f in dataclasses.fields(ProductsConfig)} | {""}
    assert {topic.product for topic in TruthTopic} <= known
    assert TruthTopic.CLEAN_SHADOWED.product == "clean" and TruthTopic.DEPTH.product == ""


def test_image_messages_of_the_new_encodings_refuse_other_arrays(ros: RosbagsFactory) -> None:
    with pytest.raises(FrameError, match="32FC2"):
        TruthMessages(ros, full_frame(1, flow=np.zeros((30, 40, 3), np.float32))).build(TruthTopic.FLOW)
