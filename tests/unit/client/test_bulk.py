"""Many tasks over one stream: in order, and again from where a stream broke off."""

from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from diegod.client.tasks import Tasks, task_definition
from diegod.models.errors import DomainError, Reason
from diegod.v1.definition_pb2 import TaskDefinition
from diegod.v1.task_pb2 import DesireTaskReply, DesireTasksReply, DesireTasksRequest
from diegod.world.ids import SeededIds
from tests.unit.client.fake_cluster import FakeCluster

Messages = AsyncIterator[DesireTasksRequest]
LOST = DomainError(Reason.UNKNOWN_OUTCOME, "lost the connection")


class _Server:
    """Answers what it is sent, and breaks streams off where the test says so."""

    def __init__(self) -> None:
        self.came: list[list[tuple[str, str]]] = []  # of each stream: request id, guid
        self.sizes: list[int] = []
        self.breaks: list[tuple[int, DomainError | None]] = []  # after so many answers, with this
        self.refused = ""

    async def serve(self, messages: Messages) -> AsyncIterator[DesireTasksReply]:
        stream: list[tuple[str, str]] = []
        self.came.append(stream)
        answers, error = self.breaks.pop(0) if self.breaks else (10**9, None)
        async for message in messages:
            self.sizes.append(len(message.requests))
            replies = []
            for request in message.requests:
                stream.append((request.request_id, request.definition.task_guid))
                if len(stream) <= answers:
                    replies.append(self._reply(request.definition.task_guid))
            yield DesireTasksReply(replies=replies)
            if len(stream) >= answers:
                if error is not None:
                    raise error
                return

    def _reply(self, guid: str) -> DesireTaskReply:
        reply = DesireTaskReply(error_reason="InvalidRequest" if guid == self.refused else "")
        reply.task.task_guid = guid
        return reply


def _definitions(count: int) -> Iterator[TaskDefinition]:
    for number in range(count):
        yield task_definition(f"t{number}", rootfs="preloaded:busybox", argv=["true"])


def _tasks(serve: Callable[[Messages], AsyncIterator[DesireTasksReply]]) -> Tasks:
    cluster = FakeCluster(streams={"TaskService/DesireBulk": serve})
    return Tasks(cluster, SeededIds(1), timeout_s=0.2)


async def _answered(tasks: Tasks, count: int) -> list[str]:
    replies = tasks.desire_many(_definitions(count))
    return [reply.task.task_guid async for reply in replies]


def _names(count: int) -> list[str]:
    return [f"t{number}" for number in range(count)]


async def test_many_come_in_few_messages_and_are_answered_in_order() -> None:
    server = _Server()
    assert await _answered(_tasks(server.serve), 1000) == _names(1000)
    assert len(server.sizes) == 4
    assert len({request_id for request_id, _ in server.came[0]}) == 1000


async def test_none_is_no_stream_without_an_end() -> None:
    assert await _answered(_tasks(_Server().serve), 0) == []


async def test_a_refusal_is_an_answer_and_stops_nothing() -> None:
    server = _Server()
    server.refused = "t1"
    replies = [each async for each in _tasks(server.serve).desire_many(_definitions(3))]
    assert [each.error_reason for each in replies] == ["", "InvalidRequest", ""]


@pytest.mark.parametrize("error", [LOST, None])
async def test_what_was_not_answered_is_sent_again_as_it_was_and_first(
    error: DomainError | None,
) -> None:
    server = _Server()
    server.breaks = [(300, error), (0, LOST)]
    assert await _answered(_tasks(server.serve), 1000) == _names(1000)
    first, second, third = server.came
    assert first[300:] == second[: len(first) - 300]
    assert third == [*second, *third[len(second) :]]
    assert [guid for _, guid in third] == _names(1000)[300:]
    assert dict(first[300:]).items() <= dict(third).items()


async def test_what_repeating_would_not_cure_ends_it() -> None:
    server = _Server()
    denied = DomainError(Reason.PERMISSION_DENIED, "cell/c1 may not")
    server.breaks = [(0, denied)]
    with pytest.raises(DomainError) as caught:
        await _answered(_tasks(server.serve), 3)
    assert caught.value is denied


async def test_whoever_is_never_answered_is_told_that_the_outcome_is_unknown() -> None:
    server = _Server()
    server.breaks = [(0, LOST)] * 1000
    with pytest.raises(DomainError) as caught:
        await _answered(_tasks(server.serve), 3)
    assert caught.value.reason is Reason.UNKNOWN_OUTCOME


async def test_so_many_are_sent_ahead_and_no_more() -> None:
    taken = 0

    def counted() -> Iterator[TaskDefinition]:
        nonlocal taken
        for definition in _definitions(20_000):
            taken += 1
            yield definition

    server = _Server()
    server.breaks = [(100, LOST)]
    replies = _tasks(server.serve).desire_many(counted())
    await anext(replies)
    assert taken < 5000
    await replies.aclose()  # type: ignore[attr-defined]
