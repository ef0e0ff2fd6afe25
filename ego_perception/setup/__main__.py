"""Sets up the clone: `./ego setup`, and every other verb when something is missing.

Exit codes: 0 done, 1 a step failed (the message says what to do), 130 Ctrl-C. Running it again resumes.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ego_perception.errors import SetupError
from ego_perception.setup.steps import Options, Setup


def parse(arguments: Sequence[str]) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="./ego setup", description="Set up this clone. A finished step is not repeated.")
    parser.add_argument("--no-apt", action="store_true", help="never install system packages; say which are missing")
    gpu_help = "insist on the CUDA build of torch; remembered (default: the build that fits the driver found)"
    parser.add_argument("--gpu", action=argparse.BooleanOptionalAction, help=gpu_help)
    parser.add_argument("--root", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--fingerprint", default="", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    return Options(given.root.resolve(), given.fingerprint, allow_apt=not given.no_apt, want_gpu=given.gpu)


@contextmanager
def only_one(root: Path) -> Iterator[None]:
    """Let one set-up of a clone run at a time; a second one waits."""
    folder = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the set-up and return the exit code."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    try:
        with only_one(options.root):
            Setup(options).run()
    except SetupError as error:
        print(f"ego: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(
            f"ego: cannot write the environment: {error}; check the free space and the permissions of the clone",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("ego: stopped; ./ego setup resumes", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
