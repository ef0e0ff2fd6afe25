"""The page of a finished result: scene nodes and controls, and what each control does.

Every control calls a plain method here, so a program (or a test) can drive the page as a user does.
"""

from __future__ import annotations

import bisect
import threading
from functools import partial
from html import escape
from typing import Any, Final, cast

import numpy as np
import viser

from ego_perception.data import TrackingState
from ego_perception.data.result import FrameRecord
from ego_perception.viz import nodes
from ego_perception.viz.content import ResultContent
from ego_perception.viz.figures import key_figures
from ego_perception.viz.hands import overlay_hands, overlay_provenance, removal_frames
from ego_perception.viz.pictures import colour_confidence, colour_depth
from ego_perception.viz.plots import STATE_COLOURS
from ego_perception.viz.result_scene import ResultScene

SPEEDS: Final = ("0.25x", "0.5x", "1x", "2x", "4x")


class ResultView:
    """Builds the page of one result on a server and keeps it at one frame of the timeline.

    Args:
        server: a fresh server.
        content: the result.
        max_points: limit of the fused cloud, for slow browsers.
    """

    def __init__(self, server: viser.ViserServer, content: ResultContent, *, max_points: int = 300_000) -> None:
        self.index = 0
        self._server = server
        self._content = content
        self._lock = threading.RLock()
        self._clock_s = 0.0
        self._times = [content.time_s(f) for f in content.frames]
        self._scene = ResultScene(server, content, max_points)
        self._build_panel()
        if content.frames:
            self.show(0)

    @property
    def is_playing(self) -> bool:
        """True while the timeline runs."""
        return bool(self._play.value)

    def redraw(self) -> None:
        """Draw the current frame again, with what the controls now say."""
        with self._lock:
            self.show(self.index)

    def show(self, index: int) -> None:
        """Put the page at a kept frame; an index outside the recording is clamped."""
        with self._lock, self._server.atomic():
            if not self._content.frames:
                return
            self.index = int(np.clip(index, 0, len(self._content.frames) - 1))
            frame = self._content.frames[self.index]
            self._scene.show(frame, float(self._confidence.value))
            self._show_pictures(frame)
            where = f"{self._times[self.index]:.2f} s, frame {frame.index}"
            self._status.content = status_line(frame.state, frame.reason, where)
            if self._slider.value != self.index:
                # viser's setter is made at run time, where the type checker does not see it.
                cast(Any, self._slider).value = self.index
            if self._follow.value:
                self.follow()

    def advance(self, elapsed_s: float) -> None:
        """Move on by wall time times speed; the end wraps to the start. Slow machines skip frames, never time."""
        if len(self._times) < 2:
            return
        target_s = self._clock_s + elapsed_s * float(self._speed.value.rstrip("x"))
        if target_s > self._times[-1]:
            target_s = 0.0
        self._clock_s = target_s
        index = bisect.bisect_right(self._times, target_s) - 1
        if index != self.index:
            self.show(index)

    def follow(self) -> None:
        """Put every visitor's viewpoint behind the current camera; a lost frame leaves it where it is."""
        T = self._content.frames[self.index].T_world_cam
        if T is not None:
            nodes.look_over_shoulder(self._server, T, self._content.up)

    def _build_panel(self) -> None:
        gui, num_frames = self._server.gui, len(self._times)
        self._status = gui.add_html(status_line(TrackingState.UNKNOWN, "no frame was kept"))
        with gui.add_folder("Timeline"):
            self._slider = gui.add_slider("Frame", 0, max(num_frames - 1, 1), 1, 0, disabled=num_frames < 2)
            self._play = gui.add_checkbox("Play", False, disabled=num_frames < 2)
            self._speed = gui.add_dropdown("Speed", SPEEDS, initial_value="1x")
        near, far = self._content.depth_limits
        legend = f"Depth (red {near:.1f} m, blue {far:.1f} m), confidence"
        with gui.add_folder("Frame"):
            self._image = gui.add_image(nodes.panel_picture(None), format="jpeg")
            self._depth = gui.add_image(nodes.side_by_side(None, None), label=legend, format="jpeg")
            self._hands: viser.GuiImageHandle | None = None
            if removal_frames(self._content):
                label = "Hands marked, without hands (blue seen earlier, orange made up)"
                self._hands = gui.add_image(nodes.side_by_side(None, None), label=label, format="jpeg")
        with gui.add_folder("Show"):
            self._follow = gui.add_checkbox("Follow camera", False)
            toggles = [(name, gui.add_checkbox(name, True)) for name in self._scene.layers]
            self._confidence = gui.add_slider("Min. confidence", 0.0, 1.0, 0.05, 0.3, hint="of the current frame's points")
            self._size = gui.add_slider("Point size (mm)", 1.0, 60.0, 0.5, round(1000 * self._scene.point_size_m, 1))
        figures = _summary(self._content)
        if figures:
            with gui.add_folder("Figures"):
                gui.add_html(figures)
        self._connect(toggles)

    def _connect(self, toggles: list[tuple[str, viser.GuiCheckboxHandle]]) -> None:
        self._slider.on_update(lambda _: self._on_slider())
        self._follow.on_update(lambda _: self.follow() if self._follow.value else None)
        self._confidence.on_update(lambda _: self.redraw())
        self._size.on_update(lambda _: self._scene.set_point_size(self._size.value * 1e-3))
        for name, toggle in toggles:
            toggle.on_update(partial(self._on_toggle, name))

    def _on_toggle(self, name: str, event: viser.GuiEvent[viser.GuiCheckboxHandle]) -> None:
        self._scene.set_layer(name, event.target.value)

    def _on_slider(self) -> None:
        index = int(self._slider.value)
        if index != self.index:
            self._clock_s = self._times[index]
            self.show(index)

    def _show_pictures(self, frame: FrameRecord) -> None:
        depth, confidence = self._content.depth(frame), self._content.confidence(frame)
        self._image.image = nodes.panel_picture(self._content.image(frame))
        self._depth.image = nodes.side_by_side(
            None if depth is None else colour_depth(depth, *self._content.depth_limits),
            None if confidence is None else colour_confidence(confidence, depth),
        )
        if self._hands is not None:
            image, free = self._content.image(frame), self._content.hand_free(frame)
            self._hands.image = nodes.side_by_side(
                None if image is None else overlay_hands(image, self._content.hand_mask(frame)),
                None if free is None else overlay_provenance(free, self._content.provenance(frame)),
            )


def status_line(state: TrackingState, reason: str, where: str = "") -> str:
    """The state as a line of HTML: coloured dot, name, where we are, and the reason below."""
    dot = f'<span style="color:{STATE_COLOURS[state]}">&#9679;</span>'
    line = f'<div style="opacity:.75">{escape(reason)}</div>' if reason else ""
    head = f"{dot} <b>{state.name.lower()}</b> &nbsp; {escape(where)}"
    return f'<div style="padding:4px 12px 6px;font-size:14px">{head}{line}</div>'


def _summary(content: ResultContent) -> str:
    rows, _ = key_figures(content)
    lines = "".join(
        f'<tr><td style="padding:2px 12px 2px 0">{escape(row.name)}</td><td><b>{escape(row.value)}</b></td></tr>'
        for row in rows
    )
    return f'<table style="font-size:12px;margin:4px 12px">{lines}</table>' if lines else ""
