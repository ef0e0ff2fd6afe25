"""Writes `report.html`: one page that holds a whole result, pictures inside, and needs neither network nor program.

What a result lacks (no truth, no cloud, an interrupted run) is said on the page. All text from files is escaped.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any, Final

import numpy as np

from ego_perception.data import TrackingState
from ego_perception.data.result import FrameRecord
from ego_perception.errors import OutputError
from ego_perception.runtime.latency import StageLatency
from ego_perception.viz import plots
from ego_perception.viz.content import ResultContent
from ego_perception.viz.figures import humanise, key_figures, leaves, number
from ego_perception.viz.hands import removal_frames
from ego_perception.viz.pictures import (
    Picture,
    colour_confidence,
    colour_depth,
    colour_error,
    data_uri,
    encode_jpeg,
    encode_png,
    fit_width,
)
from ego_perception.viz.renderings import render_views
from ego_perception.viz.report_hands import hand_removal_body
from ego_perception.viz.report_style import CSS

_STRIP_ROWS: Final = 8
_STRIP_WIDTH_PX: Final = 280
_LARGEST_ERROR: Final = 0.5
_LATENCY_KEYS: Final = ("stage", "count", "last_ms", "p50_ms", "p95_ms", "p99_ms")


def write_report(out: Path) -> Path:
    """Write `report.html` into a result folder.

    Args:
        out: the folder that a run wrote; only `frames/frames.jsonl` must exist.

    Returns:
        The path of the page.

    Raises:
        SourceError: `out` is no result folder.
        OutputError: the page cannot be written.
    """
    page = build_report(ResultContent(out))
    target, partial = out / "report.html", out / ".report.html.part"
    try:
        partial.write_text(page, encoding="utf-8")
        partial.replace(target)
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror}; free space or choose another folder") from error
    return target


def build_report(content: ResultContent) -> str:
    """The whole page as text."""
    sections: tuple[Callable[[ResultContent], str], ...] = (
        _views, _key_figures, _path_and_errors, _strip, _hand_removal, _states, _timing, _configuration, _reproduce,
    )  # fmt: skip
    if not content.has_reconstruction:
        sections = (_hand_removal, _states, _timing, _configuration, _reproduce)
    below = [section(content) for section in sections]
    # The header comes last: only now is known which pictures could not be read.
    body = "\n".join([_header(content), *below])
    title = escape(f"{_source(content)} – ego_perception")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{CSS}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _source(content: ResultContent) -> str:
    run = content.reader.run
    return str(run.get("source", content.path.resolve().name))


def _header(content: ResultContent) -> str:
    chips = [
        f"<b>{content.duration_s:.1f}</b> s",
        f"<b>{len(content.frames)}</b> kept frames",
    ]
    for state, count in sorted(content.state_counts.items()):
        share = 100 * count / len(content.frames)
        dot = f'<span class="dot" style="background:{plots.STATE_COLOURS[state]}"></span>'
        chips.append(f"{dot}{state.name.lower()} <b>{share:.0f}</b> %")
    marks = "".join(f'<span class="chip">{chip}</span>' for chip in chips)
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in _missing(content))
    return (
        f"<header><h1>{escape(_source(content))}</h1>"
        f'<p class="soft">{_subject(content)} from one head-mounted camera</p>'
        f'<div class="chips">{marks}</div>{_ribbon(content)}</header>{notes}'
    )


def _subject(content: ResultContent) -> str:
    if not content.has_reconstruction:
        return "Hand removal"
    return "Scene reconstruction and hand removal" if removal_frames(content) else "Scene reconstruction"


def _ribbon(content: ResultContent) -> str:
    """A thin bar over the recording's duration, coloured by state."""
    if content.duration_s <= 0:
        return ""
    marks = "".join(
        f'<i style="left:{100 * i.start_s / content.duration_s:.2f}%;'
        f'width:{100 * (i.end_s - i.start_s) / content.duration_s:.2f}%;background:{plots.STATE_COLOURS[i.state]}"'
        f' title="{escape(_sentence(i.state, i.reason))}"></i>'
        for i in content.intervals
    )
    return f'<div class="ribbon" role="img" aria-label="State over time">{marks}</div>'


def _missing(content: ResultContent) -> list[str]:
    notes = []
    status = str(content.reader.run.get("status", "finished"))
    if status != "finished":
        notes.append(f"The run did not finish ({status}). This page shows what was written up to then.")
    if not content.frames:
        notes.append("No frame was kept.")
    if content.paths is None and content.has_reconstruction:
        notes.append("No camera pose was found, so there is no camera path.")
    if len(content.cloud[0]) == 0 and content.has_reconstruction:
        notes.append("No point was fused, so there is no picture of the cloud.")
    if content.num_maps > 1:
        notes.append(f"Tracking had to start {content.num_maps} maps; they share no world, and the cloud shows the largest.")
    if content.unreadable:
        names = ", ".join(sorted(content.unreadable)[:5])
        notes.append(f"{len(content.unreadable)} damaged or missing parts are left out ({names}).")
    return notes


