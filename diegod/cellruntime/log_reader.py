"""Reads what a container has said, byte for byte, from its CRI log, and what its cell has to say of
it: some of it, all of it, or on and on until the container has ended and everything was read.

A record of a file becomes one chunk (two and more where it is longer than a chunk may be), with
its stream and time. The two files are merged by time, as far as they have been written when they
are read. Replies are bounded, so a slow reader holds up nobody. Does not know which container is
meant or who may read it (`service.py`).
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from heapq import merge

from google.protobuf.timestamp_pb2 import Timestamp

from diegod.cellruntime.log_lines import LogLines
from diegod.cellruntime.ports import RunBlocking
from diegod.contracts.log_format import LogRecord, parse_line
from diegod.v1.stream_pb2 import LogChunk

#: Of data in one reply, and in one chunk.
REPLY_BYTES_MAX = 64 * 1024

#: How a stream is called in a file.
STREAMS: dict[LogChunk.Stream.ValueType, bytes] = {
    LogChunk.STDOUT: b"stdout",
    LogChunk.STDERR: b"stderr",
    LogChunk.CELL: b"cell",
}
_BY_NAME = {name.decode(): stream for stream, name in STREAMS.items()}

#: Called when everything was read: True once no more output can come, else waits for a moment.
AwaitMore = Callable[[], Awaitable[bool]]


class LogReader:
    """Reads the output, and merges the story into it; each may be missing."""

    def __init__(
        self, output: LogLines | None, story: LogLines | None, run_blocking: RunBlocking
    ) -> None:
        self._output = output
        self._story = story
        self._run_blocking = run_blocking
        self._told: list[bytes] = []  # of the story: read, and later than the output read so far

    async def read(self, await_more: AwaitMore | None = None) -> AsyncIterator[list[LogChunk]]:
        """Chunks, at most REPLY_BYTES_MAX of data at a time. `await_more`: follow."""
        is_over = False
        try:
            while True:
                lines = await self._run_blocking(self._next)
                for chunks in _replies(lines):
                    yield chunks
                if lines:
                    continue
                if is_over or await_more is None:
                    for chunks in _replies(self._output.last() if self._output else []):
                        yield chunks
                    return
                is_over = await await_more()  # and read once more: it may have written meanwhile
        finally:
            for file in (self._output, self._story):
                if file is not None:
                    file.close()

    def _next(self) -> list[bytes]:
        lines = self._output.next() if self._output else []
        if self._story is not None:
            self._told += self._story.next()
        if not self._told:
            return lines
        if not lines:
            told, self._told = self._told, []
            return told
        until = _at(lines[-1])
        told = [line for line in self._told if _at(line) <= until]
        del self._told[: len(told)]
        return list(merge(told, lines, key=_at))


def _at(line: bytes) -> int:
    at = Timestamp()
    at.FromJsonString(line.split(b" ", 1)[0].decode())
    return at.ToNanoseconds()


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
    at = Timestamp()
    at.FromJsonString(record.at)
    for start in range(0, len(record.data), REPLY_BYTES_MAX):
        yield LogChunk(
            stream=_BY_NAME[record.stream],
            data=record.data[start : start + REPLY_BYTES_MAX],
            at=at,
        )
