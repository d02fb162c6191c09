"""Leases over one long stream: each answer goes to who asked, and a failure ends the stream."""

import asyncio
from typing import Any

import pytest

from diegod.internal.v1.command_pb2 import Command, Outcome
from diegod.internal.v1.ring_pb2 import RenewReply, RenewRequest, SubmitReply
from diegod.models.errors import DomainError, Reason
from diegod.rpc.client import ClusterClient
from diegod.rpc.ring import RingClient
from tests.unit.rpc.scripted_dialer import (
    Answer,
    ScriptedDialer,
    Silence,
    in_virtual_time,
    not_leader,
    unavailable,
)


def held(address: str, request: Any) -> Answer:
    return RenewReply(nonce=request.nonce, held=True, ttl_ms=10_000)


def cell(id_: str = "cell-1") -> RenewRequest:
    return RenewRequest(cell_id=id_, sequence=4)


def test_renewals_of_one_lease_share_a_stream() -> None:
    dialer = ScriptedDialer(held)
    streams: list[int] = []

    async def scenario(client: ClusterClient) -> list[RenewReply]:
        ring = RingClient(client)
        replies = []
        for _ in range(3):
            replies.append(await ring.renew(cell()))
            streams.append(dialer.open_streams)
        await ring.close()
        return replies

    replies, _ = in_virtual_time(dialer, scenario)
    assert [(reply.held, reply.nonce) for reply in replies] == [(True, 1), (True, 2), (True, 3)]
    assert {request.sequence for _, request in dialer.asked} == {4}
    assert streams == [1, 1, 1]
    assert dialer.open_streams == 0


def test_two_leases_do_not_wait_for_one_another() -> None:
    def answers(address: str, request: Any) -> Answer:
        return Silence() if request.cell_id else held(address, request)

    async def scenario(client: ClusterClient) -> bool:
        ring = RingClient(client)
        stuck = asyncio.create_task(ring.renew(cell()))
        reply = await ring.renew(RenewRequest(lock_name="brain", sequence=9))
        stuck.cancel()
        await asyncio.gather(stuck, return_exceptions=True)
        await ring.close()
        return reply.held

    is_held, seconds = in_virtual_time(ScriptedDialer(answers), scenario)
    assert is_held
    assert seconds == 0


def test_a_lost_lease_is_an_answer() -> None:
    dialer = ScriptedDialer(lambda address, request: RenewReply(nonce=request.nonce, held=False))

    async def scenario(client: ClusterClient) -> bool:
        ring = RingClient(client)
        reply = await ring.renew(cell())
        await ring.close()
        return reply.held

    is_held, _ = in_virtual_time(dialer, scenario)
    assert not is_held


def test_silence_ends_the_stream_and_the_next_renewal_asks_another_member() -> None:
    def answers(address: str, request: Any) -> Answer:
        return Silence() if address == "a:1" else held(address, request)

    dialer = ScriptedDialer(answers)

    async def scenario(client: ClusterClient) -> tuple[Reason, bool]:
        ring = RingClient(client)
        with pytest.raises(DomainError) as refused:
            await ring.renew(cell())
        reply = await ring.renew(cell())
        await ring.close()
        return refused.value.reason, reply.held

    (reason, is_held), seconds = in_virtual_time(dialer, scenario)
    assert (reason, is_held) == (Reason.UNAVAILABLE, True)
    assert seconds == pytest.approx(3.0, abs=0.1)
    assert dialer.addresses == ["a:1", "b:1"]
    assert dialer.open_streams == 0


def test_a_refusal_reaches_everybody_who_waits_and_names_the_leader() -> None:
    dialer = ScriptedDialer(
        lambda address, request: not_leader("c:1") if address == "a:1" else held(address, request)
    )

    async def scenario(client: ClusterClient) -> tuple[list[Any], bool]:
        ring = RingClient(client)
        both = [ring.renew(cell()), ring.renew(cell())]
        failed = await asyncio.gather(*both, return_exceptions=True)
        reply = await ring.renew(cell())
        await ring.close()
        return failed, reply.held

    (failed, is_held), _ = in_virtual_time(dialer, scenario)
    assert [type(error) for error in failed] == [DomainError, DomainError]
    assert is_held
    assert dialer.addresses[-1] == "c:1"


def test_a_stream_that_ends_by_itself_is_a_missing_answer() -> None:
    class Ending(ScriptedDialer):
        async def duplex(self, address: str, *_: Any) -> Any:
            if self.asked:  # never: a generator that yields nothing
                yield

    async def scenario(client: ClusterClient) -> DomainError:
        ring = RingClient(client)
        with pytest.raises(DomainError) as refused:
            await ring.renew(cell())
        return refused.value

    error, seconds = in_virtual_time(Ending(), scenario)
    assert (error.reason, error.message) == (
        Reason.UNAVAILABLE,
        "the stream of renewals has ended",
    )
    assert seconds == 0


def test_commands_are_answered_one_each() -> None:
    outcomes = [Outcome(revision=1), Outcome(reason="WrongAttempt")]
    dialer = ScriptedDialer(lambda address, request: SubmitReply(outcomes=outcomes))
    commands = [Command(cause="one"), Command(cause="two")]
    got, _ = in_virtual_time(dialer, lambda client: RingClient(client).submit(commands))
    assert list(got) == outcomes
    assert [list(request.commands) for _, request in dialer.asked] == [commands]


def test_commands_that_nobody_takes_are_certainly_not_applied() -> None:
    dialer = ScriptedDialer(lambda address, request: unavailable())

    async def scenario(client: ClusterClient) -> str:
        with pytest.raises(DomainError) as refused:
            await RingClient(client).submit([Command()])
        return refused.value.applied

    applied, _ = in_virtual_time(dialer, scenario)
    assert applied == "no"
