"""Output that goes on where it broke off, without a byte twice or left out."""

from collections.abc import Sequence

import pytest

from diegod.client import Logs
from diegod.client import logs as module
from diegod.models.errors import DomainError, Reason
from diegod.v1.stream_pb2 import LogChunk, ReadLogsReply, ReadLogsRequest
from tests.unit.client.fake_cluster import FakeCluster

LOST = DomainError(Reason.UNAVAILABLE, "lost")


def reply(data: bytes, stream: LogChunk.Stream.ValueType = LogChunk.STDOUT) -> ReadLogsReply:
    return ReadLogsReply(chunks=[LogChunk(stream=stream, data=data)])


def logs(*readings: Sequence[object], **request: object) -> Logs:
    """One script a reading."""
    left = list(readings)
    cluster = FakeCluster(streams={"LogService/Read": lambda _: left.pop(0)})
    return Logs(cluster, ReadLogsRequest(**request), timeout_s=1.0)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE_S", 0.0)


async def test_the_whole_output_in_order() -> None:
    assert await logs([reply(b"a\xff"), reply(b"b")]).bytes() == b"a\xffb"


async def test_a_broken_stream_goes_on_at_the_byte_where_it_was() -> None:
    broken = [reply(b"one\nt"), reply(b"E1", LogChunk.STDERR), LOST]
    whole = [reply(b"one\ntwo\n"), reply(b"E", LogChunk.STDERR), reply(b"1E2", LogChunk.STDERR)]
    found = [(chunk.stream, chunk.data) async for chunk in logs(broken, whole)]
    out = b"".join(data for stream, data in found if stream == LogChunk.STDOUT)
    err = b"".join(data for stream, data in found if stream == LogChunk.STDERR)
    assert (out, err) == (b"one\ntwo\n", b"E1E2")


async def test_what_the_cell_says_is_a_stream_of_its_own() -> None:
    broken = [reply(b"started\n", LogChunk.CELL), reply(b"o"), LOST]
    whole = [reply(b"started\nkilled\n", LogChunk.CELL), reply(b"out")]
    found = [(chunk.stream, chunk.data) async for chunk in logs(broken, whole)]
    said = b"".join(data for stream, data in found if stream == LogChunk.CELL)
    assert said == b"started\nkilled\n"
    assert b"".join(data for stream, data in found if stream == LogChunk.STDOUT) == b"out"


async def test_it_gives_up_where_nothing_new_comes() -> None:
    with pytest.raises(DomainError):
        await logs([reply(b"a"), LOST], *([[reply(b"a"), LOST]] * 10)).bytes()


async def test_as_long_as_something_comes_it_goes_on() -> None:
    growing = [[reply(b"x" * size), LOST] for size in range(1, 20)]
    assert await logs(*growing, [reply(b"x" * 20)]).bytes() == b"x" * 20


async def test_a_refusal_is_not_tried_again() -> None:
    refused = DomainError(Reason.RESOURCE_NOT_FOUND, "no output")
    with pytest.raises(DomainError, match="no output"):
        await logs([refused], [reply(b"never")]).bytes()


async def test_silence_is_waited_for_once_only() -> None:
    """The connection has asked every member by then; a person was told how long it takes."""
    readings = [[60.0, reply(b"never")] for _ in range(9)]
    cluster = FakeCluster(streams={"LogService/Read": lambda _: readings.pop()})
    with pytest.raises(DomainError, match=r"no answer within 0\.01 s"):
        await Logs(cluster, ReadLogsRequest(), timeout_s=0.01).bytes()
    assert len(readings) == 8


async def test_a_tail_that_has_begun_is_not_begun_again() -> None:
    with pytest.raises(DomainError):
        await logs([reply(b"a"), LOST], [reply(b"b")], tail_lines=1).bytes()


async def test_a_tail_that_has_not_begun_may_be_tried_again() -> None:
    assert await logs([LOST], [reply(b"b")], tail_lines=1).text() == "b"
