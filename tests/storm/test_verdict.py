"""The judge of a storm: it must see what went wrong, and must not accuse what did not."""

from collections.abc import Sequence
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from diegod.v1.record_pb2 import Task
from tests.storm import verdict
from tests.storm.faults import Event
from tests.storm.verdict import Verdict
from tests.storm.work import Wish

WISH = Wish("storm-00000", "exec", 0, 0.1)
LOST = Event("a machine lost", "cell-1", 100.0, 105.0)
ELSEWHERE = Event("a brain cut off", "brain-1", 100.0, 105.0)
BEFORE = Event("a machine lost", "cell-1", 10.0, 15.0)
AFTER = Event("a machine lost", "cell-1", 200.0, 205.0)


def ended(**fields: Any) -> Task:
    return Task(
        task_guid=WISH.guid,
        state=Task.COMPLETED,
        started_at=Timestamp(seconds=101),
        completed_at=Timestamp(seconds=103),
        **fields,
    )


WELL = ended(exit_status_known=True, cell_id="cell-1")
UNKNOWN = ended(failed=True, outcome_unknown=True, cell_id="cell-1", failure_reason="cell gone")
NEVER = ended(failed=True, failure_reason="not started within time limit")


def judged(task: Task | None, lines: Sequence[str], *events: Event) -> Verdict:
    rows = {} if task is None else {WISH.guid: task}
    others = [Wish(f"other-{n}", "exec", 0, 0.0) for n in range(99)]
    rows |= {w.guid: WELL for w in others}
    wishes = [WISH, *others]
    given = {WISH.guid: list(lines)}
    return verdict.judge(wishes, rows, events, lambda guid: given.get(guid, [guid]))


def test_a_task_that_ran_once_and_ended_is_as_wished() -> None:
    told = judged(WELL, [WISH.guid])
    assert (told.problems, told.as_wished, dict(told.lines)) == ([], 100, {1: 100})


def test_an_unknown_outcome_is_explained_by_the_fault_at_its_cell() -> None:
    told = judged(UNKNOWN, [WISH.guid], LOST)
    assert told.problems == []
    assert told.unknown[WISH.guid].endswith("a machine lost (cell-1, 5.0 s)")


@pytest.mark.parametrize(
    ("task", "lines", "events", "problem"),
    [
        (WELL, [WISH.guid] * 2, [LOST], "was started 2 times"),
        (WELL, ["another"], [LOST], "was started 1 times"),
        (WELL, [], [LOST], "has an exit status, and 0 lines"),
        (None, [], [LOST], "is not there"),
        (Task(task_guid=WISH.guid, state=Task.RUNNING), [WISH.guid], [LOST], "is RUNNING"),
        (NEVER, [WISH.guid], [LOST], "wrote a line, and failed"),
        (UNKNOWN, [WISH.guid], [ELSEWHERE], "no fault explains"),
        (UNKNOWN, [WISH.guid], [BEFORE], "no fault explains"),
        (UNKNOWN, [WISH.guid], [AFTER], "no fault explains"),
        (NEVER, [], [], "only 99.00% ended as they were to"),
    ],
)
def test_what_must_not_be_is_seen(
    task: Task | None, lines: Sequence[str], events: Sequence[Event], problem: str
) -> None:
    assert any(problem in each for each in judged(task, lines, *events).problems)
