"""Children that end, fall silent, or can't be helped: what becomes of real, tiny processes."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from diegod.node import supervise
from diegod.node.statuses import FATAL, NOT_CURABLE, WRONG_USAGE
from diegod.node.supervise import Child, Supervisor

READY = f"{sys.executable} -c 'from diegod.node.notify import tell_ready; tell_ready()'; "
WITHIN_S = 10.0


class Script(Child):
    """A child whose program is a line of shell, with `$STARTS` to write a line to."""

    @property
    def argv(self) -> list[str]:
        return ["sh", "-c", f"STARTS={self.run_dir}/{self.name}.starts; {self.config}"]

    @property
    def starts(self) -> int:
        file = self.run_dir / f"{self.name}.starts"
        return len(file.read_text().splitlines()) if file.exists() else 0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "_BACKOFF_S", 0.02)
    monkeypatch.setattr(supervise, "_BACKOFF_S_MAX", 0.1)
    monkeypatch.setattr(supervise, "_STOP_TIMEOUT_S", 1.0)


def script(tmp_path: Path, name: str, line: str) -> Script:
    return Script(name, Path(line), "bbs", tmp_path / f"{name}.log", tmp_path)


@asynccontextmanager
async def supervised(*children: Script) -> AsyncIterator[Supervisor]:
    """Started; gone afterwards, whatever the test did."""
    supervisor = Supervisor(children)
    supervisor.start()
    try:
        yield supervisor
    finally:
        await supervisor.stop()
        assert [child.pid for child in children] == [0] * len(children)


async def until(look: Callable[[], object]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not look():
            await asyncio.sleep(0.01)


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_a_child_is_ready_when_it_says_so(tmp_path: Path) -> None:
    script_line = "while [ ! -e go ]; do sleep 0.01; done; " + READY + "exec sleep 60"
    child = script(tmp_path, "slow", f"cd {tmp_path}; {script_line}")
    async with supervised(child) as supervisor, asyncio.timeout(WITHIN_S):
        waiting = asyncio.create_task(supervisor.wait_ready())
        await until(lambda: child.pid)
        await asyncio.sleep(0.05)
        assert not waiting.done()
        (tmp_path / "go").touch()
        await waiting
        assert child.ready.is_set()


async def test_what_ends_is_started_again_after_longer_and_longer(tmp_path: Path) -> None:
    child = script(tmp_path, "short", "echo >> $STARTS; exit 1")
    began = asyncio.get_running_loop().time()
    async with supervised(child):
        await until(lambda: child.restarts == 4)
        # 0.02 + 0.04 + 0.08 + 0.1 of waiting
        assert asyncio.get_running_loop().time() - began > 0.24
        await until(lambda: child.starts == 5)
        assert child.last_exit == 1


@pytest.mark.parametrize("status", [WRONG_USAGE, NOT_CURABLE])
async def test_what_a_restart_can_not_cure_is_left_alone(tmp_path: Path, status: int) -> None:
    child = script(tmp_path, "final", f"echo >> $STARTS; exit {status}")
    async with supervised(child) as supervisor, asyncio.timeout(WITHIN_S):
        await supervisor.wait_ended()
        assert supervisor.ended_for_good() == [child]
        assert (child.starts, child.restarts, child.last_exit) == (1, 0, status)


@pytest.mark.parametrize("status", [0, FATAL])
async def test_every_other_end_is_followed_by_another_start(tmp_path: Path, status: int) -> None:
    """A role does not end by itself; one that says it is done is as broken as one that failed."""
    child = script(tmp_path, "done", f"echo >> $STARTS; exit {status}")
    async with supervised(child) as supervisor:
        await until(lambda: child.starts == 3)
        assert supervisor.ended_for_good() == []


async def test_waiting_for_readiness_ends_with_a_child_that_will_never_be(tmp_path: Path) -> None:
    ready = script(tmp_path, "good", READY + "exec sleep 60")
    final = script(tmp_path, "bad", f"exit {NOT_CURABLE}")
    async with supervised(ready, final) as supervisor, asyncio.timeout(WITHIN_S):
        await supervisor.wait_ready()
        assert supervisor.ended_for_good() == [final]


async def test_a_killed_child_stays_down_until_it_is_started(tmp_path: Path) -> None:
    child = script(tmp_path, "held", "echo >> $STARTS; exec sleep 60")
    async with supervised(child) as supervisor:
        await until(lambda: child.starts == 1)
        pid = child.pid
        await supervisor.kill("held")
        assert not is_alive(pid)
        assert (child.pid, child.held, child.last_exit) == (0, True, -signal.SIGKILL)
        assert supervisor.ended_for_good() == [], "it is down on purpose"
        await asyncio.sleep(0.2)
        assert child.starts == 1
        supervisor.start_child("held")
        await until(lambda: child.starts == 2)
        assert (child.held, child.restarts) == (False, 0)


async def test_killed_while_it_waits_for_its_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervise, "_BACKOFF_S", 60.0)
    child = script(tmp_path, "between", "echo >> $STARTS; exit 1")
    async with supervised(child) as supervisor, asyncio.timeout(WITHIN_S):
        await until(lambda: child.last_exit == 1)
        await supervisor.kill("between")
        assert child.starts == 1
        supervisor.start_child("between")
        await until(lambda: child.starts == 2)


async def test_killed_or_stopped_while_it_is_being_made(tmp_path: Path) -> None:
    child = script(tmp_path, "early", "exec sleep 60")
    async with supervised(child) as supervisor, asyncio.timeout(WITHIN_S):
        await asyncio.sleep(0)  # its keeper has begun, and there is no process yet
        await supervisor.kill("early")
        assert child.pid == 0


async def test_a_paused_child_is_stopped_too(tmp_path: Path) -> None:
    child = script(
        tmp_path, "paused", "echo >> $STARTS; trap 'exit 0' TERM; while :; do sleep 0.01; done"
    )
    supervisor = Supervisor([child])
    supervisor.start()
    await until(lambda: child.starts == 1)
    pid = child.pid
    supervisor.signal("paused", signal.SIGSTOP)
    await supervisor.stop()
    assert not is_alive(pid)
    assert child.last_exit == 0, "it was let go on, and ended as it was asked to"


async def test_who_does_not_hear_is_killed(tmp_path: Path) -> None:
    child = script(tmp_path, "deaf", "trap '' TERM; echo >> $STARTS; while :; do sleep 0.01; done")
    supervisor = Supervisor([child])
    supervisor.start()
    await until(lambda: child.starts == 1)
    await supervisor.stop()
    assert child.last_exit == -signal.SIGKILL


async def test_a_child_knows_its_supervisor_and_writes_to_its_log(tmp_path: Path) -> None:
    line = "echo supervisor $DIEGOD_SUPERVISOR_PID; echo oops >&2; echo >> $STARTS; exec sleep 60"
    child = script(tmp_path, "talks", line)
    async with supervised(child):
        await until(lambda: child.starts == 1)
    assert child.log is not None
    assert child.log.read_text() == f"supervisor {os.getpid()}\noops\n"


async def test_every_change_is_announced(tmp_path: Path) -> None:
    child = script(tmp_path, "seen", READY + "exec sleep 60")
    supervisor = Supervisor([child])
    seen: list[tuple[bool, bool]] = []
    supervisor.on_change = lambda: seen.append((child.pid != 0, child.ready.is_set()))
    supervisor.start()
    async with asyncio.timeout(WITHIN_S):
        await supervisor.wait_ready()
    await supervisor.stop()
    assert seen[:2] == [(True, False), (True, True)]
    assert seen[-1] == (False, False)
