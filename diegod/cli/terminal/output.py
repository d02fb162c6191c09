"""Bytes of containers to our own stdout and stderr: as they are, or each line with its source."""

import sys
from collections.abc import Callable

from diegod.client import Logs
from diegod.v1.stream_pb2 import LogChunk


async def copy_output(logs: Logs, progress: Callable[[], None] = lambda: None) -> None:
    """Byte for byte, each stream to its own; `progress` is told of each chunk."""
    async for chunk in logs:
        _write(chunk.stream, chunk.data)
        progress()


async def copy_labelled(logs: Logs, label: str) -> None:
    """Whole lines behind a label, so that several containers can speak at once."""
    rest: dict[int, bytes] = dict.fromkeys(LogChunk.Stream.values(), b"")
    async for chunk in logs:
        lines = (rest[chunk.stream] + chunk.data).split(b"\n")
        rest[chunk.stream] = lines.pop()
        _write(chunk.stream, b"".join(_labelled(label, line) for line in lines))
    for stream, line in rest.items():
        if line:
            _write(stream, _labelled(label, line))


def _labelled(label: str, line: bytes) -> bytes:
    return label.encode() + b"  " + line + b"\n"


def _write(stream: int, data: bytes) -> None:
    target = sys.stderr if stream == LogChunk.STDERR else sys.stdout
    target.buffer.write(data)
    target.buffer.flush()
