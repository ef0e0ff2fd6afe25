"""Recordings read lazily in recorded order: rosbag2 folders and single files, whole or damaged, with or without metadata."""

from __future__ import annotations

import logging
import re
import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from rosbags.interfaces import Connection, MessageDefinitionFormat
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from ego_perception.bag.damage import BagDamage, DamageLog
from ego_perception.bag.salvage_mcap import McapSalvage
from ego_perception.bag.salvage_sqlite import SqliteSalvage, has_journal
from ego_perception.bag.types import jazzy_types
from ego_perception.errors import BagError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_log = logging.getLogger(__name__)

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_SUFFIXES = (".mcap", ".db3")
_ENDINGS = (*_SUFFIXES, *(f"{suffix}.zstd" for suffix in _SUFFIXES))


@dataclass(frozen=True)
class TopicInfo:
    """One recorded topic."""

    name: str
    type_name: str
    count: int


@dataclass(frozen=True)
class RawMessage:
    """One message as it was recorded, CDR bytes."""

    topic: str
    type_name: str
    log_time_ns: int
    data: bytes


@dataclass(frozen=True)
class BagMessage:
    """One decoded message; `message` has the fields of its ROS type, arrays as numpy."""

    topic: str
    type_name: str
    log_time_ns: int
    message: Any


class _Storage(Protocol):
    @property
    def connections(self) -> list[Connection]: ...

    def messages(self, connections: Collection[Connection]) -> Iterator[tuple[Connection, int, bytes]]: ...

    def close(self) -> None: ...


