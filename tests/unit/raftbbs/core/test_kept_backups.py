"""Which automatic backups go."""

from hypothesis import given
from hypothesis import strategies as st

from diegod.raftbbs.core.kept_backups import Backup, to_remove

NOW = 1000.0


def backups(*verified: bool) -> list[Backup]:
    """One every ten seconds, the first the oldest; the last was taken now."""
    at = NOW - 10.0 * (len(verified) - 1)
    return [Backup(f"b{n}", at + 10.0 * n, ok) for n, ok in enumerate(verified)]


def test_the_newest_so_many_stay() -> None:
    assert to_remove(backups(True, True, True, True), 2, None, NOW) == ("b0", "b1")


def test_none_stays_that_is_older() -> None:
    assert to_remove(backups(True, True, True, True), 9, 15.0, NOW) == ("b0", "b1")


def test_the_last_that_was_verified_stays_whatever_came_after() -> None:
    assert to_remove(backups(True, True, False, False), 1, None, NOW) == ("b0", "b2")
    assert to_remove(backups(True, True, False, False), 1, 0.5, NOW + 500) == ("b0", "b2", "b3")


def test_nothing_is_removed_where_there_is_nothing_to_spare() -> None:
    assert to_remove([], 1, 1.0, NOW) == ()
    assert to_remove(backups(True), 1, 1.0, NOW + 500) == ()


@given(
    st.lists(st.tuples(st.floats(0, 1000), st.booleans()), max_size=12),
    st.integers(1, 6),
    st.one_of(st.none(), st.floats(0, 1000)),
)
def test_what_always_holds(
    taken: list[tuple[float, bool]], keep: int, keep_for_s: float | None
) -> None:
    there = [Backup(f"b{n:02}", at, verified) for n, (at, verified) in enumerate(taken)]
    going = to_remove(there, keep, keep_for_s, NOW)
    staying = [each for each in there if each.name not in going]
    verified = [each for each in there if each.verified]
    if verified:
        last = max(verified, key=lambda each: (each.taken_at_s, each.name))
        assert last in staying
    assert len(staying) <= keep + 1
    late = [b for b in staying if keep_for_s is not None and NOW - b.taken_at_s > keep_for_s]
    assert len(late) <= 1
    # The order in which a folder lists them does not matter.
    assert to_remove(there[::-1], keep, keep_for_s, NOW) == going
