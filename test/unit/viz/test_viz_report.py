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
def html(result_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = shutil.copytree(result_folder, tmp_path_factory.mktemp("report") / "out")
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


def test_same_result_same_page(result_folder: Path) -> None:
    assert build_report(ResultContent(result_folder)) == build_report(ResultContent(result_folder))


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


def test_several_maps_are_mentioned(result_folder: Path, tmp_path: Path) -> None:
    out = shutil.copytree(result_folder, tmp_path / "out")
    log = out / "frames" / "frames.jsonl"
    log.write_text(log.read_text().replace('"map_id": 0', '"map_id": 1', 3))
    assert "2 maps" in Page(build_report(ResultContent(out))).text


def test_report_of_no_result_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no result folder"):
        write_report(tmp_path)


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
