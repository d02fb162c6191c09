"""The dumb twin of the search: every order of every choice, with nothing left out and nothing clever.

It tries each selection of the writes of unknown outcome, in each order with all others, with each
revision that they could have had, on the obedient store of the simulation.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise, permutations, product

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
    for operation in order:
        before = store.revision
        at = made.get(operation.request_id) or _revision_told(operation, store)
        if at < before:
            return False
        store.revision = at - (operation.request_id in made or operation.made is not None)
        outcome = store.apply(operation)
        if store.revision < before or store.revision != at:
            return False
        if operation.request_id not in made and outcome != operation.outcome:
            return False
        if operation.request_id in made and not (isinstance(outcome, Done) and at > before):
            return False
    return store.rows == dict(history.final) and store.revision <= history.final_revision


def _revision_told(operation: Operation, store: Store) -> int:
    """The store's revision after it, as the answer has it; as it is, if it does not say."""
    if operation.made is not None:
        return operation.made.revision
    if isinstance(operation.outcome, Done) and not operation.is_write:
        return operation.outcome.read_revision
    return store.revision


def is_in_order(revisions: Sequence[int]) -> bool:
    return all(one < other for one, other in pairwise(revisions))
