"""Every state in every presence: at rest, or a reason and a deadline."""

from dataclasses import replace
from itertools import product

import pytest

from diegod.models.standing import Facts, Row, Standing, facts_of_brain, standing
from diegod.v1.definition_pb2 import CrashPolicy, LrpDefinition, UpdatePolicy
from diegod.v1.record_pb2 import (
    ActualLrp,
    BrainSettings,
    Callback,
    Cell,
    Rollout,
    Task,
)
from tests.unit.models.standing.rows import (
    BEGAN,
    NOW,
    at,
    cell,
    draining,
    facts,
    instance,
    lrp,
    schedule,
    task,
)


def look(row: Row, **given: object) -> Standing:
    return standing(row, facts(**given), NOW)


def assert_said(found: Standing) -> None:
    assert found.reason
    assert found.at_rest or found.deadline is not None


MISSING = {"cell-1": cell(state=Cell.MISSING)}
FACTS: list[Facts] = [
    facts(),
    facts(brain_id=""),
    facts(cells={}),
    facts(cells=MISSING),
    facts(cells=MISSING, hold_until=NOW + 200),
    facts(cells={"cell-1": draining(NOW + 60)}),
    facts(lrp=None),
    facts(lrp=None, domain_fresh=False),
    facts(start_timeout_s=0.0),
    *(
        facts(lrp=lrp(rollout=Rollout(state=state, began_at=at(BEGAN))))
        for state in Rollout.State.values()
    ),
    facts(lrp=lrp(stopped=True)),
    facts(lrp=lrp(removing=True)),
    facts(lrp=lrp(instances=0)),
    facts(lrp=lrp(mode=LrpDefinition.GLOBAL)),
    facts(instances=[instance(), instance(ActualLrp.CRASHED, instance_guid="i-2", crash_count=3)]),
]
INSTANCES = list(
    product(
        [state for state in ActualLrp.State.values() if state != ActualLrp.INVALID],
        ActualLrp.Presence.values(),
        [False, True],
        [7, 5],
    )
)


@pytest.mark.parametrize(("state", "presence", "stopping", "definition"), INSTANCES)
def test_every_instance_in_every_situation(
    state: ActualLrp.State.ValueType,
    presence: ActualLrp.Presence.ValueType,
    stopping: bool,
    definition: int,
) -> None:
    row = instance(
        state, presence, stopping=stopping, definition_revision=definition, crash_count=1
    )
    for each in FACTS:
        assert_said(standing(row, each, NOW))


@pytest.mark.parametrize("state", [s for s in Task.State.values() if s != Task.INVALID])
@pytest.mark.parametrize("placed", ["", "cell-1"])
@pytest.mark.parametrize("limit_ms", [0, 1000])
def test_every_task_in_every_situation(
    state: Task.State.ValueType, placed: str, limit_ms: int
) -> None:
    row = task(
        state,
        placed_cell_id=placed if state == Task.PENDING else "",
        placed_at=at(BEGAN),
        execution_timeout_ms=limit_ms,
        start_deadline_ms=limit_ms,
    )
    for each in FACTS:
        assert_said(standing(row, each, NOW))


@pytest.mark.parametrize("state", Rollout.State.values())
@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.parametrize("removing", [False, True])
def test_every_lrp_in_every_situation(
    state: Rollout.State.ValueType, stopped: bool, removing: bool
) -> None:
    row = lrp(rollout=Rollout(state=state), stopped=stopped, removing=removing)
    for each in FACTS:
        assert_said(standing(row, each, NOW))


@pytest.mark.parametrize("state", [s for s in Cell.State.values() if s != Cell.INVALID])
@pytest.mark.parametrize("cordoned", [False, True])
@pytest.mark.parametrize("drained", [False, True])
def test_every_cell_in_every_situation(
    state: Cell.State.ValueType, cordoned: bool, drained: bool
) -> None:
    row = draining(NOW + 5) if drained else cell()
    row.state, row.cordoned = state, cordoned
    for each in FACTS:
        assert_said(standing(row, each, NOW))


# Tasks


def test_an_unplaced_task_waits_until_its_start_deadline() -> None:
    found = look(task(Task.PENDING, placement_error="2 cells: 2 short of memory"))
    assert found == Standing(False, "2 cells: 2 short of memory", BEGAN + 1800)


def test_a_task_that_was_rejected_says_why() -> None:
    found = look(task(Task.PENDING, rejection_reason="no room"))
    assert found.reason == "rejected (no room), placed anew in the next auction"


