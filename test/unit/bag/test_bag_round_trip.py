"""What is written is read, by both storages; the same messages give the same bytes; quality of service is on record."""

from __future__ import annotations

import hashlib
import threading

import cv2
import numpy as np
import pytest
import yaml
from rosbags.rosbag2 import Reader

from ego_perception.bag import (
    BagReader,
    BagSource,
    BagWriter,
    FrameBagSink,
    QosProfile,
    RosbagsFactory,
    SceneBagSink,
    jazzy_types,
)
from ego_perception.bag.types import _interface_folder
from ego_perception.data import Encoding, Frame, FrameTruth
from ego_perception.errors import BagError, OutputError
from ego_perception.geometry import PinholeCamera
from ego_perception.messages import SceneTopic

STORAGES = ["mcap", "sqlite3"]
POSE = "geometry_msgs/msg/PoseStamped"


def digest(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


@pytest.mark.parametrize("options", [{"storage": "mcap"}, {"storage": "sqlite3"}, {"compression": "zstd"}])
def test_messages_come_back_in_order(pose_bag, options):
    writer, path = pose_bag(50, **options)
    writer.close()
    with BagReader(path) as reader:
        assert [(t.name, t.type_name, t.count) for t in reader.topics.values()] == [("/a", POSE, 25), ("/b", POSE, 25)]
        messages = list(reader.messages())
        assert [m.message.pose.position.x for m in messages] == list(range(50))
        assert [m.log_time_ns for m in messages] == [i * 100_000_000 for i in range(50)]
        assert [m.message.pose.position.x for m in reader.messages({"/b"})] == list(range(1, 50, 2))
        assert reader.damages == []


@pytest.mark.parametrize("storage", STORAGES)
def test_a_single_file_is_a_recording_too(pose_bag, storage):
    writer, path = pose_bag(10, storage=storage)
    writer.close()
    (path / "metadata.yaml").unlink()
    (file,) = path.iterdir()
    for place in (path, file):
        with BagReader(place) as reader:
            assert len(list(reader.messages())) == 10
            assert reader.damages == []


@pytest.mark.parametrize("storage", STORAGES)
def test_the_same_estimates_give_the_same_bytes(tmp_path, make_estimate, storage):
    folders = [tmp_path / name / "result" for name in "ab"]
    for folder in folders:
        sink = SceneBagSink(folder, storage=storage)
        for i in range(12):
            sink.write(make_estimate(i))
        sink.close()
    assert digest(folders[0]) == digest(folders[1])


def test_result_bag_holds_every_topic_and_replays_as_a_source(tmp_path, make_estimate):
    sink = SceneBagSink(tmp_path / "result")
    for i in range(7):
        sink.write(make_estimate(i))
    sink.close()
    with BagReader(tmp_path / "result") as reader:
        counts = {t.name: t.count for t in reader.topics.values()}
        for topic in SceneTopic:
            assert reader.topics[sink.topic_name(topic)].type_name == topic.type_name
        assert counts["/tf_static"] == 1
        assert counts["/reconstruction/odom"] == counts["/tf"] == 7
        assert counts["/reconstruction/map_points"] == counts["/reconstruction/path"] == 3
        odom = [m.message for m in reader.messages({"/reconstruction/odom"})]
        np.testing.assert_allclose([o.pose.pose.position.x for o in odom], 0.1 * np.arange(7), atol=1e-12)
    source = BagSource(tmp_path / "result")
    assert source.image_topic == "/camera/image_raw/compressed"
    assert len(list(source)) == 7


def test_result_bag_of_chosen_topics(tmp_path, make_estimate):
    sink = SceneBagSink(tmp_path / "result", topics=[SceneTopic.ODOM], image="none", node="/ns/r/")
    sink.write(make_estimate(0))
    sink.close()
    with BagReader(tmp_path / "result") as reader:
        assert "/ns/r/odom" in reader.topics
        assert not [t for t in reader.topics if "points" in t or "compressed" in t]


def test_quality_of_service_is_recorded_as_jazzy_does(pose_bag, tmp_path, make_estimate):
    writer, path = pose_bag(1)
    writer.add_topic("/latched", POSE, QosProfile.LATCHED)
    writer.close()
    metadata = yaml.safe_load((path / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert metadata["version"] == 9
    profiles = {
        t["topic_metadata"]["name"]: t["topic_metadata"]["offered_qos_profiles"][0]
        for t in metadata["topics_with_message_count"]
    }
    assert [profiles[t]["reliability"] for t in ("/a", "/b", "/latched")] == ["best_effort", "reliable", "reliable"]
    assert [profiles[t]["durability"] for t in ("/a", "/b", "/latched")] == ["volatile", "volatile", "transient_local"]
    assert profiles["/a"]["history"] == "keep_last"
    assert profiles["/a"]["deadline"] == {"sec": 9223372036, "nsec": 854775807}
    with Reader(path / f"{path.name}.mcap") as reader:
        assert next(c.ext.offered_qos_profiles for c in reader.connections) == [QosProfile.SENSOR.value]


def test_our_own_types_are_read_from_their_interface_files():
    for path in _interface_folder().glob("*.msg"):
        assert RosbagsFactory().make(f"ego_msgs/msg/{path.stem}") is not None
    assert jazzy_types().hash_rihs01("ego_msgs/msg/NodeStatus").startswith("RIHS01_")


def test_factory_knows_fields_and_defaults(factory):
    assert factory.make("geometry_msgs/msg/Pose").orientation.w == 1.0
    assert factory.make("nav_msgs/msg/Odometry").pose.covariance.shape == (36,)
    assert factory.make("diagnostic_msgs/msg/DiagnosticStatus", level=b"\x02").level == 2
    with pytest.raises(TypeError, match="no field 'colour'"):
        factory.make("sensor_msgs/msg/Image", colour="red")
    a, b = factory.make("nav_msgs/msg/Path"), factory.make("nav_msgs/msg/Path")
    assert a.poses is not b.poses


def test_misuse_of_the_writer_is_told(tmp_path, factory):
    with pytest.raises(BagError, match="not compressed"):
        BagWriter(tmp_path / "x", storage="sqlite3", compression="zstd")
    with BagWriter(tmp_path / "bag") as writer:
        writer.add_topic("/a", POSE)
        writer.add_topic("/a", POSE)
        with pytest.raises(BagError, match="cannot also have"):
            writer.add_topic("/a", "nav_msgs/msg/Path")
        with pytest.raises(BagError, match="not known"):
            writer.add_topic("/b", "no_msgs/msg/Such")
        with pytest.raises(BagError, match="not declared"):
            writer.write("/c", factory.make(POSE), 0)
        writer.write("/a", factory.make(POSE), 0)
    writer.close()
    with pytest.raises(OutputError, match="closed"):
        writer.write("/a", factory.make(POSE), 0)


def test_a_folder_in_use_is_not_overwritten(tmp_path):
    (tmp_path / "bag").mkdir()
    (tmp_path / "bag" / "precious.txt").write_text("x")
    with pytest.raises(OutputError, match="exists already"):
        BagWriter(tmp_path / "bag")
    assert (tmp_path / "bag" / "precious.txt").read_text() == "x"
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError):
        BagWriter(tmp_path / "file" / "bag")


def test_an_empty_folder_is_used(tmp_path, factory):
    (tmp_path / "bag").mkdir()
    with BagWriter(tmp_path / "bag") as writer:
        writer.add_topic("/a", POSE)
        writer.write("/a", factory.make(POSE), 0)
    with BagReader(tmp_path / "bag") as reader:
        assert reader.topics["/a"].count == 1


@pytest.mark.parametrize("storage", STORAGES)
def test_another_thread_may_write(tmp_path, make_estimate, storage):
    sink = SceneBagSink(tmp_path / "result", storage=storage)
    worker = threading.Thread(target=lambda: [sink.write(make_estimate(i)) for i in range(12)])
    worker.start()
    worker.join()
    sink.close()
    with BagReader(tmp_path / "result") as reader:
        assert reader.topics["/reconstruction/odom"].count == 12


@pytest.mark.parametrize("name", ["with space", "ümlaut", "50%"])
@pytest.mark.parametrize("storage", STORAGES)
def test_unusual_folder_names(tmp_path, factory, storage, name):
    with BagWriter(tmp_path / name, storage=storage) as writer:
        writer.add_topic("/a", POSE)
        writer.write("/a", factory.make(POSE), 0)
    with BagReader(tmp_path / name) as reader:
        assert len(list(reader.messages())) == 1


def test_real_frames_survive_a_recording(tmp_path, kitchen):
    frames = []
    for path in sorted(kitchen.glob("*.color.jpg"))[:3]:
        depth = cv2.imread(str(path).replace("color.jpg", "depth.png"), cv2.IMREAD_UNCHANGED).astype(np.float32) * 1e-3
        T = np.loadtxt(str(path).replace("color.jpg", "pose.txt"))
        camera = PinholeCamera(640, 480, 585.0, 585.0, 320.0, 240.0)
        truth = FrameTruth(np.where(depth > 65, 0, depth), T)
        frames.append(Frame(10**9 * (1 + len(frames)), cv2.imread(str(path)), Encoding.BGR, camera, truth=truth))
    sink = FrameBagSink(tmp_path / "bag", quality=95)
    for frame in frames:
        sink.write(frame)
    sink.close()
    for read, frame in zip(BagSource(tmp_path / "bag"), frames, strict=True):
        assert np.abs(read.rgb.astype(int) - frame.rgb).mean() < 3
        np.testing.assert_allclose(read.truth.depth, frame.truth.depth, atol=1e-6)
        # A recorded pose is a unit quaternion; the files' rotations are orthogonal to a few digits only.
        np.testing.assert_allclose(read.truth.T_world_cam, frame.truth.T_world_cam, atol=1e-3)
        assert read.camera == frame.camera
