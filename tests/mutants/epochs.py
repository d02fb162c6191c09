"""A new epoch, after a restore or a recovery: what goes on of the old one, and what does not."""

from typing import Any

from diegod.models.epochs import first_revision
from diegod.raftbbs.core.decision import Unchanged
from diegod.v1.record_pb2 import Cell, Domain, Lock, Task
from tests.mutants.mutant import Mutant
from tests.mutants.seen import Seen
from tests.mutants.surgery import around, rule, says

_EPOCHS = "core/test_epochs.py::"
_ADOPTION = "core/test_adoption.py::"
_CARRIED = "raftbbs.core.epochs:carried_over"


def _as_it_was(*kinds: type[Any]) -> Any:
    """Rows of these kinds go on as they were."""

    def carried_over(carry: Any, row: Any, opening: Any, revision: int) -> Any:
        if not isinstance(row, kinds) or getattr(row, "state", None) == Task.COMPLETED:
            return carry(row, opening, revision)
        row.provenance.revision = revision
        return row

    return carried_over


def _pending_stays(carry: Any, row: Any, opening: Any, revision: int) -> Any:
    if isinstance(row, Task) and row.state == Task.PENDING:
        row.provenance.revision = revision
        return row
    return carry(row, opening, revision)


def _of_an_earlier_epoch(adopt: Any, view: Any, command: Any, context: Any) -> Any:
    return adopt(view, command, context._replace(revision=first_revision(99)))


def _newer_than_all(in_place: Any, view: Any, command: Any, desired: Any, *rest: Any) -> Any:
    _, context = rest
    return in_place(view, command, desired, 1 << 62, context)


def _domain_complete(unwanted: Any, view: Any, given: Any, desired: Any, context: Any) -> Any:
    complete = Seen(view, domain=lambda row: row or Domain(domain="any"))
    return unwanted(complete, given, desired, context)


EPOCHS = (
    Mutant(
        "pending-tasks-stay-pending",
        "epochs",
        "a task that ran in the old epoch runs once more in the new one",
        around(_CARRIED, _pending_stays),
        (f"{_EPOCHS}test_a_task_that_has_not_ended_has_an_unknown_outcome",),
    ),
    Mutant(
        "cells-are-believed-to-be-there",
        "epochs",
        "work is placed on a cell that has been gone since the backup",
        around(_CARRIED, _as_it_was(Cell)),
        (f"{_EPOCHS}test_a_cell_is_missing_until_it_registers",),
    ),
    Mutant(
        "lock-free-at-once",
        "epochs",
        "a brain decides before cells have said what they run",
        around(_CARRIED, _as_it_was(Lock)),
        (f"{_EPOCHS}test_every_lock_is_the_own_of_the_bbs_for_a_lease",),
    ),
    Mutant(
        "domain-stays-complete",
        "epochs",
        "what the restored state does not want is stopped before anybody was asked",
        around(_CARRIED, _as_it_was(Domain)),
        (f"{_EPOCHS}test_a_domain_has_to_be_freshened_again",),
    ),
    Mutant(
        "other-epoch-is-heard",
        "epochs",
        "a member with what a restore has taken back votes and replicates it",
        around("raftbbs.raft.greeting:_other_epoch", says("")),
        (
            "raft/test_epochs.py::test_each_refuses_the_other_and_says_why",
            "raft/test_epochs.py::test_nothing_is_replicated_between_epochs",
            "raft/test_epochs.py::test_one_of_a_later_epoch_gets_no_vote",
        ),
    ),
    Mutant(
        "adopt_instance/epoch",
        "epochs",
        "an instance of this epoch that was stopped comes back",
        rule("adopt_instance", _of_an_earlier_epoch),
        (
            f"{_ADOPTION}test_what_was_made_in_this_epoch_and_is_gone_stays_gone",
            f"{_ADOPTION}test_nothing_is_adopted_where_no_epoch_began",
        ),
        command="adopt_instance",
    ),
    Mutant(
        "adopt_instance/newer",
        "epochs",
        "an instance is adopted though the one that replaced it is there",
        around("raftbbs.core.adoption:_in_place_of", _newer_than_all),
        (
            f"{_ADOPTION}test_a_newer_instance_stays",
            f"{_ADOPTION}test_a_replacement_of_this_epoch_stays_once_it_is_placed",
        ),
        command="adopt_instance",
    ),
    Mutant(
        "adopt_instance/cell",
        "epochs",
        "one instance runs on two cells",
        around("raftbbs.core.adoption:_known_already", lambda known, row, _: Unchanged(row)),
        (f"{_ADOPTION}test_one_instance_is_not_on_two_cells",),
        command="adopt_instance",
    ),
    Mutant(
        "adopt_instance/domain",
        "epochs",
        "what the restored state does not know is stopped at once",
        around("raftbbs.core.adoption:_unwanted", _domain_complete),
        (f"{_ADOPTION}test_what_is_not_wanted_is_seen_until_its_domain_is_complete",),
        command="adopt_instance",
    ),
)
