"""The tcp check against real listeners, and against nothing."""

import asyncio
import socket
from collections.abc import Sequence

import pytest

from diegod.cellruntime.checks.tcp import make_tcp_check
from diegod.contracts.backend import ExecResult
from diegod.contracts.check import Target, Unhealthy
from diegod.testing.backend_bench import free_port
from diegod.v1.definition_pb2 import Check, TcpCheck


async def run_nothing(argv: Sequence[str], timeout_s: float) -> ExecResult:
    raise AssertionError("a tcp check runs nothing")


def target(port: int) -> Target:
    """Container port 8080 is to be dialled at `port`."""
    return Target("127.0.0.1", {8080: port}, run_nothing)


CHECK = make_tcp_check(Check(tcp_check=TcpCheck(port=8080)))


async def test_a_listener_is_healthy() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert await CHECK.probe(target(port), 5) is None


async def test_nobody_listens() -> None:
    """The reason names the port of the definition, which is the one that people know."""
    found = await CHECK.probe(target(free_port()), 5)
    assert found == Unhealthy("connection refused on port 8080")


async def test_nobody_answers() -> None:
    """A full backlog drops connections, as a firewall does."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            waiting.append(filler)
        found = await CHECK.probe(target(port), 0.2)
        for filler in waiting:
            filler.close()
    assert found == Unhealthy("no connection to port 8080 within 0.2 s")


async def test_a_port_that_the_container_does_not_have() -> None:
    found = await CHECK.probe(Target("127.0.0.1", {}, run_nothing), 5)
    assert found == Unhealthy("port 8080 is not a port of this container")


@pytest.mark.parametrize("address", ["255.255.255.255", "256.0.0.1"])
async def test_an_address_that_cannot_be_dialled(address: str) -> None:
    found = await CHECK.probe(Target(address, {8080: 1}, run_nothing), 5)
    assert found is not None
    assert found.reason.startswith("no connection to port 8080")
