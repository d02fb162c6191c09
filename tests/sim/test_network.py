"""The virtual machines and network do what real ones do: what they lose, what they keep, in which
order, and what a caller is told."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from diegod.internal.v1.command_pb2 import Outcome
from diegod.internal.v1.ring_pb2 import SubmitReply, SubmitRequest
from diegod.models.errors import DomainError, Reason
from diegod.rpc.handlers import Handlers
from diegod.rpc.methods import method
from diegod.security.identity import Principal, Role
from diegod.v1.cluster_pb2 import GetVersionReply, GetVersionRequest
from diegod.v1.event_pb2 import WatchReply, WatchRequest
from tests.sim.dialer import SimDialer
from tests.sim.host import Machine, Process
from tests.sim.loop import NothingLeftError, TimeStandsStillError, VirtualLoop
from tests.sim.network import Network

VERSION = method("diegod.v1.ClusterService/GetVersion")
WATCH = method("diegod.v1.EventService/Watch")
SUBMIT = method("diegod.internal.v1.RingService/Submit")
ADDRESS = "server:1"


class Bench:
    """A client and a server, on a machine each."""

    role = Role.USER

    def __init__(self) -> None:
        self.loop = VirtualLoop()
        self.network = Network(self.loop, random.Random(1), hashlib.blake2b())
        self.ended: list[BaseException | None] = []
        self.client = self.process("client")
        self.server = self.process("server")
        principal = Principal("sim", self.role, "alice")
        self.dialer = SimDialer(self.network, self.client, principal)
        self.asked = 0
        self.answered = 0
        self.network.listen(ADDRESS, self.server, self.handlers())

    def process(self, name: str) -> Process:
        machine = Machine(name, self.loop, 100.0)
        return Process(name, machine, self.loop, lambda _, error: self.ended.append(error))

    def handlers(self) -> Handlers:
        return {VERSION.name: self.version, WATCH.name: self.watch}

    async def version(self, request: GetVersionRequest, caller: Principal) -> GetVersionReply:
        self.asked += 1
        await asyncio.sleep(1.0)
        self.answered += 1
        return GetVersionReply(version=str(caller))

    async def watch(self, request: WatchRequest, caller: Principal) -> AsyncIterator[WatchReply]:
        for revision in range(1, 1000):
            yield WatchReply(revision=revision)
            await asyncio.sleep(0.01)

    async def ask(self, timeout_s: float = 5.0) -> str:
        try:
            reply = await self.dialer.call(ADDRESS, VERSION, GetVersionRequest(), timeout_s)
        except DomainError as error:
            return error.reason.value
        return str(reply.version)

    async def revisions(self, into: list[int]) -> str:
        try:
            async for reply in self.dialer.stream(ADDRESS, WATCH, WatchRequest(), None):
                into.append(reply.revision)
        except DomainError as error:
            return error.reason.value
        return "end"

    def run(self, story: Callable[[], Awaitable[Any]]) -> Any:
        async def tell() -> Any:
            return await story()

        return self.loop.run_until_complete(tell())


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_time_jumps_to_the_next_timer(bench: Bench) -> None:
    bench.run(lambda: asyncio.sleep(3600.0))
    assert bench.loop.time() == 3600.0


def test_to_wait_for_what_can_not_happen_is_an_error(bench: Bench) -> None:
    with pytest.raises(NothingLeftError):
        bench.run(asyncio.Event().wait)


def test_time_that_stands_still_is_an_error(bench: Bench) -> None:
    async def busy() -> None:
        while True:
            await asyncio.sleep(0)

    with pytest.raises(TimeStandsStillError):
        bench.run(busy)


def test_a_call_is_answered_and_the_caller_is_known(bench: Bench) -> None:
    assert bench.run(bench.ask) == "user/alice"


class AsCommands(Bench):
    """Its calls are commands, so they may be waited for at the server's door."""

    role = Role.CELL

    def __init__(self) -> None:
        super().__init__()
        self.held: list[Callable[[], None]] = []
        self.network.ambush = self.hold

    def hold(self, call: object, request: bytes, go: Callable[[], None]) -> bool:
        self.held.append(go)
        return True

    async def tell(self, timeout_s: float, held_s: float) -> str:
        asking = self.client.spawn(self.submit(timeout_s))
        await asyncio.sleep(held_s)
        assert (len(self.held), self.asked) == (1, 0)
        self.held[0]()
        await asyncio.sleep(1.0)
        return str(await asking)

    async def submit(self, timeout_s: float) -> str:
        try:
            reply = await self.dialer.call(ADDRESS, SUBMIT, SubmitRequest(), timeout_s)
        except DomainError as error:
            return error.reason.value
        return str(reply.outcomes[0].message)

    def handlers(self) -> Handlers:
        return {SUBMIT.name: self.take}

    async def take(self, request: SubmitRequest, caller: Principal) -> SubmitReply:
        self.asked += 1
        return SubmitReply(outcomes=[Outcome(message="done")])


