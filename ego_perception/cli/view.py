"""`ego view OUT`: serves a result folder in the browser until Ctrl-C."""

from __future__ import annotations

import logging
import webbrowser
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer()


@app.command()
def view(
    out: Annotated[Path, typer.Argument(help="folder that a run wrote", metavar="OUT")],
    port: Annotated[int, typer.Option(help="first port to try; 0 lets the system choose", min=0, max=65535)] = 8080,
    host: Annotated[str, typer.Option(help="address to listen on; 0.0.0.0 opens the page to the network")] = "127.0.0.1",
    browser: Annotated[bool, typer.Option(help="open a browser window")] = True,
    max_points: Annotated[int, typer.Option(help="limit of the cloud, for slow browsers", min=1000)] = 300_000,
) -> None:
    """Open a result in the web viewer: cloud, cameras, path, timeline, depth and confidence."""
    from ego_perception.viz.viewer import serve

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    console = Console()
    handle = serve(out, port=port, host=host, block=False, max_points=max_points)
    with handle:
        console.print(f"{out} is at [bold]{handle.url}[/bold]  (Ctrl-C ends)")
        if browser:
            webbrowser.open(handle.url)
        handle.wait()
