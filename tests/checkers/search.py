"""The search itself: one key's operations, and whether any order of them explains the answers.

A configuration is the operations that took place so far with the row they led to. What is tried
once is remembered (Lowe), so that different orders of the same operations are not tried again.

The search is exact. A write of unknown outcome took place at any time after it was asked for, with
any revision that contradicts nobody, or never.
"""

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import NamedTuple

from diegod.models.errors import Reason
from tests.checkers.history import Done, Operation, Refused, Row, Unknown, Verb

#: The revision of a row that nobody was told of.
UNTOLD = -1
_NEVER = 1 << 63  # later than every time and every revision


class Verdict(Enum):
    LINEARIZABLE = "linearizable"
    NOT_LINEARIZABLE = "not linearizable"
    UNDECIDED = "undecided"


# The rules, as a step from one state to the next.


class State(NamedTuple):
    """What the row is; and the lowest revision that the store can be at by now."""

    row: Row | None
    floor: int


def _step_told(state: State, operation: Operation) -> State | None:
    """After an operation with an answer; None: the answer can't come from this state."""
    outcome = operation.outcome
    if isinstance(outcome, Refused):
        return state if _refuses(state.row, operation) is outcome.reason else None
    if not isinstance(outcome, Done) or _refuses(state.row, operation):
        return None
    if operation.verb is Verb.READ:
        is_read = state.row == outcome.row and state.floor <= outcome.read_revision
        return State(outcome.row, outcome.read_revision) if is_read else None
    if state.row is not None and state.row.value == operation.value:
        return state if state.row == outcome.row else None
    is_new = operation.made is not None and outcome.row.revision > state.floor
    is_asked = outcome.row.value == operation.value
    return State(outcome.row, outcome.row.revision) if is_new and is_asked else None


def _step_untold(state: State, operation: Operation, revision: int, floor: int) -> State | None:
    """After a write whose answer is not known, if it changes anything."""
    is_so = state.row is not None and state.row.value == operation.value
    if is_so or floor <= state.floor or _refuses(state.row, operation):
        return None
    return State(Row(revision, operation.request_id, operation.value), floor)


def _refuses(row: Row | None, operation: Operation) -> Reason | None:
    if row is None and operation.verb in (Verb.READ, Verb.SCALE_LRP):
        return Reason.RESOURCE_NOT_FOUND
    if operation.verb is Verb.DESIRE_TASK and row is not None and row.value != operation.value:
        return Reason.RESOURCE_EXISTS
    expected = operation.expected_revision  # 0 for what is no compare-and-set
    if expected and expected != (row.revision if row is not None else 0):
        return Reason.RESOURCE_CONFLICT
    return None


# The search.


class _Node(NamedTuple):
    taken: int  # a bit for each operation that took place
    first: int  # all told operations before this one took place
    state: State


