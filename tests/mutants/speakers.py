"""What stands before and beside the rules of the commands: who speaks, under which lock, and
whether it was said before.
"""

from dataclasses import replace
from typing import Any

from diegod.raftbbs import core
from diegod.raftbbs.core.requests import _row_of
from diegod.v1.record_pb2 import Task
from tests.mutants.mutant import BBS, Mutant
from tests.mutants.seen import Seen, having
from tests.mutants.surgery import around, rule, says

_GUARDS = "core/test_guards.py::"


def _lock_blind(**seen: Any) -> Any:
    def lock_held(held: Any, lock: Any, name: str, token: int, by: str) -> Any:
        """What is to be ignored counts as it should be."""
        token = lock.token if "token" in seen and lock is not None else token
        by = lock.owner if "owner" in seen and lock is not None else by
        return held(lock, name, token, by)

    return lock_held


def _lock_of_the_edge(apply_entry: Any, replica: Any, transaction: Any, *rest: Any) -> Any:
    """All locks as they were when the entry came."""
    _at_the_edge.clear()
    _at_the_edge.update({lock.name: lock for lock in replica._tables.locks.scan(transaction)})
    return apply_entry(replica, transaction, *rest)


_at_the_edge: dict[str, Any] = {}


def _apply_with_the_edges_lock(apply: Any, view: Any, command: Any, context: Any) -> Any:
    if not command.lock_name:
        return apply(view, command, context)

    class Edge(Seen):
        def lock(self, name: str) -> Any:
            return _at_the_edge.get(name)

    return apply(Edge(view), command, context)


def _edge_only(surgery: Any) -> None:
    surgery.around("raftbbs.replica:Replica.apply_entry", _lock_of_the_edge)
    surgery.around("raftbbs.core:apply", _apply_with_the_edges_lock)


def _of_any_incarnation(speaking: Any, view: Any, context: Any) -> Any:
    cell = view.cell(context.caller_id)
    incarnation = cell.incarnation if cell is not None else 0
    return speaking(view, context._replace(cell_incarnation=incarnation))


def _of_any_role(apply: Any, view: Any, command: Any, context: Any) -> Any:
    kind = command.WhichOneof("command")
    role = core.RULES[kind][0] if kind in core.RULES else "user"
    return apply(view, command, context._replace(by=f"{role}/{context.caller_id}"))


def _of_any_author(before: Any, view: Any, kind: str, body: Any, command: Any) -> Any:
    row = _row_of(view, kind, body)
    own = type(command)()
    own.CopyFrom(command)
    if row is not None:
        own.by = row.provenance.by
    return before(view, kind, body, own)


def _cancel_again(rule: Any, view: Any, command: Any, context: Any) -> Any:
    return rule(Seen(view, task=having(state=Task.RUNNING)), command, context)


def _complete_again(rule: Any, view: Any, command: Any, context: Any) -> Any:
    return rule(Seen(view, task=having(state=Task.RUNNING)), command, context)


SPEAKERS: tuple[Mutant, ...] = (
    Mutant(
        "lock-token-not-compared",
        "core",
        "a brain that held the lock before, and has it again, carries out its old decisions",
        around("raftbbs.core.guards:lock_held", _lock_blind(token=True)),
        (f"{_GUARDS}test_a_brain_speaks_under_the_lock_that_it_holds",),
    ),
    Mutant(
        "lock-owner-not-compared",
        "core",
        "a brain speaks under the lock of another",
        around("raftbbs.core.guards:lock_held", _lock_blind(owner=True)),
        (f"{_GUARDS}test_a_brain_speaks_under_the_lock_that_it_holds",),
    ),
    Mutant(
        "lock-checked-at-the-edge-only",
        "core",
        "a lock that is lost between the edge and apply still counts",
        _edge_only,
        (f"{_GUARDS}test_a_lock_that_is_lost_in_the_same_entry_is_lost",),
    ),
    Mutant(
        "lock-not-checked",
        "core",
        "any brain decides at any time",
        around("raftbbs.core.guards:lock_held", says(None)),
        (
            "core/test_tasks.py::test_a_brain_without_the_lock_decides_nothing",
            f"{_GUARDS}test_a_lock_that_is_lost_in_the_same_entry_is_lost",
        ),
        BBS,
    ),
    Mutant(
        "speaking-cell-of-any-incarnation",
        "core",
        "the former life of a cell agent is still heard",
        around("raftbbs.core.guards:speaking_cell", _of_any_incarnation),
        (
            f"{_GUARDS}test_a_cell_speaks_under_its_present_registration",
            "core/test_tasks.py::test_an_older_incarnation_of_the_cell_is_not_heard",
        ),
    ),
    Mutant(
        "speaking-cell-not-looked-at",
        "core",
        "a cell that is missed is still heard",
        around("raftbbs.core.guards:speaking_cell", says(None)),
        (
            f"{_GUARDS}test_a_cell_that_is_missed_is_not_heard",
            "core/test_tasks.py::test_a_missing_cell_is_not_granted",
        ),
    ),
    Mutant(
        "any-role",
        "core",
        "who may give a command is not looked at",
        around("raftbbs.core:apply", _of_any_role),
        ("core/test_rules.py::test_only_its_own_role_gives_a_command",),
    ),
    Mutant(
        "request-id-ignored",
        "M13",
        "a retry is refused, or carried out twice, though its first try was",
        around("raftbbs.core.requests:answered_before", says(None)),
        (f"{_GUARDS}test_a_request_that_is_repeated_is_answered_as_before",),
        replace(BBS, seeds=13),
    ),
    Mutant(
        "request-id-of-somebody-else",
        "M13",
        "a request that was never carried out is answered, because another's has its id",
        around("raftbbs.core.requests:answered_before", _of_any_author),
        (f"{_GUARDS}test_a_request_id_of_somebody_else_answers_nothing",),
    ),
    Mutant(
        "cancel_task/state",
        "core",
        "a task that ended well is cancelled and has failed",
        rule("cancel_task", _cancel_again),
        (f"{_GUARDS}test_what_has_ended_is_not_cancelled_any_more",),
        command="cancel_task",
    ),
    Mutant(
        "complete_task/first-result",
        "core",
        "a second result replaces the first",
        rule("complete_task", _complete_again),
        (
            f"{_GUARDS}test_a_second_result_changes_nothing",
            "core/test_tasks.py::test_the_first_result_stands",
        ),
        command="complete_task",
    ),
)
