"""The search: against every order tried out, within its limits, and with a witness for people."""

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diegod.models.errors import Reason
from tests.checkers import lines, simulated
from tests.checkers.history import Done, History, Operation, Outcome, Refused, Row, Unknown, Verb
from tests.checkers.linearizable import DEFAULT_LIMITS, Judgement, Limits, judge, overall
from tests.checkers.search import Verdict
from tests.unit.checkers import every_order
from tests.unit.checkers.records import CONFLICT, KEY, UNKNOWN, history, read, row, write

FIRST = row(1, "1", "a")
SECOND = row(2, "2", "b")


def verdict(whole: History, limits: Limits = DEFAULT_LIMITS) -> Verdict:
    return overall(judge(whole, limits))


def judgement(whole: History, limits: Limits = DEFAULT_LIMITS) -> Judgement:
    (only,) = judge(whole, limits)
    return only


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 1_000_000),
    clients=st.integers(1, 10),
    keys=st.integers(1, 5),
    unknown_share=st.sampled_from([0.0, 0.1, 0.5]),
)
def test_correct_histories_are_accepted(
    seed: int, clients: int, keys: int, unknown_share: float
) -> None:
    plan = simulated.Plan(seed, 100, clients, keys, unknown_share=unknown_share)
    assert verdict(simulated.history(plan)) is Verdict.LINEARIZABLE


def test_five_thousand_operations_of_ten_clients_take_less_than_a_step_each() -> None:
    plan = simulated.Plan(7, operations=5_000, clients=10, unknown_share=0.03)
    judgements = judge(simulated.history(plan))
    assert overall(judgements) is Verdict.LINEARIZABLE
    assert len(judgements) >= 5_000 / plan.key_operations
    assert sum(each.steps for each in judgements) < 5_000


# Against every order tried out.


def _tiny(seed: int) -> History:
    """A correct history of six operations, or one with up to three answers made up."""
    chance = random.Random(seed)
    plan = simulated.Plan(seed, 6, 3, 1, unknown_share=0.3, unavailable_share=0.0)
    whole = simulated.history(plan)
    for _ in range(chance.choice((0, 1, 1, 2, 3))):
        operations = list(whole.operations)
        at = chance.randrange(len(operations))
        operations[at] = _made_up(operations[at], whole, chance)
        whole = replace(whole, operations=operations)
    return whole


def _made_up(operation: Operation, whole: History, chance: random.Random) -> Operation:
    rows = [change.row for change in whole.changes if change.row is not None]
    seen: list[Row] = [*rows, *whole.initial.values()] or [Row(11, "nobody", "1")]
    at = chance.choice(seen)
    revision = chance.randint(whole.base_revision, whole.final_revision + 1)
    read_revision = 0 if operation.is_write else revision
    own = Row(revision, operation.request_id, operation.value)
    reasons = (Reason.RESOURCE_CONFLICT, Reason.RESOURCE_NOT_FOUND, Reason.RESOURCE_EXISTS)
    outcomes: tuple[Outcome, ...] = (
        Done(at, read_revision),
        Done(own, read_revision),
        Refused(chance.choice(reasons)),
        Unknown(),
    )
    if operation.verb.can_compare_and_set and chance.random() < 0.3:
        return replace(operation, expected_revision=chance.choice((0, revision, at.revision)))
    return replace(operation, outcome=chance.choice(outcomes))


def _can_be_tried_out(whole: History) -> bool:
    return sum(isinstance(each.outcome, Unknown) for each in whole.operations) <= 2


def test_it_agrees_with_every_order_tried_out() -> None:
    found: Counter[Verdict] = Counter()
    for whole in filter(_can_be_tried_out, map(_tiny, range(1_200))):
        answer = verdict(whole)
        assert (answer is Verdict.LINEARIZABLE) == every_order.explains(whole), "\n".join(
            lines.written(whole)
        )
        found[answer] += 1
    assert found[Verdict.LINEARIZABLE] > 300
    assert found[Verdict.NOT_LINEARIZABLE] > 300
    assert found[Verdict.UNDECIDED] == 0


# Unknown outcomes.


