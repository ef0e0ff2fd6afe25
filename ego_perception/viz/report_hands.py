"""The report on hand removal: pairs of pictures, where their pixels come from, and what was withheld and why."""

from __future__ import annotations

from collections import Counter
from html import escape
from typing import Final

import numpy as np

from ego_perception.data.hand_removal import Provenance
from ego_perception.data.result import FrameRecord
from ego_perception.viz.content import ResultContent
from ego_perception.viz.hands import (
    HAND_RGB,
    HAND_WORDS,
    PROVENANCE_RGB,
    PROVENANCE_WORDS,
    overlay_hands,
    overlay_provenance,
    removal_frames,
    shares,
    state_counts,
)
from ego_perception.viz.pictures import Picture, data_uri, encode_jpeg, fit_width

_ROWS: Final = 6
_WIDTH_PX: Final = 280
_HEADS: Final = ("image, hands marked", "without hands", "where pixels come from")


def hand_removal_body(content: ResultContent) -> str:
    """HTML of the section without its title; empty where hands were not removed."""
    frames = removal_frames(content)
    if not frames:
        return ""
    return _chips(content, frames) + _pairs(content, frames) + _legend() + _reasons(frames)


def _chips(content: ResultContent, frames: list[FrameRecord]) -> str:
    found = shares(p for f in _picked(frames, 24) if (p := content.provenance(f)) is not None)
    texts = [f"{state} <b>{100 * count / len(frames):.0f}</b> %" for state, count in sorted(state_counts(frames).items())]
    texts += [f"{escape(PROVENANCE_WORDS[code])} <b>{100 * share:.1f}</b> % of pixels" for code, share in found.items()]
    marks = "".join(f'<span class="chip">{text}</span>' for text in texts)
    return f'<div class="chips">{marks}</div>'


def _pairs(content: ResultContent, frames: list[FrameRecord]) -> str:
    cells = ["<span></span>", *(f'<span class="head">{head}</span>' for head in _HEADS)]
    looked_at = _picked(frames, 4 * _ROWS)
    with_hole = [f for f in looked_at if (codes := content.provenance(f)) is None or codes.any()]
    for frame in _picked(with_hole or looked_at, _ROWS):
        when = f"{content.time_s(frame):.1f} s"
        cells.append(f'<span class="when">{when}</span>')
        for head, picture in zip(_HEADS, _pictures(content, frame), strict=True):
            cells.append(_image(picture, f"{head} at {when}") if picture is not None else _absent(frame))
    return f'<div class="strip" style="grid-template-columns: 76px repeat({len(_HEADS)}, 1fr)">{"".join(cells)}</div>'


def _pictures(content: ResultContent, frame: FrameRecord) -> tuple[Picture | None, Picture | None, Picture | None]:
    image, free = content.image(frame), content.hand_free(frame)
    marked = None if image is None else overlay_hands(image, content.hand_mask(frame))
    sources = None if free is None else overlay_provenance(free, content.provenance(frame))
    return marked, free, sources


def _absent(frame: FrameRecord) -> str:
    return f'<span class="soft">{escape(frame.hand_removal.get("state", "").lower() or "none")}</span>'


def _legend() -> str:
    colours = [(HAND_RGB[label], f"{words}, marked") for label, words in HAND_WORDS.items()]
    colours += [(PROVENANCE_RGB[code], PROVENANCE_WORDS[code]) for code in Provenance if code in PROVENANCE_RGB]
    parts = "".join(
        f'<span><span class="dot" style="background:rgb{colour}"></span>{escape(words)}</span>' for colour, words in colours
    )
    return f'<div class="scales">{parts}<span>Untinted pixels are the camera\'s own.</span></div>'


def _reasons(frames: list[FrameRecord]) -> str:
    """Why frames were not clean, most frequent first."""
    said = Counter(
        (f.hand_removal.get("state", "").lower(), f.hand_removal["reason"]) for f in frames if f.hand_removal.get("reason")
    )
    if not said:
        return ""
    rows = "".join(
        f'<tr><td class="number">{count}</td><td>{escape(state)}</td><td>{escape(reason)}</td></tr>'
        for (state, reason), count in said.most_common(8)
    )
    return f"<table><thead><tr><th>Kept frames</th><th>State</th><th>Reason</th></tr></thead><tbody>{rows}</tbody></table>"


def _picked(frames: list[FrameRecord], count: int) -> list[FrameRecord]:
    """At most `count` frames spread evenly."""
    return [frames[i] for i in np.unique(np.round(np.linspace(0, len(frames) - 1, count)).astype(int))]


def _image(picture: Picture, label: str) -> str:
    uri = data_uri(encode_jpeg(fit_width(picture, _WIDTH_PX), 82), "image/jpeg")
    return f'<img src="{uri}" alt="{escape(label)}">'
