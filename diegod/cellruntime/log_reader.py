"""Reads what a container has said, byte for byte, from its CRI log: some of it, all of it, or on
and on until the container has ended and everything was read.

A record of the file becomes one chunk (two and more where it is longer than a chunk may be), with
its stream and time. Replies are bounded, so a slow reader holds up nobody. Does not know which
container is meant or who may read it (`service.py`).
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from google.protobuf.timestamp_pb2 import Timestamp

from diegod.cellruntime.ports import RunBlocking
from diegod.contracts.log_format import LogRecord, parse_line
from diegod.v1.stream_pb2 import LogChunk

#: Of data in one reply, and in one chunk.
REPLY_BYTES_MAX = 64 * 1024
_BLOCK_BYTES = 64 * 1024
_LINE_END_TAG = b"F"

#: Called when everything was read: True once no more output can come, else waits for a moment.
AwaitMore = Callable[[], Awaitable[bool]]


class LogReader:
    def __init__(self, path: Path, run_blocking: RunBlocking) -> None:
        self._path = path
        self._run_blocking = run_blocking

    async def read(
        self, tail_lines: int = 0, await_more: AwaitMore | None = None
    ) -> AsyncIterator[list[LogChunk]]:
        """Chunks, at most REPLY_BYTES_MAX of data at a time. `await_more`: follow."""
        file = await self._run_blocking(lambda: self._open(tail_lines))
        try:
            async for lines in self._lines(file, await_more):
                for chunks in _replies(lines):
                    yield chunks
        finally:
            file.close()

    def _open(self, tail_lines: int) -> BinaryIO:
        file = self._path.open("rb")
        if tail_lines:
            file.seek(tail_offset(file, tail_lines))
        return file

    async def _lines(
        self, file: BinaryIO, await_more: AwaitMore | None
    ) -> AsyncIterator[list[bytes]]:
        """The file's lines, as far as they are complete; at the very end also what is not."""
        rest = b""
        is_over = False
        while True:
            block = await self._run_blocking(lambda: file.read(_BLOCK_BYTES))
            if block:
                *lines, rest = (rest + block).split(b"\n")
                yield lines
            elif is_over or await_more is None:
                yield [_cut_off(rest)] if _is_parsable(rest) else []
                return
            else:
                is_over = await await_more()  # and read once more: it may have written meanwhile


def tail_offset(file: BinaryIO, lines: int) -> int:
    """Where the last `lines` lines begin; parts of a line without an end belong to that line."""
    size = file.seek(0, os.SEEK_END)
    wanted = _BLOCK_BYTES
    while True:
        start = max(0, size - wanted)
        file.seek(start)
        data = file.read(size - start)
        offset = _tail_within(data, lines, is_whole=start == 0)
        if offset is not None:
            return start + offset
        wanted *= 2


def _tail_within(data: bytes, lines: int, *, is_whole: bool) -> int | None:
    """The same in the last part of a file; None if it does not reach back far enough."""
    ends = [position for position, tag in _line_ends(data, is_whole) if tag == _LINE_END_TAG]
    complete_at_end = bool(ends) and ends[-1] == len(data)
    before = len(ends) - lines - (1 if complete_at_end else 0)
    if before >= 0:
        return ends[before]
    return 0 if is_whole else None


def _line_ends(data: bytes, is_whole: bool) -> Iterator[tuple[int, bytes]]:
    """(where the next record begins, this one's tag) of each record in `data`."""
    position = 0 if is_whole else data.find(b"\n") + 1
    while (newline := data.find(b"\n", position)) >= 0:
        fields = data[position:newline].split(b" ", 3)
        yield newline + 1, fields[2] if len(fields) == 4 else b""
        position = newline + 1


def _is_parsable(line: bytes) -> bool:
    return line.count(b" ") >= 3


def _cut_off(line: bytes) -> bytes:
    """A record whose writer was stopped in the middle: what is there, and no newline after it."""
    at, stream, _, text = line.split(b" ", 3)
    return b" ".join((at, stream, b"P", text))


def _replies(lines: list[bytes]) -> Iterator[list[LogChunk]]:
    """Chunks of these lines, gathered up to the size of a reply."""
    reply: list[LogChunk] = []
    size = 0
    for line in lines:
        for chunk in _chunks(parse_line(line)):
            if size + len(chunk.data) > REPLY_BYTES_MAX and reply:
                yield reply
                reply, size = [], 0
            reply.append(chunk)
            size += len(chunk.data)
    if reply:
        yield reply


def _chunks(record: LogRecord) -> Iterator[LogChunk]:
    stream = LogChunk.STDERR if record.stream == "stderr" else LogChunk.STDOUT
    at = Timestamp()
    at.FromJsonString(record.at)
    for start in range(0, len(record.data), REPLY_BYTES_MAX):
        yield LogChunk(stream=stream, data=record.data[start : start + REPLY_BYTES_MAX], at=at)
