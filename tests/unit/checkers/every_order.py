"""The dumb twin of the search: every order of every choice, nothing left out, nothing clever.

It tries each selection of the writes of unknown outcome, in each order with all others, with each
revision that they could have had, on the obedient store of the simulation.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations, permutations, product

from tests.checkers.history import Done, History, Operation, Unknown
from tests.checkers.simulated import Store


def explains(history: History) -> bool:
    """Whether some order gives every answer and the final rows. For a handful of operations."""
    spoken_of = [0, history.final_revision]
    for operation in history.operations:
        spoken_of.append(operation.expected_revision)
        if isinstance(operation.outcome, Done):
            spoken_of += [operation.outcome.row.revision, operation.outcome.read_revision]
    revisions = range(history.base_revision + 1, max(spoken_of) + 4)
    return any(
        _is_right(history, order, dict(zip(_unknown(order), made, strict=True)))
        for order in _orders(history.operations)
        for made in product(revisions, repeat=len(_unknown(order)))
    )


def _unknown(operations: Sequence[Operation]) -> list[str]:
    return [each.request_id for each in operations if isinstance(each.outcome, Unknown)]


def _orders(operations: Sequence[Operation]) -> Iterator[tuple[Operation, ...]]:
    told = [each for each in operations if each.tells_of_row]
    unknown = [each for each in operations if isinstance(each.outcome, Unknown) and each.is_write]
    for count in range(len(unknown) + 1):
        for chosen in combinations(unknown, count):
            yield from filter(_respects_time, permutations([*told, *chosen]))


def _respects_time(order: Sequence[Operation]) -> bool:
    return not any(
        after.returned_ns < before.invoked_ns and not isinstance(after.outcome, Unknown)
        for position, after in enumerate(order)
        for before in order[:position]
    )


def _is_right(history: History, order: Sequence[Operation], made: dict[str, int]) -> bool:
    store = Store(history.base_revision, dict(history.initial))
    answers = all(_fits(store, each, made.get(each.request_id)) for each in order)
    return answers and store.rows == history.final and store.revision <= history.final_revision


def _fits(store: Store, operation: Operation, revision_made: int | None) -> bool:
    """Applies it; `revision_made` is what a write of unknown outcome is taken to have made."""
    at = revision_made or _revision_told(operation)
    if at:
        before = at - 1 if revision_made or operation.made else at
        if before < store.revision:
            return False
        store.revision = before
    outcome = store.apply(operation)
    if at and store.revision != at:
        return False
    return revision_made is not None or outcome == operation.outcome


def _revision_told(operation: Operation) -> int:
    """The store's revision after it; 0: the answer does not say."""
    if operation.made is not None:
        return operation.made.revision
    if not operation.is_write and isinstance(operation.outcome, Done):
        return operation.outcome.read_revision
    return 0
