"""Loops and child processes that end at the wrong moment."""

import asyncio
import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from diegod.node import bbs, run
from diegod.node.supervise import Child, Supervisor


class Sleeper(Child):
    """A child that does nothing for long."""

    @property
    def argv(self) -> list[str]:
        return [sys.executable, "-c", "import time; time.sleep(60)"]


class Speaker(Child):
    @property
    def argv(self) -> list[str]:
        return [sys.executable, "-c", "import sys; print('a word', flush=True); sys.exit(2)"]


async def test_when_one_loop_of_a_member_fails_the_others_have_ended_before_it_is_told() -> None:
    """The tick's thread must be gone when the store is closed."""
    ended: list[str] = []

    async def ticking() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.02)  # the thread is waited for
            ended.append("ticking")

    async def failing() -> None:
        await asyncio.sleep(0)
        raise OSError("links")

    with pytest.raises(OSError, match="links"):
        await bbs._until_one_fails(ticking(), failing())
    assert ended == ["ticking"]


async def test_a_loop_that_has_nothing_to_do_ends_no_member() -> None:
    """As the links of a member that dials no other."""

    async def done() -> None: ...

    async def failing() -> None:
        await asyncio.sleep(0.02)
        raise OSError("the tick")

    with pytest.raises(OSError, match="the tick"):
        await bbs._until_one_fails(done(), failing())


async def test_a_member_that_is_asked_to_end_ends_all_its_loops() -> None:
    ended: list[str] = []

    async def loop(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)

    task = asyncio.create_task(bbs._until_one_fails(loop("a"), loop("b")))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert sorted(ended) == ["a", "b"]


async def test_a_child_that_is_killed_while_it_is_born_does_not_live(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = Sleeper("s", tmp_path / "none.toml", "cell", tmp_path / "log", tmp_path)
    supervisor = Supervisor([child])
    born, go_on = asyncio.Event(), asyncio.Event()
    spawn = asyncio.create_subprocess_exec

    async def slow(*arguments: Any, **options: Any) -> asyncio.subprocess.Process:
        born.set()
        await go_on.wait()
        return await spawn(*arguments, **options)

    monkeypatch.setattr("diegod.node.supervise.asyncio.create_subprocess_exec", slow)
    supervisor.start()
    await born.wait()
    killing = asyncio.create_task(supervisor.kill("s"))
    await asyncio.sleep(0.01)
    go_on.set()
    try:
        await asyncio.wait_for(killing, 5)
    finally:
        if child.process is not None and child.process.returncode is None:
            child.process.kill()
            await child.process.wait()
    assert child.pid == 0
    assert child.last_exit == -9


async def test_children_speak_where_we_speak_also_when_that_is_a_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As under systemd, where /dev/stderr can't be opened by its name."""
    ours, theirs = socket.socketpair()
    with ours, theirs, os.fdopen(os.dup(theirs.fileno()), "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        supervisor = Supervisor([Speaker("s", tmp_path / "none.toml", "cell", None, tmp_path)])
        supervisor.start()
        await asyncio.wait_for(supervisor.wait_ended(), 10)
        ours.settimeout(5)
        assert b"a word" in ours.recv(1000)


async def test_a_role_that_ended_for_good_is_not_announced_as_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[bool] = []
    monkeypatch.setattr("diegod.node.notify.tell_ready", lambda: told.append(True))
    supervisor = Supervisor([Speaker("s", tmp_path / "c", "cell", tmp_path / "log", tmp_path)])
    supervisor.start()
    await asyncio.wait_for(run._announce(supervisor), 10)
    assert told == []
