"""Recordings that were cut, killed, filled a disk, or hold what nobody knows: everything before the damage is read."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import numpy as np
import pytest
from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from ego_perception.bag import BagDamage, BagReader, BagWriter, jazzy_types
from ego_perception.errors import BagError, OutputError

STORAGES = ["mcap", "sqlite3"]
POSE = "geometry_msgs/msg/PoseStamped"
ROOT = Path(__file__).resolve().parents[3]


def read(path):
    """Values on record, and damages; a warning is not an error here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BagDamage)
        with BagReader(path) as reader:
            return [m.message.pose.position.x for m in reader.messages()], reader.damages


@pytest.fixture
def file_of(pose_bag, tmp_path):
    """Writes a recording of 50 poses and gives a copy of its one file, for damaging."""

    def make(suffix: str, **options):
        writer, path = pose_bag(50, **options)
        writer.close()
        copy = tmp_path / f"copy{suffix}"
        shutil.copy(path / f"{path.name}{suffix}", copy)
        return copy

    return make


@pytest.mark.parametrize("options", [{}, {"compression": "zstd"}])
def test_a_cut_mcap_is_read_up_to_the_cut(file_of, options):
    file = file_of(".mcap", **options)
    data = file.read_bytes()
    counts = []
    for size in range(0, len(data), max(50, len(data) // 80)):
        file.write_bytes(data[:size])
        try:
            values, damages = read(file)
        except BagError as error:
            assert str(file) in str(error)
            counts.append(0)
            continue
        assert values == list(range(len(values)))
        assert len(damages) == 1
        assert "byte" in damages[0].where
        counts.append(len(values))
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert counts[-1] == 50
    assert len(set(counts)) > 5


def test_a_cut_sqlite_file_gives_the_rows_whose_pages_are_there(file_of):
    """SQLite does not write its pages in the order of time, so what is left need not start at the first message."""
    file = file_of(".db3", storage="sqlite3")
    data = file.read_bytes()
    counts = []
    for size in range(0, len(data), 2048):
        file.write_bytes(data[:size])
        try:
            values, damages = read(file)
        except BagError:
            continue
        assert values == sorted(set(values))
        assert set(values) <= set(range(50))
        assert damages
        counts.append(len(values))
    assert counts == sorted(counts)
    assert counts[-1] > 40


@pytest.mark.parametrize("suffix", [".mcap", ".db3"])
def test_changed_bytes_never_escape_as_other_errors(file_of, suffix):
    file = file_of(suffix, storage="sqlite3" if suffix == ".db3" else "mcap")
    data = file.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(60):
        broken = bytearray(data)
        for at in rng.integers(0, len(data), 5):
            broken[at] = rng.integers(0, 256)
        file.write_bytes(bytes(broken))
        try:
            values, _ = read(file)
        except BagError:
            continue
        assert len(values) <= 50


@pytest.mark.parametrize("suffix", [".mcap", ".db3"])
def test_random_files_are_refused(tmp_path, suffix):
    file = tmp_path / f"x{suffix}"
    for start in (b"", b"\x89MCAP0\r\n", b"SQLite format 3\x00"):
        for seed in range(10):
            file.write_bytes(start + np.random.default_rng(seed).bytes(300 * seed))
            with pytest.raises(BagError, match="x"), warnings.catch_warnings():
                warnings.simplefilter("ignore", BagDamage)
                BagReader(file)


@pytest.mark.parametrize("text", ["", "}{", "rosbag2_bagfile_information: 3", "rosbag2_bagfile_information: {version: 99}"])
def test_broken_metadata_does_not_hide_the_messages(pose_bag, text):
    writer, path = pose_bag(10)
    writer.close()
    (path / "metadata.yaml").write_text(text)
    values, damages = read(path)
    assert len(values) == 10
    assert damages[0].where == "metadata.yaml"


def test_damage_is_a_typed_warning_that_says_where(file_of):
    file = file_of(".mcap")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.warns(BagDamage, match="is damaged at byte"), BagReader(file) as reader:
        assert len(list(reader.messages())) == 50


def test_a_message_that_cannot_be_decoded_is_skipped(tmp_path, factory):
    with BagWriter(tmp_path / "bag") as writer:
        writer.add_topic("/a", POSE)
        writer.write("/a", factory.make(POSE), 0)
        writer.write_raw("/a", b"\x00\x01\x00\x00\x05", 1)
        writer.write("/a", factory.make(POSE), 2)
    values, damages = read(tmp_path / "bag")
    assert len(values) == 2
    assert "/a at 1 ns" in damages[0].where


@pytest.mark.parametrize("name", ["missing", "text.txt", "folder", "empty.mcap", "empty.db3"])
def test_what_is_no_recording_is_told(tmp_path, name):
    path = tmp_path / name
    if name == "folder":
        path.mkdir()
    elif name != "missing":
        path.write_bytes(b"hello" if name == "text.txt" else b"")
    with pytest.raises(BagError, match=name):
        BagReader(path)


@pytest.mark.parametrize("storage", STORAGES)
def test_a_recording_without_messages_is_told(tmp_path, storage):
    with BagWriter(tmp_path / "bag", storage=storage) as writer:
        writer.add_topic("/a", POSE)
    with pytest.raises(BagError, match="no readable message"):
        BagReader(tmp_path / "bag")


@pytest.mark.parametrize("storage", STORAGES)
def test_a_killed_recorder_leaves_what_it_flushed(tmp_path, storage):
    """The process is killed without warning, in the middle of writing."""
    script = textwrap.dedent(f"""
        import os, signal
        from ego_perception.bag import BagWriter, RosbagsFactory
        writer = BagWriter({str(tmp_path / "bag")!r}, storage={storage!r})
        writer.add_topic("/a", {POSE!r})
        for i in range(58):
            msg = RosbagsFactory().make({POSE!r})
            msg.pose.position.x = float(i)
            writer.write("/a", msg, i * 100_000_000)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "bag" / "metadata.yaml").exists()
    values, damages = read(tmp_path / "bag")
    assert values == list(range(len(values)))
    # Half a second of recorded time, five messages, may be lost.
    assert len(values) >= 52
    assert damages


@pytest.mark.parametrize("storage", STORAGES)
def test_an_exception_closes_the_recording(tmp_path, factory, storage):
    with pytest.raises(KeyboardInterrupt), BagWriter(tmp_path / "bag", storage=storage) as writer:
        writer.add_topic("/a", POSE)
        writer.write("/a", factory.make(POSE), 0)
        raise KeyboardInterrupt
    values, damages = read(tmp_path / "bag")
    assert (len(values), damages) == (1, [])


@pytest.mark.parametrize("storage", STORAGES)
def test_a_full_disk_is_told_and_leaves_what_was_written(tmp_path, storage):
    """A limit on the size of files stands for the disk; the kernel then refuses to write, as a full disk does."""
    script = textwrap.dedent(f"""
        import resource, signal, sys
        from ego_perception.bag import BagWriter, RosbagsFactory
        from ego_perception.errors import OutputError
        writer = BagWriter({str(tmp_path / "bag")!r}, storage={storage!r})
        writer.add_topic("/a", {POSE!r})
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            for i in range(100_000):
                msg = RosbagsFactory().make({POSE!r})
                msg.pose.position.x = float(i)
                writer.write("/a", msg, i * 100_000_000)
        except OutputError as error:
            print(error)
            writer.close()
            sys.exit(7)
    """)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, timeout=60, capture_output=True, text=True)
    assert done.returncode == 7, done.stderr
    assert "cannot be written further" in done.stdout
    values, damages = read(tmp_path / "bag")
    assert values == list(range(len(values)))
    assert len(values) > 200
    # What SQLite committed is consistent in itself; an MCAP shows that its end is missing.
    assert damages or storage == "sqlite3"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_no_space_left_is_named(tmp_path, factory):
    writer = BagWriter(tmp_path / "bag")
    writer.add_topic("/a", POSE)
    storage = writer._writer.storage
    storage.bio.close()
    storage.bio = Path("/dev/full").open("wb")  # noqa: SIM115  the writer closes it
    with pytest.raises(OutputError, match="disk is full"):
        for i in range(1000):
            writer.write("/a", factory.make(POSE), i * 1_000_000_000)
    writer.close()


def test_unknown_types_are_skipped_with_one_warning(tmp_path, factory, caplog):
    store = jazzy_types()
    writer = Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP)
    writer.open()
    strange = writer.add_connection("/odd", "odd_msgs/msg/Odd", msgdef="no_such/Type x", rihs01="RIHS01_0")
    known = writer.add_connection("/a", POSE, typestore=store)
    for i in range(3):
        writer.write(strange, i, b"\x00\x01\x00\x00")
        writer.write(known, i, store.serialize_cdr(factory.make(POSE), POSE))
    writer.close()
    with BagReader(tmp_path / "bag") as reader:
        assert reader.topics["/odd"].count == 3
        assert [m.topic for m in reader.messages()] == ["/a"] * 3
        assert [m.topic for m in reader.messages()] == ["/a"] * 3
    assert sum("/odd is skipped" in r.message for r in caplog.records) == 1


def test_a_type_that_the_recording_defines_is_read(tmp_path):
    writer = Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP)
    writer.open()
    connection = writer.add_connection("/odd", "odd_msgs/msg/Odd", msgdef="int32 value\n", rihs01="RIHS01_0")
    writer.write(connection, 5, b"\x00\x01\x00\x00\x2a\x00\x00\x00")
    writer.close()
    with BagReader(tmp_path / "bag") as reader:
        assert [m.message.value for m in reader.messages()] == [42]


@pytest.mark.parametrize("storage", STORAGES)
def test_an_older_definition_of_our_own_type_is_respected(tmp_path, storage):
    plugin = StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3
    writer = Writer(tmp_path / "bag", version=9, storage_plugin=plugin)
    writer.open()
    connection = writer.add_connection("/s", "ego_msgs/msg/NodeStatus", msgdef="uint8 state\n", rihs01="RIHS01_0")
    writer.write(connection, 5, b"\x00\x01\x00\x00\x03")
    writer.close()
    with BagReader(tmp_path / "bag") as reader:
        assert [m.message.state for m in reader.messages()] == [3]


@pytest.mark.parametrize("plugin", list(StoragePlugin))
@pytest.mark.parametrize("mode", [CompressionMode.MESSAGE, CompressionMode.FILE])
@pytest.mark.parametrize("with_metadata", [True, False])
def test_compressed_recordings(tmp_path, factory, plugin, mode, with_metadata):
    store = jazzy_types()
    writer = Writer(tmp_path / "bag", version=9, storage_plugin=plugin)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    writer.open()
    connection = writer.add_connection("/a", POSE, typestore=store)
    for i in range(5):
        writer.write(connection, i, store.serialize_cdr(factory.make(POSE), POSE))
    writer.close()
    if not with_metadata:
        (tmp_path / "bag" / "metadata.yaml").unlink()
    values, damages = read(tmp_path / "bag")
    assert (len(values), damages) == (5, [])


def test_split_recordings_without_metadata_are_read_in_order(pose_bag, tmp_path):
    folder = tmp_path / "split"
    folder.mkdir()
    for number in (0, 1, 2, 10):
        writer, path = pose_bag(4, name=f"part{number}")
        writer.close()
        shutil.copy(path / f"part{number}.mcap", folder / f"split_{number}.mcap")
    (folder / "split_3.mcap").write_bytes(b"broken")
    values, damages = read(folder)
    assert values == [0, 1, 2, 3] * 4
    assert len(damages) == 1


def test_the_real_recording_is_read_whole(shared_data):
    with BagReader(shared_data / "rosbag2_tf") as reader:
        messages = list(reader.messages())
        assert len(messages) == 518
        assert reader.damages == []
        assert {t.name: t.count for t in reader.topics.values()} == {"/tf": 517, "/tf_static": 1}
        times = [m.log_time_ns for m in messages]
        assert times == sorted(times)
        assert all(m.message.transforms for m in messages)


def test_definitions_without_text_fall_back_to_ours():
    from rosbags.interfaces import Connection, ConnectionExtRosbag2

    from ego_perception.bag.reader import _choose_store

    nothing = MessageDefinition(MessageDefinitionFormat.NONE, "")
    for name, known in ((POSE, True), ("odd_msgs/msg/Odd", False)):
        connection = Connection(1, "/a", name, nothing, "", 0, ConnectionExtRosbag2("cdr", []), None)
        assert (_choose_store(connection) is not None) is known
