"""The report is one well-formed page that names what it shows and what is missing, and trusts no text from files."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fixtures.result_folder import write_result

from ego_perception.errors import OutputError, SourceError
from ego_perception.viz.content import ResultContent
from ego_perception.viz.figures import humanise, key_figures, leaves, number
from ego_perception.viz.report import build_report, read_latency, write_report

VOID = {"meta", "img", "br"}
SECTIONS = [
    "Point cloud",
    "Key figures",
    "Camera path and errors",
    "Frames over time",
    "Degraded and lost",
    "Timing",
    "Configuration",
    "How to reproduce",
]


class Page(HTMLParser):
    """Checks nesting and collects what the tests ask for."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.headings: list[str] = []
        self.addresses: list[str] = []
        self.images_without_text = 0
        self.tags: dict[str, int] = {}
        self.text = ""
        self.feed(html)
        self.close()
        assert self.stack == [], f"unclosed: {self.stack}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] = self.tags.get(tag, 0) + 1
        values = dict(attrs)
        self.addresses += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href", "action")]
        self.images_without_text += tag == "img" and not values.get("alt")
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.stack.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.stack, f"</{tag}> closes nothing"
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.stack and self.stack[-1] in ("h1", "h2"):
            self.headings.append(data)
        if "style" not in self.stack:
            self.text += data