def test_an_unplaced_task_without_start_deadline_is_looked_at_in_the_next_pass() -> None:
    assert look(task(Task.PENDING, start_deadline_ms=0)).deadline == NOW + 30


def test_a_placed_task_is_taken_up_in_time() -> None:
    row = task(Task.PENDING, placed_cell_id="cell-1", placed_at=at(NOW - 2))
    found = look(row)
    assert (found.at_rest, found.deadline) == (False, NOW + 8)
    assert "has not taken it up" in found.reason


def test_a_task_placed_on_a_missing_cell_is_placed_anew() -> None:
    row = task(Task.PENDING, placed_cell_id="cell-1", placed_at=at(NOW - 2))
    assert "which is missing" in look(row, cells=MISSING).reason


def test_a_running_task_without_a_limit_is_at_rest() -> None:
    assert look(task(Task.RUNNING)) == Standing(True, "runs on cell-1", None)


def test_a_running_task_has_the_earlier_of_its_limits() -> None:
    row = task(Task.RUNNING, execution_timeout_ms=500_000)
    assert look(row).deadline == BEGAN + 500
    found = look(row, cells={"cell-1": draining(NOW + 60)})
    assert found.deadline == NOW + 60
    assert "drained" in found.reason


@pytest.mark.parametrize("cells", [{}, MISSING])
def test_a_task_on_a_missing_cell_is_failed_after_the_hold(cells: dict[str, Cell]) -> None:
    assert look(task(Task.RUNNING), cells=cells).deadline == NOW + 30
    held = look(task(Task.RUNNING), cells=cells, hold_until=NOW + 200)
    assert held.deadline == NOW + 200
    assert "held" in held.reason


def test_a_completed_task_is_kept_until_its_retention_is_over() -> None:
    found = look(task(Task.COMPLETED))
    assert (found.at_rest, found.deadline) == (True, BEGAN + 3600)


def test_a_callback_is_due_at_once_then_at_its_next_try() -> None:
    callback = Callback(url="http://x/")
    assert look(task(Task.COMPLETED, callback=callback)).deadline == BEGAN
    callback = Callback(url="http://x/", tries=2, next_try_at=at(NOW + 4), last_error="503")
    found = look(task(Task.COMPLETED, callback=callback))
    assert (found.at_rest, found.deadline) == (False, NOW + 4)
    assert "try 2 failed: 503" in found.reason


@pytest.mark.parametrize("end", ["delivered", "given_up"])
def test_a_callback_that_is_over_lets_the_task_rest(end: str) -> None:
    callback = Callback(url="http://x/")
    setattr(callback, end, True)
    assert look(task(Task.COMPLETED, callback=callback)).at_rest


def test_a_claimed_end_comes_back_after_30_s() -> None:
    assert look(task(Task.RESOLVING)) == Standing(
        False, "its end is being told, or its result fetched", BEGAN + 30
    )


# Instances


def test_a_running_instance_is_at_rest() -> None:
    assert look(instance()) == Standing(True, "runs on cell-1", None)
    assert "not routable" in look(instance(routable=False)).reason


def test_an_unplaced_instance_says_why_and_when_it_is_looked_at_again() -> None:
    row = instance(ActualLrp.UNCLAIMED, placement_error="waits for lrp db: 1 of 2 healthy")
    assert look(row) == Standing(False, "waits for lrp db: 1 of 2 healthy", NOW + 30)


def test_no_brain_is_said_and_another_takes_over_within_the_lease() -> None:
    found = look(instance(ActualLrp.UNCLAIMED), brain_id="", full_pass_s=1.0)
    assert found == Standing(False, "waits for the next auction; no brain is active", NOW + 10)


def test_a_claimed_instance_has_its_start_timeout() -> None:
    assert look(instance(ActualLrp.CLAIMED), start_timeout_s=120.0).deadline == BEGAN + 120
    assert look(instance(ActualLrp.CLAIMED), start_timeout_s=0.0).at_rest


def test_a_crashed_instance_has_the_end_of_its_back_off() -> None:
    found = look(instance(ActualLrp.CRASHED, crash_count=5, crash_reason="exit status 1"))
    assert found.deadline == BEGAN + 120
    assert found.reason == "restarts after 5 crashes (exit status 1)"


def test_the_first_crash_is_restarted_at_once() -> None:
    assert look(instance(ActualLrp.CRASHED, crash_count=1)).deadline == BEGAN


