"""The instruments of the backend suite: agents that come and go, specs, and what a container said.

Does not belong here: any test (`backend_suite` and the `suite_*` modules beside it).
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from diegod.contracts.backend import (
    ContainerBackend,
    ContainerSpec,
    ContainerStatus,
    Limits,
    Owner,
)
from diegod.contracts.log_format import LOG_FILE, LogRecord, parse

#: Makes a new backend object for an owner. Every object made for one owner works over the same
#: state, as each agent process of one cell does.
BackendFactory = Callable[[Owner], ContainerBackend]

T = TypeVar("T")

OWNER = Owner("suite", "cell-1")
NEIGHBOUR = Owner("suite", "cell-2")

#: The program of the at-most-once tests: one line says that it was started, the others that it
#: still runs.
WITNESS = ("/bin/sh", "-c", "echo started; while :; do sleep 0.1; echo alive; done")


class Bench:
    """One host with containers, and the agents that have worked on it."""

    def __init__(self, factory: BackendFactory, folder: Path, rootfs: str, patience_s: float):
        self._factory = factory
        self._folder = folder
        self._rootfs = rootfs
        self._patience_s = patience_s
        self._agents: list[ContainerBackend] = []
        self._owners: list[Owner] = []
        self._specs = 0

    async def agent(self, owner: Owner = OWNER) -> ContainerBackend:
        """A new agent over the state of the one before, which is not asked: it was killed."""
        backend = self._factory(owner)
        self._agents.append(backend)
        if owner not in self._owners:
            self._owners.append(owner)
        await backend.open()
        return backend

    def spec(self, *argv: str, owner: Owner = OWNER, **changes: Any) -> ContainerSpec:
        """A container of its own folder; `changes` are fields of ContainerSpec."""
        self._specs += 1
        handle = f"t-suite-{self._specs}"
        directory = self._folder / handle
        directory.mkdir(parents=True)
        fields: dict[str, Any] = {
            "handle": handle,
            "owner": owner,
            "directory": directory,
            "rootfs": self._rootfs,
            "argv": argv,
            "env": {},
            "working_dir": "",
            "user": "",
            "hostname": "suite",
            "limits": Limits(memory_mb=64, cpu_weight=50, max_pids=128, disk_mb=64),
            "labels": {"kind": "task", "guid": "suite"},
        }
        return ContainerSpec(**{**fields, **changes})

    def again(self, spec: ContainerSpec, **changes: Any) -> ContainerSpec:
        """The same container, described with a difference."""
        return replace(spec, **changes)

    async def start(self, backend: ContainerBackend, spec: ContainerSpec) -> ContainerStatus:
        """prepare, create, start."""
        await backend.prepare(spec)
        await backend.create(spec)
        return await backend.start(spec.handle)

    async def in_time(self, work: Awaitable[T]) -> T:
        """The result of `work`, or a failed test: nothing here may take for ever."""
        async with asyncio.timeout(self._patience_s):
            return await work

    async def run(self, backend: ContainerBackend, spec: ContainerSpec) -> ContainerStatus:
        """The container's life from `prepare` to its end."""
        await self.start(backend, spec)
        return await self.in_time(backend.wait(spec.handle))

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(self._patience_s):
                while not condition():  # noqa: ASYNC110 (a file tells nobody that it has grown)
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"after {self._patience_s:g} s still not true: {what}") from None

    async def said(self, spec: ContainerSpec, text: bytes) -> None:
        """Wait until the container has written `text`."""
        await self.until(lambda: text in output(spec), f"{spec.handle} has written {text!r}")

    async def end(self) -> None:
        """Remove all that the test made on the host, then let go of every agent."""
        for owner in self._owners:
            broom = self._factory(owner)
            self._agents.append(broom)
            await broom.open()
            await broom.sweep()
        for agent in self._agents:
            await agent.close()


def records(spec: ContainerSpec) -> list[LogRecord]:
    """What the container wrote so far, as the log file has it."""
    try:
        return list(parse((spec.directory / LOG_FILE).read_bytes()))
    except FileNotFoundError:
        return []


def output(spec: ContainerSpec, stream: str = "stdout") -> bytes:
    """The bytes that the container wrote to one stream so far."""
    return b"".join(record.data for record in records(spec) if record.stream == stream)


def starts(spec: ContainerSpec) -> int:
    """How often the WITNESS program was started."""
    return output(spec).split(b"\n").count(b"started")


def free_port() -> int:
    """A TCP port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def connected(address: str, port: int) -> None:
    """Return once a connection was accepted."""
    while True:
        try:
            _, writer = await asyncio.open_connection(address, port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            await writer.wait_closed()
            return


class _AbandonedError(Exception):
    """The agent was killed at this await."""


class _Dying:
    """Awaits a coroutine up to its n-th suspension, and then never resumes it.

    That is what SIGKILL does: no `finally`, no `except`, while the call that was being waited for
    may still have its effect.
    """

    def __init__(self, work: Coroutine[Any, Any, object], suspensions: int) -> None:
        self._work = work
        self._suspensions = suspensions

    def __await__(self) -> Generator[Any, None, None]:
        resume: Callable[[], Any] = partial(self._work.send, None)
        for remaining in range(self._suspensions, -1, -1):
            try:
                waiting_for = resume()
            except StopIteration:
                return
            if not remaining:
                raise _AbandonedError
            try:
                yield waiting_for
                resume = partial(self._work.send, None)
            except BaseException as error:  # what was waited for failed: that is the work's to know
                resume = partial(self._work.throw, error)


async def _die(work: Coroutine[Any, Any, object], suspensions: int) -> None:
    await _Dying(work, suspensions)


class Killer:
    """Kills agents in the middle of a verb, and remembers the bodies until the test is over."""

    def __init__(self) -> None:
        self._bodies: list[Coroutine[Any, Any, object]] = []

    async def survived(self, work: Coroutine[Any, Any, object], suspensions: int) -> bool:
        """Run `work` up to that many awaits. False: the agent was killed before it was done."""
        self._bodies.append(work)
        try:
            # A task of its own, so that a timeout the dead agent had set can't cancel the test.
            await asyncio.create_task(_die(work, suspensions))
        except _AbandonedError:
            return False
        return True

    def bury(self) -> None:
        for body in self._bodies:
            with suppress(RuntimeError):  # it wanted to await something while it was being closed
                body.close()


@contextmanager
def killer() -> Iterator[Killer]:
    hand = Killer()
    try:
        yield hand
    finally:
        hand.bury()
