"""Starts the web server of the viewer: quietly, on the first free port, with a layout that suits a narrow page."""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import socket

import viser

from ego_perception.errors import OutputError

_log = logging.getLogger(__name__)

_BRAND_RGB = (47, 143, 216)
_PORTS_TRIED = 100


def free_port(host: str, port: int) -> int:
    """Find the first port from `port` on that can be bound on `host`; 0 asks the system for any.

    Raises:
        OutputError: no free port nearby, or an address that is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in range(port, min(port + _PORTS_TRIED, 65536)):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, candidate))
            except OSError as error:
                if error.errno in (errno.EADDRINUSE, errno.EACCES):
                    continue
                raise OutputError(
                    f"the viewer cannot listen on '{host}': {error.strerror}; use 127.0.0.1 or 0.0.0.0"
                ) from error
            return int(probe.getsockname()[1])
    raise OutputError(f"the viewer found no free port from {port} on; name another with --port")


def start_server(host: str, port: int, title: str) -> viser.ViserServer:
    """Start serving; a port in use is replaced by the next free one, with a line in the log.

    Raises:
        OutputError: as `free_port`.
    """
    chosen = free_port(host, port)
    if port not in (0, chosen):
        _log.warning("port %d is in use; the viewer is on port %d", port, chosen)
    # viser announces itself on standard output, which belongs to the command line.
    with contextlib.redirect_stdout(io.StringIO()):
        server = viser.ViserServer(host=host, port=chosen, label=title, verbose=False)
    server.gui.configure_theme(
        control_layout="collapsible", control_width="large", dark_mode=True, show_logo=False, show_share_button=False,
        brand_color=_BRAND_RGB,
    )  # fmt: skip
    return server


def address(server: viser.ViserServer) -> str:
    """The address to open in a browser."""
    host = server.get_host()
    shown = "localhost" if host in ("0.0.0.0", "127.0.0.1", "::") else host
    return f"http://{shown}:{server.get_port()}"


def stop_server(server: viser.ViserServer) -> None:
    """Stop serving; safe to repeat."""
    with contextlib.redirect_stdout(io.StringIO()):
        server.stop()
