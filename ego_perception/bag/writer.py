"""Recordings written so that they survive: MCAP or SQLite, quality of service recorded, the same bytes for the same messages.

Data reaches the file at least every half second of recorded time, so a killed process loses no more than that; the index and
`metadata.yaml` are written on closing, and a reader copes without them. Nothing written depends on the wall clock.
"""

from __future__ import annotations

import enum
import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal

from rosbags.interfaces import Connection, Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.rosbag2.errors import WriterError

from ego_perception.bag.types import jazzy_types
from ego_perception.errors import BagError, OutputError

_FLUSH_NS: Final = 500_000_000
_FLUSH_BYTES: Final = 1 << 20
_INFINITE = QosTime(9223372036, 854775807)
"""`RMW_DURATION_INFINITE`, as rosbag2 writes it."""


def _qos(reliability: QosReliability, durability: QosDurability, depth: int) -> Qos:
    history, liveliness = QosHistory.KEEP_LAST, QosLiveliness.AUTOMATIC
    return Qos(history, depth, reliability, durability, _INFINITE, _INFINITE, liveliness, _INFINITE, False)


class QosProfile(enum.Enum):
    """Offered quality of service recorded with a topic; `ros2 bag play` publishes with it."""

    SENSOR = _qos(QosReliability.BEST_EFFORT, QosDurability.VOLATILE, 5)
    RESULT = _qos(QosReliability.RELIABLE, QosDurability.VOLATILE, 10)
    LATCHED = _qos(QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL, 1)


class BagWriter:
    """A rosbag2 folder being written.

    Args:
        path: the folder; it must not exist, or be empty.
        storage: `mcap`, or `sqlite3` for tools that know nothing else.
        compression: `zstd` compresses the chunks of an MCAP.

    Raises:
        OutputError: on construction and on writing, for a folder in use, no permission, a full disk. What was written before is
            readable.
        BagError: an impossible combination of arguments.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        storage: Literal["mcap", "sqlite3"] = "mcap",
        compression: Literal["none", "zstd"] = "none",
    ) -> None:
        if storage == "sqlite3" and compression != "none":
            raise BagError("sqlite3 recordings are not compressed by chunk; use mcap")
        self.path = Path(path)
        self._store = jazzy_types()
        self._connections: dict[str, Connection] = {}
        self._flushed_ns: int | None = None
        self._num_pending_bytes = 0
        self._is_open = False
        self._writer = self._open(StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3, compression)
        self._is_open = True

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        # Also after an error: an interrupted recording is closed properly.
        self.close()

    def add_topic(self, topic: str, type_name: str, qos: QosProfile = QosProfile.RESULT) -> None:
        """Declare a topic before its first message; repeating a declaration changes nothing.

        Raises:
            BagError: an unknown type, or a topic declared with another type.
        """
        known = self._connections.get(topic)
        if known is not None:
            if known.msgtype != type_name:
                raise BagError(f"topic {topic} has type {known.msgtype}; it cannot also have {type_name}")
            return
        if type_name not in self._store.fielddefs:
            raise BagError(f"type {type_name} of {topic} is not known; build its interface package")
        with self._translated():
            self._connections[topic] = self._writer.add_connection(
                topic, type_name, typestore=self._store, offered_qos_profiles=[qos.value]
            )

    def write(self, topic: str, message: Any, log_time_ns: int) -> None:
        """Append one message of a declared topic.

        Args:
            message: of `RosbagsFactory`, or any object with the same fields and numpy arrays.
            log_time_ns: time of recording; the frame's stamp where runs are to be equal.
        """
        connection = self._connections.get(topic)
        if connection is None:
            raise BagError(f"topic {topic} was not declared; call add_topic first")
        self.write_raw(topic, self._store.serialize_cdr(message, connection.msgtype), log_time_ns)

    def write_raw(self, topic: str, data: bytes | memoryview, log_time_ns: int) -> None:
        """Append one message that is CDR bytes already."""
        if not self._is_open:
            raise OutputError(f"{self.path} is closed; nothing more can be written to it")
        with self._translated():
            self._writer.write(self._connections[topic], log_time_ns, data)
            self._flush_if_due(len(data), log_time_ns)

    def close(self) -> None:
        """Write index and metadata; safe to repeat.

        Raises:
            OutputError: full disk; the messages before are readable without the index.
        """
        if not self._is_open:
            return
        with self._translated():
            self._writer.close()
        self._is_open = False

    def _open(self, plugin: StoragePlugin, compression: str) -> Writer:
        try:
            if self.path.is_dir() and not any(self.path.iterdir()):
                self.path.rmdir()
            writer = Writer(self.path, version=9, storage_plugin=plugin)
            if compression == "zstd":
                writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
            writer.open()
            if plugin is StoragePlugin.SQLITE3:
                _reopen_sqlite(writer)
        except WriterError as error:
            raise OutputError(f"{self.path} exists already; choose another place or remove it") from error
        except (OSError, sqlite3.Error) as error:
            raise OutputError(f"{self.path} cannot be written: {getattr(error, 'strerror', None) or error}") from error
        return writer

    def _flush_if_due(self, num_bytes: int, log_time_ns: int) -> None:
        """Send what is pending to the file; decided by recorded time and size alone, so that bytes repeat."""
        self._num_pending_bytes += num_bytes
        if self._flushed_ns is None:
            self._flushed_ns = log_time_ns
        if abs(log_time_ns - self._flushed_ns) < _FLUSH_NS and self._num_pending_bytes < _FLUSH_BYTES:
            return
        self._flushed_ns, self._num_pending_bytes = log_time_ns, 0
        storage: Any = self._writer.storage
        if self._writer.storage_plugin is StoragePlugin.SQLITE3:
            _sqlite(self._writer).commit()
        else:
            if storage.chunk.msgs:
                storage.close_chunk()
            storage.bio.flush()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn what a full disk raises into an `OutputError`, and give the file up where it stands."""
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            self._is_open = False
            with suppress(Exception):  # the storage may fail again on what it still holds
                self._writer.abort()
            code = getattr(error, "errno", None)
            full = code == errno.ENOSPC or "full" in str(error)
            reason = "the disk is full" if full else (os.strerror(code) if code else str(error))
            raise OutputError(f"{self.path} cannot be written further: {reason}; what came before is readable") from error


def _sqlite(writer: Writer) -> Any:
    """The database connection of a SQLite writer."""
    storage: Any = writer.storage
    return storage.conn


def _reopen_sqlite(writer: Writer) -> None:
    """Let any thread write: a pipeline opens its sinks in one thread and writes in another, one at a time."""
    storage: Any = writer.storage
    storage.conn.close()
    storage.conn = sqlite3.connect(storage.path, check_same_thread=False)
    storage.cursor = storage.conn.cursor()
    # Safe against a killed process; an fsync for every half second would only add safety against a power cut.
    storage.conn.execute("PRAGMA synchronous=OFF")
