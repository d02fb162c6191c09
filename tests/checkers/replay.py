"""The first checker: the order is the cluster's own, by revision; everything has to agree with it.

The feed says which change had which revision. So each answer is looked up rather than searched for,
in O(n log n): the rules, replayed in revision order, must give every change and every answer; no
answer may contradict the order of real time; what was acknowledged must be in the feed, once, and
what was refused must not. A write of unknown outcome took effect if its request id is in the feed.

All keys are judged together: an answer about one row is a floor for those about every other one.
"""

import heapq
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

from diegod.models.errors import Reason
from tests.checkers.history import Change, Done, History, Operation, Refused, Row, Verb


class Fault(StrEnum):
    FEED_GAP = "a revision is missing in the feed"
    FEED_ORDER = "the feed goes back"
    PHANTOM = "nobody asked for this change"
    TWICE = "one request made two changes"
    REFUSED_TOOK_EFFECT = "a refused write took effect"
    AGAINST_THE_RULES = "the rules do not allow this change"
    LOST = "an acknowledged write is not in the feed"
    WRONG_ANSWER = "the rules do not give this answer"
    REAL_TIME = "the order of revisions contradicts the order of real time"
    FINAL_STATE = "the final rows are not what the feed leads to"


@dataclass(frozen=True, slots=True)
class Violation:
    fault: Fault
    what: str

    def __str__(self) -> str:
        return f"{self.fault}: {self.what}"


def violations(history: History) -> list[Violation]:
    """Everything that is wrong; empty: the history is what a linearizable store does."""
    rows = _Rows.of(history)
    return [
        *_feed(history),
        *_changes(history, rows),
        *_answers(history, rows),
        *_final_rows(history, rows),
    ]


# The rules.


def _refusal(row: Row | None, operation: Operation) -> Reason | None:
    """Why the operation is refused on this row."""
    match operation.verb:
        case Verb.READ:
            return Reason.RESOURCE_NOT_FOUND if row is None else None
        case Verb.DESIRE_TASK:
            is_other = row is not None and row.value != operation.value
            return Reason.RESOURCE_EXISTS if is_other else None
        case Verb.SCALE_LRP if row is None:
            return Reason.RESOURCE_NOT_FOUND
    is_now = row.revision if row is not None else 0
    return None if operation.expected_revision in (0, is_now) else Reason.RESOURCE_CONFLICT


def _would_change(row: Row | None, operation: Operation) -> bool:
    if not operation.is_write or _refusal(row, operation) is not None:
        return False
    return row is None or row.value != operation.value


def _is_right(row: Row | None, operation: Operation) -> bool:
    """Whether the answer of an operation that changed nothing fits this row."""
    refusal = _refusal(row, operation)
    if isinstance(operation.outcome, Refused):
        return operation.outcome.reason == refusal
    is_done = refusal is None and not _would_change(row, operation)
    return is_done and isinstance(operation.outcome, Done) and operation.outcome.row == row


# The feed.


@dataclass
class _Rows:
    """All versions of all rows, by revision."""

    versions: dict[str, list[Row]] = field(default_factory=dict)
    made_by: dict[str, list[Row]] = field(default_factory=dict)  # request id -> its changes

    @staticmethod
    def of(history: History) -> "_Rows":
        rows = _Rows({key: [row] for key, row in history.initial.items()})
        for change in sorted(history.changes, key=lambda each: each.revision):
            if change.row is not None:
                rows.versions.setdefault(change.key, []).append(change.row)
                rows.made_by.setdefault(change.row.request_id, []).append(change.row)
        return rows

    def at(self, key: str, revision: int) -> Row | None:
        versions = self.versions.get(key, [])
        position = _after(versions, revision)
        return versions[position - 1] if position else None

    def since(self, key: str, revision: int) -> Iterator[tuple[int, Row | None]]:
        """From which revision on the row was what: first as it was at `revision`."""
        yield revision, self.at(key, revision)
        versions = self.versions.get(key, [])
        for position in range(_after(versions, revision), len(versions)):
            yield versions[position].revision, versions[position]

    def made(self, operation: Operation) -> Row | None:
        """The change that the feed has of this operation."""
        return next(iter(self.made_by.get(operation.request_id, [])), None)


def _after(versions: list[Row], revision: int) -> int:
    return bisect_right(versions, revision, key=lambda row: row.revision)


