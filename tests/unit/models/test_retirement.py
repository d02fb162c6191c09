"""Which instance may be ended while another one has to serve."""

import pytest

from diegod.models.retirement import is_wanted, starts_first, why_kept
from diegod.v1.definition_pb2 import LrpDefinition, UpdatePolicy
from diegod.v1.record_pb2 import ActualLrp, Cell, DesiredLrp, Drain

NS = 1_000_000_000
NOW = 1000 * NS


def a_row(presence: ActualLrp.Presence.ValueType, **changes: object) -> ActualLrp:
    given = {"process_guid": "web", "state": ActualLrp.RUNNING, "cell_id": "c1"} | changes
    return ActualLrp(presence=presence, **given)  # type: ignore[arg-type]


def desired(**changes: object) -> DesiredLrp:
    return DesiredLrp(process_guid="web", instances=2, **changes)  # type: ignore[arg-type]


def a_cell(state: Cell.State.ValueType = Cell.PRESENT, deadline_s: int = 0) -> Cell:
    cell = Cell(cell_id="c1", state=state)
    if deadline_s:
        cell.drain.CopyFrom(Drain())
        cell.drain.deadline_at.seconds = deadline_s
    return cell


EVACUATING = a_row(ActualLrp.EVACUATING)
SUSPECT = a_row(ActualLrp.SUSPECT)
MISSING = a_cell(Cell.MISSING)


@pytest.mark.parametrize(
    ("row", "cell"),
    [
        (EVACUATING, a_cell()),
        (EVACUATING, a_cell(deadline_s=1001)),
        (SUSPECT, MISSING),
        (SUSPECT, a_cell()),
    ],
)
@pytest.mark.parametrize(
    "beside",
    [
        [],
        [a_row(ActualLrp.ORDINARY, state=ActualLrp.UNCLAIMED)],
        [a_row(ActualLrp.ORDINARY, state=ActualLrp.CLAIMED)],
        [a_row(ActualLrp.ORDINARY, state=ActualLrp.CRASHED)],
        [a_row(ActualLrp.ORDINARY, stopping=True)],
        [a_row(ActualLrp.SUSPECT), a_row(ActualLrp.EVACUATING)],
    ],
)
def test_it_is_kept_while_no_ordinary_one_runs(
    row: ActualLrp, cell: Cell, beside: list[ActualLrp]
) -> None:
    assert why_kept(row, desired(), cell, [row, *beside], NOW) == (
        "web/0 has no other instance that runs"
    )


@pytest.mark.parametrize("row", [EVACUATING, SUSPECT])
def test_it_ends_once_the_ordinary_one_runs(row: ActualLrp) -> None:
    beside = [row, a_row(ActualLrp.ORDINARY)]
    assert why_kept(row, desired(), a_cell(), beside, NOW) == ""


@pytest.mark.parametrize("row", [EVACUATING, SUSPECT])
@pytest.mark.parametrize(
    "lrp",
    [
        None,
        desired(removing=True),
        desired(stopped=True),
        DesiredLrp(process_guid="web", instances=0),
        desired(mode=LrpDefinition.GLOBAL),
    ],
)
def test_it_ends_where_nobody_wants_it(row: ActualLrp, lrp: DesiredLrp | None) -> None:
    assert why_kept(row, lrp, a_cell(), [row], NOW) == ""


@pytest.mark.parametrize(
    ("row", "lrp", "cell"),
    [
        (a_row(ActualLrp.ORDINARY), desired(), a_cell()),
        (a_row(ActualLrp.SUSPECT, stopping=True), desired(), MISSING),
        (SUSPECT, desired(), None),
        (EVACUATING, desired(), MISSING),
        (EVACUATING, desired(), a_cell(deadline_s=1000)),
        (EVACUATING, desired(update=UpdatePolicy(order=UpdatePolicy.STOP_FIRST)), a_cell()),
        (EVACUATING, desired(update=UpdatePolicy(strategy=UpdatePolicy.RECREATE)), a_cell()),
    ],
)
def test_some_end_whatever_runs(row: ActualLrp, lrp: DesiredLrp, cell: Cell | None) -> None:
    assert why_kept(row, lrp, cell, [row], NOW) == ""


def test_an_index_is_wanted_as_far_as_instances_are_desired() -> None:
    assert [is_wanted(desired(), index) for index in range(3)] == [True, True, False]
    assert is_wanted(desired(mode=LrpDefinition.GLOBAL), 7)
    assert not is_wanted(None, 0)


def test_only_a_rolling_update_may_start_first() -> None:
    assert starts_first(desired())
    recreate = UpdatePolicy(strategy=UpdatePolicy.RECREATE, order=UpdatePolicy.START_FIRST)
    assert not starts_first(desired(update=recreate))
