"""SQLite recordings read row by row, with their journals: for files that were cut short or whose recorder was killed."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

from rosbags.interfaces import Connection, ConnectionExtRosbag2, MessageDefinition, MessageDefinitionFormat

from ego_perception.bag.damage import DamageLog
from ego_perception.errors import BagError

MAGIC = b"SQLite format 3\x00"
_SIDECARS = ("-journal", "-wal")
_FORMATS = {"ros2msg": MessageDefinitionFormat.MSG, "ros2idl": MessageDefinitionFormat.IDL}


def has_journal(path: Path) -> bool:
    """True when the recorder left work that must be replayed or rolled back before the file is consistent."""
    sidecars = [path.with_name(path.name + suffix) for suffix in _SIDECARS]
    return any(s.is_file() and s.stat().st_size > 0 for s in sidecars)


class SqliteSalvage:
    """One damaged or unfinished SQLite recording, never written to: a file with a journal is repaired in a copy.

    Raises:
        BagError: on construction, for a file that is no recording, or none whose topics can be read.
    """

    def __init__(self, path: Path, log: DamageLog) -> None:
        self.path = path
        self._log = log
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise BagError(f"{path} is no SQLite recording; its first bytes are wrong")
        try:
            self._db = self._open()
            self.connections = self._topics()
        except sqlite3.Error as error:
            self.close()
            raise BagError(f"{path} is damaged before its first message: {error}") from error

    def messages(self, connections: Collection[Connection]) -> Iterator[tuple[Connection, int, bytes]]:
        """Yield connection, log time in nanoseconds and data, in the order of recording."""
        wanted, known = {c.id: c for c in connections}, {c.id for c in self.connections}
        query = "SELECT id, topic_id, timestamp, data FROM messages NOT INDEXED"
        last = 0
        try:
            # By row and not by time: the index may be what is damaged.
            for row, topic, log_time_ns, data in self._db.execute(query):
                last = row
                if topic in wanted:
                    yield wanted[topic], log_time_ns, data
                elif topic not in known:
                    # A page that is there in part reads as rows of zeros.
                    self._log.report(self.path, f"message {row}", "its row is broken")
        except sqlite3.Error as error:
            self._log.report(self.path, f"message {last + 1}", str(error))

    def close(self) -> None:
        """Close the file and remove the copy."""
        if hasattr(self, "_db"):
            self._db.close()
        if self._folder is not None:
            self._folder.cleanup()

    def _open(self) -> sqlite3.Connection:
        if has_journal(self.path):
            self._folder = tempfile.TemporaryDirectory()
            copy = Path(self._folder.name, self.path.name)
            shutil.copyfile(self.path, copy)
            for suffix in _SIDECARS:
                sidecar = self.path.with_name(self.path.name + suffix)
                if sidecar.is_file():
                    shutil.copyfile(sidecar, copy.with_name(copy.name + suffix))
            self._log.report(self.path, "its end", "the recorder did not finish")
            return sqlite3.connect(copy, check_same_thread=False)
        db = sqlite3.connect(f"{self.path.resolve().as_uri()}?immutable=1", uri=True, check_same_thread=False)
        # Lets SQLite open a file that has fewer pages than its header says; nothing is written.
        db.execute("PRAGMA writable_schema=ON")
        return db

    def _topics(self) -> list[Connection]:
        definitions = {}
        if self._db.execute("SELECT 1 FROM sqlite_master WHERE name='message_definitions'").fetchone():
            query = "SELECT topic_type, encoding, encoded_message_definition FROM message_definitions"
            for name, encoding, text in self._db.execute(query):
                definitions[name] = MessageDefinition(_FORMATS.get(encoding, MessageDefinitionFormat.NONE), text)
        nothing = MessageDefinition(MessageDefinitionFormat.NONE, "")
        rows = self._db.execute("SELECT id, name, type, serialization_format FROM topics ORDER BY id").fetchall()
        counts = self._counts()
        return [
            Connection(
                key, topic, kind, definitions.get(kind, nothing), "", counts.get(key, 0), ConnectionExtRosbag2(form, []), self
            )
            for key, topic, kind, form in rows
        ]

    def _counts(self) -> dict[int, int]:
        """Messages per topic as far as rows can be read; the damage itself is reported on reading."""
        counts: dict[int, int] = {}
        try:
            for (topic,) in self._db.execute("SELECT topic_id FROM messages NOT INDEXED"):
                counts[topic] = counts.get(topic, 0) + 1
        except sqlite3.Error:
            return counts
        return counts