def test_an_instance_that_was_given_up_waits_for_a_person() -> None:
    found = look(instance(ActualLrp.CRASHED, crash_count=200))
    assert found == Standing(True, "given up after 200 crashes: diegod lrp restart web", None)


def test_an_instance_with_its_own_number_of_restarts() -> None:
    short = lrp(crash_policy=CrashPolicy(max_restarts=1))
    found = look(instance(ActualLrp.CRASHED, crash_count=1), lrp=short)
    assert found.at_rest
    assert "after 1 crash:" in found.reason


def test_an_instance_on_a_missing_cell_becomes_suspect_after_the_hold() -> None:
    assert look(instance(), cells=MISSING).deadline == NOW + 30
    assert look(instance(), cells=MISSING, hold_until=NOW + 99).deadline == NOW + 99


def test_a_suspect_waits_as_its_replacement_does() -> None:
    suspect = instance(presence=ActualLrp.SUSPECT)
    crashed = instance(ActualLrp.CRASHED, instance_guid="i-2", crash_count=3)
    found = look(suspect, cells=MISSING, instances=[suspect, crashed])
    assert found.deadline == BEGAN + 30
    assert "The replacement: restarts after 3 crashes" in found.reason


def test_a_suspect_whose_replacement_was_given_up_waits_for_a_person() -> None:
    suspect = instance(presence=ActualLrp.SUSPECT)
    crashed = instance(ActualLrp.CRASHED, instance_guid="i-2", crash_count=200)
    found = look(suspect, cells=MISSING, instances=[suspect, crashed])
    assert found.at_rest
    assert "diegod lrp restart web" in found.reason


def test_a_suspect_without_replacement_is_held() -> None:
    found = look(instance(presence=ActualLrp.SUSPECT), cells=MISSING, hold_until=NOW + 200)
    assert found.deadline == NOW + 200


def test_a_suspect_of_a_global_lrp_waits_for_its_cell() -> None:
    everywhere = lrp(mode=LrpDefinition.GLOBAL)
    found = look(instance(presence=ActualLrp.SUSPECT), cells=MISSING, lrp=everywhere)
    assert found.at_rest
    assert "diegod cell rm" in found.reason


def test_a_suspect_whose_cell_is_back_is_decided_in_the_next_pass() -> None:
    assert look(instance(presence=ActualLrp.SUSPECT)).deadline == NOW + 30


def test_an_evacuating_instance_waits_until_its_replacement_was_healthy_for_long_enough() -> None:
    old = instance(presence=ActualLrp.EVACUATING, definition_revision=5)
    new = instance(instance_guid="i-2", since=at(NOW - 1))
    assert look(old, instances=[old, new]).deadline == NOW + 4


def test_an_evacuating_instance_ends_with_the_drain_of_its_cell() -> None:
    old = instance(presence=ActualLrp.EVACUATING)
    new = instance(ActualLrp.CLAIMED, instance_guid="i-2", cell_id="cell-2")
    cells = {"cell-1": draining(NOW - 50), "cell-2": cell("cell-2")}
    found = look(old, instances=[old, new], cells=cells)
    assert found.deadline == NOW - 50
    assert "cell-1 is being drained" in found.reason
    assert "is being started on cell-2" in found.reason


def test_an_instance_nobody_desires_is_kept_while_its_domain_is_stale() -> None:
    assert look(instance(), lrp=None).deadline == NOW + 30
    kept = look(instance(), lrp=None, domain_fresh=False)
    assert kept.at_rest
    assert 'domain "shop" is fresh' in kept.reason


def test_an_explicit_scaling_is_done_also_in_a_stale_domain() -> None:
    extra = instance(index=5)
    assert not look(extra, domain_fresh=False).at_rest
    adopted = instance(index=5, adopted_revision=9)
    assert look(adopted, domain_fresh=False).at_rest
    assert not look(adopted, domain_fresh=False, lrp=lrp(scaled_revision=10)).at_rest


def test_an_instance_of_an_older_version_waits_its_turn() -> None:
    rolling = lrp(rollout=Rollout(state=Rollout.ROLLING, began_at=at(BEGAN)))
    old = instance(definition_revision=5)
    new = instance(index=1, instance_guid="i-2", since=at(NOW - 10))
    found = look(old, lrp=rolling, instances=[old, new])
    assert found.deadline == NOW - 10 + 600
    assert "version 3 replaces it" in found.reason