def _views(content: ResultContent) -> str:
    views = render_views(content)
    if not views:
        return ""
    figures = "".join(
        f"<figure>{_image(encode_jpeg(v.picture, 84), 'image/jpeg', 'Fused cloud ' + v.caption)}"
        f"<figcaption>{escape(v.caption[:1].upper() + v.caption[1:])}</figcaption></figure>"
        for v in views
    )
    truth = ", grey is the true path" if content.truth_in_world() is not None else ""
    text = f'<p class="soft">All depth images fused in one world. Blue is the camera path{truth}.</p>'
    return _section("Point cloud", f'{text}<div class="views">{figures}</div>')


def _key_figures(content: ResultContent) -> str:
    rows, notes = key_figures(content)
    groups = ["", *(row.group for row in rows)]
    shown = "".join(
        f'<tr><td class="soft">{"" if row.group == above else escape(row.group)}</td><td>{escape(row.name)}</td>'
        f'<td class="number">{escape(row.value)}</td><td class="soft">{escape(row.baseline)}</td></tr>'
        for row, above in zip(rows, groups, strict=False)
    )
    said = "".join(f'<p class="note">{escape(note)}</p>' for note in notes)
    head = _head("", "Score", "Value", "Doing nothing gives")
    return _section("Key figures", f"{said}<table><thead>{head}</thead><tbody>{shown}</tbody></table>")


def _path_and_errors(content: ResultContent) -> str:
    paths = content.paths
    if paths is None:
        return _section("Camera path", '<p class="soft">No pose was estimated.</p>')
    path = f"<figure>{plots.to_svg(plots.trajectory_plot(paths), 'path')}<figcaption>Seen from above; up is estimated from " \
           "the surfaces of the scene.</figcaption></figure>"  # fmt: skip
    depth = _depth_errors(content)
    if not len(paths.error_m) and depth is None:
        text = '<p class="soft">The recording has no ground truth: nothing to compare with.</p>'
        return _section("Camera path", f'<div class="pair">{path}{text}</div>')
    position = (paths.error_time_s, paths.error_m) if len(paths.error_m) else None
    figure = plots.error_plot(position, depth, content.intervals, content.duration_s, width_in=5.6)
    error = f"<figure>{plots.to_svg(figure, 'error')}<figcaption>Errors of single frames against the ground truth, " \
            "after one alignment for the recording.</figcaption></figure>"  # fmt: skip
    return _section("Camera path and errors", f'<div class="pair">{path}{error}</div>')


def _depth_errors(content: ResultContent) -> tuple[np.ndarray, np.ndarray] | None:
    times, errors = [], []
    for frame in content.sampled(60):
        error = content.depth_error(frame)
        if error is not None and np.isfinite(error).any():
            times.append(content.time_s(frame))
            errors.append(float(np.nanmean(error)))
    return (np.array(times), np.array(errors)) if times else None


def _strip(content: ResultContent) -> str:
    rows = content.sampled(_STRIP_ROWS)
    if not rows:
        return ""
    has_truth = any("truth" in f.files for f in rows)
    heads = ["image", "depth", "confidence", *(["true depth", "depth error"] if has_truth else [])]
    cells = ["<span></span>", *(f'<span class="head">{h}</span>' for h in heads)]
    for frame in rows:
        cells.append(_when(content, frame))
        for head, picture in zip(heads, _pictures(content, frame, has_truth), strict=True):
            label = f"{head} at {content.time_s(frame):.1f} s"
            cells.append("<span class='soft'>none</span>" if picture is None else _jpeg(picture, label))
    columns = f"grid-template-columns: 76px repeat({len(heads)}, 1fr)"
    strip = f'<div class="strip" style="{columns}">{"".join(cells)}</div>'
    return _section("Frames over time", strip + _scales(content, has_truth))


def _when(content: ResultContent, frame: FrameRecord) -> str:
    dot = f'<span class="dot" style="background:{plots.STATE_COLOURS[frame.state]}"></span>'
    return (
        f'<span class="when" title="{escape(_sentence(frame.state, frame.reason))}">{dot}{content.time_s(frame):.1f} s</span>'
    )


def _pictures(content: ResultContent, frame: FrameRecord, has_truth: bool) -> list[Picture | None]:
    near, far = content.depth_limits
    depth, confidence = content.depth(frame), content.confidence(frame)
    pictures = [
        content.image(frame),
        None if depth is None else colour_depth(depth, near, far),
        None if confidence is None else colour_confidence(confidence, depth),
    ]
    if has_truth:
        truth, error = content.true_depth(frame), content.depth_error(frame)
        scale = content.depth_scale or 1.0
        pictures.append(None if truth is None else colour_depth(truth / scale, near, far))
        pictures.append(None if error is None else colour_error(error, _LARGEST_ERROR))
    return pictures


