"""`ego params`: the reference page of all node parameters, docs/parameters.md, written from their declarations.

Exit codes: 0 written or up to date, 1 out of date under `--check`.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from ego_perception.errors import ConfigError, OutputError
from ego_perception.nodes.config import NODE_CONFIGS
from ego_perception.parameters import ParameterSpec, specs
from ego_perception.resources import share_dir

app = typer.Typer(add_completion=False)

_HEAD = """# Parameters

Written by `./ego params` from the declarations in the code; do not edit. Set them in `config/nodes/<node>.yaml`, on the command
line (`--ros-args -p name:=value`), or live with `ros2 param set`. An unknown name or a value outside its range fails configure
with one line.

**Applied** says when a new value takes effect: *next frame* at once, *on configure* after the node was deactivated and cleaned
up (refused before), *read-only* at start only. QoS of each topic: `qos_overrides.<topic>.<publisher|subscription>.<policy>`.
"""


@app.command()
def params(
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="File to write; docs/parameters.md of the clone by default.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail when the file is out of date.")] = False,
) -> None:
    """Write the parameter reference page."""
    path = out or share_dir() / "docs" / "parameters.md"
    text = page()
    if check:
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            raise ConfigError(f"{path} is out of date; run `./ego params`")
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error
    typer.echo(f"wrote {path}")


def page() -> str:
    """The whole page as Markdown."""
    return "\n".join([_HEAD, *(line for name, config in NODE_CONFIGS.items() for line in _section(name, config))])


def _section(name: str, config: type[Any]) -> Iterator[str]:
    yield f"## {name}\n"
    yield (config.__doc__ or "").strip().splitlines()[0] + "\n"
    yield "| name | type | default | allowed | applied | meaning |"
    yield "|---|---|---|---|---|---|"
    yield from (_row(spec) for spec in specs(config))
    yield ""


def _row(spec: ParameterSpec) -> str:
    is_list = typing.get_origin(spec.type) is tuple
    element = typing.get_args(spec.type)[0] if is_list else spec.type
    kind = f"list of {element.__name__}" if is_list else element.__name__
    default = list(spec.default) if is_list else spec.default
    shown = str(default).lower() if isinstance(default, bool) else str(default) if default != "" else "(empty)"
    return f"| `{spec.name}` | {kind} | {shown} | {_allowed(spec)} | {spec.apply.value} | {spec.doc} |"


def _allowed(spec: ParameterSpec) -> str:
    if spec.choices:
        return ", ".join(spec.choices)
    unit = f" {spec.unit}" if spec.unit else ""
    if spec.ge is None and spec.le is None:
        return unit.strip()
    if spec.le is None:
        return f"from {spec.ge:g}{unit}"
    if spec.ge is None:
        return f"up to {spec.le:g}{unit}"
    return f"{spec.ge:g} to {spec.le:g}{unit}"
