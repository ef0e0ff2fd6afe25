"""MCAP files read record by record from the front, without the index at their end: for files that were cut short.

Specification: https://mcap.dev/spec. Records are an opcode byte, a length of 8 bytes and the content; the messages of a chunk
whose end is missing are read as far as they are there.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Collection, Generator, Iterator
from pathlib import Path
from typing import BinaryIO

from lz4.frame import LZ4FrameDecompressor
from rosbags.interfaces import Connection, ConnectionExtRosbag2, MessageDefinition, MessageDefinitionFormat

from ego_perception.bag.damage import DamageLog
from ego_perception.errors import BagError

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdDecompressor
else:
    from backports.zstd import ZstdDecompressor

MAGIC = b"\x89MCAP0\r\n"
_SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _DATA_END = 0x03, 0x04, 0x05, 0x06, 0x0F
_HEAD = struct.Struct("<BQ")
_FORMATS = {"ros2msg": MessageDefinitionFormat.MSG, "ros2idl": MessageDefinitionFormat.IDL}


class McapSalvage:
    """One damaged MCAP file; opening reads it once to list its topics.

    Raises:
        BagError: on construction, for a file that is no MCAP.
    """

    def __init__(self, path: Path, log: DamageLog) -> None:
        self.path = path
        self._log = log
        self._channels: dict[int, Connection] = {}
        self._schemas: dict[int, tuple[str, MessageDefinition]] = {}
        counts: dict[int, int] = {}
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise BagError(f"{path} is no MCAP file; its first bytes are wrong")
            for code, content in self._records(file):
                if code == _MESSAGE and len(content) >= 22:
                    (channel,) = struct.unpack_from("<H", content)
                    counts[channel] = counts.get(channel, 0) + 1
                else:
                    self._define(code, content)
        self.connections = [c._replace(msgcount=counts.get(key, 0)) for key, c in self._channels.items()]

    def messages(self, connections: Collection[Connection]) -> Iterator[tuple[Connection, int, bytes]]:
        """Yield connection, log time in nanoseconds and data, in the order of the file."""
        wanted = {c.id: c for c in connections}
        with self.path.open("rb") as file:
            file.seek(len(MAGIC))
            for code, content in self._records(file):
                if code == _MESSAGE and len(content) >= 22:
                    channel, _, log_time_ns = struct.unpack_from("<HIQ", content)
                    if channel in wanted:
                        yield wanted[channel], log_time_ns, bytes(content[22:])

    def close(self) -> None:
        """Nothing stays open between calls."""

    def _records(self, file: BinaryIO) -> Iterator[tuple[int, memoryview]]:
        """Yield opcode and content of all records, those inside chunks included, up to the first damage."""
        size = self.path.stat().st_size
        while (at := file.tell()) < size:
            head = file.read(_HEAD.size)
            code, length = _HEAD.unpack(head) if len(head) == _HEAD.size else (0, 0)
            content = memoryview(file.read(min(length, size - file.tell())))
            is_cut = len(head) < _HEAD.size or len(content) < length
            if code == _DATA_END:
                self._log.report(self.path, f"byte {at} of {size}", "the index behind the messages is missing or broken")
                return
            if code == _CHUNK:
                is_cut = (yield from self._chunk(content)) or is_cut
            elif not is_cut:
                yield code, content
            if is_cut:
                self._log.report(self.path, f"byte {at} of {size}", "the file was cut short or its records are broken")
                return
        self._log.report(self.path, f"byte {size} of {size}", "the file ends in the middle of the recording")

    @staticmethod
    def _chunk(content: memoryview) -> Generator[tuple[int, memoryview], None, bool]:
        """Yield the records of a chunk; the value of the generator is True when it is damaged."""
        if len(content) < 32:
            return True
        (name_length,) = struct.unpack_from("<I", content, 28)
        body = 32 + name_length + 8
        if len(content) < body:
            return True
        data, is_broken = _decompress(bytes(content[32 : 32 + name_length]), content[body:])
        at = 0
        while at + _HEAD.size <= len(data):
            code, length = _HEAD.unpack_from(data, at)
            at += _HEAD.size
            if at + length > len(data):
                return True
            yield code, data[at : at + length]
            at += length
        return is_broken or at != len(data)

    def _define(self, code: int, content: memoryview) -> None:
        """Take a schema or a channel."""
        try:
            if code == _SCHEMA:
                (key,) = struct.unpack_from("<H", content)
                name, encoding, text = _strings(content, 2, 3)
                self._schemas[key] = name, MessageDefinition(_FORMATS.get(encoding, MessageDefinitionFormat.NONE), text)
            elif code == _CHANNEL:
                key, schema = struct.unpack_from("<HH", content)
                topic, encoding = _strings(content, 4, 2)
                name, definition = self._schemas.get(schema, ("", MessageDefinition(MessageDefinitionFormat.NONE, "")))
                ext = ConnectionExtRosbag2(encoding, [])
                self._channels.setdefault(key, Connection(key, topic, name, definition, "", 0, ext, self))
        except (struct.error, UnicodeDecodeError):
            self._log.report(self.path, "a topic's definition", "its bytes are broken")


def _decompress(method: bytes, data: memoryview) -> tuple[memoryview, bool]:
    """As much of a chunk as its bytes give, and whether some are missing or wrong."""
    if method == b"":
        return data, False
    if method not in (b"zstd", b"lz4"):
        return memoryview(b""), True
    decompressor = ZstdDecompressor() if method == b"zstd" else LZ4FrameDecompressor()
    out = bytearray()
    try:
        # In small steps, so that a broken step costs no more than itself.
        for at in range(0, len(data), 1 << 14):
            out += decompressor.decompress(bytes(data[at : at + (1 << 14)]))
    except Exception:  # each library has its own error; all mean the same here
        return memoryview(bytes(out)), True
    return memoryview(bytes(out)), not decompressor.eof


def _strings(content: memoryview, at: int, count: int) -> list[str]:
    found = []
    for _ in range(count):
        (length,) = struct.unpack_from("<I", content, at)
        if at + 4 + length > len(content):
            raise struct.error("string leaves its record")
        found.append(bytes(content[at + 4 : at + 4 + length]).decode())
        at += 4 + length
    return found
