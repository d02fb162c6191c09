"""What is made of a record: rates, recovery, and every difference between members and watchers."""

import pytest

from diegod.models.errors import Reason
from tests.chaos import verdict
from tests.chaos.nemesis import Event
from tests.chaos.verdict import Windows
from tests.chaos.watching import State, Watcher
from tests.checkers import broken, simulated
from tests.checkers.history import Change, Done, Operation, Outcome, Refused, Row, Unknown, Verb

ROW = Row(7, "r7", "2")
FEED = [Change(8, "lrp/a", ROW), Change(9, "lrp/b", ROW)]


def operation(invoked_s: float, returned_s: float, outcome: Outcome) -> Operation:
    return Operation(
        f"r{invoked_s}",
        0,
        "lrp/a",
        Verb.SCALE_LRP,
        int(invoked_s * 1e9),
        int(returned_s * 1e9),
        outcome,
        "2",
    )


def event(began_s: float, ended_s: float) -> Event:
    return Event("SIGSTOP", "bbs-1", True, began_s, ended_s, "seen")


def watcher(*changes: tuple[int, str]) -> Watcher:
    return Watcher("bbs-2", "", 9, list(changes))


def test_quiet_is_where_no_fault_was() -> None:
    events = [event(12, 15), event(14, 16), event(18, 19)]
    windows = Windows.between(10.0, 20.0, events)
    assert windows.quiet == [(10.0, 12), (16, 18), (19, 20.0)]
    assert windows.seconds == 5.0


def test_the_rate_counts_what_was_answered_in_quiet() -> None:
    windows = Windows.between(10.0, 20.0, [event(12, 20)])
    told = [
        operation(9.0, 11.0, Done(ROW)),
        operation(11.0, 11.5, Refused(Reason.RESOURCE_CONFLICT)),
        operation(11.0, 11.6, Refused(Reason.UNAVAILABLE)),
        operation(11.0, 11.7, Unknown()),
        operation(11.0, 13.0, Done(ROW)),
    ]
    assert windows.rate(told) == 1.0
    assert verdict.unknown_share(told) == pytest.approx(0.2)


def test_recovery_is_the_first_write_that_began_after_the_faults() -> None:
    told = [operation(15.9, 16.1, Done(ROW)), operation(16.5, 17.0, Done(ROW))]
    assert verdict.recoveries_s(told, [event(12, 16)]) == [1.0]


def test_no_write_for_long_is_known_where_there_was_time_for_one() -> None:
    told = [operation(45.0, 45.5, Done(ROW))]
    assert verdict.recoveries_s(told, [event(12, 16), event(31, 32)]) == [15.0, 13.5]
    assert verdict.recoveries_s(told, [event(12, 16), event(17, 44)]) == [1.5]


def test_watchers_see_everything_once_in_order() -> None:
    assert verdict.of_watchers([watcher((8, "lrp/a"), (9, "lrp/b"))], FEED) == []
    [gap] = verdict.of_watchers([watcher((9, "lrp/b"))], FEED)
    assert gap == (
        "the watcher of bbs-2 saw (9, 'lrp/b') as its change number 1, (8, 'lrp/a') was to be seen"
    )
    [twice] = verdict.of_watchers([watcher((8, "lrp/a"), (8, "lrp/a"), (9, "lrp/b"))], FEED)
    assert "change number 2" in twice
    [short] = verdict.of_watchers([watcher((8, "lrp/a"))], FEED)
    assert short == "the watcher of bbs-2 saw 1 changes, 2 were to be seen"


def test_members_have_one_state_and_one_history() -> None:
    state = State(9, "same", {"lrp/a": ROW})
    other = State(9, "other", {"lrp/a": Row(7, "r7", "3")})
    feeds = {"a": FEED, "b": FEED}
    assert verdict.of_states({"a": state, "b": state}, feeds) == []
    assert verdict.of_states({"a": state, "b": other}, feeds) == [
        "a and b differ: revisions 9 and 9, rows ['lrp/a']"
    ]
    assert verdict.of_states({"a": state, "b": state}, {"a": FEED, "b": FEED[:1]}) == [
        "a and b tell different histories"
    ]


def test_a_correct_history_has_no_problem_and_a_lost_write_has_one() -> None:
    checked = verdict.judge(simulated.history(simulated.Plan(1)))
    assert checked.problems == []
    assert checked.keys > 3
    [lost] = broken.examples(broken.KINDS[0], 1)
    problems = verdict.judge(lost).problems
    assert any(problem.startswith("replay: an acknowledged write") for problem in problems)
    assert any(problem.startswith("search, ") for problem in problems)


def test_a_key_that_can_not_be_searched_is_a_problem() -> None:
    plan = simulated.Plan(1, operations=800, keys=1, key_operations=400, unknown_share=0.0)
    many = simulated.history(plan)
    assert any("undecided" in problem for problem in verdict.judge(many).problems)
