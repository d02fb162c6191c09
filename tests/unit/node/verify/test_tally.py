"""What the lines and the records come to together."""

from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from diegod.node.verify.tally import Fault, Start, Tally, tally
from diegod.v1.record_pb2 import Task

BEGAN = 1000.0


def at(seconds: float) -> Timestamp:
    moment = Timestamp()
    moment.FromNanoseconds(int((BEGAN + seconds) * 1e9))
    return moment


def ended(guid: str, **more: Any) -> Task:
    fields: dict[str, Any] = {
        "state": Task.COMPLETED,
        "cell_id": "cell-1",
        "started_at": at(10),
        "completed_at": at(12),
    }
    return Task(task_guid=guid, **{**fields, **more})


def unknown(guid: str, **more: Any) -> Task:
    why = {"failure": Task.CELL_LOST, "failure_reason": "cell disappeared before completion"}
    return ended(guid, failed=True, outcome_unknown=True, **{**why, **more})


def start(guid: str, attempt: str = "5") -> Start:
    return Start(guid, attempt, "cell-1", "boot", "1010")


def fault(part: str, began: float, until: float, kind: str = "kill") -> Fault:
    return Fault(kind, part, BEGAN + began, BEGAN + until)


def count(tasks: list[Task], starts: list[Start], *faults: Fault) -> Tally:
    return tally(tasks, starts, faults, BEGAN)


def test_all_is_well() -> None:
    found = count([ended("a"), ended("b")], [start("a"), start("b")])
    assert (found.tasks, found.done, found.holds) == (2, 2, True)


def test_two_lines_are_two_starts_whatever_the_record_says() -> None:
    found = count([ended("a")], [start("a", "5"), start("a", "9")])
    assert [each.attempt for each in found.started_twice["a"]] == ["5", "9"]
    assert not found.holds


def test_a_task_that_was_started_twice_and_never_stored_is_found_too() -> None:
    assert not count([], [start("ghost"), start("ghost")]).holds


def test_success_without_a_line_is_a_contradiction() -> None:
    found = count([ended("a")], [])
    assert found.contradicted == {"a": "succeeded, but nothing of it ever ran"}
    assert not found.holds


def test_never_started_with_a_line_is_a_contradiction() -> None:
    late = ended("a", failed=True, failure=Task.NOT_STARTED_IN_TIME, failure_reason="too late")
    assert "but it ran" in count([late], [start("a")]).contradicted["a"]
    assert count([late], []).holds


def test_failures_are_counted_by_reason() -> None:
    failed = [ended(guid, failed=True, failure_reason="exited with status 1") for guid in "ab"]
    found = count(failed, [start("a"), start("b")])
    assert (found.failed, found.done, found.holds) == ({"exited with status 1": 2}, 0, True)


def test_an_unknown_end_is_explained_by_a_fault_of_its_own_cell_first() -> None:
    faults = [fault("bbs-1", 9, 12), fault("cell-1", 11, 24, "away")]
    [found] = count([unknown("a")], [start("a")], *faults).unknown
    assert found.fault == "cell-1 killed for longer than its lease from 11.0 s to 24.0 s"
    assert (found.failure, found.cell) == ("CELL_LOST", "cell-1")


def test_else_by_another_that_overlaps_its_life() -> None:
    [found] = count([unknown("a")], [], fault("bbs-1", 0, 5), fault("bbs-2", 11, 11.5)).unknown
    assert found.fault == "bbs-2 killed from 11.0 s to 11.5 s"


def test_an_unknown_end_that_nothing_explains_breaks_the_promise() -> None:
    found = count([unknown("a")], [start("a")], fault("cell-1", 20, 22))
    assert found.unknown[0].fault == ""
    assert not found.holds
    assert count([unknown("a")], [start("a")], fault("cell-1", 13.9, 15)).holds  # clocks differ


def test_what_goes_on_has_not_ended() -> None:
    found = count([ended("a", state=Task.RUNNING)], [start("a")])
    assert (found.not_ended, found.holds) == (["a"], False)


def test_rejections_are_counted_and_are_no_fault() -> None:
    found = count([ended("a", rejection_count=2)], [start("a")])
    assert (found.rejected, found.holds) == (2, True)


def test_lines() -> None:
    assert Start.of_line("v-1 17 cell-1 3f2a 1700000000") == Start(
        "v-1", "17", "cell-1", "3f2a", "1700000000"
    )
    assert Start.of_line("v-1 17 cell-1") is None
    assert Start.of_line("") is None


def test_the_form_for_programs_says_whether_it_holds() -> None:
    form = count([unknown("a")], [start("a")]).form()
    assert (form["holds"], form["unknown"][0]["guid"]) == (False, "a")
