"""The replay: what it accepts, what it calls wrong, and where the order of time leaves room."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diegod.models.errors import Reason
from tests.checkers import simulated
from tests.checkers.history import Done, History, Refused, Row, Verb
from tests.checkers.replay import Fault, violations
from tests.unit.checkers.records import CONFLICT, KEY, NOT_FOUND, UNKNOWN, history, read, row, write

FIRST = row(1, "1", "a")
SECOND = row(2, "2", "b")
TASK = "task/report"


def faults(whole: History) -> list[Fault]:
    return [violation.fault for violation in violations(whole)]


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
    assert violations(simulated.history(plan)) == []


def test_a_long_history_is_accepted() -> None:
    plan = simulated.Plan(7, operations=20_000, clients=10, keys=12)
    assert violations(simulated.history(plan)) == []


# Unknown outcomes.


@pytest.mark.parametrize("took_effect", [True, False])
def test_an_unknown_write_took_effect_if_the_feed_has_it(took_effect: bool) -> None:
    feed: dict[int, tuple[str, Row | None]] = {1: (KEY, FIRST)}
    if took_effect:
        feed[2] = (KEY, SECOND)
    whole = history(
        write("a", (0, 1), "1", 1),
        write("b", (2, 3), "2", UNKNOWN),
        read("c", (4, 5), SECOND if took_effect else FIRST),
        feed=feed,
    )
    assert faults(whole) == []


def test_an_unknown_write_may_take_effect_long_after_it_was_given_up() -> None:
    whole = history(
        write("b", (0, 1), "2", UNKNOWN),
        write("a", (2, 3), "1", 1),
        read("c", (4, 5), FIRST),
        feed={1: (KEY, FIRST), 2: (KEY, SECOND)},
    )
    assert faults(whole) == []


def test_an_unknown_write_does_not_take_effect_before_it_was_asked_for() -> None:
    whole = history(
        write("b", (0, 1), "2", 2),
        write("a", (2, 3), "1", UNKNOWN),
        feed={1: (KEY, FIRST), 2: (KEY, SECOND)},
    )
    assert faults(whole) == [Fault.REAL_TIME]


# Answers without a revision.


def test_a_conflict_is_right_while_the_other_write_is_on_its_way() -> None:
    scale = write("c", (2, 9), "5", CONFLICT, expected=1, verb=Verb.SCALE_LRP)
    during = history(write("a", (0, 1), "1", 1), write("b", (3, 8), "2", 2), scale)
    assert faults(during) == []


def test_a_conflict_is_wrong_before_the_other_write_was_asked_for() -> None:
    scale = write("c", (2, 3), "5", CONFLICT, expected=1, verb=Verb.SCALE_LRP)
    early = history(write("a", (0, 1), "1", 1), scale, write("b", (4, 5), "2", 2))
    assert faults(early) == [Fault.REAL_TIME]


def test_two_answers_without_a_revision_can_contradict_each_other() -> None:
    """The first says that the second write took place, the second that it did not."""
    conflict = write("c", (3, 4), "5", CONFLICT, expected=1, verb=Verb.SCALE_LRP)
    equal = write("d", (5, 6), "1", Done(FIRST))
    begin = write("a", (0, 1), "1", 1), write("b", (2, 9), "2", 2)
    assert faults(history(*begin, conflict)) == []
    assert faults(history(*begin, equal)) == []
    assert faults(history(*begin, conflict, equal)) == [Fault.REAL_TIME]


def test_not_found_is_right_until_a_write_was_acknowledged() -> None:
    creating = write("a", (1, 5), "1", 1)
    assert faults(history(creating, read("b", (2, 6), None))) == []
    assert faults(history(creating, read("b", (5, 6), None))) == []  # at the same moment
    assert faults(history(creating, read("b", (6, 7), None))) == [Fault.REAL_TIME]


def test_a_refusal_that_says_nothing_of_the_row_is_always_right() -> None:
    refused = write("b", (2, 3), "2", Refused(Reason.UNAVAILABLE))
    assert faults(history(write("a", (0, 1), "1", 1), refused)) == []


# The rules.


@pytest.mark.parametrize(
    ("verb", "expected", "outcome"),
    [
        (Verb.DESIRE_LRP, 0, NOT_FOUND),
        (Verb.DESIRE_LRP, 1, CONFLICT),
        (Verb.SCALE_LRP, 0, CONFLICT),
        (Verb.SCALE_LRP, 0, Refused(Reason.RESOURCE_EXISTS)),
        (Verb.SCALE_LRP, 0, Done(row(1, "9", "a"))),
        (Verb.SCALE_LRP, 3, Done(FIRST)),
    ],
)
def test_an_answer_that_the_rules_do_not_give(
    verb: Verb, expected: int, outcome: Done | Refused
) -> None:
    other = write("b", (2, 3), "1", outcome, expected=expected, verb=verb)
    assert faults(history(other, initial=FIRST)) == [Fault.WRONG_ANSWER]


def test_a_task_is_created_once_and_an_equal_one_is_answered() -> None:
    made = row(1, "v1", "a")
    task = write("a", (0, 1), "v1", 1, verb=Verb.DESIRE_TASK, key=TASK)
    again = write("b", (2, 3), "v1", Done(made), verb=Verb.DESIRE_TASK, key=TASK)
    exists = Refused(Reason.RESOURCE_EXISTS)
    other = write("c", (4, 5), "v2", exists, verb=Verb.DESIRE_TASK, key=TASK)
    assert faults(history(task, again, other)) == []


def test_a_change_that_changes_nothing_is_no_change() -> None:
    whole = history(write("a", (0, 1), "1", 1), write("b", (2, 3), "1", 2))
    assert faults(whole) == [Fault.AGAINST_THE_RULES]


def test_a_change_has_the_value_that_was_asked_for() -> None:
    whole = history(write("a", (0, 1), "1", UNKNOWN), feed={1: (KEY, row(1, "8", "a"))})
    assert faults(whole) == [Fault.AGAINST_THE_RULES]


def test_a_read_does_not_tell_of_a_revision_that_does_not_exist_yet() -> None:
    whole = history(write("a", (0, 1), "1", 1), read("b", (2, 3), FIRST, at=2))
    assert faults(whole) == [Fault.WRONG_ANSWER]


def test_a_write_that_made_a_change_is_not_answered_with_the_row_of_another() -> None:
    equal = write("b", (2, 3), "1", Done(FIRST))
    whole = history(
        write("a", (0, 1), "1", 1), equal, feed={1: (KEY, FIRST), 2: (KEY, row(2, "1", "b"))}
    )
    assert Fault.WRONG_ANSWER in faults(whole)


# The feed.


@pytest.mark.parametrize("request_id", ["other key", "a read", "nobody"])
def test_a_change_is_of_a_write_of_its_own_key(request_id: str) -> None:
    other = write("other key", (0, 1), "1", UNKNOWN, key="lrp/other")
    whole = history(other, read("a read", (2, 3), None), feed={1: (KEY, row(1, "1", request_id))})
    assert Fault.PHANTOM in faults(whole)


def test_the_final_rows_are_those_of_the_feed_and_no_others() -> None:
    whole = history(write("a", (0, 1), "1", 1))
    assert faults(replace(whole, final={})) == [Fault.FINAL_STATE]
    assert faults(replace(whole, final={KEY: FIRST, "lrp/x": SECOND})) == [Fault.FINAL_STATE]


def test_two_rows_of_clients_never_have_one_revision() -> None:
    whole = history(write("a", (0, 1), "1", 1), feed={1: (KEY, FIRST)})
    twice = History(0, whole.operations, [*whole.changes, *whole.changes], 1, {}, whole.final)
    assert Fault.FEED_ORDER in faults(twice)


@pytest.mark.parametrize(("revision", "is_right"), [(1, True), (2, False)])
def test_the_feed_begins_behind_the_base_and_ends_at_the_end(revision: int, is_right: bool) -> None:
    feed: dict[int, tuple[str, Row | None]] = {revision: ("cell/c1", None)}
    assert (faults(history(feed=feed)) == []) is is_right
    late = History(0, [], history(feed={1: ("cell/c1", None)}).changes, 5)
    assert faults(late) == [Fault.FEED_GAP]


def test_a_violation_reads_like_a_sentence() -> None:
    whole = history(write("b", (0, 1), "2", 2), feed={1: ("cell/c1", None), 2: ("cell/c1", None)})
    (violation,) = violations(whole)
    assert str(violation) == (
        "an acknowledged write is not in the feed: "
        "client 98: desire_lrp(lrp/web, value=2) as b -> 2 (revision 2, by b)"
    )
