"""The demo's own steps; the whole of it runs in test/system."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from ego_perception.cli import demo
from ego_perception.cli.node_processes import NodeProcess
from ego_perception.errors import EgoPerceptionError, OutputError


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match="name another folder"):
        demo.clear(tmp_path)
    assert (tmp_path / "thesis.tex").exists()


@pytest.mark.parametrize("trace", ["recording", "recording.partial"])
def test_an_earlier_demo_is_replaced(tmp_path: Path, trace: str) -> None:
    (tmp_path / trace).mkdir()
    (tmp_path / "report.html").write_text("old")
    demo.clear(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_new_folder_is_made(tmp_path: Path) -> None:
    demo.clear(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_a_file_in_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        demo.clear(tmp_path / "demo")


@pytest.mark.ros
def test_a_node_that_cannot_start_says_why() -> None:
    node = NodeProcess("recorder")
    try:
        with pytest.raises(EgoPerceptionError, match="set the parameter path") as raised:
            node.wait_until_active(60.0)
    finally:
        assert node.stop() == 1
    assert "node recorder ended with exit code 1 before it was active" in str(raised.value)


@pytest.mark.ros
def test_a_node_starts_and_ends_cleanly(tmp_path: Path) -> None:
    with NodeProcess("recorder", {"path": str(tmp_path / "out"), "write_bag": False}) as node:
        node.wait_until_active(60.0)
    assert node.stop() == 0


def test_the_recorder_may_finish_what_is_on_its_way(tmp_path: Path) -> None:
    log = tmp_path / "frames.jsonl"

    def write() -> None:
        for _ in range(6):
            time.sleep(0.1)
            with log.open("a") as file:
                file.write("a line\n")

    writer = threading.Thread(target=write)
    writer.start()
    demo.wait_for_quiet(log, quiet_s=0.6, limit_s=20.0)
    assert log.read_text().count("line") == 6
    writer.join()
    demo.wait_for_quiet(tmp_path / "never.jsonl", quiet_s=0.2, limit_s=5.0)
