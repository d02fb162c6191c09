"""Leases in the leader's memory, and what a cell does before it has a grant."""

from dataclasses import replace
from typing import Any

from diegod.cellruntime.core import steps
from diegod.cellruntime.core.crash_points import Phase
from diegod.cellruntime.core.lifecycle import State
from tests.mutants.mutant import BBS, RING, Mutant
from tests.mutants.surgery import around, value

_TABLE = "raftbbs.core.leases:LeaseTable"


def _as_they_were(rearm: Any, table: Any, cells: Any, locks: Any, now: float) -> None:
    """A new leader takes over the deadlines that it knew, and what it did not know has passed."""
    known = dict(table._leases)
    rearm(table, cells, locks, now)
    for key, lease in table._leases.items():
        lease.deadline_s = known[key].deadline_s if key in known else now + 1.0


def _before_confirmation(take: Any, ticking: Any, inbox: Any, result: Any) -> None:
    now = ticking._time.seen_at_s
    for renewal in inbox.renewals:
        held = ticking._leases.renew(renewal.key, renewal.sequence, now)
        result.renewals.append((renewal.id, held))
    inbox.renewals = []
    take(ticking, inbox, result)


def _of_any_sequence(renew: Any, table: Any, key: Any, sequence: int, now: float) -> bool:
    lease = table._leases.get(key)
    return bool(renew(table, key, lease.sequence if lease is not None else sequence, now))


def _after_its_end(renew: Any, table: Any, key: Any, sequence: int, now: float) -> bool:
    lease = table._leases.get(key)
    if lease is not None:
        lease.ended = False
    return bool(renew(table, key, sequence, now))


def _anybodys(key: Any, request: Any, caller: Any) -> Any:
    if request.WhichOneof("of") == "cell_id":
        return ("cell", request.cell_id)
    return ("lock", request.lock_name)


def _not_even_asked(prepared: Any, s: Any, container: Any) -> None:
    s.move(container, State.GRANTED, "not even asked")
    steps.record(s, container, Phase.GRANTED)


LEASES = (
    Mutant(
        "lease-not-rearmed-by-a-new-leader",
        "leases",
        "a new leader misses cells whose renewals it could not have heard",
        around(f"{_TABLE}.rearm", _as_they_were),
        (
            "core/test_leases.py::test_a_new_leader_rearms_everything",
            "test_ticking.py::test_a_new_leader_gives_every_lease_its_full_time",
        ),
        replace(BBS, must=True),
    ),
    Mutant(
        "late-tick-does-not-rearm",
        "leases",
        "a leader that was paused misses cells whose renewals lie in its inbox",
        value("raftbbs.core.leases:LATE_TICK_S", float("inf"), f"{_TABLE}.expired"),
        (
            "core/test_leases.py"
            "::test_a_leader_whose_tick_was_late_gives_everybody_the_full_time_again",
        ),
        RING,
    ),
    Mutant(
        "lease-answered-before-confirmation",
        "leases",
        "a leader that is cut off tells a cell that its lease is held",
        around("raftbbs.ticking:Ticking._take", _before_confirmation),
        ("test_ticking.py::test_a_renewal_is_answered_only_after_leadership_is_confirmed",),
        RING,
    ),
    Mutant(
        "lease-of-any-sequence",
        "leases",
        "the former life of a cell keeps its successor's lease",
        around(f"{_TABLE}.renew", _of_any_sequence),
        (
            "core/test_leases.py::test_a_renewal_of_another_registration_is_not_held",
            "edge/test_ring.py::test_a_lease_is_renewed_by_its_holder",
        ),
    ),
    Mutant(
        "lease-renewed-after-its-end",
        "leases",
        "a holder counts on a lease whose end is on its way",
        around(f"{_TABLE}.renew", _after_its_end),
        (
            "core/test_leases.py"
            "::test_a_lease_whose_end_was_proposed_is_not_renewed_and_proposed_again_later",
            "test_ticking.py::test_a_lease_whose_end_was_proposed_is_not_renewed_any_more",
        ),
    ),
    Mutant(
        "lease-renewed-by-anybody",
        "leases",
        "a cell keeps another one's lease alive",
        around("raftbbs.edge.ring:_key", _anybodys),
        ("edge/test_ring.py::test_nobody_renews_for_somebody_else",),
    ),
    Mutant(
        "lease-never-expires",
        "leases",
        "a cell that is lost is never missed",
        around(f"{_TABLE}._full_time", lambda full, table, now: float("inf")),
        ("core/test_leases.py::test_a_lease_runs_out_after_its_time_and_the_grace",),
        replace(RING, seeds=12, must=True),
    ),
    Mutant(
        "start-without-a-grant",
        "cell",
        "a cell starts what is placed on it, without asking",
        around("cellruntime.core.tasks:prepared", _not_even_asked),
        ("tests/unit/cellruntime/core/test_tasks.py::test_a_row_that_says_running_is_no_grant",),
        replace(RING, seeds=12, must=True),
    ),
    Mutant(
        "attempt-of-another-life",
        "core",
        "the BBS grants a start to whoever has the task, under whatever attempt",
        lambda surgery: surgery.rule("start_task", _attempt_of_the_row),
        (
            "core/test_tasks.py::test_a_withdrawn_placement_is_refused_for_ever",
        ),
    ),
)


def _attempt_of_the_row(start: Any, view: Any, command: Any, context: Any) -> Any:
    task = view.task(command.task_guid)
    if task is not None:
        command.attempt = task.attempt
    return start(view, command, context)
