"""Capacity and host ports; the clever ledger beside a recount."""

import hypothesis.strategies as st
from hypothesis import given

from diegod.cellruntime.core.ledger import Ledger, Shortage
from diegod.v1.record_pb2 import Resources

PORTS = range(61000, 61006)


def ledger() -> Ledger:
    return Ledger(Resources(memory_mb=100, disk_mb=100, containers=5), PORTS)


def test_a_port_just_given_back_is_the_last_to_be_used_again() -> None:
    books = ledger()
    assert books.reserve("a", 1, 1, 2) == (61000, 61001)
    books.release("a")
    assert books.reserve("b", 1, 1, 2) == (61002, 61003)
    assert books.reserve("c", 1, 1, 3) == (61004, 61005, 61000)


def test_a_shortage_names_everything_that_lacks_and_takes_nothing() -> None:
    books = ledger()
    books.reserve("a", 90, 10, 5)
    shortage = books.reserve("b", 20, 10, 2)
    assert shortage == Shortage(
        "no room on the cell (memory_mb: 20 wanted, 10 free; host ports: 2 wanted, 1 free)"
    )
    assert books.used() == Resources(memory_mb=90, disk_mb=10, containers=1)


def test_what_was_adopted_is_held_even_beyond_the_capacity() -> None:
    books = ledger()
    books.adopt("a", 500, 10, [61001, 70000])
    assert books.reserve("b", 1, 1, 0) == Shortage(
        "no room on the cell (memory_mb: 1 wanted, -400 free)"
    )
    books.release("a")
    assert books.reserve("b", 1, 1, 6) == tuple(PORTS)


STEPS = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 60), st.integers(0, 3)))


@given(STEPS)
def test_it_agrees_with_a_recount(steps: list[tuple[str, int, int]]) -> None:
    """Each step reserves for a holder that has nothing, and releases one that has."""
    books = ledger()
    mine: dict[str, tuple[int, tuple[int, ...]]] = {}
    for holder, memory_mb, ports in steps:
        if holder in mine:
            books.release(holder)
            del mine[holder]
            continue
        taken = [port for _, held in mine.values() for port in held]
        fits = (
            sum(memory for memory, _ in mine.values()) + memory_mb <= 100
            and len(taken) + ports <= len(PORTS)
            and len(mine) < 5
        )
        reserved = books.reserve(holder, memory_mb, 0, ports)
        assert fits is not isinstance(reserved, Shortage)
        if not isinstance(reserved, Shortage):
            assert len(set(reserved)) == ports
            assert not set(reserved) & set(taken)
            mine[holder] = (memory_mb, reserved)
    assert books.used().memory_mb == sum(memory for memory, _ in mine.values())
