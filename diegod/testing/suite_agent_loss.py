"""Backend suite: the agent is killed, containers live on, and nothing ever starts twice."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from diegod.contracts.backend import (
    BackendError,
    ContainerBackend,
    ContainerSpec,
    ContainerState,
    Exit,
)
from diegod.testing.backend_bench import WITNESS, Bench, Killer, killer, output, starts
from diegod.testing.suite_fixtures import SuiteFixtures

Verb = Callable[[ContainerBackend, ContainerSpec], Coroutine[Any, Any, object]]


class AgentLossSuite(SuiteFixtures):
    async def test_running_container_is_found_again(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        spec = bench.spec(*WITNESS)
        started = await bench.start(backend, spec)
        await bench.said(spec, b"alive")
        heir = await bench.agent()
        assert await heir.inspect(spec.handle) == started
        assert list(await heir.handles()) == [spec.handle]
        lines = len(output(spec))
        await bench.until(lambda: len(output(spec)) > lines, "its output goes on")
        assert starts(spec) == 1

    async def test_close_ends_no_container(self, bench: Bench, backend: ContainerBackend) -> None:
        spec = bench.spec(*WITNESS)
        started = await bench.start(backend, spec)
        await backend.close()
        assert await (await bench.agent()).inspect(spec.handle) == started

    async def test_exit_without_an_agent_is_remembered(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        spec = bench.spec("/bin/sh", "-c", "sleep 0.3; echo late; exit 6")
        await bench.start(backend, spec)
        await backend.close()
        await asyncio.sleep(1)
        heir = await bench.agent()
        status = await heir.inspect(spec.handle)
        assert status is not None
        assert (status.state, status.exit) == (ContainerState.EXITED, Exit(6))
        assert (await bench.in_time(heir.wait(spec.handle))) == status
        assert output(spec) == b"late\n"

    async def test_the_next_agent_can_wait_signal_and_exec(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        spec = bench.spec(*WITNESS)
        await bench.start(backend, spec)
        heir = await bench.agent()
        result = await heir.exec(spec.handle, ("/bin/sh", "-c", "exit 2"), {}, 10)
        assert result.status == 2
        waiting = asyncio.ensure_future(heir.wait(spec.handle))
        await heir.signal(spec.handle, "KILL")
        assert (await bench.in_time(waiting)).exit == Exit(128 + 9)

    async def test_an_agent_for_every_verb(self, bench: Bench, backend: ContainerBackend) -> None:
        spec = bench.spec(*WITNESS)
        await (await bench.agent()).prepare(spec)
        await (await bench.agent()).create(spec)
        await (await bench.agent()).start(spec.handle)
        await bench.said(spec, b"alive")
        await (await bench.agent()).signal(spec.handle, "KILL")
        ended = await bench.in_time((await bench.agent()).wait(spec.handle))
        assert ended.exit == Exit(128 + 9)
        await bench.in_time((await bench.agent()).destroy(spec.handle))
        assert await (await bench.agent()).inspect(spec.handle) is None
        assert starts(spec) == 1

    @pytest.mark.timeout(300)
    @pytest.mark.parametrize("verb", ["prepare", "create", "start", "destroy"])
    async def test_killed_at_every_await(
        self, bench: Bench, backend: ContainerBackend, verb: str
    ) -> None:
        """The agent dies at the n-th await of one verb; its successor does what a cell does."""
        with killer() as hand:
            for suspensions in range(self.kills_per_verb_max):
                spec = bench.spec(*WITNESS)
                if await self._life_with_a_kill(bench, hand, spec, verb, suspensions):
                    return

    async def _life_with_a_kill(
        self, bench: Bench, hand: Killer, spec: ContainerSpec, verb: str, suspensions: int
    ) -> bool:
        """One container's life. True: the verb was done before it came to the kill."""
        agent, survived = await bench.agent(), True
        for name, call in VERBS.items():
            if name != verb:
                await bench.in_time(call(agent, spec))
                continue
            survived = await hand.survived(call(agent, spec), suspensions)
            agent = await bench.agent()
            if not survived and not await _recovered(bench, agent, spec, name):
                break
        await _nothing_is_left(bench, agent, spec)
        assert starts(spec) <= 1
        return survived


async def _recovered(bench: Bench, agent: ContainerBackend, spec: ContainerSpec, verb: str) -> bool:
    """Do as a cell does after a crash in `verb`. False: the container was given up."""
    if verb != "start":
        await bench.in_time(VERBS[verb](agent, spec))
        return True
    status = await agent.inspect(spec.handle)
    if status is not None and status.state is ContainerState.RUNNING:
        await bench.said(spec, b"started")
        return True
    await bench.in_time(agent.destroy(spec.handle))
    return False


async def _nothing_is_left(bench: Bench, agent: ContainerBackend, spec: ContainerSpec) -> None:
    """Also not from a start that was in flight when the container was destroyed."""
    assert await agent.inspect(spec.handle) is None
    assert list(await agent.handles()) == []
    with pytest.raises(BackendError):
        await agent.start(spec.handle)
    before = output(spec)
    await asyncio.sleep(0.25)
    assert output(spec) == before


#: The life of a container as a cell calls it.
VERBS: dict[str, Verb] = {
    "prepare": lambda backend, spec: backend.prepare(spec),
    "create": lambda backend, spec: backend.create(spec),
    "start": lambda backend, spec: backend.start(spec.handle),
    "destroy": lambda backend, spec: backend.destroy(spec.handle),
}