class BagReader:
    """One recording: a rosbag2 folder, or a single .mcap or .db3 file.

    Damage does not raise: what can be read is read, each damage is issued as a `BagDamage` warning and kept in `damages`.
    Topics of types that neither we nor the recording define are skipped, with one warning in the log.

    Raises:
        BagError: on construction, for a path that is no recording, or one without a single readable message.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._damage = DamageLog()
        self._stack = ExitStack()
        self._stores: dict[str, Typestore | None] = {}
        try:
            self._storages = self._open()
            self.topics = self._list_topics()
            if not any(t.count for t in self.topics.values()):
                raise BagError(f"{self.path} holds no readable message; record it again")
        except BaseException:
            self.close()
            raise

    @property
    def damages(self) -> list[BagDamage]:
        """What could not be read so far."""
        return list(self._damage.entries)

    def __enter__(self) -> BagReader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close all files; safe to repeat."""
        self._stack.close()

    def messages(self, topics: Collection[str] | None = None) -> Iterator[BagMessage]:
        """Yield decoded messages of some topics, or of all, in recorded order; a message that cannot be decoded is skipped."""
        for raw in self.raw(topics):
            try:
                yield self.decode(raw)
            except BagError as error:
                self._damage.report(self.path, f"{raw.topic} at {raw.log_time_ns} ns", str(error))

    def raw(self, topics: Collection[str] | None = None) -> Iterator[RawMessage]:
        """Yield messages undecoded, topics of unknown types left out."""
        for storage in self._storages:
            chosen = [c for c in storage.connections if (topics is None or c.topic in topics) and self._store_for(c)]
            if not chosen:
                continue
            log_time_ns = 0
            try:
                for connection, log_time_ns, data in storage.messages(chosen):
                    # CDR starts with a zero byte: such a message was compressed, and no metadata said so.
                    whole = zstd.decompress(data) if data[:4] == _ZSTD_MAGIC else bytes(data)
                    yield RawMessage(connection.topic, connection.msgtype, log_time_ns, whole)
            except Exception as error:  # the storage libraries raise many kinds on broken bytes
                self._damage.report(self.path, f"the message after {log_time_ns} ns", str(error) or type(error).__name__)

    def decode(self, raw: RawMessage) -> BagMessage:
        """Decode one message.

        Raises:
            BagError: an unknown type, or bytes that are not of it.
        """
        store = self._stores.get(raw.type_name)
        if store is None:
            raise BagError(f"type {raw.type_name} of {raw.topic} is not known")
        try:
            message = store.deserialize_cdr(raw.data, raw.type_name)
        except Exception as error:  # the generated decoders raise many kinds on broken bytes
            raise BagError(
                f"message of {raw.topic} is not a valid {raw.type_name}: {str(error) or type(error).__name__}"
            ) from error
        return BagMessage(raw.topic, raw.type_name, raw.log_time_ns, message)

    def _open(self) -> list[_Storage]:
        if not self.path.exists():
            raise BagError(f"{self.path} does not exist")
        if self.path.is_file():
            return [self._open_file(self.path)]
        files = sorted((f for f in self.path.iterdir() if f.name.endswith(_ENDINGS)), key=_natural)
        if (self.path / "metadata.yaml").is_file() and not any(has_journal(f) for f in files):
            try:
                return [self._open_whole(self.path)]
            except Exception as error:  # as above; the files themselves may be readable
                self._damage.report(self.path, "metadata.yaml", str(error) or type(error).__name__)
        if not files:
            raise BagError(f"{self.path} holds neither .mcap nor .db3 files; give the folder of a rosbag2 recording")
        return self._open_each(files)

    def _open_each(self, files: list[Path]) -> list[_Storage]:
        """Open the files of a folder without usable metadata; one that cannot be opened does not hide the others."""
        storages: list[_Storage] = []
        for file in files:
            try:
                storages.append(self._open_file(file))
            except BagError as error:
                if len(files) == 1:
                    raise
                self._damage.report(file, "its start", str(error))
        return storages

    def _open_file(self, path: Path) -> _Storage:
        if not path.name.endswith(_ENDINGS):
            raise BagError(f"{path} is no recording; give a rosbag2 folder, an .mcap or a .db3 file")
        if path.stat().st_size == 0:
            raise BagError(f"{path} is empty: 0 bytes")
        if path.suffix == ".zstd":
            path = self._decompress(path)
        if not has_journal(path):
            try:
                return self._open_whole(path)
            except Exception as error:  # as above; read it from the front instead
                _log.debug("%s cannot be opened by its index: %s", path, error)
        storage: _Storage = McapSalvage(path, self._damage) if path.suffix == ".mcap" else SqliteSalvage(path, self._damage)
        self._stack.callback(storage.close)
        return storage

    def _decompress(self, path: Path) -> Path:
        """Unpack a compressed file beside nothing of the user's; as far as it goes where it was cut short."""
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        unpacked = folder / path.stem
        try:
            with zstd.open(path, "rb") as packed, unpacked.open("wb") as out:
                while block := packed.read(1 << 20):
                    out.write(block)
        except (zstd.ZstdError, EOFError) as error:
            self._damage.report(path, f"byte {unpacked.stat().st_size} of what it holds", str(error))
        return unpacked

    def _open_whole(self, path: Path) -> _Storage:
        reader = Reader(path)
        reader.open()
        self._stack.callback(reader.close)
        return reader

    def _list_topics(self) -> dict[str, TopicInfo]:
        topics: dict[str, TopicInfo] = {}
        for connection in (c for storage in self._storages for c in storage.connections):
            before = topics.get(connection.topic)
            count = connection.msgcount + (before.count if before else 0)
            topics[connection.topic] = TopicInfo(connection.topic, connection.msgtype, count)
        return dict(sorted(topics.items()))

    def _store_for(self, connection: Connection) -> Typestore | None:
        """The type store that decodes a topic: ours, or the recording's own where its definition differs; None if unknown."""
        name = connection.msgtype
        if name not in self._stores:
            self._stores[name] = _choose_store(connection)
            if self._stores[name] is None:
                _log.warning("%s: topic %s is skipped, its type %s is not known", self.path, connection.topic, name)
        return self._stores[name]


def _choose_store(connection: Connection) -> Typestore | None:
    """Our own type store where its definition is the recorded one, else one of the recording's definition, None without any."""
    name, ours = connection.msgtype, jazzy_types()
    is_ours = name in ours.fielddefs
    if is_ours and connection.digest and connection.digest == ours.hash_rihs01(name):
        return ours
    if connection.msgdef.format is MessageDefinitionFormat.NONE:
        return ours if is_ours else None
    theirs = _parse_store(connection)
    if is_ours and (theirs is None or theirs.hash_rihs01(name) == ours.hash_rihs01(name)):
        return ours
    return theirs


def _parse_store(connection: Connection) -> Typestore | None:
    name, definition = connection.msgtype, connection.msgdef
    try:
        return _store_of(name, definition.format, definition.data)
    except Exception as error:  # the definition comes with the recording and may be anything
        _log.warning("definition of %s in the recording cannot be used: %s", name, error)
        return None


@lru_cache(maxsize=64)
def _store_of(name: str, form: MessageDefinitionFormat, text: str) -> Typestore:
    """A type store of one definition; recordings hold the same few, and compiling one takes 20 ms."""
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg(text, name) if form is MessageDefinitionFormat.MSG else get_types_from_idl(text))
    store.get_msgdef(name)
    store.hash_rihs01(name)
    return store


def _natural(path: Path) -> list[Any]:
    """Sort key that puts bag_10 after bag_9."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name)]
