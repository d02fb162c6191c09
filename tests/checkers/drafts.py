"""How a history is looked at and changed by hand, to break it."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeVar

from tests.checkers.history import Change, Done, History, Operation, Outcome, Refused, Row, Unknown

T = TypeVar("T")

OTHER_KEY = "cell/c1"


class NothingToBreakError(Exception):
    """Nothing in this history can be broken in the way that was asked for."""


@dataclass(frozen=True)
class Draft:
    """A correct history that is about to be broken. Nothing here changes it in place."""

    history: History
    chance: random.Random

    def pick(self, things: Sequence[T]) -> T:
        """One of them. Raises NothingToBreakError if there are none."""
        if not things:
            raise NothingToBreakError
        return self.chance.choice(things)

    # What there is.

    def acknowledged(self) -> list[tuple[Operation, Row]]:
        """Writes that were told of the row they made."""
        return [(each, each.made) for each in self.history.operations if each.made is not None]

    def reads(self) -> list[tuple[Operation, Done]]:
        return [
            (each, each.outcome)
            for each in self.history.operations
            if not each.is_write and isinstance(each.outcome, Done)
        ]

    def refused_writes(self) -> list[Operation]:
        return [
            each
            for each in self.history.operations
            if each.is_write and isinstance(each.outcome, Refused)
        ]

    def unknown_writes(self) -> list[Operation]:
        return [
            each
            for each in self.history.operations
            if each.is_write and isinstance(each.outcome, Unknown)
        ]

    def told_ids(self) -> set[str]:
        """The requests whose rows somebody was told of."""
        outcomes = [each.outcome for each in self.history.operations]
        told = [each.row for each in outcomes if isinstance(each, Done)]
        return {row.request_id for row in (*told, *self.history.final.values())}

    def versions(self, key: str) -> list[Row]:
        initial = self.history.initial.get(key)
        changes = self.history.changes
        rows = [each.row for each in changes if each.key == key and each.row is not None]
        return rows if initial is None else [initial, *rows]

    def successions(self) -> Iterator[tuple[str, Row, Row]]:
        """Each version of each row with the one before it."""
        for key in dict.fromkeys(change.key for change in self.history.changes):
            yield from ((key, old, new) for old, new in pairwise(self.versions(key)))

    def is_final(self, row: Row) -> bool:
        return row in self.history.final.values()

    def changes_of_others(self) -> list[Change]:
        return [change for change in self.history.changes if change.row is None]

    # What is made of it.

    def answering(self, operation: Operation, outcome: Outcome) -> History:
        return self.asking(operation, replace(operation, outcome=outcome))

    def asking(self, operation: Operation, other: Operation) -> History:
        operations = [
            other if each.request_id == operation.request_id else each
            for each in self.history.operations
        ]
        return replace(self.history, operations=operations)

    def with_change(self, change: Change) -> History:
        """With this one at its revision in the feed, instead of what was there."""
        changes = [
            change if each.revision == change.revision else each for each in self.history.changes
        ]
        return replace(self.history, changes=changes)

    def with_end(self, key: str, row: Row | None) -> History:
        final = {name: each for name, each in self.history.final.items() if name != key}
        return replace(self.history, final=final if row is None else {**final, key: row})

    def appending(self, key: str, request_id: str, value: str) -> History:
        """With one more change after all others."""
        revision = self.history.final_revision + 1
        row = Row(revision, request_id, value)
        return replace(
            self.with_end(key, row),
            changes=[*self.history.changes, Change(revision, key, row)],
            final_revision=revision,
        )

    def swapping(self, one: int, other: int) -> History:
        """With two revisions exchanged wherever a row or an expectation has them."""
        numbers = {one: other, other: one}
        history = self.history
        changes = [
            Change(_swapped(each.revision, numbers), each.key, _renumbered(each.row, numbers))
            for each in history.changes
        ]
        final = {key: _renumbered(row, numbers) or row for key, row in history.final.items()}
        return replace(
            history,
            operations=[_renumbered_operation(each, numbers) for each in history.operations],
            changes=sorted(changes, key=lambda each: each.revision),
            final=final,
        )


def _swapped(revision: int, numbers: dict[int, int]) -> int:
    return numbers.get(revision, revision)


def _renumbered(row: Row | None, numbers: dict[int, int]) -> Row | None:
    return row and replace(row, revision=_swapped(row.revision, numbers))


def _renumbered_operation(operation: Operation, numbers: dict[int, int]) -> Operation:
    expected = _swapped(operation.expected_revision, numbers)
    outcome = operation.outcome
    if isinstance(outcome, Done):
        outcome = replace(outcome, row=_renumbered(outcome.row, numbers) or outcome.row)
    return replace(operation, expected_revision=expected, outcome=outcome)
