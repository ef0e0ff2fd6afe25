"""A recording of simulated frames holds all their truth, and gives it back."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from fixtures.truth_frames import full_frame, scene_truth

from ego_perception.bag import BagReader, BagSource, FrameBagSink
from ego_perception.bag.topics import choose_image_topic
from ego_perception.data import Frame
from ego_perception.errors import BagError
from ego_perception.messages import FRAME_TOPICS, SCENE_TOPICS, TruthTopic

NUM_FRAMES = 4


def record(path: Path, frames: list[Frame] | None = None, **options: object) -> Path:
    sink = FrameBagSink(path, **options)  # type: ignore[arg-type]
    frames = [full_frame(i) for i in range(NUM_FRAMES)] if frames is None else frames
    sink.write_scene(scene_truth(), frames[0].stamp_ns)
    for frame in frames:
        sink.write(frame)
    sink.close()
    return path


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("truth") / "bag", image="raw")


def test_every_topic_is_recorded_with_its_type(bag: Path) -> None:
    with BagReader(bag) as reader:
        for topic in TruthTopic:
            info = reader.topics[f"/{topic.value}"]
            assert info.type_name == topic.type_name
            assert info.count == (1 if topic.is_latched else NUM_FRAMES)
        assert reader.topics["/tf"].count == NUM_FRAMES


def test_quality_of_service_is_that_of_the_live_topics(bag: Path) -> None:
    metadata = yaml.safe_load((bag / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    topics = [t["topic_metadata"] for t in metadata["topics_with_message_count"]]
    profiles = {t["name"]: t["offered_qos_profiles"][0] for t in topics}
    for topic in TruthTopic:
        profile = profiles[f"/{topic.value}"]
        assert profile["reliability"] == "reliable"
        assert profile["durability"] == ("transient_local" if topic.is_latched else "volatile")


def test_frames_and_scene_come_back(bag: Path) -> None:
    source = BagSource(bag)
    assert source.image_topic == "/camera/image_raw" and source.has_truth and source.scene_truth is None
    frames = [f for f in source if isinstance(f, Frame)]
    assert len(frames) == NUM_FRAMES
    for frame, true in zip(frames, (full_frame(i) for i in range(NUM_FRAMES)), strict=True):
        np.testing.assert_array_equal(frame.image, true.image)
        read, known = frame.truth, true.truth
        assert read is not None and known is not None
        for f in dataclasses.fields(known):
            a, b = getattr(known, f.name), getattr(read, f.name)
            if f.name == "T_world_cam":
                np.testing.assert_allclose(a, b, atol=1e-12)
            elif isinstance(a, np.ndarray):
                np.testing.assert_array_equal(a, b, err_msg=f.name)
        assert [body.id for body in read.bodies] == [body.id for body in known.bodies]
        assert [thing.instance for thing in read.objects] == [5, 6]
        assert read.photo == known.photo and read.wearer is not None and known.wearer is not None
        assert read.wearer.held == known.wearer.held
        np.testing.assert_array_equal(read.wearer.qpos, known.wearer.qpos)
    assert source.scene_truth is not None and source.scene_truth.instance_names == scene_truth().instance_names
    source.close()


def test_the_same_frames_give_the_same_bytes(bag: Path, tmp_path: Path) -> None:
    again = record(tmp_path / "bag", image="raw")
    for path in sorted(bag.iterdir()):
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name


def test_only_chosen_truth_is_recorded(tmp_path: Path) -> None:
    path = record(tmp_path / "bag", truth=(TruthTopic.POSE, TruthTopic.CLASSES))
    with BagReader(path) as reader:
        recorded = {t for t in FRAME_TOPICS if f"/{t.value}" in reader.topics}
    assert recorded == {TruthTopic.POSE, TruthTopic.CLASSES}


def test_pictures_of_truth_are_never_taken_for_the_camera(tmp_path: Path) -> None:
    path = record(tmp_path / "bag", image="none")
    with BagReader(path) as reader, pytest.raises(BagError, match="no topic with camera images"):
        choose_image_topic(reader)
    with BagReader(path) as reader:
        assert choose_image_topic(reader, "/sim/clean/image") == "/sim/clean/image", "but they can be asked for"


def test_the_picture_without_the_wearer_can_be_played_as_the_camera(tmp_path: Path) -> None:
    from ego_perception.bag import BagTopics

    path = record(tmp_path / "bag")
    source = BagSource(path, BagTopics(image="/sim/clean/image", camera_info="/camera/camera_info"))
    for frame, i in zip(source, range(NUM_FRAMES), strict=True):
        true = full_frame(i).truth
        assert isinstance(frame, Frame) and frame.truth is not None and true is not None
        np.testing.assert_array_equal(frame.image, true.clean)  # type: ignore[arg-type]
        assert frame.truth.clean is None and frame.truth.depth is not None


def test_frames_without_truth_leave_no_topics(tmp_path: Path) -> None:
    sink = FrameBagSink(tmp_path / "bag")
    sink.write(replace(full_frame(0), truth=None))
    sink.close()
    with BagReader(tmp_path / "bag") as reader:
        assert set(reader.topics) == {"/camera/camera_info", "/camera/image_raw/compressed"}


def test_an_interrupted_recording_gives_its_truth_up_to_there(tmp_path: Path) -> None:
    """Neither index nor metadata were written; what was flushed is read."""
    sink = FrameBagSink(tmp_path / "bag")
    sink.write_scene(scene_truth(), full_frame(0).stamp_ns)
    for i in range(20):
        sink.write(full_frame(i))
    frames = [f for f in BagSource(tmp_path / "bag") if isinstance(f, Frame)]
    assert 8 <= len(frames) <= 20
    assert all(f.truth is not None and f.truth.wearer is not None for f in frames[:-1])
    assert len(SCENE_TOPICS) == 2
    sink.close()
