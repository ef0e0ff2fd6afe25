"""Recordings as sources: which topic, which camera, which truth, and broken images in between."""

from __future__ import annotations

import numpy as np
import pytest

from ego_perception.bag import BagReader, BagSource, BagTopics, BagWriter
from ego_perception.bag.topics import camera_info_topic_of, choose_image_topic, is_rectified
from ego_perception.data import Frame
from ego_perception.errors import BagError, FrameError
from ego_perception.geometry import PinholeCamera
from ego_perception.messages import image_from_frame, image_message, info_from_camera, pose_message
from ego_perception.runtime import Source

IMAGE = "sensor_msgs/msg/Image"
INFO = "sensor_msgs/msg/CameraInfo"


@pytest.fixture
def image_bag(tmp_path, factory, make_frame):
    """Writes (topic, type, message, time) rows; rows of None are one frame per image topic."""

    def make(rows):
        with BagWriter(tmp_path / "bag") as writer:
            for topic, kind, message, time in rows:
                writer.add_topic(topic, kind)
                writer.write(topic, message, time)
        return tmp_path / "bag"

    return make


@pytest.fixture
def image_row(factory, make_frame):
    """One recorded image."""

    def make(index: int, topic: str = "/cam/image_raw", **changes):
        frame = make_frame(index, **changes)
        return topic, IMAGE, image_from_frame(factory, frame), frame.stamp_ns

    return make


@pytest.fixture
def info_row(factory):
    """One recorded camera."""

    def make(time: int, fx: float = 10.0, topic: str = "/cam/camera_info", **changes):
        info = info_from_camera(factory, PinholeCamera(16, 12, fx, fx, 7.5, 5.5), time, "cam")
        for name, value in changes.items():
            setattr(info, name, value)
        return topic, INFO, info, time

    return make


@pytest.mark.parametrize("options", [{"image": "jpeg"}, {"image": "raw"}, {"image": "raw", "storage": "sqlite3"}])
def test_frames_come_back_with_camera_and_truth(frame_bag, make_frame, options):
    source = BagSource(frame_bag(10, **options))
    assert isinstance(source, Source)
    assert not source.is_live
    assert source.has_truth
    frames = list(source)
    assert len(frames) == 10
    for i, frame in enumerate(frames):
        expected = make_frame(i)
        assert (frame.stamp_ns, frame.index) == (expected.stamp_ns, i)
        assert frame.camera == expected.camera
        np.testing.assert_allclose(frame.truth.depth, expected.truth.depth)
        np.testing.assert_allclose(frame.truth.T_world_cam, expected.truth.T_world_cam, atol=1e-12)
        if options["image"] == "raw":
            np.testing.assert_array_equal(frame.rgb, expected.rgb)
    source.close()


def test_iterating_twice_gives_the_same(frame_bag):
    source = BagSource(frame_bag(5))
    first, second = [f.stamp_ns for f in source], [f.stamp_ns for f in source]
    assert first == second


def test_truth_recorded_before_or_after_its_image_is_paired(image_bag, image_row, factory):
    rows = []
    for i in range(20):
        row = image_row(i)
        stamp = row[3]
        pose = pose_message(factory, np.diag([1.0, 1, 1, 1]) + np.eye(4, k=3) * i, stamp, "world")
        depth = image_message(factory, np.full((12, 16), 1000 + i, np.uint16), "16UC1", stamp, "cam")
        rows += [
            row,
            ("/sim/pose", "geometry_msgs/msg/PoseStamped", pose, stamp - 200_000_000),
            ("/sim/depth/image", IMAGE, depth, stamp + 300_000_000),
        ]
    rows.sort(key=lambda r: r[3])
    frames = list(BagSource(image_bag(rows)))
    assert [f.index for f in frames] == list(range(20))
    assert [f.truth.T_world_cam[0, 3] for f in frames] == list(range(20))
    np.testing.assert_allclose([f.truth.depth[0, 0] for f in frames], 1 + 0.001 * np.arange(20), rtol=1e-6)


def test_frames_are_not_held_back_for_ever(image_bag, image_row, factory):
    pose = pose_message(factory, np.eye(4), 5, "world")
    rows = [("/sim/pose", "geometry_msgs/msg/PoseStamped", pose, 5)] + [image_row(i) for i in range(30)]
    frames = list(BagSource(image_bag(rows)))
    assert len(frames) == 30
    assert all(f.truth is None for f in frames)


def test_a_broken_image_is_an_error_in_its_place(image_bag, image_row, info_row):
    rows = [info_row(0), *(image_row(i) for i in range(4))]
    rows[2][2].data = rows[2][2].data[:-5]
    rows[3][2].encoding = "nonsense"
    items = list(BagSource(image_bag(rows)))
    assert [type(i) for i in items] == [Frame, FrameError, FrameError, Frame]


def test_late_camera_info_serves_the_frames_before_it(image_bag, image_row, info_row):
    rows = [
        image_row(0),
        image_row(1),
        info_row(1_150_000_000, 11.0),
        image_row(2),
        info_row(1_250_000_000, 12.0),
        image_row(3),
    ]
    assert [f.camera.fx for f in BagSource(image_bag(rows))] == [11.0, 11.0, 11.0, 12.0]


