"""JSON for programs, and the spec form that reads back as the same definition."""

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from diegod.config.spec import parse_spec
from diegod.config.yaml_nodes import dump
from diegod.models.admission import fill_defaults
from diegod.models.json_form import HIDDEN, json_form, spec_form
from diegod.v1.cluster_pb2 import GetBbsStatusReply
from diegod.v1.record_pb2 import ActualLrp, Change, Task
from diegod.v1.stream_pb2 import LogChunk
from tests.unit.models.definitions import (
    a_full_lrp,
    a_full_schedule,
    a_full_task,
    a_schedule,
    a_task,
    an_lrp,
)


def test_every_field_is_there_zeros_too() -> None:
    form = json_form(ActualLrp())
    assert set(form) == {field.name for field in ActualLrp.DESCRIPTOR.fields}
    assert (form["index"], form["crash_count"], form["routable"]) == (0, 0, False)
    assert (form["state"], form["presence"]) == ("INVALID", "ORDINARY")
    assert (form["net_info"], form["since"], form["definition"]) == (None, None, None)


def test_values_are_those_that_programs_expect() -> None:
    task = Task(state=Task.RUNNING, attempt=2**40, created_at=Timestamp(seconds=1_700_000_000))
    form = json_form(task)
    assert form["state"] == "RUNNING"
    assert form["attempt"] == 2**40
    assert form["created_at"] == "2023-11-14T22:13:20Z"


def test_an_integer_that_no_double_holds_is_a_text() -> None:
    assert json_form(Task(attempt=2**53))["attempt"] == 2**53
    assert json_form(Task(attempt=2**53 + 1))["attempt"] == str(2**53 + 1)


def test_what_json_has_no_number_for_is_null() -> None:
    assert json_form(GetBbsStatusReply(clock_offset_s=float("nan")))["clock_offset_s"] is None


def test_bytes_are_base64() -> None:
    assert json_form(LogChunk(data=b"\xff\x00"))["data"] == "/wA="


def test_a_left_out_optional_is_null_and_a_zero_is_zero() -> None:
    form = json_form(a_task(disk_mb=0))
    assert (form["disk_mb"], form["memory_mb"]) == (0, None)


def test_secret_values_are_hidden_unless_the_definition_may_be_read() -> None:
    change = Change(task=Task(definition=a_full_task()))
    shown = json_form(change)["task"]["definition"]
    assert set(shown["environment_variables"].values()) == {HIDDEN}
    assert shown["action"]["run"]["env"] == {"LANG": HIDDEN}
    assert "1.10" not in str(shown["environment_variables"])
    open_form = json_form(change, secrets=True)["task"]["definition"]
    assert open_form["environment_variables"]["VERSION"] == "1.10"


@pytest.mark.parametrize(
    "make", [a_task, an_lrp, a_schedule, a_full_task, a_full_lrp, a_full_schedule]
)
@pytest.mark.parametrize("filled", [False, True])
def test_show_yaml_reads_back_as_the_same_definition(make: object, filled: bool) -> None:
    definition = make()  # type: ignore[operator]
    if filled:
        fill_defaults(definition)
    read = parse_spec("web.yaml", dump(spec_form(definition)).encode())
    assert read.problems == []
    assert [document.definition for document in read.documents] == [definition]


def test_an_empty_message_that_was_given_stays_given() -> None:
    lrp = an_lrp()
    lrp.check_definition.SetInParent()
    read = parse_spec("web.yaml", dump(spec_form(lrp)).encode())
    (document,) = read.documents
    assert document.definition == lrp
    assert document.definition is not None
    assert document.definition.HasField("check_definition")  # type: ignore[arg-type]