def test_an_unknown_write_can_explain_a_conflict_though_nobody_ever_saw_it() -> None:
    conflict = write("d", (4, 5), "5", CONFLICT, expected=1, verb=Verb.SCALE_LRP)
    told = write("a", (0, 1), "1", 1), conflict, write("c", (6, 7), "3", 3)
    feed = {1: (KEY, FIRST), 2: ("cell/c1", None), 3: (KEY, row(3, "3", "c"))}
    unknown = write("b", (2, 3), "2", UNKNOWN)
    assert verdict(history(*told, feed=feed)) is Verdict.NOT_LINEARIZABLE
    assert verdict(history(*told, unknown, feed=feed)) is Verdict.LINEARIZABLE


def test_an_unknown_write_needs_a_revision_of_its_own() -> None:
    """The same, but between the revisions 1 and 2 there is no other one."""
    conflict = write("d", (4, 5), "5", CONFLICT, expected=1, verb=Verb.SCALE_LRP)
    last = write("c", (6, 7), "3", 2)
    whole = history(write("a", (0, 1), "1", 1), conflict, last, write("b", (2, 3), "2", UNKNOWN))
    assert verdict(whole) is Verdict.NOT_LINEARIZABLE
    assert not every_order.explains(whole)


def test_a_conflict_says_which_revision_an_unknown_write_did_not_have() -> None:
    """It took place between the revisions 1 and 3; and when it had, the row was not at 2."""
    begin = write("a", (0, 1), "1", 1), write("b", (2, 3), "2", UNKNOWN)
    conflicts = [
        write("d", (4, 5), "5", CONFLICT, expected=1),
        write("e", (6, 7), "5", CONFLICT, expected=2),
    ]
    feed = {1: (KEY, FIRST), 3: (KEY, row(3, "3", "c"))}
    end = write("c", (8, 9), "3", 3)
    for told in (conflicts[:1], conflicts[1:]):
        assert verdict(history(*begin, *told, end, feed=feed)) is Verdict.LINEARIZABLE
    whole = history(*begin, *conflicts, end, feed=feed)
    assert verdict(whole) is Verdict.NOT_LINEARIZABLE
    assert not every_order.explains(whole)


def test_two_changes_do_not_have_one_revision() -> None:
    writes = write("a", (0, 1), "1", 1), write("b", (2, 3), "2", UNKNOWN)
    for revision, expected in ((1, Verdict.NOT_LINEARIZABLE), (2, Verdict.LINEARIZABLE)):
        feed = {revision: (KEY, row(revision, "2", "b"))}
        assert verdict(history(*writes, feed=feed)) is expected


def test_a_write_is_not_answered_with_a_value_that_was_not_asked_for() -> None:
    other = row(1, "8", "a")
    whole = history(write("a", (0, 1), "1", Done(other)), feed={1: (KEY, other)})
    assert verdict(whole) is Verdict.NOT_LINEARIZABLE


def test_what_touches_in_time_overlaps() -> None:
    made = row(1, "1", "a")
    writes = write("a", (5, 9), "1", 1), write("a", (5, 9), "1", UNKNOWN)
    for each in writes:
        feed = {1: (KEY, made)}
        assert verdict(history(read("r", (0, 5), made), each, feed=feed)) is Verdict.LINEARIZABLE
        wrong = history(read("r", (0, 4), made), each, feed=feed)
        assert verdict(wrong) is Verdict.NOT_LINEARIZABLE
    late = history(writes[0], read("r", (9, 10), None))
    assert verdict(late) is Verdict.LINEARIZABLE


def test_an_unknown_write_takes_effect_once() -> None:
    reads = read("c", (4, 5), row(1, "2", "b")), read("d", (8, 9), row(3, "2", "b"))
    whole = history(
        write("b", (0, 1), "2", UNKNOWN),
        reads[0],
        write("a", (6, 7), "1", 2),
        reads[1],
        feed={1: (KEY, row(1, "2", "b")), 2: (KEY, row(2, "1", "a")), 3: (KEY, row(3, "2", "b"))},
    )
    assert verdict(whole) is Verdict.NOT_LINEARIZABLE


# Limits.