def test_missing_camera_info_is_told_once(image_bag, image_row, caplog):
    frames = list(BagSource(image_bag([image_row(i) for i in range(3)])))
    assert [f.camera for f in frames] == [None] * 3
    assert sum("no camera_info on /cam/camera_info" in r.message for r in caplog.records) == 1


def test_impossible_camera_info_is_ignored(image_bag, image_row, info_row, caplog):
    rows = [info_row(0, k=np.zeros(9)), image_row(0), image_row(1)]
    assert [f.camera for f in BagSource(image_bag(rows))] == [None, None]
    assert sum("focal length" in r.message for r in caplog.records) == 1
    assert len(caplog.records) == 1


def test_camera_info_of_another_shape_is_ignored(image_bag, image_row, info_row, caplog):
    rows = [info_row(0, width=16, height=40), image_row(0), image_row(1)]
    assert [f.camera for f in BagSource(image_bag(rows))] == [None, None]
    assert sum("16x40 but the image is 16x12" in r.message for r in caplog.records) == 1


def test_camera_info_of_another_resolution_is_scaled(image_bag, image_row, factory):
    info = info_from_camera(factory, PinholeCamera(32, 24, 20.0, 20.0, 15.5, 11.5), 0, "cam")
    (frame,) = BagSource(image_bag([("/cam/camera_info", INFO, info, 0), image_row(0)]))
    assert frame.camera == PinholeCamera(16, 12, 10.0, 10.0, 7.5, 5.5)


def test_images_without_a_stamp_take_the_time_of_recording(image_bag, image_row):
    topic, kind, message, _ = image_row(0)
    message.header.stamp.sec = message.header.stamp.nanosec = 0
    (frame,) = BagSource(image_bag([(topic, kind, message, 77)]))
    assert frame.stamp_ns == 77


def test_unusable_truth_is_told_and_left_out(image_bag, image_row, factory, caplog):
    row = image_row(0)
    pose = pose_message(factory, np.eye(4), row[3], "world")
    pose.pose.orientation.w = 0.0
    (frame,) = BagSource(image_bag([row, ("/sim/pose", "geometry_msgs/msg/PoseStamped", pose, row[3])]))
    assert frame.truth is None
    assert any("ground truth on sim/pose" in r.message for r in caplog.records)


@pytest.mark.parametrize(
    ("topics", "asked", "chosen"),
    [
        (["/x/view"], None, "/x/view"),
        (["/a/image_raw", "/b/debug"], None, "/a/image_raw"),
        (["/a/image", "/a/image_color"], None, "/a/image"),
        (["/a/view", "/a/view/compressed"], None, "/a/view"),
        (["/a/view", "/a/depth/image_raw", "/hand_mask/image"], None, "/a/view"),
        (["/a/image_raw", "/b/image_raw"], "/b/image_raw", "/b/image_raw"),
        (["/a/image_raw", "/b/image_raw"], "b/image_raw", "/b/image_raw"),
        (["/a/image_raw/compressed", "/b/image_raw"], "/a/image_raw", "/a/image_raw/compressed"),
        (["/a/depth/image"], "/a/depth/image", "/a/depth/image"),
    ],
)
def test_choice_of_the_image_topic(image_bag, image_row, topics, asked, chosen):
    with BagReader(image_bag([image_row(i, topic) for i, topic in enumerate(topics)])) as reader:
        assert choose_image_topic(reader, asked) == chosen


@pytest.mark.parametrize(
    ("topics", "asked", "words"),
    [
        (["/a/image_raw", "/b/image_raw"], None, "several image topics: /a/image_raw, /b/image_raw"),
        (["/a/left", "/a/right"], None, "name one"),
        (["/a/depth/image"], None, "no topic with camera images"),
        (["/a/image_raw"], "/a/image_rav", "did you mean /a/image_raw"),
        (["/a/image_raw"], "/zzz", "its image topics are /a/image_raw"),
    ],
)
def test_no_clear_choice_lists_the_candidates(image_bag, image_row, topics, asked, words):
    path = image_bag([image_row(i, topic) for i, topic in enumerate(topics)])
    with pytest.raises(BagError, match=words):
        BagSource(path, BagTopics(image=asked))


def test_a_topic_without_images_is_told(image_bag, image_row, info_row):
    with pytest.raises(BagError, match="has type sensor_msgs/msg/CameraInfo, no images"):
        BagSource(image_bag([image_row(0), info_row(0)]), BagTopics(image="/cam/camera_info"))


@pytest.mark.parametrize(
    ("image", "info", "rectified"),
    [
        ("/cam/image_raw", "/cam/camera_info", False),
        ("/cam/image_rect/compressed", "/cam/camera_info", True),
        ("/image", "/camera_info", False),
        ("/rectangle/image", "/rectangle/camera_info", False),
    ],
)
def test_names_by_convention(image, info, rectified):
    assert camera_info_topic_of(image) == info
    assert is_rectified(image) is rectified


def test_cut_recordings_give_the_frames_before_the_cut(frame_bag):
    path = frame_bag(10, image="raw")
    (path / "metadata.yaml").unlink()
    file = path / "bag.mcap"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.warns(UserWarning, match="damaged"):
        source = BagSource(path)
        frames = list(source)
    assert 2 <= len(frames) < 10
    assert source.reader.damages
