"""Who may do what, over real gRPC with real certificates: the table, and what no table can say."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_reflection.v1alpha.reflection_pb2 import (
    ServerReflectionRequest,
    ServerReflectionResponse,
)

from diegod.internal.v1 import command_pb2 as c
from diegod.internal.v1.ring_pb2 import RenewRequest, SubmitRequest
from diegod.models.errors import DomainError, Reason
from diegod.rpc import methods
from diegod.rpc.methods import METHODS, Method, method
from diegod.v1 import definition_pb2, event_pb2, lrp_pb2, record_pb2, task_pb2
from tests.cluster.cast import (
    DAY_S,
    LOCK,
    Cast,
    add_principal,
    outcome_of,
    principal_folder,
    secure_channel,
)
from tests.cluster.roles import Node, Processes, Site, new_site
from tests.cluster.terminal import new_terminal

PEOPLE = ("user/alice", "brain/one", "brain/two", "cell/a", "cell/b", "bbs/bbs-2")
#: One of each role, for the table.
ROLES = {"user": "alice", "brain": "one", "cell": "a", "bbs": "bbs-2"}
WATCH = "diegod.v1.EventService/Watch"
DESIRE = "diegod.v1.TaskService/Desire"
RENEW = "diegod.internal.v1.RingService/Renew"
#: What no handler of ours answers with, so that it says nothing about who may call it.
NO_ANSWER = (
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One member and one cell, and certificates for everybody who will speak with them."""
    made = new_site(new_terminal(tmp_path_factory.mktemp("access") / "home"))
    made.add("bbs", "bbs-1")
    made.add("cell", "cell-1")
    made.furnish()
    made.init_stores()
    for who in PEOPLE:
        role, _, id_ = who.partition("/")
        add_principal(made, role, id_)
    processes = Processes(made)
    try:
        processes.start("bbs-1")
        processes.start("cell-1")
        yield made
    finally:
        processes.end()


@pytest.fixture
def member(site: Site) -> Node:
    return site.nodes["bbs-1"]


def addresses(site: Site) -> dict[str, str]:
    """By the name that a method's row has for its server."""
    member = site.nodes["bbs-1"]
    return {
        "bbs": member.address,
        "raft": f"127.0.0.1:{member.raft_port}",
        "cell": site.nodes["cell-1"].address,
    }


SERVED = [
    pytest.param(row, server, id=f"{row.name}@{server}")
    for row in METHODS.values()
    for server in row.served_by.split()
]


@pytest.mark.parametrize(("row", "server"), SERVED)
async def test_each_role_may_call_what_the_table_allows(
    site: Site, row: Method, server: str
) -> None:
    """Allowed is what comes as far as the handler, whatever that makes of an empty request."""
    allowed = set()
    for role, id_ in ROLES.items():
        folder = principal_folder(site, role, id_)
        async with secure_channel(
            addresses(site)[server], site.ca / "ca.crt", folder, role
        ) as channel:
            refused = await outcome_of(channel, row.path)
        if refused is None or f"may not call {row.name}" not in refused.details:
            assert refused is None or refused.code not in NO_ANSWER, refused
            allowed.add(role)
        else:
            assert refused.code is grpc.StatusCode.PERMISSION_DENIED
            assert refused.details == f"{role}/{id_} may not call {row.name}"
    assert allowed == set(row.roles)


@pytest.mark.parametrize("server", ["bbs", "raft", "cell"])
@pytest.mark.parametrize("stranger", ["nobody", "another CA's", "expired"])
async def test_strangers_do_not_get_a_connection(
    site: Site, tmp_path: Path, server: str, stranger: str
) -> None:
    folder: Path | None = None
    if stranger == "another CA's":
        other = new_site(new_terminal(tmp_path / "home"))
        folder = add_principal(other, "user", "alice")
    if stranger == "expired":
        folder = principal_folder(site, "user", f"late-{server}")
        add_principal(site, "user", f"late-{server}", ago_s=2 * DAY_S)
    path = next(row.path for row in METHODS.values() if server in row.served_by.split())
    async with secure_channel(addresses(site)[server], site.ca / "ca.crt", folder) as channel:
        refused = await outcome_of(channel, path)
    assert refused is not None
    assert refused.code is grpc.StatusCode.UNAVAILABLE


