"""Broken histories: each is rejected, by the checkers that can see it, under its right name."""

import random
from dataclasses import replace

import pytest

from tests.checkers import broken, lines, simulated
from tests.checkers.broken import KINDS, Kind
from tests.checkers.drafts import Draft
from tests.checkers.history import Done, History, Operation, Row
from tests.checkers.linearizable import judge, overall
from tests.checkers.replay import Fault, violations
from tests.checkers.search import Verdict

EXAMPLES = 10


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_kind_is_seen_by_whom_it_can_be_seen(kind: Kind) -> None:
    for history in broken.examples(kind, EXAMPLES):
        assert kind.fault in [each.fault for each in violations(history)]
        expected = Verdict.NOT_LINEARIZABLE if kind.is_seen_by_search else Verdict.LINEARIZABLE
        assert overall(judge(history)) is expected


def test_there_are_many_kinds_and_more_than_two_hundred_different_ones() -> None:
    texts = {
        tuple(lines.written(history))
        for kind in KINDS
        for history in broken.examples(kind, EXAMPLES)
    }
    assert len({kind.name for kind in KINDS}) == len(KINDS) >= 20
    assert len(texts) == EXAMPLES * len(KINDS) > 200


def test_every_fault_has_a_kind() -> None:
    assert {kind.fault for kind in KINDS} == set(Fault)


def test_the_same_ones_each_time() -> None:
    assert list(broken.examples(KINDS[0], 3)) == list(broken.examples(KINDS[0], 3))


def test_a_kind_of_which_there_is_none_says_so() -> None:
    def never(draft: Draft) -> History:
        return draft.pick(list[History]())

    with pytest.raises(ValueError, match="gave only 0 histories of kind never"):
        list(broken.examples(Kind(never, KINDS[0].fault), 1))


def _disturbed(history: History, chance: random.Random) -> History:
    """One number of one answer is another one: often wrong, sometimes not."""
    at = chance.randrange(len(history.operations))
    operations = list(history.operations)
    operations[at] = _disturbed_operation(operations[at], chance)
    return replace(history, operations=operations)


def _disturbed_operation(operation: Operation, chance: random.Random) -> Operation:
    step = chance.choice((-3, -1, 1, 3))
    outcome = operation.outcome
    if operation.verb.can_compare_and_set and chance.random() < 0.4:
        return replace(operation, expected_revision=max(0, operation.expected_revision + step))
    if not isinstance(outcome, Done):
        return operation
    if outcome.read_revision and chance.random() < 0.7:
        return replace(operation, outcome=Done(outcome.row, outcome.read_revision + step))
    row = Row(outcome.row.revision + step, outcome.row.request_id, outcome.row.value)
    return replace(operation, outcome=Done(row, outcome.read_revision))


def test_what_the_replay_accepts_the_search_accepts() -> None:
    """The replay names an order of all; so there is one for each key, and the search finds it."""
    accepted = rejected = 0
    for seed in range(400):
        chance = random.Random(seed)
        history = _disturbed(simulated.history(simulated.Plan(seed, 60, keys=2)), chance)
        if violations(history):
            rejected += 1
            continue
        accepted += 1
        assert overall(judge(history)) is Verdict.LINEARIZABLE, f"seed {seed}"
    assert accepted > 50
    assert rejected > 200
