"""`ego VERB`: finds the verb's module and runs it.

Each verb is a module of this package with a typer `app` of one command; only the one in use is imported.
Exit codes: 0 done, 1 an expected error (one line), 2 wrong usage, 130 Ctrl-C.
"""

from __future__ import annotations

import difflib
import importlib
import signal
import sys
from typing import Final

import typer
from typer.exceptions import TyperException

from ego_perception import __version__
from ego_perception.environment import set_defaults
from ego_perception.errors import EgoPerceptionError

VERBS: Final[dict[str, str]] = {
    "demo": "record EgoSim, reconstruct it over ROS topics, write a report and show it",
    "run": "reconstruct a video, an image folder, a bag, webcam:0, sim:SEED or live ROS topics",
    "replay": "replay a bag deterministically, with metrics where it holds ground truth",
    "view": "open a result in the web viewer",
    "up": "run the nodes live in one process",
    "sim": "record EgoSim to a bag or an image folder",
    "body": "draw, describe or build the parametric body",
    "dataset": "render training data with EgoSim, or check a data set",
    "pack": "pack EPIC-KITCHENS, Ego4D or VISOR for training",
    "train": "train a compact model on EgoSim",
    "evaluate": "score hand removal on clips with exact truth",
    "weights": "list, verify and export model weights",
    "bench": "measure speed, latency and memory",
    "doctor": "check versions, middleware, GPU, weights and live topics",
    "params": "write the parameter reference page",
    "test": "run lint, types and tests",
}


def main(args: list[str] | None = None) -> None:
    """Entry point of `ego`; exits the process."""
    arguments = sys.argv[1:] if args is None else args
    verb = arguments[0] if arguments else "--help"
    if verb in ("-h", "--help", "help"):
        print(_help())
        sys.exit(0)
    if verb == "--version":
        print(f"ego {__version__}")
        sys.exit(0)
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, n=1)
        print(f"ego: unknown verb '{verb}'" + (f"; did you mean '{near[0]}'?" if near else "; see ego --help"), file=sys.stderr)
        sys.exit(2)
    set_defaults()
    sys.exit(_run(verb, arguments[1:]))


def _run(verb: str, arguments: list[str]) -> int:
    # `kill` ends a command as Ctrl-C does: children are stopped, results are finished.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    app: typer.Typer = importlib.import_module(f"ego_perception.cli.{verb}").app
    try:
        # Usage errors are shown by typer; what reaches us is ours or an interrupt.
        code = app(arguments, prog_name=f"ego {verb}", standalone_mode=False)
    except typer.Exit as request:
        return int(request.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        print("stopped", file=sys.stderr)
        return 130
    except EgoPerceptionError as error:
        print(f"ego {verb}: {error}", file=sys.stderr)
        return 1
    except TyperException as error:
        print(f"ego {verb}: {error.format_message()} (see ego {verb} --help)", file=sys.stderr)
        return 2
    return code if isinstance(code, int) else 0


def _help() -> str:
    width = max(map(len, VERBS))
    lines = [f"  {verb:<{width}}  {text}" for verb, text in VERBS.items()]
    return "\n".join(["usage: ego VERB [OPTIONS]     (ego VERB --help for its options)", "", *lines])


if __name__ == "__main__":
    main()