class Search:
    """Depth first over configurations; each is looked at once."""

    def __init__(self, begin: State, operations: Sequence[Operation], steps_max: int) -> None:
        """`operations` by the time of their invocation, without those that tell nothing."""
        self._told = [each for each in operations if not isinstance(each.outcome, Unknown)]
        self._untold = [each for each in operations if isinstance(each.outcome, Unknown)]
        self._revision_told = [_revision_told(each) for each in self._told]
        self._revisions = _Revisions(operations)
        self._all_told = (1 << len(self._told)) - 1
        self._begin = _Node(0, 0, begin)
        self._steps_max = steps_max
        self.steps = 0
        self.deepest: list[_Node] = []  # where it got stuck with the most told operations placed

    def run(self) -> Verdict:
        seen = {(0, self._begin.state)}
        nodes = [self._begin]
        while nodes:
            node = nodes.pop()
            if node.taken & self._all_told == self._all_told:
                return Verdict.LINEARIZABLE
            if self.steps == self._steps_max:
                return Verdict.UNDECIDED
            self.steps += 1
            self._note_depth(node)
            for after in self._next(node):
                known = (after.taken, after.state)
                if known not in seen:
                    seen.add(known)
                    nodes.append(after)
        return Verdict.NOT_LINEARIZABLE

    def _next(self, node: _Node) -> list[_Node]:
        """What can come next, the most promising last: the told ones, those that ended first."""
        candidates, horizon = self._candidates(node)
        told: list[_Node] = []
        for position in candidates:
            state = _step_told(node.state, self._told[position])
            if state is None:
                continue
            taken = node.taken | 1 << position
            after = _Node(taken, self._first(taken, node.first), state)
            if state == node.state:  # it changes nothing, so nothing is lost by taking it now
                return [after]
            told.append(after)
        # No order goes back: what would leave a candidate's revision behind leads nowhere.
        lowest = min((self._revision_told[position] for position in candidates), default=_NEVER)
        untold = self._next_untold(node, horizon)
        return [after for after in (*untold, *told) if after.state.floor <= lowest]

    def _candidates(self, node: _Node) -> tuple[list[int], int]:
        """Told operations that may be next, those that ended last first; and until when one must
        have begun to be next: before the end of every one that has not taken place yet."""
        horizon = _NEVER
        found = []
        for position in range(node.first, len(self._told)):
            operation = self._told[position]
            if operation.invoked_ns > horizon:
                break
            if not node.taken >> position & 1:
                found.append(position)
                horizon = min(horizon, operation.returned_ns)
        return sorted(found, key=lambda each: -self._told[each].returned_ns), horizon

    def _next_untold(self, node: _Node, horizon: int) -> Iterator[_Node]:
        for position, operation in enumerate(self._untold, start=len(self._told)):
            if operation.invoked_ns > horizon:
                return
            if node.taken >> position & 1:
                continue
            for revision, floor in self._revisions.possible(operation, node.state.floor):
                state = _step_untold(node.state, operation, revision, floor)
                if state is not None:
                    yield _Node(node.taken | 1 << position, node.first, state)

    def _first(self, taken: int, first: int) -> int:
        while taken >> first & 1 and first < len(self._told):
            first += 1
        return first

    def _note_depth(self, node: _Node) -> None:
        depth = self._depth(node)
        if self.deepest and depth > self._depth(self.deepest[0]):
            self.deepest.clear()
        if not self.deepest or depth == self._depth(self.deepest[0]):
            self.deepest.append(node)

    def _depth(self, node: _Node) -> int:
        return (node.taken & self._all_told).bit_count()

    def stuck(self) -> tuple[list[Operation], list[Row | None]]:
        """What could not be placed where the search got furthest, and the rows it was tried on."""
        node = self.deepest[0]
        left = [each for i, each in enumerate(self._told) if not node.taken >> i & 1]
        return left, list(dict.fromkeys(each.state.row for each in self.deepest))


def _revision_told(operation: Operation) -> int:
    """The revision at which it took place, where its answer says so."""
    if operation.made is not None:
        return operation.made.revision
    if not operation.is_write and isinstance(operation.outcome, Done):
        return operation.outcome.read_revision
    return _NEVER


class _Revisions:
    """Which revision a write of unknown outcome can have had.

    The one under which somebody was told of its row. If nobody was: one that clients only asked
    for, or one that nobody ever spoke of.
    """

    def __init__(self, operations: Sequence[Operation]) -> None:
        done = [each.outcome for each in operations if isinstance(each.outcome, Done)]
        self._told = {outcome.row.request_id: outcome.row.revision for outcome in done}
        answered = {outcome.row.revision for outcome in done}
        answered |= {outcome.read_revision for outcome in done}
        asked = {operation.expected_revision for operation in operations}
        self._guessed = sorted(asked - answered - {0})
        self._spoken_of = answered | asked

    def possible(self, operation: Operation, floor: int) -> Iterator[tuple[int, int]]:
        """Each revision above the floor, with the floor after it."""
        told = self._told.get(operation.request_id)
        if told is not None:
            yield told, told
            return
        yield from ((guess, guess) for guess in self._guessed)
        lowest = floor + 1
        while lowest in self._spoken_of:
            lowest += 1
        yield UNTOLD, lowest