@pytest.mark.parametrize("state", [Rollout.PAUSED, Rollout.CANARIES])
def test_an_older_instance_rests_while_the_rollout_waits_for_a_person(
    state: Rollout.State.ValueType,
) -> None:
    waiting = lrp(rollout=Rollout(state=state))
    assert look(instance(definition_revision=5), lrp=waiting).at_rest
    unclaimed = instance(ActualLrp.UNCLAIMED, definition_revision=5)
    assert not look(unclaimed, lrp=waiting).at_rest


def test_an_instance_that_was_asked_to_stop() -> None:
    found = look(instance(stopping=True), stop_timeout_s=3.0)
    assert found == Standing(False, "cell-1 was asked to stop it", NOW + 3)
    assert "its row goes" in look(instance(stopping=True), cells=MISSING).reason


# LRPs


def test_a_rollout_that_is_done_is_at_rest() -> None:
    rows = [instance(), instance(index=1)]
    assert look(lrp(), instances=rows) == Standing(True, "version 3 is rolled out", None)
    assert look(lrp()).at_rest  # nobody told us of its instances


def test_an_index_without_a_row_is_created() -> None:
    found = look(lrp(), instances=[instance()])
    assert found == Standing(False, "1 of 2 instances is to be created", NOW + 30)
    assert look(lrp(mode=LrpDefinition.GLOBAL), instances=[]).at_rest


def test_a_rollout_has_its_progress_deadline() -> None:
    rolling = lrp(rollout=Rollout(state=Rollout.ROLLING, began_at=at(BEGAN)))
    old = instance(definition_revision=5)
    assert look(rolling, instances=[old]).deadline == BEGAN + 600
    new = instance(index=1, since=at(NOW - 5))
    found = look(rolling, instances=[old, new])
    assert found == Standing(False, "rolls out version 3: 1 of 2 run", NOW - 5 + 600)


def test_a_rollout_without_progress_deadline_is_looked_at_in_each_pass() -> None:
    endless = lrp(
        rollout=Rollout(state=Rollout.ROLLING), update=UpdatePolicy(progress_deadline_ms=0)
    )
    assert look(endless).deadline == NOW + 30


def test_the_way_back_says_why() -> None:
    back = Rollout(state=Rollout.ROLLING, rolled_back=True, reason="version 2 crashed")
    assert look(lrp(rollout=back)).reason == (
        "rolls back to version 3: 0 of 2 run (version 2 crashed)"
    )


def test_a_paused_rollout_waits_for_a_person() -> None:
    paused = lrp(rollout=Rollout(state=Rollout.PAUSED, reason="no progress for 10 min"))
    found = look(paused)
    assert found.at_rest
    assert found.reason.startswith("its rollout is paused (no progress for 10 min)")
    assert look(lrp(rollout=Rollout(state=Rollout.CANARIES))).at_rest


def test_a_stopped_lrp_rests_when_its_last_instance_is_gone() -> None:
    assert look(lrp(stopped=True), instances=[]).at_rest
    assert not look(lrp(stopped=True), instances=[instance()]).at_rest
    assert not look(lrp(removing=True), instances=[]).at_rest


# Cells and schedules


def test_cells() -> None:
    assert look(cell()).at_rest
    assert look(cell(cordoned=True)).reason == "is cordoned: it takes no new work"
    assert "trial" in look(cell(unhealthy_reason="trial failed")).reason
    assert look(draining(NOW + 5), occupants=2).deadline == NOW + 5
    assert look(draining(NOW + 5), occupants=0).at_rest


def test_a_missing_cell_waits_for_a_person_after_the_hold() -> None:
    missing = cell(state=Cell.MISSING)
    assert look(missing).at_rest
    assert look(missing, hold_until=NOW + 200).deadline == NOW + 200
    accepted = cell(state=Cell.MISSING, loss_accepted=True)
    assert look(accepted, hold_until=NOW + 200).at_rest


def test_schedules() -> None:
    assert look(schedule(), next_slot=NOW + 60) == Standing(
        True, "waits for its next slot", NOW + 60
    )
    assert look(schedule(), next_slot=NOW - 1).deadline == NOW + 59
    assert look(schedule(paused=True)).at_rest
    assert look(schedule(cron="")).at_rest
    assert look(schedule()).reason == "has no slot any more"


def test_what_the_brain_says_it_goes_by() -> None:
    said = facts_of_brain("brain-1", BrainSettings(take_up_s=20, full_pass_s=5))
    assert said == replace(Facts(brain_id="brain-1"), take_up_s=20.0, full_pass_s=5.0)
