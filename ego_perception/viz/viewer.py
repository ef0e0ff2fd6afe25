"""Serves a result folder as a web page: cloud, cameras, path, timeline, pictures. No ROS, no file from outside."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import TracebackType

import viser

from ego_perception.viz.content import ResultContent
from ego_perception.viz.result_view import ResultView
from ego_perception.viz.server import address, start_server, stop_server

_TICK_S = 0.04


class ViewerHandle:
    """A running viewer; a context manager that stops it at the end.

    Attributes:
        view: the page, for driving it from a program.
    """

    def __init__(self, server: viser.ViserServer, view: ResultView) -> None:
        self.view = view
        self._server = server
        self._stopped = threading.Event()
        self._clock = threading.Thread(target=self._play, name="viewer-clock", daemon=True)
        self._clock.start()

    @property
    def url(self) -> str:
        """The address to open."""
        return address(self._server)

    @property
    def port(self) -> int:
        """The port in use, which is not the one asked for where that was taken."""
        return self._server.get_port()

    def wait(self) -> None:
        """Block until `stop`, or Ctrl-C, which stops the viewer."""
        try:
            # A bounded wait keeps the main thread open to signals.
            while not self._stopped.wait(0.5):
                pass
        except KeyboardInterrupt:
            self.stop()

    def stop(self) -> None:
        """Stop serving; safe to repeat."""
        if not self._stopped.is_set():
            self._stopped.set()
            self._clock.join(2.0)
            stop_server(self._server)

    def __enter__(self) -> ViewerHandle:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _play(self) -> None:
        last = time.monotonic()
        while not self._stopped.wait(_TICK_S):
            now = time.monotonic()
            if self.view.is_playing:
                self.view.advance(now - last)
            last = now


def serve(
    out: Path, *, port: int = 8080, host: str = "127.0.0.1", block: bool = True, max_points: int = 300_000
) -> ViewerHandle:
    """Show a result folder in the browser.

    Args:
        out: folder that a run wrote.
        port: first port to try; 0 lets the system choose.
        host: address to listen on; 0.0.0.0 opens the page to the network.
        block: wait for Ctrl-C; False returns at once with the running viewer.
        max_points: limit of the fused cloud.

    Raises:
        SourceError: `out` is no result folder.
        OutputError: no free port, or an address that is not this machine's.
    """
    content = ResultContent(out)
    server = start_server(host, port, out.resolve().name)
    try:
        handle = ViewerHandle(server, ResultView(server, content, max_points=max_points))
    except BaseException:
        stop_server(server)
        raise
    if block:
        handle.wait()
    return handle
