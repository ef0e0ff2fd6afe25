"""A folder of clips that survives anything: a file with its name is whole, and the index can be made again from the clips.

    DIR/dataset.json     what the clips are: configuration, format version, code version, command
    DIR/index.jsonl      one line per finished clip (seed, frames, bytes, sha256), and per seed that gave none (seed, skipped)
    DIR/clips/SEED.tar   see `tar`

A clip is written under another name, flushed to the disk and renamed; only then its line is added to the index. Whatever is
interrupted where, opening the folder again finds every clip that was finished.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from ego_perception.data.clips.tar import ClipFile
from ego_perception.errors import ConfigError, OutputError, SourceError

_log = logging.getLogger(__name__)

FORMAT: Final = "ego_clips"
VERSION: Final = 1
ABOUT_NAME: Final = "dataset.json"
INDEX_NAME: Final = "index.jsonl"
CLIPS_NAME: Final = "clips"
_LOCK_NAME: Final = ".lock"
_PARTIAL: Final = ".partial"


@dataclass(frozen=True)
class ClipEntry:
    """One line of the index: a finished clip, or, where `skipped` says why, a seed without one."""

    seed: int
    frames: int = 0
    bytes: int = 0
    sha256: str = ""
    skipped: str = ""

    def line(self) -> str:
        """The line with its end."""
        if self.skipped:
            return json.dumps({"seed": self.seed, "skipped": self.skipped}) + "\n"
        return json.dumps({"seed": self.seed, "frames": self.frames, "bytes": self.bytes, "sha256": self.sha256}) + "\n"


def clip_path(folder: Path, seed: int) -> Path:
    """Where the clip of a seed lies."""
    return folder / CLIPS_NAME / f"{seed:05d}.tar"


def read_about(folder: Path) -> dict[str, Any]:
    """Content of `dataset.json`.

    Raises:
        SourceError: no dataset there, a damaged description, or a format of another version.
    """
    path = folder / ABOUT_NAME
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SourceError(f"{folder} is no dataset: it has no {ABOUT_NAME}") from None
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} cannot be read: {error}") from error
    if not isinstance(about, dict) or about.get("format") != FORMAT or not isinstance(about.get("config"), dict):
        raise SourceError(f"{path} does not describe a dataset of clips")
    if about.get("version") != VERSION:
        raise SourceError(f"{path} has format version {about.get('version')}; this program reads version {VERSION}")
    return about


def read_index(folder: Path) -> tuple[list[ClipEntry], list[str]]:
    """The lines of the index that are whole, the later one where a seed has two, and what is wrong with the others."""
    try:
        text = (folder / INDEX_NAME).read_bytes().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return [], [f"{INDEX_NAME} is missing"]
    except OSError as error:
        raise SourceError(f"{folder / INDEX_NAME} cannot be read: {error.strerror or error}") from error
    entries: dict[int, ClipEntry] = {}
    problems = []
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        entry = _parse(line)
        if entry is None:
            problems.append(f"line {number} of {INDEX_NAME} is torn or damaged")
        else:
            entries[entry.seed] = entry
    return list(entries.values()), problems


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there completely or not at all, also after a power cut.

    Raises:
        OutputError: full disk or no permission; nothing of it is left.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}{_PARTIAL}")
    try:
        with translated(path):
            with partial.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
            _sync_folder(path.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Tell what the disk refuses in one line.

    Raises:
        OutputError: in place of an OSError.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"cannot write {path}: {reason}; free some space and run the same command again") from error


class ClipStore:
    """A dataset folder being written, by one process at a time.

    Args:
        config: what determines the clips; going on in a folder asks for the same.
        notes: what else `dataset.json` should tell, such as the command; the first run's notes stay.

    Attributes:
        entries: finished clips by seed. skipped: reasons by seed.

    Raises:
        ConfigError: on construction, where the folder holds a dataset of another configuration, or something else.
        OutputError: the folder cannot be written, or another process writes there.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any], notes: Mapping[str, Any] | None = None) -> None:
        self.folder = folder
        self.entries: dict[int, ClipEntry] = {}
        self.skipped: dict[int, str] = {}
        with translated(folder):
            (folder / CLIPS_NAME).mkdir(parents=True, exist_ok=True)
            self._lock = os.open(folder / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            self._take_lock()
            self._agree(config, notes or {})
            self._recover()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> ClipStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def add(self, entry: ClipEntry) -> None:
        """Note a finished clip, or a seed without one.

        Raises:
            OutputError: full disk; the clip stays, and its line is made when the folder is opened again.
        """
        path = self.folder / INDEX_NAME
        with translated(path), path.open("ab") as file:
            file.write(entry.line().encode())
            file.flush()
            os.fsync(file.fileno())
        self._take(entry)

    def close(self) -> None:
        """Let others write here."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _take_lock(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise OutputError(f"another process is writing to {self.folder}; wait for it or choose another folder") from error

    def _agree(self, config: Mapping[str, Any], notes: Mapping[str, Any]) -> None:
        """Write the description, or compare with the one that is there."""
        path = self.folder / ABOUT_NAME
        wanted = json.loads(json.dumps(dict(config)))
        if not path.exists():
            if strangers := [p.name for p in self._content() if p.name not in (_LOCK_NAME, CLIPS_NAME)]:
                raise ConfigError(f"{self.folder} is no dataset and holds '{min(strangers)}'; choose an empty folder")
            about = {"format": FORMAT, "version": VERSION, **notes, "config": wanted}
            write_whole(path, (json.dumps(about, indent=1) + "\n").encode())
            return
        try:
            found = read_about(self.folder)["config"]
        except SourceError as error:
            raise ConfigError(f"{error}; choose another folder") from error
        differing = [key for key in sorted({*found, *wanted}) if found.get(key) != wanted.get(key)]
        if differing:
            pairs = ", ".join(f"{key} {found.get(key)!r}, not {wanted.get(key)!r}" for key in differing)
            raise ConfigError(f"{self.folder} holds a dataset with {pairs}; use the same options or another folder")

    def _content(self) -> list[Path]:
        return [p for p in self.folder.iterdir() if not p.name.endswith(_PARTIAL)]

    def _recover(self) -> None:
        """Bring index and clips together after whatever happened to the run before."""
        for leftover in (*self.folder.glob(f"*{_PARTIAL}"), *(self.folder / CLIPS_NAME).glob(f"*{_PARTIAL}")):
            with translated(leftover):
                leftover.unlink(missing_ok=True)
        lines, problems = read_index(self.folder)
        for entry in lines:
            if entry.skipped or _size(clip_path(self.folder, entry.seed)) == entry.bytes:
                self._take(entry)
            else:
                problems.append(f"the clip of seed {entry.seed} is missing or was changed")
        for path in sorted((self.folder / CLIPS_NAME).glob("*.tar")):
            if path.stem.isdigit() and int(path.stem) not in self.entries:
                problems.append(self._adopt(path))
        if problems:
            for problem in problems:
                _log.info("%s: %s", self.folder, problem)
            known = [*self.entries.values(), *(ClipEntry(seed, skipped=why) for seed, why in self.skipped.items())]
            text = "".join(entry.line() for entry in sorted(known, key=lambda e: e.seed))
            write_whole(self.folder / INDEX_NAME, text.encode())

    def _adopt(self, path: Path) -> str:
        """Add a clip without a line, if it is whole; else it is rendered again."""
        try:
            entry = entry_of(path)
        except SourceError as error:
            return str(error)
        self._take(entry)
        return f"the clip of seed {entry.seed} had no line in the index"

    def _take(self, entry: ClipEntry) -> None:
        if entry.skipped:
            self.skipped[entry.seed] = entry.skipped
        else:
            self.entries[entry.seed] = entry
            self.skipped.pop(entry.seed, None)


def entry_of(path: Path) -> ClipEntry:
    """Make the index entry of a clip from its file.

    Raises:
        SourceError: damaged.
    """
    clip = ClipFile(path)
    clip.close()
    data = path.read_bytes()
    return ClipEntry(int(path.stem), len(clip), len(data), hashlib.sha256(data).hexdigest())


def _parse(line: str) -> ClipEntry | None:
    if not line.endswith("\n"):
        return None
    try:
        entry = ClipEntry(**json.loads(line))
    except (ValueError, TypeError):
        return None
    sound = isinstance(entry.seed, int) and isinstance(entry.frames, int) and isinstance(entry.bytes, int)
    return entry if sound and (entry.skipped or len(str(entry.sha256)) == 64) else None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _sync_folder(folder: Path) -> None:
    """Make a rename last."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
