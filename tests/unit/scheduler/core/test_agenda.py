"""One moment a key, the earliest; a pass over a key voids what was noted for it."""

from hypothesis import given
from hypothesis import strategies as st

from diegod.scheduler.core.agenda import Agenda
from diegod.scheduler.core.repairs import Deadline
from diegod.scheduler.core.snapshot import TASK, Key

A, B = Key(TASK, "a"), Key(TASK, "b")


def test_the_earliest_moment_of_a_key_counts() -> None:
    agenda = Agenda()
    for at in (30.0, 10.0, 20.0):
        agenda.note(Deadline(at, A))
    assert agenda.next_at() == 10.0
    assert agenda.take_due(10.0) == [A]
    assert agenda.next_at() is None


def test_a_key_that_was_reviewed_has_only_its_new_deadlines() -> None:
    agenda = Agenda()
    agenda.note(Deadline(10.0, A))
    agenda.note(Deadline(11.0, B))
    agenda.replace([A], [Deadline(50.0, A)])
    assert agenda.take_due(40.0) == [B]
    assert agenda.next_at() == 50.0


def test_nothing_is_due_before_its_time() -> None:
    agenda = Agenda()
    agenda.note(Deadline(10.0, A))
    assert agenda.take_due(9.99) == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["note", "review", "take"]), st.integers(0, 3), st.integers(0, 20)
        )
    )
)
def test_it_is_a_table_of_earliest_moments(steps: list[tuple[str, int, int]]) -> None:
    agenda, table = Agenda(), {}
    for step, number, at in steps:
        key = Key(TASK, str(number))
        if step == "note":
            agenda.note(Deadline(at, key))
            table[key] = min(at, table.get(key, at))
        elif step == "review":
            agenda.replace([key], [Deadline(at, key)])
            table[key] = at
        else:
            due = [k for k, moment in table.items() if moment <= at]
            assert sorted(agenda.take_due(at)) == sorted(due)
            table = {k: moment for k, moment in table.items() if moment > at}
        assert agenda.next_at() == min(table.values(), default=None)