def _crowd(count: int, outcome: Outcome) -> History:
    """Writes one after the other by as many clients, and a final row that nobody wrote."""
    writes = [
        write(f"{chr(97 + i)}", (2 * i, 2 * i + 1), str(i + 1), outcome, verb=Verb.DESIRE_LRP)
        for i in range(count)
    ]
    return history(*writes, feed={20: (KEY, row(20, "99", "nobody"))})


@pytest.mark.parametrize(
    ("whole", "limits", "words"),
    [
        (_crowd(4, CONFLICT), Limits(operations=3), "4 operations, 3 can be searched"),
        (_crowd(4, CONFLICT), Limits(clients=3), "4 clients, 3 can be searched"),
        (_crowd(9, UNKNOWN), Limits(), "9 unknown outcomes, 8 can be searched"),
        (_crowd(8, UNKNOWN), Limits(steps=3), "no answer after 3 steps"),
    ],
)
def test_what_is_too_large_is_undecided(whole: History, limits: Limits, words: str) -> None:
    answer = judgement(whole, limits)
    assert (answer.verdict, answer.explanation) == (Verdict.UNDECIDED, words)


def test_a_read_of_unknown_outcome_is_nothing_to_search_for() -> None:
    reads = [
        replace(read("r", (i, i), FIRST), outcome=UNKNOWN, request_id=f"r{i}") for i in range(9)
    ]
    assert judgement(history(*reads)) == Judgement(KEY, Verdict.LINEARIZABLE, 1)


def test_at_its_limits_it_decides() -> None:
    assert judgement(_crowd(4, CONFLICT), Limits(4, 4, 0)).verdict is Verdict.NOT_LINEARIZABLE


def test_the_largest_key_with_all_that_is_unknown_is_decided_within_the_steps() -> None:
    plan = simulated.Plan(
        3, operations=300, clients=10, keys=1, unknown_share=0.02, key_operations=300
    )
    whole = simulated.history(plan)
    assert len(whole.final) == 1
    wrong = {key: replace(each, value="99") for key, each in whole.final.items()}
    answers = judge(replace(whole, final=wrong))
    assert overall(answers) is Verdict.NOT_LINEARIZABLE
    assert max(each.steps for each in answers) < DEFAULT_LIMITS.steps / 100


def test_one_key_that_is_undecided_or_wrong_decides_for_all() -> None:
    good, open_, bad = (Judgement(KEY, each, 1) for each in (
        Verdict.LINEARIZABLE, Verdict.UNDECIDED, Verdict.NOT_LINEARIZABLE
    ))  # fmt: skip
    assert overall([]) is overall([good]) is Verdict.LINEARIZABLE
    assert overall([good, open_]) is Verdict.UNDECIDED
    assert overall([bad, good, open_]) is Verdict.NOT_LINEARIZABLE


# The witness.


def test_the_witness_is_the_shortest_beginning_that_no_order_explains() -> None:
    begin = [
        write("a", (0, 1), "1", 1),
        write("b", (2, 3), "2", 2),
        read("c", (4, 5), SECOND),
        read("d", (6, 7), FIRST),
    ]
    rest = [read(f"later-{i}", (10 + i, 10 + i), SECOND, client=1) for i in range(20)]
    answer = judgement(history(*begin, *rest))
    assert answer.verdict is Verdict.NOT_LINEARIZABLE
    assert list(answer.witness) == begin
    assert answer.explanation.splitlines() == [
        "lrp/web: no order explains the answers of its first 4 operations.",
        "Where the search got furthest, the row was one of",
        "  2 (revision 2, by b)",
        "and then it could not explain",
        "  client 100: read(lrp/web) as d -> 1 (revision 1, by a), read at revision 1",
    ]


def test_what_was_on_its_way_when_it_went_wrong_counts_as_unknown() -> None:
    begin = [write("a", (0, 1), "1", 1), read("d", (4, 5), row(9, "7", "nobody"))]
    slow = write("b", (2, 90), "2", 2)
    answer = judgement(history(*begin, slow))
    assert list(answer.witness) == [begin[0], replace(slow, outcome=UNKNOWN), begin[1]]


def test_the_row_in_the_end_is_an_answer_too() -> None:
    whole = history(write("a", (0, 1), "1", 1), feed={1: (KEY, row(1, "1", "nobody"))})
    assert "final:lrp/web" in judgement(whole).explanation