async def test_without_tls_nothing_is_answered(member: Node) -> None:
    async with grpc.aio.insecure_channel(member.address) as channel:
        refused = await outcome_of(channel, method(WATCH).path)
    assert refused is not None
    assert refused.code is grpc.StatusCode.UNAVAILABLE


# -- cells, among themselves ----------------------------------------------------------------------


@dataclass(frozen=True)
class Stage:
    """A brain that holds the lock, and two cells that have just registered."""

    cast: Cast
    token: int
    incarnation: dict[str, int]

    async def placed_task(self, guid: str, on: str) -> record_pb2.Task:
        """A new task, placed on `cell/ON`."""
        request = task_pb2.DesireTaskRequest(definition=a_task(guid))
        reply = await self.cast.call("user/alice", DESIRE, request)
        place = c.PlaceTask(
            task_guid=guid,
            row_revision=reply.task.provenance.revision,
            cell_id=on,
            cell_incarnation=self.incarnation[on],
        )
        return done(await self.cast.decide(self.token, place_task=place)).task

    async def placed_instance(self, guid: str, on: str) -> record_pb2.ActualLrp:
        """The only instance of a new LRP, placed on `cell/ON`."""
        request = lrp_pb2.DesireLrpRequest(definition=an_lrp(guid))
        reply = await self.cast.call("user/alice", "diegod.v1.LrpService/Desire", request)
        revision = reply.desired_lrp.provenance.revision
        create = c.CreateInstance(process_guid=guid, index=0, desired_revision=revision)
        row = done(await self.cast.decide(self.token, create_instance=create)).actual_lrp
        place = c.PlaceInstance(
            instance_guid=row.instance_guid,
            row_revision=row.provenance.revision,
            cell_id=on,
            cell_incarnation=self.incarnation[on],
        )
        return done(await self.cast.decide(self.token, place_instance=place)).actual_lrp

    async def say(self, cell: str, **command: object) -> c.Outcome:
        return await self.cast.say(f"cell/{cell}", self.incarnation[cell], **command)

    async def task(self, guid: str) -> record_pb2.Task:
        reply = await self.cast.call(
            "user/alice", "diegod.v1.TaskService/Get", task_pb2.GetTaskRequest(task_guid=guid)
        )
        found: record_pb2.Task = reply.task
        return found


def done(outcome: c.Outcome) -> c.Outcome:
    assert outcome.reason == "", outcome
    return outcome


def a_task(guid: str) -> definition_pb2.TaskDefinition:
    definition = definition_pb2.TaskDefinition(
        task_guid=guid, rootfs="preloaded:nowhere", environment_variables={"SECRET": guid}
    )
    definition.action.run.path = "/bin/true"
    return definition


def an_lrp(guid: str) -> definition_pb2.LrpDefinition:
    definition = definition_pb2.LrpDefinition(process_guid=guid, rootfs="preloaded:nowhere")
    definition.action.run.path = "/bin/true"
    return definition


@pytest_asyncio.fixture
async def stage(site: Site, member: Node) -> AsyncIterator[Stage]:
    async with Cast(site, member) as cast:
        lock = done(await cast.say("brain/one", acquire_lock=c.AcquireLock(name=LOCK))).lock
        incarnation = {}
        for cell in ("a", "b"):
            row = record_pb2.Cell(cell_id=cell, zone="z1", address="127.0.0.1:1")
            said = await cast.say(f"cell/{cell}", register_cell=c.RegisterCell(cell=row))
            incarnation[cell] = done(said).cell.incarnation
        yield Stage(cast, lock.token, incarnation)
        release = c.ReleaseLock(name=LOCK, token=lock.token)
        done(await cast.decide(lock.token, release_lock=release))


