"""Output is read byte for byte, however it was written."""

import io
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from diegod.cellruntime.log_lines import LogLines, tail_offset
from diegod.cellruntime.log_reader import REPLY_BYTES_MAX, AwaitMore, LogReader
from diegod.v1.stream_pb2 import LogChunk
from tests.unit.cellruntime.test_records import at_once

AT = "2026-11-22T08:55:14.257444845+00:00"


def cri(*records: tuple[str, str, bytes]) -> bytes:
    return b"".join(f"{AT} {s} {tag} ".encode() + text + b"\n" for s, tag, text in records)


async def read(
    path: Path, tail_lines: int = 0, await_more: AwaitMore | None = None
) -> list[LogChunk]:
    chunks: list[LogChunk] = []
    lines = LogLines(lambda: path if path.exists() else None, tail_lines, (b"stdout", b"stderr"))
    async for reply in LogReader(lines, None, at_once).read(await_more):
        assert sum(len(chunk.data) for chunk in reply) <= REPLY_BYTES_MAX
        chunks += reply
    return chunks


def text(chunks: list[LogChunk], stream: LogChunk.Stream.ValueType = LogChunk.STDOUT) -> bytes:
    return b"".join(chunk.data for chunk in chunks if chunk.stream == stream)


async def test_streams_parts_and_times(tmp_path: Path) -> None:
    log = tmp_path / "container.log"
    log.write_bytes(
        cri(
            ("stdout", "P", b"a long "),
            ("stderr", "F", b"oh"),
            ("stdout", "F", b"line"),
            ("stdout", "F", b""),
            ("stdout", "P", b"no newline \xff\x00"),
        )
    )
    chunks = await read(log)
    assert text(chunks) == b"a long line\n\nno newline \xff\x00"
    assert text(chunks, LogChunk.STDERR) == b"oh\n"
    assert chunks[0].at.ToJsonString() == "2026-11-22T08:55:14.257444845Z"


async def test_a_line_of_a_megabyte_comes_in_bounded_chunks(tmp_path: Path) -> None:
    log = tmp_path / "container.log"
    log.write_bytes(cri(("stdout", "F", b"x" * 1_000_000)))
    chunks = await read(log)
    assert text(chunks) == b"x" * 1_000_000 + b"\n"
    assert max(len(chunk.data) for chunk in chunks) == REPLY_BYTES_MAX


async def test_a_record_that_was_cut_off_is_given_as_far_as_it_got(tmp_path: Path) -> None:
    log = tmp_path / "container.log"
    log.write_bytes(cri(("stdout", "F", b"whole")) + f"{AT} stdout F ha".encode())
    assert text(await read(log)) == b"whole\nha"
    log.write_bytes(cri(("stdout", "F", b"whole")) + b"2026-11-22T08:5")
    assert text(await read(log)) == b"whole\n"


async def test_following_reads_what_comes_up_to_the_very_end(tmp_path: Path) -> None:
    log = tmp_path / "container.log"
    log.write_bytes(cri(("stdout", "F", b"one")))
    two, three = cri(("stdout", "F", b"two")), cri(("stdout", "P", b"three"))
    later = [two[:30], two[30:], b"", three]

    async def await_more() -> bool:
        """The end comes together with the last words: they must not be missed."""
        with log.open("ab") as file:
            file.write(later.pop(0))
        return not later

    assert text(await read(log, 0, await_more)) == b"one\ntwo\nthree"
    assert not later


@pytest.mark.parametrize(
    ("lines", "expected"),
    [(1, b"c\n"), (2, b"b2\nc\n"), (3, b"a\nb2\nc\n"), (9, b"a\nb2\nc\n")],
)
async def test_the_last_lines(tmp_path: Path, lines: int, expected: bytes) -> None:
    log = tmp_path / "container.log"
    log.write_bytes(
        cri(("stdout", "F", b"a"), ("stdout", "P", b"b"), ("stdout", "F", b"2"))
        + cri(("stdout", "F", b"c"))
    )
    assert text(await read(log, lines)) == expected


