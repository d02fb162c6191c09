"""The form in which backends write what containers say: the CRI log format.

One line a record: `2026-11-22T08:55:14.257444845+00:00 stdout F text`. `F` ends a line, `P` is a
part of one that has no newline (yet). Every log collector of the Kubernetes world reads it.
Each backend writes `ContainerSpec.directory / LOG_FILE`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

LOG_FILE = "container.log"


@dataclass(frozen=True)
class LogRecord:
    at: str  # RFC 3339 with nanoseconds
    stream: str  # stdout or stderr
    data: bytes  # with its newline where the container wrote one


def parse_line(line: bytes) -> LogRecord:
    """One record from one line of the file (without the file's own newline)."""
    at, stream, tag, text = line.split(b" ", 3)
    newline = b"\n" if tag == b"F" else b""
    return LogRecord(at.decode(), stream.decode(), text + newline)


def parse(data: bytes) -> Iterator[LogRecord]:
    """Every complete line of `data`."""
    for line in data.split(b"\n")[:-1]:
        yield parse_line(line)
