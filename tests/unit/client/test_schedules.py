"""Schedules, domains and stories over a cluster that answers as it is told."""

import pytest

from diegod.models.errors import DomainError, Reason
from diegod.v1 import domain_pb2, task_pb2
from diegod.v1.definition_pb2 import TaskScheduleDefinition
from diegod.v1.event_pb2 import StoryReply
from diegod.v1.record_pb2 import Domain, Task, TaskSchedule, Transition
from tests.unit.client.fake_cluster import FakeCluster
from tests.unit.client.test_tasks import a_client

_SERVICE = "TaskScheduleService"


async def test_a_schedule_is_desired_controlled_and_listed() -> None:
    row = TaskSchedule(name="nightly")
    pages = [
        task_pb2.ListSchedulesReply(schedules=[row]),
        task_pb2.ListSchedulesReply(schedules=[TaskSchedule(name="weekly")]),
    ]
    cluster = FakeCluster(
        calls={
            "TaskScheduleService/Desire": task_pb2.DesireScheduleReply(schedule=row),
            "TaskScheduleService/Control": task_pb2.ControlScheduleReply(schedule=row),
            "TaskScheduleService/Get": task_pb2.GetScheduleReply(schedule=row),
        },
        streams={"TaskScheduleService/List": pages},
    )
    schedules = a_client(cluster).schedules
    definition = TaskScheduleDefinition(name="nightly")
    assert (await schedules.desire(definition, expected_revision=7)).schedule == row
    assert await schedules.get("nightly") == row
    assert [each.name for each in await schedules.list()] == ["nightly", "weekly"]
    for control in (schedules.pause, schedules.resume, schedules.remove):
        assert await control("nightly", "why") == row
    [desired] = cluster.asked(f"{_SERVICE}/Desire")
    assert (desired.definition, desired.expected_revision) == (definition, 7)
    verb = task_pb2.ControlScheduleRequest
    asked = cluster.asked(f"{_SERVICE}/Control")
    assert [each.verb for each in asked] == [verb.PAUSE, verb.RESUME, verb.REMOVE]
    assert len({each.request_id for each in [desired, *asked]}) == 4
    assert {each.cause for each in asked} == {"why"}


async def test_a_dispatch_has_a_request_id_also_where_none_is_given() -> None:
    reply = task_pb2.DispatchTaskReply(task=Task(task_guid="report-dispatched-1"))
    cluster = FakeCluster(calls={"TaskScheduleService/Dispatch": reply})
    schedules = a_client(cluster).schedules
    assert await schedules.dispatch("report", {"A": "1"}, payload=b"x") == reply
    await schedules.dispatch("report", request_id="mine")
    first, second = cluster.asked(f"{_SERVICE}/Dispatch")
    assert (dict(first.parameters), first.payload) == ({"A": "1"}, b"x")
    assert first.request_id
    assert second.request_id == "mine"


async def test_one_caller_gets_a_task_to_resolve() -> None:
    answers = iter(
        [
            task_pb2.ResolveTaskReply(task=Task(task_guid="t", state=Task.RESOLVING)),
            DomainError(Reason.INVALID_STATE_TRANSITION, "task t is RESOLVING"),
        ]
    )
    cluster = FakeCluster(calls={"TaskService/Resolve": lambda request: next(answers)})
    tasks = a_client(cluster).tasks
    assert (await tasks.resolve("t")).state == Task.RESOLVING
    with pytest.raises(DomainError) as refused:
        await tasks.resolve("t")
    assert refused.value.reason is Reason.INVALID_STATE_TRANSITION


async def test_domains_are_freshened_listed_and_removed() -> None:
    row = Domain(domain="shop", ttl_s=60)
    status = domain_pb2.DomainStatus(domain=row, fresh=True)
    cluster = FakeCluster(
        calls={
            "DomainService/Upsert": domain_pb2.UpsertDomainReply(domain=row),
            "DomainService/List": domain_pb2.ListDomainsReply(domains=[status]),
            "DomainService/Remove": domain_pb2.RemoveDomainReply(revision=9),
        }
    )
    domains = a_client(cluster).domains
    assert await domains.upsert("shop", 60) == row
    assert await domains.list() == [status]
    assert await domains.remove("shop") == 9


async def test_a_story_is_asked_for_by_the_name_of_its_row() -> None:
    line = Transition(state="PENDING")
    cluster = FakeCluster(calls={"EventService/Story": StoryReply(transitions=[line])})
    stories = a_client(cluster).stories
    assert await stories.of_task("t") == [line]
    await stories.of_lrp("web")
    await stories.of_instance("web", 0)
    await stories.of_cell("c1")
    await stories.of_schedule("nightly")
    asked = cluster.asked("EventService/Story")
    assert [each.WhichOneof("of") for each in asked] == [
        *("task_guid", "process_guid", "process_guid", "cell_id", "schedule_name")
    ]
    assert [each.HasField("index") for each in asked] == [False, False, True, False, False]
