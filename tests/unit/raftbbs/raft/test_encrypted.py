"""Members whose stores are encrypted: the log, copies between them, and a change of the key."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

import pytest

from diegod.raftbbs.raft.engine import Engine
from diegod.raftbbs.raft.snapshot import INCOMING_FOLDER
from diegod.raftbbs.store import rekeying
from diegod.raftbbs.store.environment import DATA_FILE
from diegod.raftbbs.store.rekeying import NEVER, Progress, Slice
from diegod.security.at_rest import NO_KEYS, Keyring
from tests.unit.raftbbs.raft.behind import SMALL, WRITTEN, Later, leave_behind
from tests.unit.raftbbs.raft.lab import Lab, lab
from tests.unit.raftbbs.store.keyrings import ring

A, B = ring("A"), ring("B", "A")
PAUSE_S = Slice().pause_s


@contextmanager
def parted(**keyrings: Keyring) -> Iterator[Lab]:
    """C is far behind, and away; every member has its own keys."""
    with lab(limits=SMALL, keyrings=keyrings) as table:
        leave_behind(table)
        yield table


def on_disk(table: Lab, who: str) -> bytes:
    return (table.folder / who / DATA_FILE).read_bytes()


def restart(table: Lab, who: str, keyring: Keyring) -> None:
    table.crash(who)
    table.keyrings[who] = keyring
    table.start(who)


def test_nothing_of_a_command_is_readable_on_disk() -> None:
    for keyring, is_found in ((A, False), (NO_KEYS, True)):
        with lab(keyrings=dict.fromkeys("ABC", keyring)) as table:
            table.elect("A", "BC")
            table.step("A", b"a canary in the log and in the state")
            table.settle()
            assert table.applied("B")[-1] == b"a canary in the log and in the state"
            for each in "ABC":
                assert (b"canary in the log" in on_disk(table, each)) == is_found


def test_members_with_different_keys_are_one_cluster() -> None:
    with lab(keyrings={"A": A, "B": B}) as table:
        table.elect("A", "BC")
        table.step("A", b"one")
        table.settle()
        for who, keyring in (("B", ring("B")), ("C", A)):
            restart(table, who, keyring)
        table.settle()
        table.step("A", b"two")
        table.settle()
        for each in "ABC":
            assert table.applied(each) == [b"one", b"two"]


@pytest.mark.parametrize(
    ("maker", "receiver", "needed"),
    [
        (A, A, ("A",)),
        (A, B, ("B",)),
        (NO_KEYS, A, ("A",)),
        (A, ring("", "A"), ()),
        (ring("B"), ring("A", "B"), ("A",)),
    ],
)
def test_a_copy_is_taken_over_and_comes_under_the_receivers_key(
    maker: Keyring, receiver: Keyring, needed: tuple[str, ...]
) -> None:
    with parted(A=maker, B=maker, C=receiver) as table:
        table.join("C")
        table.settle(rounds=60)
        assert table.replaced == ["C"]
        assert table.applied("C") == WRITTEN
        assert table["C"].rekeying.progress == Progress(100, receiver.active, needed)
        restart(table, "C", ring(receiver.active))
        table.step("A", b"after")
        table.settle()
        assert table.applied("C") == [*WRITTEN, b"after"]


@pytest.mark.parametrize("receiver", [NO_KEYS, ring("B")])
def test_a_copy_whose_key_is_not_at_hand_is_refused(receiver: Keyring) -> None:
    with parted(A=A, B=A, C=receiver) as table:
        table.join("C")
        table.settle(rounds=60)
        assert table.replaced == []
        refusal = 'it can\'t be read: the store is encrypted with the key "A"'
        assert any(refusal in said for said in table.notices)
        assert not (table.folder / "C" / INCOMING_FOLDER / DATA_FILE).exists()
        restart(table, "C", ring(receiver.active, "A"))
        table.settle(rounds=60)
        assert table.replaced == ["C"]
        assert table.applied("C") == WRITTEN


def test_a_copy_under_an_old_key_is_served_no_more() -> None:
    """A and B have left the key A behind; C was never told of it."""
    with parted(A=A, B=A, C=ring("B")) as table:
        table.join("C")
        table.settle("AC", rounds=4)
        assert table["A"]._serving._copy is not None
        table.isolate("C")
        restart(table, "A", B)
        table.elect("A", "B")
        table.join("C")
        table.settle(rounds=60)
        assert table.replaced == ["C"]
        assert table.applied("C") == WRITTEN


@pytest.mark.parametrize("is_made_before_the_end", [False, True])
def test_a_copy_that_needs_the_old_key_too_goes_with_it(
    monkeypatch: pytest.MonkeyPatch, is_made_before_the_end: bool
) -> None:
    monkeypatch.setattr(rekeying, "Slice", lambda: Slice(values=3, pause_s=0.3))
    later = Later()
    with lab(limits=SMALL, keyrings={"A": A, "B": A, "C": ring("B")}, background=later) as table:
        leave_behind(table)
        restart(table, "A", B)
        table.elect("A", "B")
        table.join("C")
        table.settle("AC", rounds=2)
        assert later.waiting
        if is_made_before_the_end:
            later.finish()
            table.settle("AB", rounds=1)
            assert table["A"]._serving._copy is not None
        assert table["A"].rekeying.due_at() != NEVER
        table.settle("AB", rounds=80)
        assert table["A"].rekeying.due_at() == NEVER
        later.finish()
        table.settle("AB", rounds=1)
        assert table["A"]._serving._copy is None


@pytest.fixture
def alone() -> Iterator[Lab]:
    with lab("A") as table:
        for number in range(100):
            table.step("A", b"%d" % number)
            table.step("A")
        yield table


def until_done(engine: Engine, now: float) -> tuple[float, int]:
    """Step when a step is due, until no more slice is: (then, steps)."""
    for steps in count():
        if engine.rekeying.due_at() == NEVER:
            return now, steps
        now = max(now, engine.next_deadline())
        engine.step([], [], [], now)
    raise AssertionError


def test_a_change_of_the_key_is_made_beside_the_ticks_and_then_is_over(
    alone: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rekeying, "Slice", lambda: Slice(values=10))
    expected = alone.applied("A")
    restart(alone, "A", A)
    engine = alone["A"]
    assert engine.rekeying.progress.percent < 100
    assert engine.next_deadline() - alone.now <= PAUSE_S
    then, steps = until_done(engine, alone.now)
    assert 10 <= steps <= 40
    assert then - alone.now == pytest.approx(steps * PAUSE_S, abs=0.2)
    began, steps = then, 0
    while then < began + 1.0:  # an idle member has its heartbeats, and nothing else to do
        then, steps = max(then, engine.next_deadline()), steps + 1
        engine.step([], [], [], then)
    assert steps <= 13
    assert alone.applied("A") == expected


class Crashed(Exception):  # noqa: N818 - it names an event
    """Raised where a process would be gone."""


def crash_at(number: int) -> Callable[[], None]:
    commits = count(1)

    def before_commit() -> None:
        if next(commits) == number:
            raise Crashed

    return before_commit


def test_it_goes_on_after_a_crash_at_any_commit(
    alone: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rekeying, "Slice", lambda: Slice(values=25))
    expected = alone.applied("A")
    alone.keyrings["A"] = A
    crashes = 0
    while True:
        alone.crash("A")
        alone.members["A"] = alone.member_class(alone, "A")
        member = alone.members["A"]
        member.environment.before_commit = crash_at(2)
        try:
            until_done(member.engine, alone.now)
            break
        except Crashed:
            crashes += 1
    assert crashes >= 5
    assert alone.applied("A") == expected
    assert member.engine.rekeying.progress == Progress(100, "A", ("A",))
