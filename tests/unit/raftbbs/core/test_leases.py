"""Leases in the leader's memory: when one runs out, and when it must not."""

from diegod.raftbbs.core.leases import GRACE_S, LeaseTable
from diegod.v1.record_pb2 import Cell, Change, Lock

TTL = 10.0


def _cell(incarnation: int = 1, state: Cell.State.ValueType = Cell.PRESENT) -> Cell:
    return Cell(cell_id="c1", incarnation=incarnation, state=state)


def _expired(table: LeaseTable, now: float) -> list[tuple[tuple[str, str], int]]:
    return list(table.expired(now))


def _tick_until(table: LeaseTable, begin: float, end: float) -> list[tuple[tuple[str, str], int]]:
    """A leader that ticks twice a second."""
    found = []
    now = begin
    while now <= end:
        found += _expired(table, now)
        now += 0.5
    return found


def test_a_lease_runs_out_after_its_time_and_the_grace() -> None:
    table = LeaseTable(TTL)
    table.rearm([_cell()], [], 0.0)
    assert _tick_until(table, 0.5, TTL + GRACE_S - 0.5) == []
    assert _expired(table, TTL + GRACE_S) == [(("cell", "c1"), 1)]


def test_a_renewal_of_the_same_registration_gives_it_its_full_time() -> None:
    table = LeaseTable(TTL)
    table.rearm([_cell()], [], 0.0)
    _tick_until(table, 0.5, 9.0)
    assert table.renew(("cell", "c1"), 1, 9.0)
    assert _tick_until(table, 9.5, 9.0 + TTL + GRACE_S - 0.5) == []


def test_a_renewal_of_another_registration_is_not_held() -> None:
    table = LeaseTable(TTL)
    table.rearm([_cell(incarnation=2)], [], 0.0)
    assert not table.renew(("cell", "c1"), 1, 1.0)
    assert not table.renew(("cell", "other"), 1, 1.0)


def test_a_leader_whose_tick_was_late_gives_everybody_the_full_time_again() -> None:
    table = LeaseTable(TTL)
    table.rearm([_cell()], [], 0.0)
    assert _expired(table, 60.0) == []
    assert _tick_until(table, 60.5, 60.0 + TTL + GRACE_S - 0.5) == []
    assert _expired(table, 60.0 + TTL + GRACE_S) != []


def test_a_new_leader_rearms_everything() -> None:
    table = LeaseTable(TTL)
    table.rearm([_cell()], [Lock(name="brain", owner="brain/b", token=7)], 100.0)
    assert _tick_until(table, 100.5, 100.0 + TTL + GRACE_S - 0.5) == []
    expired = _expired(table, 100.0 + TTL + GRACE_S)
    assert expired == [(("cell", "c1"), 1), (("lock", "brain"), 7)]


def test_what_the_rows_say_is_followed() -> None:
    table = LeaseTable(TTL)
    table.rearm([], [], 0.0)
    table.observe([Change(verb=Change.CREATED, cell=_cell())], 0.0)
    assert table.renew(("cell", "c1"), 1, 0.5)
    table.observe([Change(verb=Change.CHANGED, cell=_cell(state=Cell.MISSING))], 1.0)
    assert not table.renew(("cell", "c1"), 1, 1.5)
    table.observe([Change(verb=Change.CHANGED, cell=_cell(incarnation=2))], 2.0)
    assert table.renew(("cell", "c1"), 2, 2.5)


def test_a_row_that_changes_otherwise_does_not_prolong_the_lease() -> None:
    table = LeaseTable(TTL)
    table.rearm([_cell()], [], 0.0)
    _tick_until(table, 0.5, 8.0)
    table.observe([Change(verb=Change.CHANGED, cell=_cell())], 8.0)
    _tick_until(table, 8.5, TTL + GRACE_S - 0.5)
    assert _expired(table, TTL + GRACE_S) != []


def test_a_lease_whose_end_was_proposed_is_not_renewed_and_proposed_again_later() -> None:
    table = LeaseTable(TTL)
    table.rearm([_cell()], [], 0.0)
    assert _tick_until(table, 0.5, TTL + GRACE_S) != []
    assert not table.renew(("cell", "c1"), 1, TTL + GRACE_S)
    assert _tick_until(table, 11.5, 2 * (TTL + GRACE_S)) == [(("cell", "c1"), 1)]
    table.observe([Change(verb=Change.CHANGED, cell=_cell(incarnation=2))], 23.0)
    assert table.renew(("cell", "c1"), 2, 23.5)
