"""The fake on a virtual clock: hours pass in no time, in the same order every time."""

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from diegod.contracts.backend import (
    BackendError,
    ContainerSpec,
    ContainerState,
    Exit,
    Limits,
    Owner,
)
from diegod.testing.fake_backend import FakeBackend, FakeHost, Script

OWNER = Owner("sim", "cell-1")
Story = Callable[[FakeHost, FakeBackend], Coroutine[Any, Any, None]]


class VirtualSelector(selectors.DefaultSelector):
    """Never waits: where the loop would sleep, its clock jumps."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += timeout or 0.0
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = VirtualSelector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def spec(handle: str = "l-1") -> ContainerSpec:
    return ContainerSpec(
        handle=handle,
        owner=OWNER,
        directory=Path("/does/not/exist"),
        rootfs="preloaded:busybox",
        argv=["server"],
        env={},
        working_dir="",
        user="",
        hostname="",
        limits=Limits(64, 50, 64, 64),
    )


def play(story: Story, script: Script = Script()) -> float:  # noqa: B008 (it is frozen)
    """Run a story on a virtual loop, and say how many virtual seconds it took."""

    async def whole() -> float:
        host = FakeHost(lambda _: script)
        begun = asyncio.get_running_loop().time()
        await story(host, FakeBackend(OWNER, host))
        took = asyncio.get_running_loop().time() - begun
        await host.close()
        return took

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(whole())


async def start(backend: FakeBackend, handle: str = "l-1") -> None:
    await backend.prepare(spec(handle))
    await backend.create(spec(handle))
    await backend.start(handle)


async def start_and_destroy(backend: FakeBackend) -> None:
    await start(backend)
    await backend.destroy("l-1")


def test_a_slow_start_and_a_crash_after_a_day() -> None:
    async def story(host: FakeHost, backend: FakeBackend) -> None:
        await start(backend)
        assert host.running() == ["l-1"]
        ended = await backend.wait("l-1")
        assert (ended.state, ended.exit) == (ContainerState.EXITED, Exit(3))

    begun = time.monotonic()
    assert play(story, Script(prepare_s=30, start_s=70, runs_s=86400, status=3)) == 86500
    assert time.monotonic() - begun < 1


def test_a_start_goes_on_without_its_agent() -> None:
    async def story(host: FakeHost, backend: FakeBackend) -> None:
        await backend.prepare(spec())
        starting = asyncio.ensure_future(backend.start("l-1"))
        await asyncio.sleep(5)
        starting.cancel()
        heir = FakeBackend(OWNER, host)
        status = await heir.inspect("l-1")
        assert status is not None
        assert status.state is ContainerState.PREPARED
        await asyncio.sleep(6)
        status = await heir.inspect("l-1")
        assert status is not None
        assert status.state is ContainerState.RUNNING
        assert host.starts == {"l-1": 1}

    play(story, Script(start_s=10))


def test_what_is_destroyed_on_its_way_up_never_starts() -> None:
    async def story(host: FakeHost, backend: FakeBackend) -> None:
        await backend.prepare(spec())
        starting = asyncio.ensure_future(backend.start("l-1"))
        await asyncio.sleep(5)
        await backend.destroy("l-1")
        status = await starting
        assert status.state is ContainerState.EXITED
        await asyncio.sleep(60)
        assert host.starts == {}
        assert host.running() == []

    play(story, Script(start_s=10))


@pytest.mark.parametrize("verb", ["prepare", "create", "start", "destroy"])
def test_a_verb_that_hangs_hangs_for_ever(verb: str) -> None:
    async def story(host: FakeHost, backend: FakeBackend) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(start_and_destroy(backend), 3600)

    assert play(story, Script(hangs=frozenset([verb]))) == 3600


@pytest.mark.parametrize(
    "script", [Script(refuse_prepare="no address left"), Script(refuse_start="no address left")]
)
def test_a_refusal(script: Script) -> None:
    async def story(host: FakeHost, backend: FakeBackend) -> None:
        with pytest.raises(BackendError, match="no address left"):
            await start(backend)
        assert host.starts == {}

    play(story, script)


def test_term_takes_its_time_and_kill_does_not() -> None:
    async def story(host: FakeHost, backend: FakeBackend) -> None:
        await start(backend, "l-1")
        await backend.signal("l-1", "TERM")
        assert (await backend.wait("l-1")).exit == Exit(143)
        await start(backend, "l-2")
        await backend.signal("l-2", "KILL")
        assert (await backend.wait("l-2")).exit == Exit(137)

    assert play(story, Script(term_s=8)) == 8


def test_a_crash_and_a_reboot_from_outside() -> None:
    async def story(host: FakeHost, backend: FakeBackend) -> None:
        await start(backend, "l-1")
        await start(backend, "l-2")
        host.crash("l-1", status=9)
        host.reboot()
        crashed, lost = await backend.wait("l-1"), await backend.wait("l-2")
        assert (crashed.state, crashed.exit) == (ContainerState.EXITED, Exit(9))
        assert (lost.state, lost.exit) == (ContainerState.LOST, None)

    play(story)


def test_a_kill_for_memory_says_so() -> None:
    async def story(host: FakeHost, backend: FakeBackend) -> None:
        await start(backend)
        assert (await backend.wait("l-1")).exit == Exit(137, oom_killed=True)

    play(story, Script(runs_s=1, status=137, oom_killed=True))


def test_a_program_leaves_the_files_of_its_script_once_it_was_started() -> None:
    async def story(host: FakeHost, backend: FakeBackend) -> None:
        await backend.prepare(spec("l-1"))
        assert await backend.read_file("l-1", "/result", 10) is None
        await backend.create(spec("l-1"))
        await backend.start("l-1")
        assert await backend.read_file("l-1", "/result", 2) == b"42"
        assert await backend.read_file("l-1", "/other", 2) is None
        await backend.destroy("l-1")
        with pytest.raises(BackendError):
            await backend.read_file("l-1", "/result", 2)

    play(story, Script(leaves={"/result": b"42 and more"}))
