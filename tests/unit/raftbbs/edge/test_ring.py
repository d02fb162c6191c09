"""RingService: commands in bulk, each with its own outcome, and leases."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from diegod.internal.v1 import ring_pb2 as api
from diegod.internal.v1.command_pb2 import AcquireLock, CancelTask, Command, Outcome, RegisterCell
from diegod.models.errors import DomainError, Reason
from diegod.raftbbs.edge.ring import RingService
from diegod.raftbbs.ticking import SUBMISSION_BYTES_MAX
from diegod.security.identity import Principal, Role
from diegod.v1.record_pb2 import Cell
from tests.unit.raftbbs.bbs import (
    ANN,
    BRAIN,
    C1,
    C2,
    CLUSTER,
    Bbs,
    collected,
    refusal_of_stream,
    refused,
    running,
    stream_of,
)


def _service(bbs: Bbs) -> RingService:
    return RingService(bbs.access, 10.0)


def _register(**fields: object) -> Command:
    return Command(register_cell=RegisterCell(cell=Cell(cell_id="c1", **fields)))  # type: ignore[arg-type]


async def test_who_speaks_is_whom_the_certificate_names(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        command = _register()
        command.by = "cell/c2"
        reply = await _service(bbs).submit(api.SubmitRequest(commands=[command]), C1)
        assert reply.outcomes[0].cell.provenance.by == "cell/c1"
        other = await _service(bbs).submit(api.SubmitRequest(commands=[_register()]), C2)
        assert other.outcomes[0].reason == "PermissionDenied"


async def test_a_refused_command_does_not_stop_the_others(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        cancel = Command(cancel_task=CancelTask(task_guid="t1"))
        request = api.SubmitRequest(commands=[cancel, Command(), _register()])
        outcomes = (await _service(bbs).submit(request, C1)).outcomes
        assert [outcome.reason for outcome in outcomes] == [
            "PermissionDenied",
            "InvalidRequest",
            "",
        ]


async def test_many_commands_take_several_entries_and_keep_their_order(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        padding = "x" * 1000
        count = 3 * SUBMISSION_BYTES_MAX // 1000
        commands = [
            Command(cause=padding, acquire_lock=AcquireLock(name=f"lock-{number}"))
            for number in range(count)
        ]
        outcomes = (
            await _service(bbs).submit(api.SubmitRequest(commands=commands), BRAIN)
        ).outcomes
        assert [outcome.lock.name for outcome in outcomes] == [f"lock-{n}" for n in range(count)]
        assert [outcome.revision for outcome in outcomes] == list(range(1, count + 1))


@pytest.mark.parametrize("later", [Reason.UNAVAILABLE, Reason.NOT_LEADER])
async def test_a_part_that_was_carried_out_makes_the_rest_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, later: Reason
) -> None:
    async with running(tmp_path / "m1") as bbs:
        submit, calls = bbs.member.submit, 0

        async def once(commands: Sequence[Command]) -> Sequence[Outcome]:
            nonlocal calls
            calls += 1
            if calls > 1:
                raise DomainError(later, "the leader has changed")
            return await submit(commands)

        monkeypatch.setattr(bbs.member, "submit", once)
        commands = [Command(cause="x" * 1000, acquire_lock=AcquireLock(name="a"))] * 300
        request = api.SubmitRequest(commands=commands)
        assert (await refused(_service(bbs).submit(request, BRAIN))).reason is (
            Reason.UNKNOWN_OUTCOME
        )
        small = api.SubmitRequest(commands=commands[:1])
        assert (await refused(_service(bbs).submit(small, BRAIN))).reason is later


async def test_what_no_entry_should_hold_alone_is_refused_before_anything(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        large = _register(placement_tags=["x" * 100] * 4000)
        for commands in ([_register(), large], [Command(cause="x" * 2000)]):
            request = api.SubmitRequest(commands=commands)
            assert (await refused(_service(bbs).submit(request, C1))).reason is (
                Reason.INVALID_REQUEST
            )
        assert bbs.member.counters().revision == 0


async def test_a_lease_is_renewed_by_its_holder(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        await bbs.with_brain()
        await bbs.with_cell(C1)
        cell = [
            api.RenewRequest(cell_id="c1", sequence=1, nonce=1),
            api.RenewRequest(cell_id="c1", sequence=2, nonce=2),
        ]
        replies = await collected(_service(bbs).renew(stream_of(cell), C1))
        assert [(reply.nonce, reply.held) for reply in replies] == [(1, True), (2, False)]
        assert replies[0].ttl_ms == 10_000
        with bbs.access.state() as state:
            lock = state.lock("brain")
        assert lock is not None
        brain = [api.RenewRequest(lock_name="brain", sequence=lock.token)]
        (reply,) = await collected(_service(bbs).renew(stream_of(brain), BRAIN))
        assert reply.held


async def test_a_brain_that_knows_anothers_token_does_not_hold_its_lock(tmp_path: Path) -> None:
    """And does not prolong it: the lock is free when its holder has gone."""
    async with running(tmp_path / "m1") as bbs:
        await bbs.with_brain()
        with bbs.access.state() as state:
            lock = state.lock("brain")
        assert lock is not None
        request = api.RenewRequest(lock_name="brain", sequence=lock.token)
        other = Principal(CLUSTER, Role.BRAIN, "b2")
        (reply,) = await collected(_service(bbs).renew(stream_of([request]), other))
        assert not reply.held


async def test_nobody_renews_for_somebody_else(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        for request, caller in (
            (api.RenewRequest(cell_id="c1"), C2),
            (api.RenewRequest(cell_id="c1"), BRAIN),
            (api.RenewRequest(lock_name="brain"), C1),
            (api.RenewRequest(lock_name="brain"), ANN),
        ):
            renewals = _service(bbs).renew(stream_of([request]), caller)
            assert await refusal_of_stream(renewals) is Reason.PERMISSION_DENIED
