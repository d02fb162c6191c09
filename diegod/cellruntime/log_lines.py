"""The lines of one log file as it grows: the complete ones, from the beginning or the last few.

Opened as soon as it is there. Blocking: called where that holds up nobody. What a line says is
`diegod.contracts.log_format`; what is made of it, `log_reader.py`.
"""

import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import BinaryIO

BLOCK_BYTES = 64 * 1024
_LINE_END_TAG = b"F"
#: Of a record: its time, stream, tag and text.
_FIELDS = 4


class LogLines:
    """`find` tells where the file is, or None while it is not there."""

    def __init__(
        self, find: Callable[[], Path | None], tail_lines: int, streams: Collection[bytes]
    ) -> None:
        self._find = find
        self._tail_lines = tail_lines
        self._streams = streams
        self._file: BinaryIO | None = None
        self._rest = b""

    def next(self) -> list[bytes]:
        """The next complete lines of the streams that are wanted; none: there are no more yet."""
        file = self._opened()
        while file is not None and (block := file.read(BLOCK_BYTES)):
            *lines, self._rest = (self._rest + block).split(b"\n")
            if wanted := [line for line in lines if self._is_wanted(line)]:
                return wanted
        return []

    def last(self) -> list[bytes]:
        """A record whose writer was stopped in the middle: what is there, and no newline after."""
        if not self._is_wanted(self._rest):
            return []
        at, stream, _, text = self._rest.split(b" ", _FIELDS - 1)
        return [b" ".join((at, stream, b"P", text))]

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _opened(self) -> BinaryIO | None:
        path = self._find() if self._file is None else None
        if path is not None:
            self._file = path.open("rb")
            if self._tail_lines:
                self._file.seek(tail_offset(self._file, self._tail_lines, self._streams))
        return self._file

    def _is_wanted(self, line: bytes) -> bool:
        fields = line.split(b" ", _FIELDS - 1)
        return len(fields) == _FIELDS and fields[1] in self._streams


def tail_offset(file: BinaryIO, lines: int, streams: Collection[bytes] = ()) -> int:
    """Where the last `lines` lines (of these streams, or of any) begin.

    Parts of a line without an end belong to that line.
    """
    size = file.seek(0, os.SEEK_END)
    wanted = BLOCK_BYTES
    while True:
        start = max(0, size - wanted)
        file.seek(start)
        data = file.read(size - start)
        offset = _tail_within(data, lines, streams, is_whole=start == 0)
        if offset is not None:
            return start + offset
        wanted *= 2


def _tail_within(
    data: bytes, lines: int, streams: Collection[bytes], *, is_whole: bool
) -> int | None:
    """The same in the last part of a file; None if it does not reach back far enough."""
    records = [
        (end, tag)
        for end, stream, tag in _records(data, is_whole)
        if not streams or stream in streams
    ]
    ends = [end for end, tag in records if tag == _LINE_END_TAG]
    complete_at_end = bool(ends) and ends[-1] == records[-1][0] and data.endswith(b"\n")
    before = len(ends) - lines - (1 if complete_at_end else 0)
    if before >= 0:
        return ends[before]
    return 0 if is_whole else None


def _records(data: bytes, is_whole: bool) -> Iterator[tuple[int, bytes, bytes]]:
    """(where the next record begins, this one's stream, its tag) of each record in `data`."""
    position = 0 if is_whole else data.find(b"\n") + 1
    while (newline := data.find(b"\n", position)) >= 0:
        fields = data[position:newline].split(b" ", _FIELDS - 1)
        is_record = len(fields) == _FIELDS
        yield newline + 1, fields[1] if is_record else b"", fields[2] if is_record else b""
        position = newline + 1