def _feed(history: History) -> Iterator[Violation]:
    """Revisions follow one another. Only a command that is no client's can change several rows."""
    base = Change(history.base_revision, "the base", None)
    for last, change in pairwise([base, *history.changes]):
        is_clients = last.row is not None or change.row is not None
        what = f"revision {change.revision} comes after {last.revision}"
        if change.revision < last.revision + is_clients:
            yield Violation(Fault.FEED_ORDER, what)
        elif change.revision > last.revision + 1:
            yield Violation(Fault.FEED_GAP, what)
    end = max(base.revision, *(change.revision for change in history.changes), 0)
    if end != history.final_revision:
        what = f"it ends at {end}, the cluster at {history.final_revision}"
        yield Violation(Fault.FEED_GAP, what)


def _changes(history: History, rows: _Rows) -> Iterator[Violation]:
    """Each change: whose it is, and whether the rules allow it on the row that was there."""
    operations = {operation.request_id: operation for operation in history.operations}
    seen: Counter[str] = Counter()
    for change in history.changes:
        if change.row is None:
            continue
        writer = operations.get(change.row.request_id)
        if writer is None or not writer.is_write or writer.key != change.key:
            yield Violation(Fault.PHANTOM, str(change))
            continue
        seen[writer.request_id] += 1
        if seen[writer.request_id] == 2:
            yield Violation(Fault.TWICE, str(writer))
        if isinstance(writer.outcome, Refused):
            yield Violation(Fault.REFUSED_TOOK_EFFECT, str(writer))
        before = rows.at(change.key, change.revision - 1)
        if not _agrees(change, change.row, writer) or not _would_change(before, writer):
            yield Violation(Fault.AGAINST_THE_RULES, f"{writer}, on {before}")


def _agrees(change: Change, row: Row, writer: Operation) -> bool:
    return (row.revision, row.value) == (change.revision, writer.value)


def _final_rows(history: History, rows: _Rows) -> Iterator[Violation]:
    for key in sorted({**rows.versions, **history.final}):
        expected, is_there = rows.at(key, history.final_revision), history.final.get(key)
        if is_there != expected:
            what = f"{key} is {is_there}, the feed leads to {expected}"
            yield Violation(Fault.FINAL_STATE, what)


# Answers, in real time.


def _answers(history: History, rows: _Rows) -> Iterator[Violation]:
    """Goes through real time once and gives each answer the earliest revision where it is right.

    `floor` is the latest revision that anybody has been told of by now. What is invoked later may
    not be given an earlier one. Giving each the earliest leaves most room to all that follow, so if
    there is an order at all, this finds one. A wrong answer is no floor for others: one mistake is
    one violation.
    """
    floor = history.base_revision
    pending: list[tuple[int, int]] = []  # when it returned, at which revision it was
    for operation in sorted(history.operations, key=lambda each: each.invoked_ns):
        # What returned at the very moment of this invocation overlaps with it.
        while pending and pending[0][0] < operation.invoked_ns:
            floor = max(floor, heapq.heappop(pending)[1])
        position = _position(operation, floor, history, rows)
        if isinstance(position, Fault):
            yield Violation(position, str(operation))
        elif position is not None and operation.tells_of_row:
            heapq.heappush(pending, (operation.returned_ns, position))


def _position(
    operation: Operation, floor: int, history: History, rows: _Rows
) -> int | Fault | None:
    """The revision at which it took place; None: nowhere, as far as anybody can tell."""
    if operation.is_write:
        change = rows.made(operation)
        if isinstance(operation.outcome, Done) and operation.made != change:
            return Fault.LOST if change is None else Fault.WRONG_ANSWER
        if change is not None and not isinstance(operation.outcome, Refused):
            return change.revision if change.revision > floor else Fault.REAL_TIME
    elif isinstance(operation.outcome, Done):
        return _position_of_read(operation, operation.outcome.read_revision, floor, history, rows)
    return _earliest(operation, floor, history, rows) if operation.tells_of_row else None


def _position_of_read(
    operation: Operation, revision: int, floor: int, history: History, rows: _Rows
) -> int | Fault:
    is_past = history.base_revision <= revision <= history.final_revision
    if not is_past or not _is_right(rows.at(operation.key, revision), operation):
        return Fault.WRONG_ANSWER
    return revision if revision >= floor else Fault.REAL_TIME


def _earliest(operation: Operation, floor: int, history: History, rows: _Rows) -> int | Fault:
    """Of an answer that comes without a revision, and changed nothing."""
    for revision, row in rows.since(operation.key, floor):
        if _is_right(row, operation):
            return revision
    ever = rows.since(operation.key, history.base_revision)
    was_right = any(_is_right(row, operation) for _, row in ever)
    return Fault.REAL_TIME if was_right else Fault.WRONG_ANSWER
