"""Marks of finished set-up steps: a step runs again only when its inputs have changed or it was interrupted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


def key_of(files: Iterable[Path] = (), *texts: str) -> str:
    """Checksum of texts and of files, by name and content."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(f"{len(text)}:{text}".encode())
    for file in files:
        content = file.read_bytes()
        digest.update(f"{file.name}:{len(content)}:".encode())
        digest.update(content)
    return digest.hexdigest()


def write_atomically(file: Path, text: str) -> None:
    """Write `text` so that `file` is either the old or the new one, never a part."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"{file.name}.partial")
    partial.write_text(text)
    partial.replace(file)


class Stamps:
    """The stamps of one environment, one small file per step."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def is_done(self, step: str, key: str) -> bool:
        """Whether `step` was finished with this key."""
        file = self._folder / step
        return file.is_file() and file.read_text() == key

    @contextmanager
    def running(self, step: str, key: str) -> Iterator[bool]:
        """Stamp `step` with `key` when the body ends well.

        Yields:
            True when an earlier run was cut short (Ctrl-C, power), so that what it left may be half written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / step).unlink(missing_ok=True)
        mark = self._folder / f"{step}.running"
        was_cut_short = mark.exists()
        mark.touch()
        try:
            yield was_cut_short
        except Exception:
            if not was_cut_short:
                mark.unlink()
            raise
        write_atomically(self._folder / step, key)
        mark.unlink()
