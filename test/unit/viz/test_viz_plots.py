"""Plots draw the numbers they are given and fit both a file and a page."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import cv2
import matplotlib as mpl
import numpy as np
import pytest

from ego_perception.data import TrackingState
from ego_perception.geometry import umeyama
from ego_perception.runtime.latency import StageLatency
from ego_perception.viz import plots
from ego_perception.viz.content import Interval, Paths, ResultContent
from ego_perception.viz.upright import level_rotation

STAGES = [StageLatency("track", 100, 5.0, 5.0, 8.0, 9.0), StageLatency("total", 100, 20.0, 20.0, 31.5, 40.0)]
LOST = Interval(1.0, 2.0, TrackingState.LOST, "blackout")


@pytest.fixture
def paths(content: ResultContent) -> Paths:
    assert content.paths is not None
    return content.paths


def test_trajectory_plot_holds_both_paths_on_equal_axes(paths: Paths) -> None:
    figure = plots.trajectory_plot(paths)
    axes = figure.axes[0]
    assert axes.get_aspect() == 1.0
    labels = [t.get_text() for t in figure.legends[0].get_texts()]
    assert labels == ["ground truth", "estimate, aligned (Sim(3))", "start", "end"]
    np.testing.assert_allclose(axes.lines[0].get_xydata(), paths.truth[:, :2])
    assert axes.get_xlabel().endswith("(m)")
    assert axes.get_ylabel().endswith("(m)")


def test_trajectory_plot_breaks_where_the_pose_was_lost(paths: Paths) -> None:
    x = np.arange(10.0)
    time_s = np.array([0, 1, 2, 3, 4, 14, 15, 16, 17, 18.0])
    walked = replace(paths, time_s=time_s, estimate=np.stack([x, x, x], axis=1), truth=None)
    figure = plots.trajectory_plot(walked)
    drawn = [line.get_xdata() for line in figure.axes[0].lines if len(line.get_xdata()) > 1]
    assert [d.tolist() for d in drawn] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    assert "ground truth" not in [t.get_text() for t in figure.legends[0].get_texts()]


def test_error_plot_has_a_panel_per_series_and_shades_the_states() -> None:
    t = np.linspace(0, 4, 9)
    figure = plots.error_plot((t, 0.01 * t), (t, 0.1 + 0 * t), [LOST], 4.0)
    assert [a.get_ylabel() for a in figure.axes] == ["position error (cm)", "depth AbsRel (%)"]
    assert figure.axes[0].lines[0].get_ydata().max() == pytest.approx(4.0)
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["lost"]
    assert all(len(a.patches) == 1 for a in figure.axes)
    alone = plots.error_plot((t, t), None, [], 4.0)
    assert len(alone.axes) == 1
    assert not alone.legends


def test_latency_plot_orders_stages_from_the_top() -> None:
    axes = plots.latency_plot(STAGES).axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["track", "total"]
    assert axes.yaxis_inverted()
    assert [p.get_width() for p in axes.patches] == [5.0, 20.0]
    assert "20.0 / 31.5" in [t.get_text() for t in axes.texts]


@pytest.mark.parametrize(
    ("times", "parts"),
    [([], [0]), ([0.0], [1]), ([0, 1, 2, 3], [4]), ([0, 1, 2, 9, 10, 11], [3, 3]), ([0, 1, 2, 3, 9], [4, 1])],
)
def test_unbroken_splits_at_gaps(times: list[float], parts: list[int]) -> None:
    found = plots.unbroken(np.array(times, float))
    assert [len(np.array(times)[p]) for p in found] == parts


def test_png_is_a_picture_on_white(paths: Paths) -> None:
    data = plots.to_png(plots.trajectory_plot(paths))
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture[0, 0].tolist() == [255, 255, 255]
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 20


def test_svg_is_well_formed_without_addresses_and_in_the_pages_colour(paths: Paths) -> None:
    svg = plots.to_svg(plots.trajectory_plot(paths), "path")
    root = ElementTree.fromstring(svg)
    assert root.tag == "svg"
    assert root.get("viewBox")
    assert root.get("width") is None
    assert "http" not in svg
    assert "currentColor" in svg
    assert "#1f2329" not in svg
    assert "ahead at the start" in svg
    names = re.findall(r'\bid="([^"]+)"', svg)
    assert len(names) == len(set(names))
    assert all(n.startswith("path-") for n in names)
    for target in re.findall(r'(?:url\(#|href="#)([^")]+)', svg):
        assert target in names


def test_svg_is_the_same_every_time(paths: Paths) -> None:
    first, second = (plots.to_svg(plots.trajectory_plot(paths), "path") for _ in range(2))
    assert first == second


def test_the_plotted_alignment_is_umeyamas(content: ResultContent, paths: Paths) -> None:
    """The drawn truth, taken back, is the truth; the errors are the distances after the least-squares similarity."""
    estimate, truth = content.reader.trajectory, content.reader.truth
    assert estimate is not None and truth is not None and content.alignment is not None
    mine = np.isin(estimate.stamps_ns, truth.stamps_ns)
    pairs = estimate.positions[mine], truth.positions[np.isin(truth.stamps_ns, estimate.stamps_ns)]
    similarity = umeyama(*pairs)
    np.testing.assert_allclose(content.alignment.R, similarity.R, atol=1e-9)
    np.testing.assert_allclose(content.alignment.t, similarity.t, atol=1e-9)
    assert content.alignment.scale == paths.scale == pytest.approx(similarity.scale)
    np.testing.assert_allclose(paths.error_m, np.linalg.norm(similarity.apply(pairs[0]) - pairs[1], axis=1), atol=1e-9)
    level = level_rotation(content.up)
    np.testing.assert_allclose(paths.estimate, similarity.scale * estimate.positions @ level.T, atol=1e-9)
    assert paths.truth is not None
    np.testing.assert_allclose(paths.truth @ level @ similarity.R.T + similarity.t, truth.positions, atol=1e-9)


@pytest.mark.parametrize("state", [TrackingState.DEGRADED, TrackingState.LOST, TrackingState.UNKNOWN])
def test_a_shade_spans_its_interval_in_its_states_colour(state: TrackingState) -> None:
    t = np.linspace(0, 4, 9)
    axes = plots.error_plot((t, t), None, [Interval(1.0, 2.5, state, "")], 4.0).axes[0]
    patch = axes.patches[0]
    assert (patch.get_x(), patch.get_width()) == pytest.approx((1.0, 1.5))
    assert mpl.colors.to_hex(patch.get_facecolor()) == plots.STATE_COLOURS[state]
    assert axes.get_xlim() == pytest.approx((0.0, 4.0)) and axes.get_ylim()[0] == 0.0


def test_nothing_to_plot_still_gives_a_panel_with_its_shades() -> None:
    figure = plots.error_plot(None, (np.zeros(0), np.zeros(0)), [LOST], 4.0)
    assert len(figure.axes) == 1 and len(figure.axes[0].patches) == 1 and not figure.axes[0].lines
    assert plots.latency_plot([]).axes[0].get_xlim()[1] > 0


def test_a_slow_tail_below_the_median_is_drawn_at_the_median() -> None:
    axes = plots.latency_plot([StageLatency("odd", 3, 5.0, 5.0, 2.0, 9.0)]).axes[0]
    assert [t.get_text() for t in axes.texts] == ["5.0 / 5.0"]


@pytest.mark.parametrize("name", ["a", "b"])
def test_two_figures_of_a_page_share_no_identifier(name: str) -> None:
    svg = plots.to_svg(plots.latency_plot(STAGES), name)
    assert all(i.startswith(f"{name}-") for i in re.findall(r'\bid="([^"]+)"', svg))


@pytest.mark.parametrize("text", ["<script>", 'a"b', "a & b", "</svg>"])
def test_hostile_stage_names_stay_text(text: str) -> None:
    svg = plots.to_svg(plots.latency_plot([StageLatency(text, 1, 1.0, 1.0, 1.0, 1.0)]), "x")
    root = ElementTree.fromstring(svg)
    assert text in "".join(root.itertext())
    assert "script" not in {element.tag for element in root.iter()}
