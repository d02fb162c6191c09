"""The wires between two members: who dials, who is heard, and how a connection ends."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from diegod.internal.v1.raft_pb2 import RaftFrame, StaleTerm
from diegod.models.errors import DomainError, Reason
from diegod.raftbbs import links as wires
from diegod.raftbbs.links import LinkEvents, Links
from diegod.rpc.methods import Method
from diegod.security.identity import Principal, Role
from tests.unit.raftbbs.bbs import CLUSTER, refusal_of_stream, stream_of

PEERS = {"m1": "m1:8892", "m2": "m2:8892", "m3": "m3:8892"}


def frame(term: int) -> RaftFrame:
    return RaftFrame(stale_term=StaleTerm(term=term))


class Told:
    """What a member hears of its links."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def of(self) -> LinkEvents:
        return LinkEvents(
            lambda peer, frame: self.events.append(f"{peer} says {frame.stale_term.term}"),
            lambda peer: self.events.append(f"{peer} up"),
            lambda peer: self.events.append(f"{peer} down"),
        )


class Wireless:
    """A dialer whose other side is another member's `exchange`, as long as `may_connect`."""

    def __init__(self, caller: str) -> None:
        self.caller = Principal(CLUSTER, Role.BBS, caller)
        self.others: dict[str, Links] = {}
        self.may_connect = True
        self.dialled: list[str] = []

    async def duplex(
        self, address: str, method: Method, requests: AsyncIterator[Any], timeout_s: float | None
    ) -> AsyncIterator[Any]:
        self.dialled.append(address)
        if address not in self.others or not self.may_connect:
            raise DomainError(Reason.UNAVAILABLE, f"no answer from {address}")
        async for reply in self.others[address].exchange(requests, self.caller):
            if not self.may_connect:
                raise DomainError(Reason.UNKNOWN_OUTCOME, "cut")
            yield reply

    async def call(self, address: str, method: Method, request: Any, timeout_s: float) -> Any:
        raise AssertionError("links make no calls")

    async def stream(
        self, address: str, method: Method, request: Any, timeout_s: float | None
    ) -> AsyncIterator[Any]:
        raise AssertionError("links open no such streams")
        yield

    async def close(self) -> None: ...


def links_of(member: str, told: Told, dialer: Wireless) -> Links:
    peers = {peer: address for peer, address in PEERS.items() if peer != member}
    return Links(member, peers, dialer, told.of())


class Pair:
    """m1 and m2, of which m1 dials."""

    def __init__(self) -> None:
        self.told1, self.told2 = Told(), Told()
        self.dialer = Wireless("m1")
        self.m1 = links_of("m1", self.told1, self.dialer)
        self.m2 = links_of("m2", self.told2, Wireless("m2"))
        self.dialer.others["m2:8892"] = self.m2

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.001)

    async def until_up(self) -> None:
        await self.until(lambda: self.m1.up("m2") and self.m2.up("m1"))


@asynccontextmanager
async def connected(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pair]:
    monkeypatch.setattr(wires, "_REDIAL_S", 0.005)
    pair = Pair()
    running = asyncio.create_task(pair.m1.run())
    try:
        await pair.until_up()
        yield pair
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_the_lesser_id_dials_and_both_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async with connected(monkeypatch) as pair:
        assert pair.told1.events == ["m2 up"]
        assert pair.told2.events == ["m1 up"]
        await pair.until(lambda: "m3:8892" in pair.dialer.dialled)


async def test_frames_arrive_both_ways_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    async with connected(monkeypatch) as pair:
        for term in range(3):
            pair.m1.send("m2", frame(term))
            pair.m2.send("m1", frame(10 + term))
        await pair.until(lambda: len(pair.told1.events) == len(pair.told2.events) == 4)
        assert pair.told2.events[1:] == ["m1 says 0", "m1 says 1", "m1 says 2"]
        assert pair.told1.events[1:] == ["m2 says 10", "m2 says 11", "m2 says 12"]


async def test_to_whom_there_is_no_connection_nothing_is_sent() -> None:
    told = Told()
    links_of("m1", told, Wireless("m1")).send("m2", frame(1))
    assert told.events == []


