"""Running the commands of the set-up steps."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from ego_perception.errors import SetupError

# Set by the start-up hook of the ROS wheels for its own environment. A child in another environment would skip its own hook.
BOOTSTRAP_GUARD = "_ROS_WHEELS_BOOTSTRAP_COMPLETE"
_TAIL_LINES = 25


def run(
    command: Sequence[str | Path], *, hint: str, log: Path | None = None, extra_env: Mapping[str, str] | None = None
) -> str:
    """Run `command` to its end and return what it printed.

    Args:
        hint: what the user can do when it fails.
        log: file that gets the output; the user is pointed to it.
        extra_env: variables set on top of the current environment.

    Raises:
        SetupError: when it cannot be started or ends with another status than 0, with the end of its output.
    """
    words = [str(word) for word in command]
    env = {**os.environ, **(extra_env or {})}
    env.pop(BOOTSTRAP_GUARD, None)
    try:
        done = subprocess.run(
            words, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
    except OSError as error:
        raise SetupError(f"{words[0]} cannot be started: {error.strerror}; {hint}") from error
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(f"$ {' '.join(words)}\n{done.stdout}")
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-_TAIL_LINES:])
        where = f" (all of it: {log})" if log is not None else ""
        raise SetupError(f"{words[0]} ended with status {done.returncode}; {hint}{where}\n{tail}")
    return done.stdout
