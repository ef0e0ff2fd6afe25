"""`ego VERB`: finds the verb's module and runs it.

Exit codes: 0 done, 1 an expected error (one line), 2 wrong usage, 130 Ctrl-C.
"""

from __future__ import annotations

import importlib
import sys
from typing import Final

import click
import typer

from ego_perception import __version__
from ego_perception.errors import EgoPerceptionError

VERBS: Final[dict[str, str]] = {
    "demo": "set up, record EgoSim, reconstruct over ROS topics, report and view",
    "run": "reconstruct a video, image folder, bag, webcam, sim:SEED or live ROS topics",
    "replay": "deterministic replay of a bag, with metrics where it holds ground truth",
    "view": "open a result in the web viewer",
    "up": "run the nodes live in one process",
    "sim": "record EgoSim to a bag or an image folder",
    "train": "train a compact model on EgoSim",
    "weights": "list, verify and export model weights",
    "bench": "measure speed, latency and memory",
    "doctor": "check versions, middleware, GPU, weights and live topics",
    "params": "write the parameter reference page",
    "test": "lint, types and tests",
}


class _Verbs(click.Group):
    """A group whose commands live in `ego_perception.cli.<verb>`, each with a typer `app` of one command."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        if "--help" not in sys.argv[1:2]:
            module = importlib.import_module(f"ego_perception.cli.{cmd_name}")
            command = typer.main.get_command(module.app)
            command.name = cmd_name
            return command
        return click.Command(cmd_name, help=VERBS[cmd_name])


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ego")
def ego() -> None:
    """Live egocentric perception: point clouds and camera poses from a head-mounted camera."""


def main() -> None:
    """Entry point of `ego` and of every console script."""
    try:
        ego(standalone_mode=False)
    except click.exceptions.Exit as request:
        sys.exit(request.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        print("stopped", file=sys.stderr)
        sys.exit(130)
    except EgoPerceptionError as error:
        print(f"ego: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
