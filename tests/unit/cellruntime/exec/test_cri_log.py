"""Whatever is written in whatever chunks comes back byte for byte; no record is ever halved."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diegod.cellruntime.exec.cri_log import CriLog, encode, timestamp
from diegod.contracts.log_format import LogRecord, parse

AT = "2026-11-22T08:55:14.257444845+00:00"


def test_a_full_and_a_partial_line() -> None:
    assert list(parse(encode(AT, "stderr", b"one\ntw"))) == [
        LogRecord(AT, "stderr", b"one\n"),
        LogRecord(AT, "stderr", b"tw"),
    ]


def test_the_form_is_the_one_of_kubernetes() -> None:
    assert encode(AT, "stdout", b"out1\n") == f"{AT} stdout F out1\n".encode()
    assert encode(AT, "stdout", b"out1") == f"{AT} stdout P out1\n".encode()


@given(st.lists(st.binary(max_size=60)))
def test_chunks_come_back_whole(chunks: list[bytes]) -> None:
    written = b"".join(encode(AT, "stdout", chunk) for chunk in chunks)
    assert b"".join(record.data for record in parse(written)) == b"".join(chunks)


@pytest.mark.parametrize(
    ("wall", "expected"),
    [
        (0.0, "1970-01-01T00:00:00.000000000+00:00"),
        (1795337714.25, "2026-11-22T08:55:14.250000000+00:00"),
    ],
)
def test_timestamp(wall: float, expected: str) -> None:
    assert timestamp(wall) == expected


def test_two_writers_in_a_row_append(tmp_path: Path) -> None:
    path = tmp_path / "container.log"
    for words in (b"first\n", b"second\n"):
        log = CriLog(path, lambda: 0.0)
        log.write("stdout", words)
        log.close()
    assert [record.data for record in parse(path.read_bytes())] == [b"first\n", b"second\n"]


def test_a_disk_that_fills_up_leaves_whole_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "container.log"
    log = CriLog(path, lambda: 0.0)
    log.write("stdout", b"before\n")
    write = os.write

    def short_then_full(descriptor: int, data: bytes) -> int:
        if len(data) < 50:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[:40])

    monkeypatch.setattr(os, "write", short_then_full)
    with pytest.raises(OSError, match="No space"):
        log.write("stdout", b"lost, half of it on the disk\n")
    monkeypatch.undo()
    log.write("stdout", b"after\n")
    log.close()
    assert [record.data for record in parse(path.read_bytes())] == [b"before\n", b"after\n"]