async def test_a_task_is_started_and_completed_by_its_cell_alone(stage: Stage) -> None:
    task = await stage.placed_task("theirs", on="a")
    start = c.StartTask(task_guid="theirs", attempt=task.attempt)
    assert (await stage.say("b", start_task=start)).reason == Reason.WRONG_ATTEMPT
    assert (await stage.task("theirs")).state == record_pb2.Task.PENDING
    wrong = c.StartTask(task_guid="theirs", attempt=task.attempt - 1)
    assert (await stage.say("a", start_task=wrong)).reason == Reason.WRONG_ATTEMPT
    done(await stage.say("a", start_task=start))
    complete = c.CompleteTask(task_guid="theirs", attempt=task.attempt, exit_status_known=True)
    assert (await stage.say("b", complete_task=complete)).reason != ""
    assert (await stage.task("theirs")).state == record_pb2.Task.RUNNING
    reject = c.RejectTask(task_guid="theirs", attempt=task.attempt, rejection_reason="mine")
    assert (await stage.say("b", reject_task=reject)).reason != ""
    done(await stage.say("a", complete_task=complete))
    assert (await stage.task("theirs")).state == record_pb2.Task.COMPLETED


async def test_an_instance_is_claimed_started_and_ended_by_its_cell_alone(stage: Stage) -> None:
    guid = (await stage.placed_instance("single", on="a")).instance_guid
    claim = c.ClaimInstance(instance_guid=guid)
    start = c.StartInstance(instance_guid=guid)
    crash = c.CrashInstance(instance_guid=guid, crash_reason="mine")
    remove = c.RemoveInstance(instance_guid=guid)
    reject = c.RejectInstance(instance_guid=guid, rejection_reason="mine")
    assert (await stage.say("b", claim_instance=claim)).reason != ""
    assert (await stage.say("b", reject_instance=reject)).reason != ""
    done(await stage.say("a", claim_instance=claim))
    assert (await stage.say("b", start_instance=start)).reason != ""
    row = done(await stage.say("a", start_instance=start)).actual_lrp
    assert (row.state, row.cell_id) == (record_pb2.ActualLrp.RUNNING, "a")
    assert (await stage.say("b", crash_instance=crash)).reason != ""
    assert (await stage.say("b", remove_instance=remove)).reason != ""
    done(await stage.say("a", remove_instance=remove))


async def test_an_earlier_incarnation_is_not_heard(stage: Stage) -> None:
    task = await stage.placed_task("later", on="a")
    old = stage.incarnation["a"]
    row = record_pb2.Cell(cell_id="a", zone="z1", address="127.0.0.1:1")
    again = done(await stage.cast.say("cell/a", register_cell=c.RegisterCell(cell=row))).cell
    assert again.incarnation == old + 1
    start = c.StartTask(task_guid="later", attempt=task.attempt)
    said = await stage.cast.say("cell/a", old, start_task=start)
    assert said.reason == Reason.STALE_INCARNATION
    assert (await stage.task("later")).state == record_pb2.Task.PENDING


async def test_a_cell_registers_only_itself(stage: Stage) -> None:
    row = record_pb2.Cell(cell_id="b", zone="z9", address="127.0.0.1:9")
    said = await stage.cast.say("cell/a", register_cell=c.RegisterCell(cell=row))
    assert said.reason == Reason.PERMISSION_DENIED


async def test_everybody_gives_only_commands_of_their_role(stage: Stage) -> None:
    expire = c.ExpireTask(task_guid="x", row_revision=1)
    assert (await stage.say("a", expire_task=expire)).reason == Reason.PERMISSION_DENIED
    start = c.StartTask(task_guid="x", attempt=1)
    said = await stage.cast.decide(stage.token, start_task=start)
    assert said.reason == Reason.PERMISSION_DENIED
    expire_cell = c.ExpireCell(cell_id="a", incarnation=stage.incarnation["a"])
    said = await stage.cast.decide(stage.token, expire_cell=expire_cell)
    assert said.reason == Reason.PERMISSION_DENIED
    with pytest.raises(DomainError, match="user/alice may not call") as refused:
        await stage.cast.submit("user/alice", c.Command())
    assert refused.value.reason is Reason.PERMISSION_DENIED