def test_a_command_that_was_waited_for_is_carried_out_when_it_is_let_go() -> None:
    bench = AsCommands()
    assert bench.run(lambda: bench.tell(timeout_s=5.0, held_s=2.0)) == "done"
    assert bench.asked == 1


def test_a_command_is_let_go_after_its_caller_has_given_it_up() -> None:
    bench = AsCommands()
    told = bench.run(lambda: bench.tell(timeout_s=0.5, held_s=2.0))
    assert told == Reason.UNKNOWN_OUTCOME
    assert bench.asked == 1


def test_only_commands_are_waited_for(bench: Bench) -> None:
    bench.network.ambush = lambda call, request, go: True
    assert bench.run(bench.ask) == "user/alice"


def test_nobody_listens_so_nothing_was_done(bench: Bench) -> None:
    bench.server.kill()
    assert bench.run(bench.ask) == Reason.UNAVAILABLE


def test_a_late_answer_is_an_unknown_outcome_and_the_handler_may_have_gone_on() -> None:
    answered: list[int] = []
    for _ in range(2):  # by chance: a handler is cancelled with its caller, or goes on
        bench = Bench()
        bench.network.chance = random.Random(len(answered))

        async def story(bench: Bench = bench) -> str:
            told = await bench.ask(timeout_s=0.5)
            await asyncio.sleep(2.0)
            return told

        assert bench.run(story) == Reason.UNKNOWN_OUTCOME
        answered.append(bench.answered)
    assert sorted(answered) == [0, 1]


def test_a_reset_loses_what_is_on_its_way(bench: Bench) -> None:
    async def story() -> str:
        asking = asyncio.ensure_future(bench.ask())
        await asyncio.sleep(0.5)
        assert bench.network.reset("client", "server") == 1
        return await asking

    assert bench.run(story) == Reason.UNKNOWN_OUTCOME
    assert bench.answered == 0


def test_a_stall_delays_one_direction_and_loses_nothing(bench: Bench) -> None:
    heard: list[int] = []

    async def story() -> None:
        watching = asyncio.ensure_future(bench.revisions(heard))
        await asyncio.sleep(1.0)
        bench.network.stall("server", "client")
        await asyncio.sleep(0.1)
        before = len(heard)
        await asyncio.sleep(2.0)
        assert len(heard) == before
        bench.network.end_stall("server", "client")
        await asyncio.sleep(0.1)
        assert len(heard) > before + 150
        watching.cancel()

    bench.run(story)
    assert heard == list(range(1, len(heard) + 1))


def test_a_connection_that_is_silent_for_long_is_given_up(bench: Bench) -> None:
    heard: list[int] = []

    async def story() -> str:
        watching = asyncio.ensure_future(bench.revisions(heard))
        await asyncio.sleep(1.0)
        bench.network.stall("client", "server")
        bench.network.stall("server", "client")
        return await watching

    assert bench.run(story) == Reason.UNKNOWN_OUTCOME
    assert 11.0 <= bench.loop.time() <= 16.0


def test_who_was_paused_learns_that_its_connection_is_gone(bench: Bench) -> None:
    heard: list[int] = []

    async def story() -> str:
        watching = bench.client.spawn(bench.revisions(heard))
        await asyncio.sleep(0)
        bench.client.pause()
        await asyncio.sleep(1.0)  # the connection has come about meanwhile,
        assert bench.network.reset("client", "server") == 1  # and is gone
        bench.client.resume()
        return await asyncio.wait_for(watching, 1.0)

    assert bench.run(story) == Reason.UNKNOWN_OUTCOME
    assert heard == []


def test_nothing_of_a_killed_process_runs_on(bench: Bench) -> None:
    trace: list[str] = []

    async def work() -> None:
        try:
            while True:
                trace.append("works")
                await asyncio.sleep(1.0)
        finally:
            trace.append("cleans up")

    async def story() -> None:
        process = bench.process("victim")
        process.main(work())
        await asyncio.sleep(2.5)
        process.kill()
        await asyncio.sleep(5.0)

    bench.run(story)
    assert trace == ["works"] * 3
    assert bench.ended == []


def test_a_paused_process_goes_on_where_it_was(bench: Bench) -> None:
    times: list[float] = []

    async def work() -> None:
        while True:
            await asyncio.sleep(1.0)
            times.append(bench.loop.time())

    async def story() -> None:
        process = bench.process("sleeper")
        process.main(work())
        await asyncio.sleep(2.5)
        process.pause()
        await asyncio.sleep(10.0)
        process.resume()
        await asyncio.sleep(1.2)

    bench.run(story)
    assert times == [1.0, 2.0, 12.5, 13.5]


def test_the_end_of_a_process_is_noticed(bench: Bench) -> None:
    async def story() -> None:
        bench.process("faulty").main(_fail())
        await asyncio.sleep(1.0)

    bench.run(story)
    assert [str(error) for error in bench.ended] == ["by mistake"]


async def _fail() -> None:
    raise ValueError("by mistake")