@pytest.fixture(scope="module")
def reported(result_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(result_folder, tmp_path_factory.mktemp("report") / "out")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out renderings and plots, which take most of the time, where a test looks at other parts."""
    monkeypatch.setattr("ego_perception.viz.report.render_views", lambda _: [])
    monkeypatch.setattr("ego_perception.viz.plots.to_svg", lambda _figure, _name: "<svg></svg>")


@pytest.fixture(scope="module")
def html(reported: Path) -> str:
    out = reported
    path = write_report(out)
    assert path == out / "report.html"
    assert not list(out.glob(".report*"))
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_page_has_every_section_in_order(page: Page) -> None:
    assert page.headings == ["room", *SECTIONS]


def test_page_stands_alone(page: Page, html: str) -> None:
    assert page.addresses
    assert all(a.startswith(("data:image/", "#")) for a in page.addresses)
    assert not re.search(r"https?://|//cdn|@import|<script|<link|<iframe", html)
    assert len(html) < 4_000_000


def test_pictures_plots_and_tables_are_there(page: Page) -> None:
    # 3 views, 8 rows of 5 pictures less the depth, confidence and error of the lost ones, 3 scales.
    assert page.tags["img"] >= 3 + 8 * 5 - 3 * 2 + 3
    assert page.images_without_text == 0
    assert page.tags["svg"] == 3
    assert page.tags["table"] >= 4


def test_numbers_and_names_are_on_the_page(page: Page) -> None:
    for text in ("ATE RMSE after Sim(3)", "0.50 – 0.70 s", "few points", "./ego run room -o out", "depth.min_confidence"):
        assert text in page.text
    assert "tracking 75 %" in page.text.replace("\n", "")
    assert "lost 17 %" in page.text
    assert "Dropped 0" in page.text


def test_text_from_files_is_escaped(html: str, page: Page) -> None:
    assert "no known place in &lt;view&gt; &amp; sight" in html
    assert "no known place in <view> & sight" in page.text


@pytest.mark.usefixtures("quick")
def test_hostile_names_stay_text(tmp_path: Path) -> None:
    out = write_result(tmp_path / "a'b", num_frames=2, source="<script>alert(1)</script>")
    run = json.loads((out / "run.json").read_text())
    run["parameters"] = {"<img src=x>": "</table><script>"}
    run["counters"] = {"<b>": '"><script>'}
    (out / "run.json").write_text(json.dumps(run))
    html = build_report(ResultContent(out))
    page = Page(html)
    assert "script" not in page.tags
    assert page.headings[0] == "<script>alert(1)</script>"
    assert all(a.startswith(("data:image/", "#")) for a in page.addresses)


def test_same_result_same_page(reported: Path, html: str) -> None:
    assert build_report(ResultContent(reported)) == html


@pytest.mark.usefixtures("quick")
def test_without_truth_the_page_says_so(tmp_path: Path) -> None:
    page = Page(build_report(ResultContent(write_result(tmp_path / "out", with_truth=False))))
    assert "no ground truth" in page.text
    assert "true depth" not in page.text
    assert "Camera path" in page.headings


def test_interrupted_run_with_missing_parts_still_gives_a_page(result_folder: Path, tmp_path: Path) -> None:
    out = shutil.copytree(result_folder, tmp_path / "out")
    for name in ("cloud.ply", "timing.json", "metrics.json", "trajectory.tum"):
        (out / name).unlink()
    run = json.loads((out / "run.json").read_text())
    (out / "run.json").write_text(json.dumps(run | {"status": "interrupted", "counters": {}}))
    (out / "frames" / "000000.jpg").write_bytes(b"")
    log = out / "frames" / "frames.jsonl"
    log.write_text(log.read_text()[:-40])
    page = Page(build_report(ResultContent(out)))
    for text in ("did not finish (interrupted)", "No camera pose", "No point was fused", "1 damaged or missing", "no timing"):
        assert text in page.text
    assert "Point cloud" not in page.headings


def test_result_without_frames_gives_a_page(tmp_path: Path) -> None:
    page = Page(build_report(ResultContent(write_result(tmp_path / "out", num_frames=0))))
    assert "No frame was kept." in page.text
    assert "How to reproduce" in page.headings


@pytest.mark.usefixtures("quick")
def test_several_maps_are_mentioned(result_folder: Path, tmp_path: Path) -> None:
    out = shutil.copytree(result_folder, tmp_path / "out")
    log = out / "frames" / "frames.jsonl"
    log.write_text(log.read_text().replace('"map_id": 0', '"map_id": 1', 3))
    assert "2 maps" in Page(build_report(ResultContent(out))).text


def test_report_of_no_result_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no result folder"):
        write_report(tmp_path)


@pytest.mark.usefixtures("quick")
def test_report_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    out = write_result(tmp_path / "out", num_frames=1)
    (out / "report.html").mkdir()
    with pytest.raises(OutputError, match=r"cannot write .*report\.html"):
        write_report(out)


def test_metrics_of_another_version_are_left_out_with_a_note(result_folder: Path, tmp_path: Path) -> None:
    out = shutil.copytree(result_folder, tmp_path / "out")
    (out / "metrics.json").write_text('{"schema": 99}')
    rows, notes = key_figures(ResultContent(out))
    assert "another version" in notes[0]
    assert ("ATE RMSE after Sim(3)", "0.0 cm") in [(r.name, r.value) for r in rows]


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.23456, "1.235"), (7, "7"), (True, "yes"), (False, "no"), (None, "–"), (float("nan"), "–"), ("word", "word")],
)
def test_number(value: object, text: str) -> None:
    assert number(value) == text


def test_names_and_leaves() -> None:
    assert humanise("num_frames") == "Num frames"
    assert list(leaves({"a": {"b": 1, "c": {"d": 2}}, "e": [3]})) == [(("a", "b"), 1), (("a", "c", "d"), 2), (("e",), [3])]


@pytest.mark.parametrize("stored", [None, {}, "x", [1], [{"stage": "a"}]])
def test_latency_that_is_no_list_of_stages_is_empty(stored: object) -> None:
    assert read_latency(stored) == []


HOSTILE = "</td><script>alert('x')</script><img src=x onerror=y>&\""


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "keys",
    [("source",), ("verb",), ("version",), ("status",), ("parameters", "name"), ("weights", "file"), ("environment", "commit"),
     ("environment", "python"), ("counters", "lost")],
)  # fmt: skip
def test_hostile_text_in_any_field_of_the_run_stays_text(reported: Path, tmp_path: Path, keys: tuple[str, ...]) -> None:
    out = shutil.copytree(reported, tmp_path / "out")
    run = json.loads((out / "run.json").read_text())
    inner = run
    for key in keys[:-1]:
        inner = inner.setdefault(key, {})
    inner[keys[-1]] = HOSTILE
    (out / "run.json").write_text(json.dumps(run))
    page = Page(build_report(ResultContent(out)))
    assert "script" not in page.tags
    assert all(a.startswith(("data:image/", "#")) for a in page.addresses)
    assert HOSTILE in page.text or keys == ("verb",) or "'\"'\"'" in page.text


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("where", ["key", "value"])
@pytest.mark.parametrize("group", ["parameters", "weights", "environment", "counters"])
def test_hostile_keys_and_nested_values_stay_text(reported: Path, tmp_path: Path, group: str, where: str) -> None:
    out = shutil.copytree(reported, tmp_path / "out")
    run = json.loads((out / "run.json").read_text())
    run[group] = {HOSTILE: 1} if where == "key" else {"a": {"b": [HOSTILE]}} if group != "counters" else {"a": HOSTILE}
    (out / "run.json").write_text(json.dumps(run))
    page = Page(build_report(ResultContent(out)))
    assert "script" not in page.tags and "alert(" in page.text


@pytest.mark.usefixtures("quick")
def test_hostile_reasons_of_frames_stay_text_in_table_strip_and_ribbon(reported: Path, tmp_path: Path) -> None:
    out = shutil.copytree(reported, tmp_path / "out")
    log = out / "frames" / "frames.jsonl"
    lines = [json.loads(line) | {"reason": HOSTILE} for line in log.read_text().splitlines()]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    page = Page(build_report(ResultContent(out)))
    assert "script" not in page.tags and page.text.count("alert(") == 2, "one row for each interval"


@pytest.mark.usefixtures("quick")
def test_hostile_notes_of_the_scores_stay_text(reported: Path, tmp_path: Path) -> None:
    out = shutil.copytree(reported, tmp_path / "out")
    metrics = json.loads((out / "metrics.json").read_text())
    (out / "metrics.json").write_text(json.dumps(metrics | {"notes": [HOSTILE]}))
    page = Page(build_report(ResultContent(out)))
    assert "script" not in page.tags and HOSTILE in page.text


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("missing", "said"),
    [("cloud.ply", "No point was fused"), ("trajectory.tum", "No camera pose was found"), ("timing.json", "Dropped"),
     ("truth.tum", "ATE RMSE after Sim(3)"), ("metrics.json", "No metrics")],
)  # fmt: skip
def test_each_missing_part_is_said_and_the_rest_is_shown(reported: Path, tmp_path: Path, missing: str, said: str) -> None:
    out = shutil.copytree(reported, tmp_path / "out")
    (out / missing).unlink()
    page = Page(build_report(ResultContent(out)))
    assert said in page.text
    assert page.headings[-1] == "How to reproduce" and "Frames over time" in page.headings


@pytest.mark.usefixtures("quick")
def test_the_ribbon_places_each_interval_by_its_share_of_the_time(reported: Path) -> None:
    html = build_report(ResultContent(reported))
    marks = re.findall(r'<i style="left:([\d.]+)%;width:([\d.]+)%', html)
    expected = [(50 / 1.1, 20 / 1.1), (70 / 1.1, 10 / 1.1)]
    for (left, width), (at, share) in zip(marks, expected, strict=True):
        assert (float(left), float(width)) == pytest.approx((at, share), abs=0.01)


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_latency_keeps_whole_entries_alone(kept: int) -> None:
    whole = {"stage": "a", "count": 3, "last_ms": 1.0, "p50_ms": 2.0, "p95_ms": 3.0, "p99_ms": 4.0}
    stages = read_latency([*[whole] * kept, {"stage": "b"}, None, {**whole, "extra": 1}])
    assert [(s.stage, s.p95_ms) for s in stages] == [("a", 3.0)] * (kept + 1)