async def test_a_brain_without_the_lock_decides_nothing(stage: Stage) -> None:
    expire = c.ExpireTask(task_guid="x", row_revision=1)
    forged = c.Command(lock_name=LOCK, lock_token=stage.token, expire_task=expire)
    [said] = await stage.cast.submit("brain/two", forged)
    assert said.reason == Reason.LOCK_COLLISION
    stale = c.Command(lock_name=LOCK, lock_token=stage.token - 1, expire_task=expire)
    [said] = await stage.cast.submit("brain/one", stale)
    assert said.reason == Reason.LOCK_COLLISION


async def test_who_speaks_is_told_by_the_certificate(stage: Stage) -> None:
    task = await stage.placed_task("forged", on="a")
    start = c.StartTask(task_guid="forged", attempt=task.attempt)
    forged = c.Command(by="cell/a", cell_incarnation=stage.incarnation["b"], start_task=start)
    [said] = await stage.cast.submit("cell/b", forged)
    assert said.reason == Reason.WRONG_ATTEMPT
    row = done(await stage.say("a", start_task=start)).task
    assert row.provenance.by == "cell/a"


async def test_a_lease_is_renewed_by_whose_it_is(stage: Stage, member: Node) -> None:
    async def renewed(who: str, request: RenewRequest) -> bool:
        async def requests() -> AsyncIterator[RenewRequest]:
            yield request

        stream = stage.cast.dialer(who).duplex(member.address, method(RENEW), requests(), 5.0)
        async for reply in stream:
            return bool(reply.held)
        return False

    own = RenewRequest(cell_id="a", sequence=stage.incarnation["a"])
    assert await renewed("cell/a", own)
    assert not await renewed("cell/a", RenewRequest(cell_id="a", sequence=own.sequence + 1))
    lock = RenewRequest(lock_name=LOCK, sequence=stage.token)
    assert await renewed("brain/one", lock)
    for who, request in (("cell/b", own), ("brain/one", own), ("cell/a", lock)):
        with pytest.raises(DomainError, match="may not renew") as refused:
            await renewed(who, request)
        assert refused.value.reason is Reason.PERMISSION_DENIED


async def test_a_cell_sees_its_own_rows_with_their_definitions(stage: Stage) -> None:
    await stage.placed_task("for-a", on="a")
    await stage.placed_task("for-b", on="b")
    rows = await watched(stage.cast, "cell/a", "a")
    assert {row.task.task_guid for row in rows} >= {"for-a"}
    assert "for-b" not in {row.task.task_guid for row in rows}
    [mine] = [row.task for row in rows if row.task.task_guid == "for-a"]
    assert dict(mine.definition.environment_variables) == {"SECRET": "for-a"}
    for who in ("brain/one", "user/alice"):
        rows = await watched(stage.cast, who, "a")
        assert {row.task.task_guid for row in rows} >= {"for-a"}
        assert not any(row.task.HasField("definition") for row in rows), who


@pytest.mark.parametrize("cell_id", ["b", ""])
async def test_a_cell_does_not_watch_others(stage: Stage, cell_id: str) -> None:
    with pytest.raises(DomainError, match="cell/a may watch only what is on it") as refused:
        await watched(stage.cast, "cell/a", cell_id)
    assert refused.value.reason is Reason.PERMISSION_DENIED


async def watched(cast: Cast, who: str, cell_id: str) -> list[record_pb2.Change]:
    """The tasks that a watch begins with."""
    request = event_pb2.WatchRequest(kinds=["task"], cell_id=cell_id)
    reply = await cast.first(who, WATCH, request)
    return list(reply.rows)


# -- health, reflection, errors -------------------------------------------------------------------


@pytest.mark.parametrize("server", ["bbs", "raft", "cell"])
async def test_health_is_told_for_each_service(site: Site, server: str) -> None:
    services = ["", *sorted({row.service for row in methods.served_by(server)})]
    folder = principal_folder(site, "user", "alice")
    async with secure_channel(addresses(site)[server], site.ca / "ca.crt", folder) as channel:
        for service in services:
            assert await health(channel, service) == HealthCheckResponse.SERVING, service
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await health(channel, "diegod.v1.NoService")
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND


async def health(channel: grpc.aio.Channel, service: str) -> int:
    check = channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=HealthCheckRequest.SerializeToString,
        response_deserializer=HealthCheckResponse.FromString,
    )
    reply = await check(HealthCheckRequest(service=service), timeout=5.0)
    return int(reply.status)