def _scales(content: ResultContent, has_truth: bool) -> str:
    near, far = content.depth_limits
    ramp = np.linspace(0, 1, 128, dtype=np.float32)[None].repeat(4, axis=0)
    inverse = 1 / near + (1 / far - 1 / near) * ramp
    scales = [
        ("depth", f"{near:.1f} m", colour_depth(1 / inverse, near, far), f"{far:.1f} m"),
        ("confidence", "0", colour_confidence(ramp), "1"),
    ]
    if has_truth:
        scales.append(("depth error", "0 %", colour_error(ramp, 1.0), f"{100 * _LARGEST_ERROR:.0f} %"))
    parts = "".join(
        f"<span>{name}: {low} {_image(encode_png(bar), 'image/png', name + ' scale')} {high}</span>"
        for name, low, bar, high in scales
    )
    note = " True depth is shown in the estimate's scale." if has_truth else ""
    return f'<div class="scales">{parts}<span>Grey checker: no value.{note}</span></div>'


def _hand_removal(content: ResultContent) -> str:
    body = hand_removal_body(content)
    return _section("Hand removal", body) if body else ""


def _states(content: ResultContent) -> str:
    if not content.frames:
        return ""
    if not content.intervals:
        return _section("Degraded and lost", '<p class="soft">Tracking throughout: no frame was degraded or lost.</p>')
    rows = "".join(
        f'<tr><td class="number">{i.start_s:.2f} – {i.end_s:.2f} s</td>'
        f'<td><span class="dot" style="background:{plots.STATE_COLOURS[i.state]}"></span>{i.state.name.lower()}</td>'
        f"<td>{escape(i.reason)}</td></tr>"
        for i in content.intervals
    )
    table = f"<table><thead>{_head('Time', 'State', 'Reason')}</thead><tbody>{rows}</tbody></table>"
    return _section("Degraded and lost", table)


def _timing(content: ResultContent) -> str:
    run = content.reader.run
    stages = read_latency((content.timing or {}).get("stages"))
    counters = run.get("counters")
    counted = _counters(counters) if isinstance(counters, dict) else ""
    if not stages and not counted:
        return _section("Timing", '<p class="soft">The run wrote down no timing.</p>')
    figure = "" if not stages else f"<figure>{plots.to_svg(plots.latency_plot(stages, width_in=8.5), 'latency')}</figure>"
    return _section("Timing", f'{figure}<div class="chips">{counted}</div>')


def _counters(counters: dict[str, Any]) -> str:
    shown = ((humanise(str(key)), number(value)) for key, value in counters.items() if value != "")
    return "".join(f'<span class="chip">{escape(name)} <b>{escape(text)}</b></span>' for name, text in shown)


def read_latency(stored: Any) -> list[StageLatency]:
    """Read the stages of timing.json, leaving out what is not an entry of it."""
    entries = stored if isinstance(stored, list) else []
    return [
        StageLatency(**{key: entry[key] for key in _LATENCY_KEYS})
        for entry in entries
        if isinstance(entry, dict) and all(key in entry for key in _LATENCY_KEYS)
    ]


def _configuration(content: ResultContent) -> str:
    run = content.reader.run
    tables = "".join(
        f"<details><summary>{escape(humanise(key))}</summary>{_table(run[key])}</details>"
        for key in ("parameters", "weights", "environment")
        if isinstance(run.get(key), dict) and run[key]
    )
    return _section("Configuration", tables or '<p class="soft">The run wrote down no configuration.</p>')


def _reproduce(content: ResultContent) -> str:
    run = content.reader.run
    environment = run.get("environment")
    facts = {"Source": _source(content), "Version": run.get("version", "unknown")}
    facts["Commit"] = environment.get("commit", "unknown") if isinstance(environment, dict) else "unknown"
    name = shlex.quote(content.path.resolve().name)
    command = run.get("command") or f"./ego {run.get('verb', 'run')} {shlex.quote(_source(content))}"
    text = f"{command} -o {name}"
    look = f"./ego view {name}"
    return _section(
        "How to reproduce",
        f"<pre>{escape(text)}</pre><p>To walk through it in a browser:</p><pre>{escape(look)}</pre>{_table(facts)}",
    )


def _table(values: dict[str, Any]) -> str:
    shown = ((".".join(path), ", ".join(map(str, v)) if isinstance(v, list) else str(v)) for path, v in leaves(values))
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{escape(text)}</td></tr>" for name, text in shown)
    return f"<table><tbody>{rows}</tbody></table>"


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def _head(*names: str) -> str:
    return "<tr>" + "".join(f"<th>{escape(n)}</th>" for n in names) + "</tr>"


def _jpeg(picture: Picture, label: str) -> str:
    return _image(encode_jpeg(fit_width(picture, _STRIP_WIDTH_PX), 82), "image/jpeg", label)


def _image(content: bytes, media_type: str, label: str) -> str:
    return f'<img src="{data_uri(content, media_type)}" alt="{escape(label)}">'


def _sentence(state: TrackingState, reason: str) -> str:
    return f"{state.name.lower()}: {reason}" if reason else state.name.lower()