async def test_the_last_lines_of_a_large_file(tmp_path: Path) -> None:
    log = tmp_path / "container.log"
    log.write_bytes(cri(*(("stdout", "F", f"line {n}".encode()) for n in range(20_000))))
    assert text(await read(log, 2)) == b"line 19998\nline 19999\n"
    assert text(await read(log, 5000)).startswith(b"line 15000\n")


WORDS = st.binary(max_size=4).map(lambda data: data.replace(b"\n", b" "))
RECORDS = st.lists(st.tuples(st.sampled_from(["F", "P"]), WORDS), max_size=20)


@given(RECORDS, st.integers(1, 8))
def test_tail_agrees_with_the_text_itself(records: list[tuple[str, bytes]], lines: int) -> None:
    """The clever search from the end, beside splitting the whole text."""
    file = io.BytesIO(cri(*(("stdout", tag, data) for tag, data in records)))
    whole: list[list[bytes]] = [[]]
    for tag, data in records:
        whole[-1].append(data)
        if tag == "F":
            whole.append([])
    if not whole[-1]:  # an open line, even an empty one, would be the last
        whole.pop()
    expected = [part for line in whole[-lines:] for part in line]
    file.seek(tail_offset(file, lines))
    read = file.read().split(b"\n")[:-1]
    assert [line.split(b" ", 3)[3] for line in read] == expected


# What the cell has to say of a container, beside what the container says.


def at(second: int, stream: str, text: str) -> bytes:
    return f"2026-11-22T08:55:{second:02}.000000000+00:00 {stream} F {text}\n".encode()


def reader(
    folder: Path, *, tail: int = 0, streams: tuple[bytes, ...] = (b"stdout", b"stderr")
) -> LogReader:
    def find(name: str) -> Path | None:
        return folder / name if (folder / name).exists() else None

    return LogReader(
        LogLines(lambda: find("output"), tail, streams),
        LogLines(lambda: find("story"), tail, (b"cell",)),
        at_once,
    )


async def lines_of(reader: LogReader, await_more: AwaitMore | None = None) -> list[str]:
    replies = [reply async for reply in reader.read(await_more)]
    return [chunk.data.decode().strip() for reply in replies for chunk in reply]


async def test_output_and_story_are_merged_by_time(tmp_path: Path) -> None:
    (tmp_path / "story").write_bytes(
        at(1, "cell", "started") + at(4, "cell", "killed") + at(9, "cell", "destroyed")
    )
    # A program's own records are never exchanged, also where the clock was set back.
    (tmp_path / "output").write_bytes(
        at(2, "stdout", "a") + at(5, "stderr", "b") + at(3, "stdout", "c")
    )
    found = await lines_of(reader(tmp_path))
    assert found == ["started", "a", "b", "c", "killed", "destroyed"]


async def test_chunks_of_the_story_are_of_their_own_stream(tmp_path: Path) -> None:
    (tmp_path / "story").write_bytes(at(1, "cell", "started"))
    (chunks,) = [reply async for reply in reader(tmp_path).read()]
    assert [chunk.stream for chunk in chunks] == [LogChunk.CELL]


async def test_following_tells_the_story_while_the_program_is_silent(tmp_path: Path) -> None:
    story, output = tmp_path / "story", tmp_path / "output"
    later = [
        (story, at(1, "cell", "preparing")),
        (output, at(2, "stdout", "one")),
        (story, at(3, "cell", "asked to end")),
        (output, at(4, "stdout", "bye")),
    ]

    async def await_more() -> bool:
        path, data = later.pop(0)
        with path.open("ab") as file:
            file.write(data)
        return not later

    found = await lines_of(reader(tmp_path), await_more)
    assert found == ["preparing", "one", "asked to end", "bye"]


async def test_only_the_streams_that_were_asked_for_also_in_a_tail(tmp_path: Path) -> None:
    words = [at(n, "stderr" if n % 3 == 0 else "stdout", str(n)) for n in range(30)]
    (tmp_path / "output").write_bytes(b"".join(words))
    assert await lines_of(reader(tmp_path, streams=(b"stderr",), tail=2)) == ["24", "27"]
    assert await lines_of(reader(tmp_path, streams=(b"stdout",), tail=2)) == ["28", "29"]
