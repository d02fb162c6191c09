"""Defaults are those that definition.proto promises, and they never overwrite what was given."""

import re
from importlib.resources import files
from typing import Any

import pytest

from diegod.models.defaults import fill_defaults
from diegod.models.json_form import spec_form
from diegod.v1.definition_pb2 import Dependency
from tests.unit.models.definitions import a_full_lrp, a_full_task, a_schedule, a_task, an_lrp

_UNITS_MS = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "days": 86_400_000}


def test_a_task_gets_every_default() -> None:
    task = a_task()
    fill_defaults(task)
    assert (task.domain, task.memory_mb, task.disk_mb, task.cpu_weight) == ("default", 128, 256, 50)
    assert (task.max_pids, task.max_placement_attempts) == (1024, 3)
    assert task.start_deadline_ms == 30 * 60 * 1000
    assert task.HasField("execution_timeout_ms")
    assert task.execution_timeout_ms == 0
    assert task.retention_ms == 7 * 24 * 3600 * 1000
    assert task.action.run.dir == "/"


def test_an_lrp_gets_every_default() -> None:
    lrp = an_lrp()
    lrp.ports.add(container_port=8080)
    lrp.check_definition.checks.add().http_check.port = 8080
    fill_defaults(lrp)
    assert (lrp.instances, lrp.stop_signal, lrp.stop_timeout_ms) == (1, "TERM", 10_000)
    assert lrp.ports[0].name == "8080"
    check = lrp.check_definition.checks[0]
    assert (check.interval_ms, check.timeout_ms, check.failure_threshold) == (30_000, 1000, 1)
    assert check.http_check.path == "/"
    policy = lrp.crash_policy
    assert (policy.immediate_restarts, policy.backoff_ms, policy.max_restarts) == (2, 30_000, 200)
    assert (policy.max_backoff_ms, policy.reset_after_ms) == (960_000, 300_000)


def test_an_lrp_gets_every_default_of_its_checks_and_its_update() -> None:
    lrp = an_lrp(depends_on=[{"lrp": "db"}, {"task": "schema"}])
    lrp.check_definition.startup_checks.add().http_check.port = 1
    lrp.check_definition.readiness_checks.add().http_check.port = 1
    fill_defaults(lrp)
    startup, readiness = (
        lrp.check_definition.startup_checks[0],
        lrp.check_definition.readiness_checks[0],
    )
    assert (startup.interval_ms, startup.timeout_ms, startup.http_check.path) == (500, 1000, "/")
    assert (readiness.interval_ms, readiness.http_check.path) == (30_000, "/")
    update = lrp.update
    assert (update.max_in_flight, update.max_unavailable, update.canaries) == (1, 0, 0)
    assert (update.min_healthy_ms, update.progress_deadline_ms) == (5000, 600_000)
    assert [each.condition for each in lrp.depends_on] == [
        Dependency.HEALTHY,
        Dependency.SUCCEEDED,
    ]


@pytest.mark.parametrize(
    ("given", "unavailable"),
    [
        ({}, 0),
        ({"order": "STOP_FIRST"}, 1),
        ({"order": "STOP_FIRST", "strategy": "RECREATE"}, 0),
        ({"order": "STOP_FIRST", "max_unavailable": 3}, 3),
    ],
)
def test_what_stops_first_has_one_away(given: dict[str, object], unavailable: int) -> None:
    lrp = an_lrp(update=given)
    fill_defaults(lrp)
    assert lrp.update.max_unavailable == unavailable


def test_an_update_has_time_for_an_instance_to_prove_healthy() -> None:
    lrp = an_lrp(update={"min_healthy_ms": 3_600_000})
    fill_defaults(lrp)
    assert lrp.update.progress_deadline_ms == 7_200_000


def test_what_was_given_stays() -> None:
    for definition in (a_full_task(), a_full_lrp()):
        given = spec_form(definition)
        fill_defaults(definition)
        assert_within(given, spec_form(definition))


def assert_within(given: Any, filled: Any) -> None:
    """Filling adds keys; it neither changes nor drops one."""
    if isinstance(given, dict):
        for key, value in given.items():
            assert_within(value, filled[key])
    elif isinstance(given, list):
        assert len(given) == len(filled)
        for one, other in zip(given, filled, strict=True):
            assert_within(one, other)
    else:
        assert given == filled


def test_twice_is_the_same_as_once() -> None:
    for definition in (a_task(), an_lrp(), a_full_task(), a_full_lrp()):
        fill_defaults(definition)
        once = definition.SerializeToString(deterministic=True)
        fill_defaults(definition)
        assert definition.SerializeToString(deterministic=True) == once


@pytest.mark.parametrize(
    ("given", "filled"),
    [
        ({"max_backoff_ms": 1000}, (1000, 1000)),
        ({"backoff_ms": 2_000_000}, (2_000_000, 2_000_000)),
        ({"backoff_ms": 5, "max_backoff_ms": 7}, (5, 7)),
    ],
)
def test_one_end_of_the_back_off_never_contradicts_the_default_of_the_other(
    given: dict[str, int], filled: tuple[int, int]
) -> None:
    lrp = an_lrp(crash_policy=given)
    fill_defaults(lrp)
    assert (lrp.crash_policy.backoff_ms, lrp.crash_policy.max_backoff_ms) == filled


def test_the_comments_of_the_proto_say_the_same() -> None:
    lrp, task, schedule = an_lrp(), a_task(completion_callback_url="http://a"), a_schedule()
    lrp.check_definition.checks.add().command_check.path = "x"
    for definition in (lrp, task, schedule):
        fill_defaults(definition)
    filled = (task, lrp, lrp.crash_policy, lrp.check_definition.checks[0], lrp.update)
    filled = (*filled, task.callback_policy, schedule)
    promised = [(message, *each) for message in filled for each in _promised(message)]
    assert len(promised) >= 20
    for message, name, number, unit in promised:
        expected = int(number) * (_UNITS_MS.get(unit, 1) if name.endswith("_ms") else 1)
        assert getattr(message, name) == expected, (message.DESCRIPTOR.name, name)


def _promised(message: Any) -> list[tuple[str, str, str]]:
    """Of each field of this message with a default: its name, the number, its unit."""
    text = files("diegod.v1").joinpath("definition.proto").read_text(encoding="utf-8")
    (body,) = re.findall(rf"^message {message.DESCRIPTOR.name} {{\n(.*?)^}}", text, re.S | re.M)
    pattern = r"optional uint\d+ (\w+) = \d+;\s*//[^\n]*?default (\d+)(?: (\w+))?"
    return re.findall(pattern, body)


def test_a_task_that_is_told_of_gets_a_policy_and_only_then() -> None:
    quiet, told = a_task(), a_task(completion_callback_url="http://ci.example.com")
    told.callback_policy.max_backoff_ms = 500
    for task in (quiet, told):
        fill_defaults(task)
    assert not quiet.HasField("callback_policy")
    assert (told.callback_policy.backoff_ms, told.callback_policy.max_backoff_ms) == (500, 500)


def test_a_task_waits_for_success_and_stops_on_term() -> None:
    task = a_task(depends_on=[{"lrp": "db"}, {"task": "schema"}])
    fill_defaults(task)
    assert [each.condition for each in task.depends_on] == [
        *(Dependency.HEALTHY, Dependency.SUCCEEDED)
    ]
    assert (task.stop_signal, task.stop_timeout_ms) == ("TERM", 10_000)