async def test_reflection_lists_the_services_to_who_has_a_certificate(
    site: Site, member: Node
) -> None:
    path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
    request = ServerReflectionRequest(list_services="")
    folder = principal_folder(site, "user", "alice")
    async with secure_channel(member.address, site.ca / "ca.crt", folder) as channel:
        info = channel.stream_stream(
            path,
            request_serializer=ServerReflectionRequest.SerializeToString,
            response_deserializer=ServerReflectionResponse.FromString,
        )
        replies = [reply async for reply in info(iter([request]), timeout=5.0)]
    listed = {service.name for service in replies[0].list_services_response.service}
    assert listed >= {row.service for row in methods.served_by("bbs")} | {"grpc.health.v1.Health"}
    async with secure_channel(member.address, site.ca / "ca.crt") as channel:
        refused = await outcome_of(channel, path, request.SerializeToString())
    assert refused is not None
    assert refused.code is grpc.StatusCode.UNAVAILABLE


async def test_a_request_that_is_too_large_is_refused_in_one_line(stage: Stage) -> None:
    large = a_task("large")
    large.annotation = "x" * (methods.REQUEST_BYTES_MAX + 1)
    with pytest.raises(DomainError) as refused:
        await stage.cast.call("user/alice", DESIRE, task_pb2.DesireTaskRequest(definition=large))
    assert refused.value.reason is Reason.INVALID_REQUEST
    assert f"{methods.REQUEST_BYTES_MAX} are allowed" in refused.value.message
    assert "\n" not in refused.value.message
    larger = c.Command(cause="x" * (methods.BULK_BYTES_MAX + 1))
    with pytest.raises(DomainError) as refused:
        await stage.cast.submit("cell/a", larger)
    assert refused.value.applied == "no"
    assert "\n" not in refused.value.message


async def test_all_problems_of_a_request_arrive(stage: Stage) -> None:
    bad = definition_pb2.TaskDefinition(task_guid="a b", rootfs="nowhere")
    with pytest.raises(DomainError) as refused:
        await stage.cast.call("user/alice", DESIRE, task_pb2.DesireTaskRequest(definition=bad))
    assert (refused.value.reason, refused.value.applied) == (Reason.INVALID_REQUEST, "no")
    assert {problem.path for problem in refused.value.problems} == {
        "task_guid",
        "rootfs",
        "action",
    }


async def test_a_refusal_is_a_status_that_any_language_can_read(site: Site, member: Node) -> None:
    bad = definition_pb2.TaskDefinition(task_guid="a b", rootfs="preloaded:x")
    bad.action.run.path = "/bin/true"
    request = task_pb2.DesireTaskRequest(definition=bad)
    folder = principal_folder(site, "user", "alice")
    async with secure_channel(member.address, site.ca / "ca.crt", folder) as channel:
        desire: Any = channel.unary_unary(method(DESIRE).path)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await desire(request.SerializeToString(), timeout=5.0)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    trailing = dict(refused.value.trailing_metadata() or ())
    status = Status.FromString(trailing["grpc-status-details-bin"])
    assert status.message == refused.value.details()
    info, problems = ErrorInfo(), BadRequest()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(problems)
    assert (info.reason, info.domain, dict(info.metadata)) == (
        "InvalidRequest",
        "diegod",
        {"applied": "no"},
    )
    assert [violation.field for violation in problems.field_violations] == ["task_guid"]


async def test_a_bulk_is_answered_in_order_and_each_by_itself(stage: Stage) -> None:
    task = await stage.placed_task("bulk", on="a")
    incarnation = stage.incarnation["a"]
    good = c.StartTask(task_guid="bulk", attempt=task.attempt)
    bad = c.StartTask(task_guid="bulk", attempt=task.attempt + 1)
    commands = [c.Command(cell_incarnation=incarnation, start_task=s) for s in (bad, good, bad)]
    name = "diegod.internal.v1.RingService/Submit"
    reply = await stage.cast.call("cell/a", name, SubmitRequest(commands=commands))
    assert [outcome.reason for outcome in reply.outcomes] == [
        "WrongAttempt",
        "",
        "WrongAttempt",
    ]