async def test_a_broken_connection_is_dialled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with connected(monkeypatch) as pair:
        pair.dialer.may_connect = False
        pair.m2.send("m1", frame(1))
        await pair.until(lambda: not pair.m1.up("m2"))
        pair.dialer.may_connect = True
        await pair.until_up()
        assert pair.told1.events == ["m2 up", "m2 down", "m2 up"]


async def test_a_peer_that_is_refused_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    async with connected(monkeypatch) as pair:
        pair.m2.refuse("m1", "its store is another")
        assert not pair.m2.up("m1")
        await pair.until(lambda: pair.told2.events.count("m1 up") == 2)
        assert pair.told2.events == ["m1 up", "m1 down", "m1 up"]


async def test_nobody_dials_itself() -> None:
    m2 = links_of("m2", Told(), Wireless("m2"))
    caller = Principal(CLUSTER, Role.BBS, "m2")
    assert await refusal_of_stream(m2.exchange(stream_of([]), caller)) is Reason.PERMISSION_DENIED


async def test_who_is_not_dialled_dials_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """m1 does not know m2 yet, so it can't dial it."""
    monkeypatch.setattr(wires, "_PATIENCE_S", 0.02)
    pair = Pair()
    dialer = Wireless("m2")
    m2 = links_of("m2", pair.told2, dialer)
    pair.m1.set_peers({})
    dialer.others["m1:8892"] = pair.m1
    running = asyncio.create_task(m2.run())
    try:
        await pair.until(lambda: pair.told1.events == ["m2 up"])
        pair.m1.send("m2", frame(7))
        await pair.until(lambda: pair.told2.events == ["m1 up", "m1 says 7"])
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_new_peer_is_dialled_and_a_former_one_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with connected(monkeypatch) as pair:
        pair.m1.set_peers({"m4": "m4:8892"})
        await pair.until(lambda: "m4:8892" in pair.dialer.dialled)
        pair.m2.refuse("m1", "it is not a member of this cluster (any more)")
        await pair.until(lambda: not pair.m1.up("m2"))
        dialled = pair.dialer.dialled.count("m2:8892")
        others = len(pair.dialer.dialled)
        await pair.until(lambda: len(pair.dialer.dialled) > others + 3)
        assert pair.dialer.dialled.count("m2:8892") == dialled


async def test_a_second_connection_of_a_peer_ends_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with connected(monkeypatch) as pair:
        never = asyncio.Event()

        async def silent() -> AsyncIterator[RaftFrame]:
            await never.wait()
            yield frame(0)

        second = pair.m2.exchange(silent(), Principal(CLUSTER, Role.BBS, "m1"))
        await anext(second)
        reading = asyncio.ensure_future(anext(second))
        await pair.until(lambda: pair.told2.events[-3:] == ["m1 up", "m1 down", "m1 up"])
        assert pair.m2.up("m1")
        never.set()
        await asyncio.wait([reading], timeout=1)
        reading.cancel()


async def test_a_peer_that_does_not_read_loses_its_connection_and_no_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Told at once: the log keeps what it must send again, and nothing is put on a dead wire."""
    monkeypatch.setattr(wires, "_QUEUE_BYTES_MAX", 100)
    told = Told()
    m2 = links_of("m2", told, Wireless("m2"))
    never = asyncio.Event()

    async def silent() -> AsyncIterator[RaftFrame]:
        await never.wait()
        yield frame(0)

    replies = m2.exchange(silent(), Principal(CLUSTER, Role.BBS, "m1"))
    await anext(replies)
    m2_up = asyncio.ensure_future(anext(replies))
    await asyncio.sleep(0)
    m2.send("m1", frame(1))
    await m2_up  # and from here on it reads no more
    wire = m2._wires["m1"]
    for term in range(1000):
        m2.send("m1", frame(term))
    assert told.events == ["m1 up", "m1 down"]
    assert not m2.up("m1")
    assert not wire._frames
    with pytest.raises(StopAsyncIteration):
        await anext(replies)
