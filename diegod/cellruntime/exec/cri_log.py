"""Writes what a container says in the CRI log format (`diegod.contracts.log_format`).

A chunk that doesn't end in a newline is written at once as a partial record, so that a prompt can
be read while the program waits. Does not belong here: rotation, and reading.
"""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path


def encode(at: str, stream: str, data: bytes) -> bytes:
    """The records of one chunk: F for each line, P for a rest that has no newline."""
    *lines, rest = data.split(b"\n")
    full = f"{at} {stream} F ".encode()
    records = [full + line + b"\n" for line in lines]
    if rest:
        records.append(f"{at} {stream} P ".encode() + rest + b"\n")
    return b"".join(records)


def timestamp(wall: float) -> str:
    """RFC 3339 in UTC with nine digits, as the format wants them."""
    second = int(wall)
    nanoseconds = int((wall - second) * 1e9)
    at = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{at}.{nanoseconds:09d}+00:00"


class CriLog:
    """One container's log file; the only writer of it."""

    def __init__(self, path: Path, wall: Callable[[], float]) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        self._wall = wall

    def write(self, stream: str, data: bytes) -> None:
        """Append all of the chunk's records, or none: half a record would spoil the next one."""
        records = encode(timestamp(self._wall()), stream, data)
        size = os.fstat(self._fd).st_size
        try:
            written = 0
            while written < len(records):
                written += os.write(self._fd, records[written:])
        except OSError:
            os.ftruncate(self._fd, size)
            raise

    def close(self) -> None:
        os.close(self._fd)
