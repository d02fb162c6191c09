"""Who belongs to whom, by a made-up table; and what the system says about ourselves."""

import os
import subprocess
import sys

import pytest

from diegod.cellruntime.exec import processes
from diegod.cellruntime.exec.processes import (
    Process,
    boot_id,
    find,
    members,
    process_table,
    start_time,
)


def table(*rows: tuple[int, int, int] | tuple[int, int, int, bool]) -> dict[int, Process]:
    return {
        row[0]: Process(row[0], row[1], row[2], started="1", zombie=len(row) > 3) for row in rows
    }


def test_a_session_and_the_descendants_of_its_members_belong_to_the_leader() -> None:
    seen = table(
        (1, 0, 1),
        (10, 1, 10),  # the leader
        (11, 10, 10),  # its child
        (12, 1, 10),  # an orphan, still in the session
        (13, 12, 13),  # child of that one, in a session of its own
        (14, 13, 14),
        (20, 1, 20),  # a stranger
        (21, 20, 20),
    )
    assert members(seen, 10) == [10, 11, 12, 13, 14]


def test_a_leader_that_is_gone_still_has_its_session() -> None:
    assert members(table((1, 0, 1), (12, 1, 10), (20, 1, 20)), 10) == [12]


def test_zombies_are_not_living_but_their_children_are_found() -> None:
    assert members(table((10, 1, 10, True), (11, 10, 11)), 10) == [11]


def test_nobody_belongs_to_a_leader_that_never_was() -> None:
    assert members(table((1, 0, 1), (20, 1, 20)), 10) == []


def test_we_are_in_the_table() -> None:
    me = process_table()[os.getpid()]
    assert (me.parent, me.session, me.zombie) == (os.getppid(), os.getsid(0), False)
    assert me.started == start_time(os.getpid())


def test_a_zombie_has_no_start_time() -> None:
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    seen = find(child.pid)
    assert seen is not None
    assert seen.zombie
    assert start_time(child.pid) == ""
    child.wait()
    assert find(child.pid) is None


def test_names_with_parentheses_and_blanks_are_read() -> None:
    """Linux puts the program's name, as it likes to be called, into the middle of the line."""
    name = "import ctypes; ctypes.CDLL(None).prctl(15, b'a) R 1 (b', 0, 0, 0); print(flush=True)"
    argv = [sys.executable, "-c", f"{name}; input()"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        seen = find(child.pid)
        child.communicate(b"\n")
    assert seen is not None
    assert (seen.parent, seen.session) == (os.getpid(), os.getsid(0))


def test_the_boot_has_an_id() -> None:
    assert len(boot_id()) >= 32
    assert boot_id() == boot_id()


def test_without_proc_the_same_comes_from_ps(monkeypatch: pytest.MonkeyPatch) -> None:
    by_proc = process_table()[os.getpid()]
    monkeypatch.setattr(processes, "_has_proc", lambda: False)
    by_ps = process_table()[os.getpid()]
    assert (by_ps.pid, by_ps.parent, by_ps.zombie) == (by_proc.pid, by_proc.parent, False)
    assert by_ps.session == os.getpgid(0)
    assert by_ps.started == start_time(os.getpid()) != ""
    assert find(by_proc.pid) == by_ps
