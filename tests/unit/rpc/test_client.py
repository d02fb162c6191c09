"""The client of the BBS: it finds the leader, repeats only what it may, and never guesses."""

import asyncio
from typing import Any

import pytest

from diegod.internal.v1.ring_pb2 import SubmitReply, SubmitRequest
from diegod.models.errors import DomainError, Reason
from diegod.rpc.client import ClusterClient
from diegod.v1.cluster_pb2 import GetVersionReply, GetVersionRequest
from diegod.v1.event_pb2 import WatchReply, WatchRequest
from diegod.v1.record_pb2 import Change, Task
from diegod.v1.task_pb2 import (
    DesireTaskReply,
    DesireTaskRequest,
    GetTaskReply,
    GetTaskRequest,
    ListTasksReply,
    ListTasksRequest,
)
from diegod.world.ids import SeededIds
from tests.unit.rpc.scripted_dialer import (
    ADDRESSES,
    Answer,
    ScriptedDialer,
    Silence,
    in_virtual_time,
    not_leader,
    unavailable,
    unknown,
)
from tests.unit.scheduler.virtual_time import LoopClock, VirtualLoop

DESIRE = "diegod.v1.TaskService/Desire"
GET = "diegod.v1.TaskService/Get"
LIST = "diegod.v1.TaskService/List"
SUBMIT = "diegod.internal.v1.RingService/Submit"
VERSION = "diegod.v1.ClusterService/GetVersion"


def desire(client: ClusterClient, timeout_s: float | None = None) -> Any:
    return client.call(DESIRE, DesireTaskRequest(), timeout_s)


def refusal_of(dialer: ScriptedDialer, scenario: Any) -> DomainError:
    """The error that the scenario ends with."""

    async def caught(client: ClusterClient) -> DomainError:
        with pytest.raises(DomainError) as refused:
            await scenario(client)
        return refused.value

    error: DomainError
    error, _ = in_virtual_time(dialer, caught)
    return error


def test_it_needs_an_address() -> None:
    loop = VirtualLoop()
    with pytest.raises(ValueError, match="at least one member"):
        ClusterClient(ScriptedDialer(), [], LoopClock(loop), SeededIds(1))
    loop.close()


def test_a_write_follows_the_leader_that_is_named_and_stays_with_it() -> None:
    def answers(address: str, request: Any) -> Answer:
        return DesireTaskReply() if address == "c:1" else not_leader("c:1")

    dialer = ScriptedDialer(answers)

    async def twice(client: ClusterClient) -> str:
        await desire(client)
        await desire(client)
        return client.leader_address

    leader, seconds = in_virtual_time(dialer, twice)
    assert dialer.addresses == ["a:1", "c:1", "c:1"]
    assert leader == "c:1"
    assert seconds < 0.1


def test_a_leader_may_be_outside_of_the_given_addresses() -> None:
    def answers(address: str, request: Any) -> Answer:
        return DesireTaskReply() if address == "z:1" else not_leader("z:1")

    dialer = ScriptedDialer(answers)
    in_virtual_time(dialer, desire)
    assert dialer.addresses == ["a:1", "z:1"]


def test_a_leader_that_is_gone_is_left_for_the_others() -> None:
    alive = {"a:1"}

    def answers(address: str, request: Any) -> Answer:
        return DesireTaskReply() if address in alive else unavailable()

    dialer = ScriptedDialer(answers)

    async def scenario(client: ClusterClient) -> None:
        await desire(client)
        alive.clear()
        alive.add("c:1")
        await desire(client)

    in_virtual_time(dialer, scenario)
    assert dialer.addresses == ["a:1", "a:1", "b:1", "c:1"]


def test_who_answers_nobody_is_asked_in_turn_until_time_is_up() -> None:
    dialer = ScriptedDialer()
    began: list[float] = []

    async def scenario(client: ClusterClient) -> Reason:
        with pytest.raises(DomainError) as refused:
            await desire(client, timeout_s=2.0)
        began.append(asyncio.get_running_loop().time())
        return refused.value.reason

    reason, _ = in_virtual_time(dialer, scenario)
    assert reason is Reason.UNAVAILABLE
    assert dialer.addresses[:4] == ["a:1", "b:1", "c:1", "a:1"]
    assert 1.0 < began[0] <= 2.0


def test_it_waits_longer_from_try_to_try_but_not_for_ever() -> None:
    dialer = ScriptedDialer()
    assert refusal_of(dialer, lambda client: desire(client, 10.0)).reason is Reason.UNAVAILABLE
    assert 20 <= len(dialer.asked) <= 50  # half a second at most between two tries


def test_a_repeated_write_carries_the_same_request_id() -> None:
    answers = iter([unknown(), unavailable(), DesireTaskReply(already_there=True)])
    dialer = ScriptedDialer(lambda address, request: next(answers))
    reply, _ = in_virtual_time(dialer, desire)
    assert reply.already_there
    ids = {request.request_id for _, request in dialer.asked}
    assert len(dialer.asked) == 3
    assert len(ids) == 1
    assert ids != {""}


