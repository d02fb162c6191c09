"""What becomes of each row in a new epoch."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diegod.models.epochs import first_revision
from diegod.raftbbs.core.decision import Row
from diegod.raftbbs.core.epochs import RESTORED, Opening, carried_over
from diegod.raftbbs.core.stamps import nanoseconds, stamp
from diegod.v1.record_pb2 import (
    ActualLrp,
    Cell,
    DesiredLrp,
    Domain,
    Drain,
    Lock,
    Provenance,
    Rollout,
    Task,
    TaskSchedule,
)

SECOND = 1_000_000_000
NOW = 1_900_000_000 * SECOND
OPENING = Opening(epoch=2, by="bbs/m1", cause=RESTORED, at_ns=NOW)
REVISION = first_revision(2) + 5
BEFORE = Provenance(revision=7, by="user/ann", cause="desired", request_id="r1")
OPEN_STATES = (Task.INVALID, Task.PENDING, Task.RUNNING)


def carried(row: Row) -> Row:
    row.provenance.CopyFrom(BEFORE)
    found = carried_over(row, OPENING, REVISION)
    assert found is not None
    return found


@given(
    state=st.sampled_from(OPEN_STATES),
    attempt=st.integers(0, 2**40),
    cell_id=st.sampled_from(["", "c1"]),
)
def test_a_task_that_has_not_ended_has_an_unknown_outcome(
    state: Task.State.ValueType, attempt: int, cell_id: str
) -> None:
    row = Task(task_guid="t", state=state, attempt=attempt, cell_id=cell_id, placement_error="x")
    task = carried(row)
    assert isinstance(task, Task)
    assert (task.state, task.failed, task.outcome_unknown) == (Task.COMPLETED, True, True)
    assert task.failure_reason == "cluster restored, outcome unknown"
    assert task.failure == Task.CLUSTER_RESTORED
    assert nanoseconds(task.since) == NOW
    assert nanoseconds(task.completed_at) == NOW
    assert not task.placement_error
    assert task.provenance == Provenance(revision=REVISION, by="bbs/m1", cause=RESTORED)


def test_a_task_that_has_ended_keeps_its_result() -> None:
    row = Task(task_guid="t", state=Task.COMPLETED, exit_status=3, failed=True)
    task = carried(row)
    assert isinstance(task, Task)
    assert (task.exit_status, task.outcome_unknown, task.failure_reason) == (3, False, "")
    assert task.provenance == Provenance(
        revision=REVISION, by="user/ann", cause="desired", request_id="r1"
    )


def test_a_task_that_was_being_resolved_has_ended_and_waits_for_somebody_else() -> None:
    row = Task(task_guid="t", state=Task.RESOLVING, exit_status=3, exit_status_known=True)
    row.callback.url = "http://ci.example.com/"
    task = carried(row)
    assert isinstance(task, Task)
    assert (task.state, task.failed, task.outcome_unknown) == (Task.COMPLETED, False, False)
    assert (task.exit_status, nanoseconds(task.since)) == (3, NOW)
    assert not task.callback.delivered


def test_a_schedule_goes_on_from_now_with_what_it_has_counted() -> None:
    row = TaskSchedule(name="nightly", cron="@daily", fired=4, last_slot=stamp(SECOND), paused=True)
    schedule = carried(row)
    assert isinstance(schedule, TaskSchedule)
    assert nanoseconds(schedule.last_slot) == NOW
    assert (schedule.fired, schedule.missed, schedule.paused) == (4, 0, True)


def test_a_cell_is_missing_until_it_registers() -> None:
    cell = carried(Cell(cell_id="c1", state=Cell.PRESENT, incarnation=4))
    assert isinstance(cell, Cell)
    assert (cell.state, cell.incarnation) == (Cell.MISSING, 4)
    assert nanoseconds(cell.since) == NOW
    assert cell.provenance.by == "bbs/m1"


@pytest.mark.parametrize("owner", ["", "brain/b1"])
def test_every_lock_is_the_own_of_the_bbs_for_a_lease(owner: str) -> None:
    """It renews none: a brain gets it when cells have had the time to report."""
    lock = carried(Lock(name="brain", owner=owner, token=6))
    assert isinstance(lock, Lock)
    assert (lock.owner, lock.token) == ("bbs/m1", REVISION)


def test_a_domain_has_to_be_freshened_again() -> None:
    assert carried_over(Domain(domain="d", ttl_s=0), OPENING, REVISION) is None


@pytest.mark.parametrize(
    "row",
    [
        DesiredLrp(process_guid="web", instances=3, definition_revision=6),
        ActualLrp(instance_guid="i5", state=ActualLrp.RUNNING, cell_id="c1", routable=True),
        ActualLrp(instance_guid="i5", state=ActualLrp.CRASHED, crash_count=3),
        ActualLrp(instance_guid="i5", state=ActualLrp.UNCLAIMED),
    ],
)
def test_lrps_stay_what_they_are_and_count_as_news(row: Row) -> None:
    before = copy.deepcopy(row)
    after = carried(row)
    assert after.provenance.revision == REVISION
    assert after.provenance.by == "user/ann"
    after.ClearField("provenance")
    assert after == before


def test_a_placement_that_nobody_took_up_gets_its_time_again() -> None:
    row = ActualLrp(state=ActualLrp.UNCLAIMED, placed_cell_id="c1", placed_at=stamp(SECOND))
    placed = carried(row)
    assert isinstance(placed, ActualLrp)
    assert placed.placed_cell_id == "c1"
    assert nanoseconds(placed.placed_at) == NOW


@pytest.mark.parametrize("state", [Rollout.ROLLING, Rollout.CANARIES])
def test_an_update_that_is_under_way_has_its_full_time_again(
    state: Rollout.State.ValueType,
) -> None:
    rollout = Rollout(state=state, began_at=stamp(SECOND), stable_definition_revision=5)
    row = carried(DesiredLrp(process_guid="web", rollout=rollout, version=3))
    assert isinstance(row, DesiredLrp)
    assert nanoseconds(row.rollout.began_at) == NOW
    assert (row.rollout.state, row.rollout.stable_definition_revision) == (state, 5)
    assert row.provenance.by == "bbs/m1"


@pytest.mark.parametrize("state", [Rollout.DONE, Rollout.PAUSED])
def test_an_update_that_waits_for_nothing_stays_as_it_is(state: Rollout.State.ValueType) -> None:
    rollout = Rollout(state=state, began_at=stamp(SECOND))
    row = carried(DesiredLrp(process_guid="web", rollout=rollout))
    assert isinstance(row, DesiredLrp)
    assert row.rollout == rollout


def test_a_drain_has_its_full_time_again_and_a_loss_is_accepted_anew() -> None:
    drain = Drain(began_at=stamp(SECOND), deadline_at=stamp(61 * SECOND))
    cell = carried(Cell(cell_id="c1", cordoned=True, drain=drain, loss_accepted=True))
    assert isinstance(cell, Cell)
    assert nanoseconds(cell.drain.began_at) == NOW
    assert nanoseconds(cell.drain.deadline_at) == NOW + 60 * SECOND
    assert (cell.cordoned, cell.loss_accepted) == (True, False)
