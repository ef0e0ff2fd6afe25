"""`ego up`: the nodes live in one process, supervised, configured from `config/nodes/` and by ROS arguments.

Exit codes: 0 stopped by Ctrl-C or all nodes finished, 1 a node cannot work as it is set up, 2 wrong usage.
"""

from __future__ import annotations

import difflib
import importlib
import json
import logging
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer

from ego_perception.errors import ConfigError
from ego_perception.nodes.wiring import BESIDE_HAND_REMOVAL, MASK_REMAPS
from ego_perception.parameters import specs
from ego_perception.resources import config_dir

app = typer.Typer(add_completion=False)

NODES: Final[dict[str, str]] = {
    "reconstruction": "ReconstructionNode",
    "hand_removal": "HandRemovalNode",
    "egosim": "EgoSimNode",
    "player": "PlayerNode",
    "recorder": "RecorderNode",
    "viewer": "ViewerNode",
}
"""Class of each node, in the module `ego_perception.nodes.<name>_node`."""
DEFAULT_NODES: Final = ("reconstruction", "viewer")
_FOREIGN: Final = ("use_sim_time", "qos_overrides.")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def up(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NODE]... [--ros-args ...]",
            help=f"Any of {', '.join(NODES)}; {' and '.join(DEFAULT_NODES)} by default. Then ROS arguments: "
            "remaps (-r image:=/camera/image_raw), parameters (-p input.transport:=compressed), --params-file.",
        ),
    ] = None,
    processes: Annotated[bool, typer.Option("--processes", help="Give each node a process of its own.")] = False,
) -> None:
    """Run the nodes until Ctrl-C; one that dies is started again."""
    names, ros_arguments = split_words(words or [])
    raise typer.Exit(run(names, ros_arguments, processes=processes))


def run(names: Sequence[str], ros_arguments: Sequence[str], *, processes: bool = False) -> int:
    """Run nodes until a signal.

    Args:
        names: keys of `NODES`.
        ros_arguments: what follows `--ros-args`.

    Returns:
        Exit code, as told by the module's docstring.

    Raises:
        ConfigError: an unknown node, or a parameter that none of the nodes has.
    """
    logging.basicConfig(format="[%(levelname)s] [%(name)s]: %(message)s", stream=sys.stderr)
    logging.getLogger("ego_perception").setLevel(logging.INFO)
    arguments = {name: arguments_of(name, names, ros_arguments) for name in names}

    from rich.console import Console

    from ego_perception.ros.process import init, shutdown, stop_on_signal
    from ego_perception.ros.supervisor import ProcessUnit, Supervisor, ThreadUnit

    console = Console(stderr=True)
    console.print(f"running {', '.join(names)}; Ctrl-C ends", highlight=False)
    with stop_on_signal() as stop:
        if processes:
            start = ["-p", "autostart:=true"]
            return Supervisor(
                [
                    ProcessUnit(name, f"ego_perception.nodes.{name}_node", ["--ros-args", *arguments[name], *start])
                    for name in names
                ]
            ).run(stop)
        init(["--ros-args", *ros_arguments] if ros_arguments else [])
        try:
            return Supervisor([ThreadUnit(name, _Maker(name, arguments[name])) for name in names]).run(stop)
        finally:
            shutdown()


def split_words(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Separate node names from ROS arguments.

    Raises:
        ConfigError: a name that is no node.
    """
    at = words.index("--ros-args") if "--ros-args" in words else len(words)
    names, ros_arguments = list(dict.fromkeys(words[:at])), list(words[at + 1 :])
    for name in names:
        if name not in NODES:
            near = difflib.get_close_matches(name, NODES, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(NODES)}"
            raise ConfigError(f"unknown node '{name}'; {hint}")
    return names or list(DEFAULT_NODES), ros_arguments


def arguments_of(name: str, names: Sequence[str], ros_arguments: Sequence[str]) -> list[str]:
    """ROS arguments of one node: its parameter file, then the user's, which win.

    A parameter without a node name goes to those nodes that have it; in plain ROS it would go to all, and be unknown to some.
    Beside hand removal, the reconstruction leaves the hands out.

    Raises:
        ConfigError: a parameter that none of `names` has.
    """
    from ego_perception.nodes.config import NODE_CONFIGS

    known = {node: {spec.name for spec in specs(NODE_CONFIGS[node])} for node in names}
    result: list[str] = []
    file = config_dir() / "nodes" / f"{name}.yaml"
    if file.is_file():
        result += ["--params-file", str(file)]
    is_masked = name == "reconstruction" and "hand_removal" in names
    if is_masked:
        result += [word for name, v in BESIDE_HAND_REMOVAL.items() for word in ("-p", f"{name}:={json.dumps(v)}")]
    words = iter(ros_arguments)
    for word in words:
        if word not in ("-p", "--param"):
            result.append(word)
            continue
        rule = next(words, "")
        parameter = rule.partition(":=")[0]
        if ":" in parameter or parameter.startswith(_FOREIGN) or parameter in known[name]:
            result += [word, rule]
        elif not any(parameter in parameters for parameters in known.values()):
            every = sorted(set().union(*known.values()))
            near = difflib.get_close_matches(parameter, every, n=1, cutoff=0.5)
            raise ConfigError(f"unknown parameter '{parameter}'" + (f"; did you mean '{near[0]}'?" if near else ""))
    # Of several remaps of one name ROS takes the first, of several values of a parameter the last: the user's in both cases.
    return result + [word for topic, other in MASK_REMAPS.items() if is_masked for word in ("-r", f"{topic}:={other}")]


class _Maker:
    """Builds one node, again after each death; its module is imported only when it is wanted."""

    def __init__(self, name: str, arguments: Sequence[str]) -> None:
        self._name = name
        self._arguments = arguments

    def __call__(self) -> Any:
        module = importlib.import_module(f"ego_perception.nodes.{self._name}_node")
        cls = getattr(module, NODES[self._name])
        return cls(cli_args=["--ros-args", *self._arguments], use_global_arguments=False, autostart=True)