def test_a_request_id_that_was_given_is_kept() -> None:
    dialer = ScriptedDialer(lambda address, request: DesireTaskReply())
    request = DesireTaskRequest(request_id="mine")
    in_virtual_time(dialer, lambda client: client.call(DESIRE, request))
    assert [asked.request_id for _, asked in dialer.asked] == ["mine"]


def test_what_may_not_be_repeated_is_reported_as_unknown() -> None:
    dialer = ScriptedDialer(lambda address, request: unknown())
    error = refusal_of(dialer, lambda client: client.call(SUBMIT, SubmitRequest()))
    assert error.reason is Reason.UNKNOWN_OUTCOME
    assert len(dialer.asked) == 1


def test_what_may_not_be_repeated_is_repeated_where_certainly_nothing_happened() -> None:
    answers = iter([unavailable(), not_leader("c:1"), SubmitReply()])
    dialer = ScriptedDialer(lambda address, request: next(answers))
    in_virtual_time(dialer, lambda client: client.call(SUBMIT, SubmitRequest()))
    assert dialer.addresses == ["a:1", "b:1", "c:1"]


def test_a_write_is_as_unknown_as_its_least_known_try() -> None:
    first = [unknown()]

    def answers(address: str, request: Any) -> Answer:
        return first.pop() if first else unavailable()

    error = refusal_of(ScriptedDialer(answers), lambda client: desire(client, 1.0))
    assert error.reason is Reason.UNKNOWN_OUTCOME
    assert error.applied == "unknown"


def test_a_refusal_is_not_repeated() -> None:
    taken = DomainError(Reason.RESOURCE_EXISTS, "it is there already")
    dialer = ScriptedDialer(lambda address, request: taken)
    assert refusal_of(dialer, desire) is taken
    assert len(dialer.asked) == 1


def test_a_member_that_is_silent_does_not_use_up_all_the_time() -> None:
    """A call that another member could answer as well is given up after a while."""

    def answers(address: str, request: Any) -> Answer:
        return Silence() if address == "a:1" else GetTaskReply()

    dialer = ScriptedDialer(answers)
    _, seconds = in_virtual_time(dialer, lambda client: client.call(GET, GetTaskRequest()))
    assert dialer.addresses == ["a:1", "b:1"]
    assert 2.5 < seconds < 4.0


def test_a_deadline_is_kept() -> None:
    dialer = ScriptedDialer(lambda address, request: Silence())

    async def scenario(client: ClusterClient) -> None:
        with pytest.raises(DomainError):
            await client.call(VERSION, GetVersionRequest(), timeout_s=1.0)

    _, seconds = in_virtual_time(dialer, scenario)
    assert seconds == pytest.approx(1.0, abs=0.01)
    assert dialer.timeouts == [pytest.approx(1.0)]


def test_reads_stay_with_a_reader_that_answers() -> None:
    def answers(address: str, request: Any) -> Answer:
        return GetVersionReply() if address != "a:1" else unavailable()

    dialer = ScriptedDialer(answers)

    async def thrice(client: ClusterClient) -> None:
        for _ in range(3):
            await client.call(VERSION, GetVersionRequest())

    in_virtual_time(dialer, thrice)
    assert dialer.addresses == ["a:1", "b:1", "b:1", "b:1"]


# -- streams --------------------------------------------------------------------------------------


async def collected(stream: Any) -> list[Any]:
    return [reply async for reply in stream]


def test_a_list_that_nobody_began_is_begun_elsewhere() -> None:
    page = ListTasksReply(revision=7)

    def streams(address: str, request: Any) -> list[Answer]:
        return [unavailable()] if address == "a:1" else [page, page]

    dialer = ScriptedDialer(streams=streams)
    got, _ = in_virtual_time(
        dialer, lambda client: collected(client.stream(LIST, ListTasksRequest()))
    )
    assert got == [page, page]
    assert dialer.addresses == ["a:1", "b:1"]
    assert dialer.open_streams == 0


def test_a_list_that_broke_off_is_not_continued_at_another_revision() -> None:
    dialer = ScriptedDialer(streams=lambda address, request: [ListTasksReply(), unavailable()])
    error = refusal_of(dialer, lambda client: collected(client.stream(LIST, ListTasksRequest())))
    assert error.reason is Reason.UNAVAILABLE
    assert len(dialer.asked) == 1


def rows(revision: int, *guids: str, end: bool = False) -> WatchReply:
    changes = [Change(verb=Change.CREATED, task=Task(task_guid=guid)) for guid in guids]
    return WatchReply(rows=changes, rows_end=end, revision=revision)


def changed(revision: int) -> WatchReply:
    return WatchReply(changes=[Change(revision=revision)], revision=revision)


async def first_replies(client: ClusterClient, count: int, **request: Any) -> list[WatchReply]:
    replies = []
    watch = client.watch(WatchRequest(**request))
    async for reply in watch:
        replies.append(reply)
        if len(replies) == count:
            break
    await watch.aclose()  # type: ignore[attr-defined]
    return replies


