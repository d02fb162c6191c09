"""What a schedule must be; what a dispatch gives its task."""

from collections.abc import Callable

import pytest

from diegod.models import admission
from diegod.models.json_form import spec_form
from diegod.models.schedule_rules import given
from diegod.v1.definition_pb2 import TaskParameter, TaskScheduleDefinition
from diegod.v1.record_pb2 import TaskSchedule
from tests.unit.models.definitions import a_full_schedule, a_schedule

FAULTS: list[tuple[Callable[[TaskScheduleDefinition], object], str, str]] = [
    (lambda s: s.ClearField("name"), "name", "is required"),
    (lambda s: setattr(s, "name", "a.b"), "name", "may contain only"),
    (lambda s: setattr(s, "name", "a" * 101), "name", "at most 100"),
    (lambda s: setattr(s, "domain", "a/b"), "domain", "may contain only"),
    (lambda s: setattr(s, "cron", "* * *"), "cron", "has not five fields"),
    (lambda s: setattr(s, "time_zone", "Berlin"), "time_zone", "is no time zone"),
    (lambda s: setattr(s, "late_ms", 10), "late_ms", "10 is not within 1000–"),
    (lambda s: s.parameters.add(), "parameters[0].name", "is required"),
    (lambda s: s.parameters.add(name="A B"), "parameters[0].name", "is not the name of"),
    (lambda s: s.parameters.add(name="DIEGOD_X"), "parameters[0].name", "is reserved"),
    (lambda s: s.parameters.add(name="A", required=True), "parameters[0].required", "the clock"),
    (
        lambda s: s.parameters.extend([TaskParameter(name="A"), TaskParameter(name="A")]),
        "parameters[1].name",
        "A is already in",
    ),
    (lambda s: s.ClearField("task"), "task", "is required"),
    (lambda s: setattr(s.task, "task_guid", "t1"), "task.task_guid", "leave it out"),
    (lambda s: setattr(s.task, "domain", "shop"), "task.domain", "another one than"),
    (lambda s: setattr(s.task, "rootfs", "x"), "task.rootfs", "neither preloaded:NAME nor"),
    (lambda s: s.task.ClearField("action"), "task.action", "is required"),
]


@pytest.mark.parametrize(("spoil", "path", "message"), FAULTS)
def test_each_fault_is_one_problem_at_its_path(
    spoil: Callable[[TaskScheduleDefinition], object], path: str, message: str
) -> None:
    schedule = a_schedule()
    spoil(schedule)
    [problem] = admission.problems(schedule)
    assert problem.path == path
    assert message in problem.message


def test_good_ones_have_no_problems_with_and_without_defaults() -> None:
    for schedule in (a_schedule(), a_full_schedule(), a_schedule(cron="")):
        assert admission.problems(schedule) == []
        admission.fill_defaults(schedule)
        assert admission.problems(schedule) == []


def test_defaults_come_to_the_schedule_and_its_task() -> None:
    schedule = a_schedule(domain="shop")
    admission.fill_defaults(schedule)
    assert (schedule.time_zone, schedule.late_ms, schedule.task.domain) == ("UTC", 60_000, "shop")
    assert (schedule.task.memory_mb, schedule.task.stop_signal) == (128, "TERM")
    before = spec_form(schedule)
    admission.fill_defaults(schedule)
    assert spec_form(schedule) == before


def test_the_row_has_what_its_tasks_have_in_common() -> None:
    schedule = a_full_schedule()
    admission.fill_defaults(schedule)
    row = admission.schedule_row(schedule)
    assert (row.name, row.cron, row.time_zone) == (schedule.name, schedule.cron, schedule.time_zone)
    assert (row.late_ms, row.allow_overlap, len(row.parameters)) == (1000, True, 2)
    assert row.task.callback.url == schedule.task.completion_callback_url
    assert (row.task.callback.backoff_ms, row.task.callback.max_backoff_ms) == (200, 300)
    assert row.task.callback.annotation == schedule.task.annotation
    assert row.task.needs.cell_id == "c7"
    assert [each.lrp or each.task for each in row.task.depends_on] == ["db", "schema-17"]


def dispatched() -> TaskSchedule:
    parameters = [
        TaskParameter(name="A", required=True),
        TaskParameter(name="B", default_value="b"),
    ]
    return TaskSchedule(name="report", parameters=parameters)


def test_what_is_left_out_has_its_default() -> None:
    assert given(dispatched(), {"A": "1"}, b"") == ({"A": "1", "B": "b"}, [])
    assert given(dispatched(), {"A": "", "B": ""}, b"") == ({"A": "", "B": ""}, [])


def test_everything_wrong_with_a_dispatch_is_said_at_once() -> None:
    _, found = given(dispatched(), {"C": "1", "B": "\0"}, b"\xff" * 70_000)
    assert [str(problem) for problem in found] == [
        "parameters.B: contains a NUL character",
        "parameters.C: is no parameter of this schedule, which has A, B",
        "parameters.A: is required",
        "payload: is 70000 bytes large, at most 65536 are allowed",
        "payload: is not UTF-8",
    ]


def test_a_payload_with_a_nul_is_none_for_a_program() -> None:
    _, found = given(dispatched(), {"A": "1"}, b"a\0b")
    assert [problem.path for problem in found] == ["payload"]
