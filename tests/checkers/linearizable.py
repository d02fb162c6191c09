"""The second checker: is there any order of the operations that explains what clients were told?

A search after Wing and Gong with Lowe's memory of what was tried; by key, since what is
linearizable on each key is so on all. It knows the answers and the final rows only, never the feed,
and states the rules anew in its own form; so a mistake of the other checker is not repeated here.

An operation of unknown outcome took place at any time after it was asked for, or never. The search
is exact as long as it is small, so it is bounded in everything; a history that is too large for it
is UNDECIDED, which counts as a failure: the run was not checked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from diegod.models.errors import Reason
from tests.checkers.history import Done, History, Operation, Refused, Unknown, Verb
from tests.checkers.search import Search, State, Verdict

_FINAL_READ = -1  # the client that reads the row in the end
_LINES_MAX = 6


@dataclass(frozen=True)
class Limits:
    """What is searched, for each key. A step is one configuration looked at."""

    operations: int = 300
    clients: int = 10
    unknown: int = 8
    steps: int = 200_000


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class Judgement:
    key: str
    verdict: Verdict
    steps: int
    explanation: str = ""
    witness: tuple[Operation, ...] = ()  # the shortest beginning that no order explains


def judge(history: History, limits: Limits = DEFAULT_LIMITS) -> list[Judgement]:
    """A judgement for each key, in the order of their names."""
    by_key = {key: [operation] for key, operation in _final_reads(history).items()}
    for operation in history.operations:
        by_key[operation.key].append(operation)
    return [
        _judge_key(key, State(history.initial.get(key), history.base_revision), told, limits)
        for key, told in sorted(by_key.items())
    ]


def overall(judgements: Sequence[Judgement]) -> Verdict:
    verdicts = [judgement.verdict for judgement in judgements]
    for verdict in (Verdict.NOT_LINEARIZABLE, Verdict.UNDECIDED):
        if verdict in verdicts:
            return verdict
    return Verdict.LINEARIZABLE


def _final_reads(history: History) -> Mapping[str, Operation]:
    """The final row of each key, as one more read that begins when all others have ended."""
    keys = dict.fromkeys(operation.key for operation in history.operations)
    keys |= dict.fromkeys([*history.initial, *history.final])
    at_ns = max((operation.returned_ns for operation in history.operations), default=0) + 1
    return {
        key: Operation(f"final:{key}", _FINAL_READ, key, Verb.READ, at_ns, at_ns, outcome)
        for key in keys
        for outcome in [_final_outcome(history, key)]
    }


def _final_outcome(history: History, key: str) -> Done | Refused:
    row = history.final.get(key)
    if row is None:
        return Refused(Reason.RESOURCE_NOT_FOUND)
    return Done(row, history.final_revision)


# One key.


def _judge_key(
    key: str, begin: State, operations: Sequence[Operation], limits: Limits
) -> Judgement:
    relevant = sorted(filter(_matters, operations), key=lambda each: each.invoked_ns)
    if too_large := _too_large(relevant, limits):
        return Judgement(key, Verdict.UNDECIDED, 0, too_large)
    search = Search(begin, relevant, limits.steps)
    verdict = search.run()
    if verdict is Verdict.NOT_LINEARIZABLE:
        return _explained(key, begin, relevant, search, limits)
    gave_up = f"no answer after {search.steps} steps" if verdict is Verdict.UNDECIDED else ""
    return Judgement(key, verdict, search.steps, gave_up)


def _matters(operation: Operation) -> bool:
    is_open = isinstance(operation.outcome, Unknown) and operation.is_write
    return is_open or operation.tells_of_row


def _too_large(operations: Sequence[Operation], limits: Limits) -> str:
    asked = [each for each in operations if each.client != _FINAL_READ]
    unknown = sum(isinstance(each.outcome, Unknown) for each in asked)
    counts = (
        (len(asked), limits.operations, "operations"),
        (len({each.client for each in asked}), limits.clients, "clients"),
        (unknown, limits.unknown, "unknown outcomes"),
    )
    return "; ".join(
        f"{count} {name}, {limit} can be searched" for count, limit, name in counts if count > limit
    )


# What a person is told.


def _explained(
    key: str, begin: State, operations: Sequence[Operation], whole: Search, limits: Limits
) -> Judgement:
    """Beginnings that no order explains stay so when they grow: the shortest is found by halves."""
    ends = sorted(each.returned_ns for each in operations if not isinstance(each.outcome, Unknown))
    low, high = 0, len(ends) - 1
    witness, search = list(operations), whole
    while low < high:
        middle = (low + high) // 2
        beginning = _beginning(operations, ends[middle])
        attempt = Search(begin, beginning, limits.steps)
        if attempt.run() is Verdict.NOT_LINEARIZABLE:
            high, witness, search = middle, beginning, attempt
        else:
            low = middle + 1
    text = _explanation(key, witness, search)
    return Judgement(key, Verdict.NOT_LINEARIZABLE, whole.steps, text, tuple(witness))


def _beginning(operations: Sequence[Operation], until_ns: int) -> list[Operation]:
    """What was known at that time. What was on its way has no answer yet."""
    begun = [each for each in operations if each.invoked_ns <= until_ns]
    return [
        each if each.returned_ns <= until_ns else replace(each, outcome=Unknown())
        for each in begun
        if each.returned_ns <= until_ns or each.is_write
    ]


def _explanation(key: str, witness: Sequence[Operation], search: Search) -> str:
    left, rows = search.stuck()
    return "\n".join(
        [
            f"{key}: no order explains the answers of its first {len(witness)} operations.",
            "Where the search got furthest, the row was one of",
            *(f"  {row or 'not there'}" for row in rows[:_LINES_MAX]),
            "and then it could not explain",
            *(f"  {operation}" for operation in left[:_LINES_MAX]),
        ]
    )
