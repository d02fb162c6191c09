"""Calls and rows: an operation is asked for as the checkers understand it; keys are given up."""

import random

import pytest

from diegod.models.errors import DomainError, Reason
from diegod.models.rows import lrp_row, task_row
from diegod.v1 import lrp_pb2, record_pb2, task_pb2
from tests.chaos import calls
from tests.chaos.load import _Group
from tests.checkers.history import Done, Operation, Refused, Row, Unknown, Verb


def call(key: str, verb: Verb, value: str = "", expected: int = 0) -> Operation:
    return Operation("r1", 0, key, verb, 1, 1, Unknown(), value, expected)


def test_a_task_has_its_value_in_its_row() -> None:
    method, request = calls.request_of(call("task/t", Verb.DESIRE_TASK, "65"))
    assert method.name == "diegod.v1.TaskService/Desire"
    assert request.request_id == "r1"
    row = task_row(request.definition)
    row.provenance.revision, row.provenance.request_id = 9, "r1"
    reply = task_pb2.DesireTaskReply(task=row)
    assert calls.done(call("task/t", Verb.DESIRE_TASK, "65"), reply) == Done(Row(9, "r1", "65"))


def test_an_lrp_is_compared_and_set() -> None:
    method, request = calls.request_of(call("lrp/a", Verb.SCALE_LRP, "3", expected=7))
    assert method.name == "diegod.v1.LrpService/Scale"
    assert (request.instances, request.expected_revision) == (3, 7)
    method, request = calls.request_of(call("lrp/a", Verb.DESIRE_LRP, "2", expected=7))
    assert method.name == "diegod.v1.LrpService/Desire"
    assert lrp_row(request.definition).instances == 2
    assert request.expected_revision == 7


def test_a_read_is_linearizable_and_says_its_revision() -> None:
    asked = call("lrp/a", Verb.READ)
    method, request = calls.request_of(asked)
    assert method.name == "diegod.v1.LrpService/Get"
    assert not request.stale
    row = record_pb2.DesiredLrp(instances=4)
    row.provenance.revision, row.provenance.request_id = 5, "r0"
    reply = lrp_pb2.GetLrpReply(desired_lrp=row, revision=8)
    assert calls.done(asked, reply) == Done(Row(5, "r0", "4"), 8)


def test_only_an_unknown_outcome_is_unknown() -> None:
    assert calls.failed(DomainError(Reason.UNKNOWN_OUTCOME, "")) == Unknown()
    assert calls.failed(DomainError(Reason.NOT_LEADER, "")) == Refused(Reason.NOT_LEADER)


def test_a_removal_is_nobody_s_row() -> None:
    change = record_pb2.Change(revision=3, verb=record_pb2.Change.REMOVED)
    change.task.task_guid = "t"
    assert calls.change_of(change).row is None


@pytest.mark.parametrize("field", ["operations_left", "unknown_left"])
def test_a_key_is_given_up_before_it_is_too_large_for_a_search(field: str) -> None:
    group = _Group("g", random.Random(1))
    names = {group.key().name for _ in range(100)}
    assert len(names) == 3
    for key in group.keys:
        setattr(key, field, 0)
    assert names.isdisjoint({group.key().name for _ in range(100)})
