"""Many writes of one stream: gathered, answered in order, and honest when something fails."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from diegod.internal.v1.command_pb2 import CancelTask, Command, Outcome
from diegod.models.errors import DomainError, Reason
from diegod.raftbbs.edge.bulk import Answer, Submit, Write, in_bulk
from diegod.raftbbs.ticking import SUBMISSION_BYTES_MAX
from tests.unit.raftbbs.bbs import collected, stream_of

NOT_HERE = DomainError(Reason.NOT_LEADER, "m2 leads", leader_address="m2:8889")
NOT_NOW = DomainError(Reason.UNAVAILABLE, "no leader")
NO_ROOM = DomainError(Reason.RESOURCE_EXHAUSTED, "the log is full")
NOBODY_KNOWS = DomainError(Reason.UNKNOWN_OUTCOME, "the leader changed")


def _command(name: str, size: int = 0) -> Command:
    return Command(cause="x" * size, cancel_task=CancelTask(task_guid=name))


def _names(commands: Sequence[Command]) -> list[str]:
    return [command.cancel_task.task_guid for command in commands]


class _Log:
    """Takes submissions; each is answered when the test says so."""

    def __init__(self) -> None:
        self.submitted: list[list[str]] = []
        self.answers: list[asyncio.Future[DomainError | None]] = []

    async def submit(self, commands: Sequence[Command]) -> Sequence[Outcome]:
        self.submitted.append(_names(commands))
        answer: asyncio.Future[DomainError | None] = asyncio.get_running_loop().create_future()
        self.answers.append(answer)
        if error := await answer:
            raise error
        return [Outcome(message=name) for name in _names(commands)]

    async def submit_at_once(self, commands: Sequence[Command]) -> Sequence[Outcome]:
        self.submitted.append(_names(commands))
        return [Outcome(message=name) for name in _names(commands)]


class _Caller:
    """Reads the answers in the background."""

    def __init__(self, log: _Log, writes: AsyncIterator[Write]) -> None:
        self.heard: list[str] = []
        self.reading = asyncio.create_task(self._read(log, writes))

    async def _read(self, log: _Log, writes: AsyncIterator[Write]) -> None:
        async for answers in in_bulk(log.submit, _one_by_one(writes)):
            self.heard += _messages(answers)


async def _settled() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def _one_by_one(writes: AsyncIterator[Write]) -> AsyncIterator[Sequence[Write]]:
    async for write in writes:
        yield [write]


async def _answers(submit: Submit, writes: AsyncIterator[Write]) -> AsyncIterator[Answer]:
    async for answers in in_bulk(submit, _one_by_one(writes)):
        for answer in answers:
            yield answer


def _messages(answers: Sequence[Answer]) -> list[str]:
    return [answer.message for answer in answers]


async def _large(*names: str) -> AsyncIterator[Write]:
    """Each fills a submission."""
    for name in names:
        yield _command(name, SUBMISSION_BYTES_MAX - 100)


async def test_what_waits_while_others_are_under_way_is_one_submission() -> None:
    log, queue = _Log(), asyncio.Queue[Write]()

    async def writes() -> AsyncIterator[Write]:
        while True:
            yield await queue.get()

    caller = _Caller(log, writes())
    for name in "abcd":  # as many as may be under way
        queue.put_nowait(_command(name))
        await _settled()
    for name in "efg":
        queue.put_nowait(_command(name))
    await _settled()
    assert log.submitted == [["a"], ["b"], ["c"], ["d"]]
    log.answers[0].set_result(None)
    await _settled()
    assert log.submitted[4:] == [["e", "f", "g"]]
    assert caller.heard == ["a"]
    caller.reading.cancel()


async def test_answers_come_in_order_whichever_submission_ends_first() -> None:
    log = _Log()
    caller = _Caller(log, _large("a", "b"))
    await _settled()
    log.answers[1].set_result(None)
    await _settled()
    assert caller.heard == []
    log.answers[0].set_result(None)
    await caller.reading
    assert caller.heard == ["a", "b"]


async def test_one_that_is_none_keeps_its_place() -> None:
    bad = DomainError(Reason.INVALID_REQUEST, "task_guid: is required")
    writes: list[Write] = [_command("a"), bad, _command("b")]
    log = _Log()
    answers = await collected(_answers(log.submit_at_once, stream_of(writes)))
    assert _messages(answers) == ["a", bad.message, "b"]
    assert log.submitted == [["a", "b"]]


async def test_a_submission_has_at_most_its_size_and_one_that_is_larger_goes_alone() -> None:
    async def writes() -> AsyncIterator[Write]:
        for name, size in (("a", SUBMISSION_BYTES_MAX), ("b", 10), ("c", SUBMISSION_BYTES_MAX)):
            yield _command(name, size)

    log = _Log()
    answers = await collected(_answers(log.submit_at_once, writes()))
    assert _messages(answers) == ["a", "b", "c"]
    assert log.submitted == [["a"], ["b"], ["c"]]


async def test_no_room_is_an_answer_of_each_and_the_stream_goes_on() -> None:
    log = _Log()
    reading = asyncio.create_task(collected(_answers(log.submit, _large("a", "b"))))
    await _settled()
    log.answers[0].set_result(NO_ROOM)
    log.answers[1].set_result(None)
    assert _messages(await reading) == [NO_ROOM.message, "b"]


@pytest.mark.parametrize("error", [NOT_HERE, NOT_NOW])
async def test_no_leader_or_another_ends_the_stream_and_nothing_behind_it_was_applied(
    error: DomainError,
) -> None:
    log = _Log()
    caller = _Caller(log, _large("a", "b", "c"))
    await _settled()
    log.answers[0].set_result(None)
    log.answers[1].set_result(error)
    log.answers[2].set_result(error)
    with pytest.raises(DomainError) as caught:
        await caller.reading
    assert caught.value is error
    assert caller.heard == ["a"]


@pytest.mark.parametrize("behind", [None, NOBODY_KNOWS])
async def test_what_was_behind_a_refused_one_may_have_been_applied(
    behind: DomainError | None,
) -> None:
    log = _Log()
    caller = _Caller(log, _large("a", "b"))
    await _settled()
    log.answers[0].set_result(NOT_HERE)
    log.answers[1].set_result(behind)
    with pytest.raises(DomainError) as caught:
        await caller.reading
    assert caught.value.reason is Reason.UNKNOWN_OUTCOME
    assert caller.heard == []


async def test_a_stream_that_breaks_is_answered_as_far_as_it_went() -> None:
    async def writes() -> AsyncIterator[Write]:
        yield _command("a")
        raise DomainError(Reason.INVALID_REQUEST, "the request is too large")

    answers = _answers(_Log().submit_at_once, writes())
    assert _messages([await anext(answers)]) == ["a"]
    with pytest.raises(DomainError, match="too large"):
        await anext(answers)


async def test_a_sender_waits_while_nobody_reads() -> None:
    sent = 0

    async def writes() -> AsyncIterator[Write]:
        nonlocal sent
        async for write in _large(*(str(number) for number in range(20))):
            sent += 1
            yield write

    log = _Log()
    answers = _answers(log.submit_at_once, writes())
    await anext(answers)
    await _settled()
    assert sent < 10
    await answers.aclose()  # type: ignore[attr-defined]


async def test_whoever_stops_reading_leaves_nothing_behind() -> None:
    before = asyncio.all_tasks()
    log = _Log()
    caller = _Caller(log, _large("a", "b"))
    await _settled()
    caller.reading.cancel()
    await asyncio.wait([caller.reading])
    await _settled()
    assert asyncio.all_tasks() == before
