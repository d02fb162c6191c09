"""What is cut off from the library, and the flaws F4, F5 and F15 of the raw one."""

import os
import pickle
import random
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pysyncobj.pickle
import pytest
from pysyncobj import SyncObj, SyncObjConf, syncobj
from pysyncobj.node import Node

from diegod.raftbbs.raft import guarded
from diegod.raftbbs.raft.api import Fatal
from tests.unit.raftbbs.raft.lab import lab
from tests.unit.raftbbs.raft.raw_library import RawMember, RawTransport, raw_cluster


class Evil:
    """Makes a folder where it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def test_raw_a_command_runs_code(tmp_path: Path) -> None:
    """F15: commands, large entries and snapshots are pickles."""
    with raw_cluster() as raw:
        transport = RawTransport(raw, "A")
        plain = SyncObj(
            Node("A"), [], SyncObjConf(autoTick=False), nodeClass=Node, transport=transport
        )
        with pytest.raises(KeyError):
            plain._SyncObj__doApplyCommand(b"\0" + pickle.dumps((Evil(tmp_path / "ran"), ())))
        assert (tmp_path / "ran").exists()


def test_a_command_is_bytes_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("the library pickles")

    for name in ("loads", "load", "dumps", "dump"):
        monkeypatch.setattr(pysyncobj.pickle, name, refuse)
    evil = pickle.dumps(Evil(tmp_path / "ran"))
    with lab() as table:
        table.elect("A", "BC")
        table.settle()
        table.step("A", evil, b"x" * (1 << 20))
        table.crash("C")
        table.start("C")
        table.settle()
        assert table.applied("C") == [evil, b"x" * (1 << 20)]
    assert not (tmp_path / "ran").exists()


class Poisoned(RawMember):
    def _SyncObj__doApplyCommand(self, command: bytes) -> bytes | None:  # noqa: N802
        if command == b"\0poison":
            self.applied.append(b"half")
            raise ValueError
        return super()._SyncObj__doApplyCommand(command)


def test_raw_an_exception_in_an_entry_repeats_it_for_ever() -> None:
    """F4a: and nothing behind it is applied. Ours ends the member: see test_engine."""
    with raw_cluster("A", member=Poisoned) as raw:
        raw.elect("A", "")
        raw["A"].put(b"poison")
        raw["A"].put(b"behind")
        for _ in range(6):
            with suppress(ValueError):
                raw.tick("A")
        assert raw["A"].applied.count(b"half") > 2
        assert b"behind" not in raw["A"].applied


def test_raw_an_exception_in_an_answer_applies_the_entry_twice() -> None:
    """F4b: on that member only. Ours collects answers, and releases them after the commit."""

    def fail(result: object, why: int) -> None:
        raise ZeroDivisionError

    with raw_cluster("A") as raw:
        raw.elect("A", "")
        raw["A"].put(b"once", fail)
        raw.tick("A")
        with pytest.raises(ZeroDivisionError):
            raw.tick("A")
        raw.tick("A")
        assert raw["A"].applied == [b"once", b"once"]


def test_raw_changes_of_members_are_not_one_at_a_time() -> None:
    """F5: four in flight, and the leader believes in a cluster that has no majority in common."""
    with raw_cluster(dynamicMembershipChange=True) as raw:
        raw.elect("A", "BC")
        raw.settle("ABC")
        raw.link("A", "B", up=False)
        raw.link("A", "C", up=False)
        for node in "DE":
            raw["A"].addNodeToCluster(Node(node))
        for node in "BC":
            raw["A"].removeNodeFromCluster(Node(node))
        raw.tick("A")
        assert sorted(node.id for node in raw["A"].otherNodes) == ["D", "E"]


def test_members_do_not_change_through_the_library() -> None:
    with lab() as table:
        core = table["A"]._library._core
        with pytest.raises(Exception, match="dynamicMembershipChange is disabled"):
            core.addNodeToCluster(Node("D"))
        change = b"\2" + pickle.dumps(["add", "D"])
        assert core._SyncObj__parseChangeClusterRequest(change) is None


@pytest.mark.parametrize(
    "call",
    [
        lambda core: core._SyncObj__loadDumpFile(True),
        lambda core: core._SyncObj__serializer.getTransmissionData(Node("B")),
        lambda core: core._SyncObj__serializer.setTransmissionData((b"", True, True)),
        lambda core: core._SyncObj__serializer.serialize((), 1),
        lambda core: core._SyncObj__raftLog.clear(),
        lambda core: core._SyncObj__raftLog.deleteEntriesTo(1),
    ],
)
def test_the_library_can_not_cut_or_replace_the_log(call: Any) -> None:
    """F1, F6, F13, F14, F16."""
    with lab() as table, pytest.raises(Fatal):
        call(table["A"]._library._core)


def test_the_library_has_no_socket_and_no_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """F12b, F15."""

    def refuse(*args: object) -> None:
        raise AssertionError("a socket or a pipe")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr("os.pipe", refuse)
    with lab() as table:
        table.elect("A", "BC")
        assert not hasattr(table["A"]._library._core, "_SyncObj__pipeNotifier")
    assert syncobj.PIPE_NOTIFIER_ENABLED is False


def test_the_library_sees_the_time_and_the_chance_that_are_handed_in() -> None:
    with guarded.moment(42.0, lambda low, high: 0.25):
        assert syncobj.monotonicTime() == 42.0
        assert syncobj.random.random() == 0.25
        with guarded.moment(7.0, lambda low, high: 0.5):
            assert syncobj.monotonicTime() == 7.0
        assert syncobj.monotonicTime() == 42.0
    assert abs(syncobj.monotonicTime() - time.clock_gettime(time.CLOCK_MONOTONIC_RAW)) < 1
    assert syncobj.random is random


def test_a_step_that_fails_gives_the_clock_back() -> None:
    with lab() as table:
        table.members["A"].environment.before_commit = lambda: 1 / 0  # type: ignore[assignment]
        table.expire("A")
        table["A"]._journal.set_term(5, None)
        with pytest.raises(ZeroDivisionError):
            table.step("A")
    assert syncobj.random is random