def test_a_watch_goes_on_at_another_member_from_where_it_was() -> None:
    def streams(address: str, request: Any) -> list[Answer]:
        if address == "a:1":
            return [rows(10, "x", end=True), changed(11), unavailable()]
        return [changed(12), Silence()]

    dialer = ScriptedDialer(streams=streams)
    got, _ = in_virtual_time(dialer, lambda client: first_replies(client, 3))
    assert [reply.revision for reply in got] == [10, 11, 12]
    assert [(a, request.from_revision) for a, request in dialer.asked] == [("a:1", 0), ("b:1", 11)]
    assert dialer.open_streams == 0


def test_a_watch_that_ends_by_itself_goes_on_elsewhere() -> None:
    def streams(address: str, request: Any) -> list[Answer]:
        return [changed(request.from_revision + 1)]

    dialer = ScriptedDialer(streams=streams)
    got, _ = in_virtual_time(dialer, lambda client: first_replies(client, 4, from_revision=5))
    assert [reply.revision for reply in got] == [6, 7, 8, 9]
    assert dialer.addresses == ["a:1", "b:1", "c:1", "a:1"]


def test_half_a_beginning_is_never_shown() -> None:
    """Half of one member's rows and half of another's would be a state that never was."""

    def streams(address: str, request: Any) -> list[Answer]:
        if address == "a:1":
            return [rows(0, "old"), unavailable()]
        return [rows(0, "new"), rows(0, "newer"), rows(20, end=True), Silence()]

    dialer = ScriptedDialer(streams=streams)
    got, _ = in_virtual_time(dialer, lambda client: first_replies(client, 3))
    shown = [change.task.task_guid for reply in got for change in reply.rows]
    assert shown == ["new", "newer"]
    assert [request.from_revision for _, request in dialer.asked] == [0, 0]


def test_a_member_that_falls_silent_is_left() -> None:
    def streams(address: str, request: Any) -> list[Answer]:
        if address == "a:1":
            return [rows(10, end=True), Silence()]
        return [changed(11), Silence()]

    dialer = ScriptedDialer(streams=streams)
    got, seconds = in_virtual_time(dialer, lambda client: first_replies(client, 2))
    assert [reply.revision for reply in got] == [10, 11]
    assert 6.0 <= seconds < 6.5


@pytest.mark.parametrize("reason", [Reason.COMPACTED, Reason.PERMISSION_DENIED])
def test_a_watch_raises_what_trying_again_would_not_cure(reason: Reason) -> None:
    refusal = DomainError(reason, "no")
    dialer = ScriptedDialer(streams=lambda address, request: [refusal])
    assert refusal_of(dialer, lambda client: first_replies(client, 1)) is refusal
    assert len(dialer.asked) == 1


def test_the_callers_own_request_is_left_as_it_was() -> None:
    request = WatchRequest(kinds=["task"])
    dialer = ScriptedDialer(streams=lambda address, asked: [rows(10, end=True), changed(11)])

    async def scenario(client: ClusterClient) -> None:
        watch = client.watch(request)
        async for reply in watch:
            if reply.revision == 11:
                break
        await watch.aclose()  # type: ignore[attr-defined]

    in_virtual_time(dialer, scenario)
    assert request == WatchRequest(kinds=["task"])


@pytest.mark.parametrize("steps", range(5))
def test_a_cancellation_is_not_lost_when_a_reply_comes_with_it(steps: int) -> None:
    """However many turns of the loop lie between the two."""

    class OneMore(ScriptedDialer):
        async def stream(self, address: str, *_: Any) -> Any:
            yield rows(10, end=True)
            await self.coming
            yield changed(11)
            await asyncio.sleep(1e6)

        coming: "asyncio.Future[None]"

    dialer = OneMore()

    async def scenario(client: ClusterClient) -> bool:
        dialer.coming = asyncio.get_running_loop().create_future()
        reading = asyncio.create_task(collected(client.watch(WatchRequest())))
        await asyncio.sleep(1)
        dialer.coming.set_result(None)
        for _ in range(steps):
            await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading], timeout=1)
        return reading.cancelled()

    is_cancelled, _ = in_virtual_time(dialer, scenario)
    assert is_cancelled


def test_duplex_speaks_with_the_leader_and_leaves_it_when_it_fails() -> None:
    from diegod.internal.v1.ring_pb2 import RenewReply, RenewRequest

    dialer = ScriptedDialer(
        lambda address, request: RenewReply(held=True) if address == "b:1" else not_leader("b:1")
    )

    async def one() -> Any:
        yield RenewRequest()

    async def scenario(client: ClusterClient) -> tuple[list[Any], str]:
        with pytest.raises(DomainError):
            await collected(client.duplex("diegod.internal.v1.RingService/Renew", one()))
        got = await collected(client.duplex("diegod.internal.v1.RingService/Renew", one()))
        return got, client.leader_address

    (got, leader), _ = in_virtual_time(dialer, scenario)
    assert (got, leader) == ([RenewReply(held=True)], "b:1")
    assert dialer.addresses == [ADDRESSES[0], "b:1"]
