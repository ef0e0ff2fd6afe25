"""Benchmark arithmetic, and that what is compared gives the same result."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from ego_perception.bag.types import RosbagsFactory
from ego_perception.cli import bench
from ego_perception.cli.benchmarks import BenchmarkRow, Milliseconds, cloud, compact_removal, live, memory
from ego_perception.cli.benchmarks.row import interleaved, timed
from ego_perception.data import Frame
from ego_perception.errors import OutputError
from ego_perception.messages import SceneTopic
from ego_perception.messages.point_cloud import cloud_message
from ego_perception.nodes.probe import Arrivals

PIXELS = np.zeros((2, 2, 3), np.uint8)


def frames(count: int) -> list[Frame]:
    return [Frame(1000 + i * 100_000_000, PIXELS, index=i) for i in range(count)]


def test_ratio_is_figure_over_baseline() -> None:
    assert BenchmarkRow("a", 30.0, "b", 10.0).ratio == 3.0
    assert BenchmarkRow("a", 30.0).ratio is None


def test_percentiles() -> None:
    summary = Milliseconds.of([float(i) for i in range(1, 101)])
    assert (summary.p50, summary.worst) == (50.5, 100.0)
    assert summary.p95 == pytest.approx(95.05)


def test_timing_measures_the_wall() -> None:
    assert timed(lambda: time.sleep(0.02)) >= 20


def test_interleaving_alternates_and_drops_the_warm_up() -> None:
    order: list[str] = []
    result = interleaved({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, repeats=4, warm_up=2)
    assert order == ["a", "b"] * 6
    assert set(result) == {"a", "b"}


def test_the_cloud_baseline_makes_the_same_bytes() -> None:
    """A ratio means nothing if the two do different work."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(4, 5, 3)).astype(np.float32)
    colours = rng.integers(0, 255, (4, 5, 3), np.uint8)
    message = cloud_message(RosbagsFactory(), points, colours, 1, "camera")
    assert cloud.record_array(points, colours).tobytes() == message.data.tobytes()


def test_cloud_rows_name_their_baseline() -> None:
    rows = cloud.cloud_rows(repeats=1)
    assert rows
    assert all(row.baseline_value and row.target for row in rows)


def test_the_looping_source_turns_round_without_a_jump() -> None:
    source = memory.LoopingSource(frames(4), minutes=1.0 / 60.0)
    given = list(source)
    assert len(given) == 10
    stamps = np.diff([f.stamp_ns for f in given if isinstance(f, Frame)])
    assert (stamps == 100_000_000).all()
    assert [f.index for f in given if isinstance(f, Frame)] == list(range(10))


def test_the_looping_source_shows_neighbours_only() -> None:
    marked = [Frame(1000 + i * 100_000_000, np.full((2, 2, 3), i, np.uint8)) for i in range(4)]
    shown = [int(f.image[0, 0, 0]) for f in memory.LoopingSource(marked, 1.5 / 60.0) if isinstance(f, Frame)]
    assert shown[:8] == [0, 1, 2, 3, 2, 1, 0, 1]


def test_process_figures_are_read_from_the_system() -> None:
    assert 5 < memory.resident_mb() < 50_000
    before = live.cpu_s(os.getpid())
    end = time.process_time() + 0.15
    while time.process_time() < end:
        pass
    assert live.cpu_s(os.getpid()) - before >= 0.1


def test_json_holds_rows_and_options(tmp_path: Path) -> None:
    bench.save(tmp_path / "b.json", [BenchmarkRow("a", 1.0, "b", 2.0, "<= 3", True)], {"seed": 1})
    content = json.loads((tmp_path / "b.json").read_text())
    assert content["rows"][0] == {
        "figure": "a", "value": 1.0, "baseline": "b", "baseline_value": 2.0, "target": "<= 3", "reached": True, "ratio": 0.5,
    }  # fmt: skip
    assert content["options"] == {"seed": 1}


def test_an_unwritable_json_is_said(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        bench.save(tmp_path / "missing" / "b.json", [], {})


def test_a_missed_target_stands_out() -> None:
    console = Console(record=True, width=160)
    bench.show(console, [BenchmarkRow("age, ms", 200.0, target="<= 150", reached=False)])
    assert "MISSED" in console.export_text()


def test_hand_removal_is_held_against_inpainting_of_the_same_holes() -> None:
    rows = compact_removal.rows_of("640x480", [10.0, 20.0, 30.0], {"Telea": [100.0, 100.0], "Navier-Stokes": []}, [0.1, 0.2])
    assert rows[0].value == pytest.approx(15.0)
    (ratio,) = [row for row in rows if row.baseline]
    assert "Telea" in ratio.baseline and ratio.ratio == pytest.approx(0.2)


@pytest.mark.parametrize(("subjects", "with_diffusion"), [(None, False), ([bench.Subject.HAND_REMOVAL], True)])
def test_the_diffusion_model_is_timed_on_request_only(
    monkeypatch: pytest.MonkeyPatch, subjects: list[bench.Subject] | None, with_diffusion: bool
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(bench, "Subject", [bench.Subject.HAND_REMOVAL])
    monkeypatch.setattr(bench, "measure", lambda *args, in_full, **options: asked.append(in_full) or [])
    bench.bench(subjects, 20.0, 10.0, None, None)
    assert asked == [with_diffusion]


def test_targets_are_limits_from_below_and_from_above() -> None:
    assert [live.at_least("rate", value, 8).reached for value in (7.9, 8.0)] == [False, True]
    assert [live.at_most("age", value, 200).reached for value in (200.0, 200.1)] == [True, False]
    assert live.at_least("rate", float("nan"), 8).reached is False, "nothing came"
    silent = live.Played({SceneTopic.ODOM: Arrivals([1.0]), SceneTopic.POINTS: Arrivals()}, {})
    row = live.silent_row("live", silent)
    assert (row.value, row.reached, silent.silent) == (1.0, False, ["points"])


def test_hand_removal_is_measured_where_hands_are_seen() -> None:
    seeds = {subject: bench.seed_of(subject, None) for subject in bench.Subject}
    assert seeds[bench.Subject.HAND_REMOVAL] != seeds[bench.Subject.LIVE]
    assert {bench.seed_of(subject, 7) for subject in bench.Subject} == {7}
