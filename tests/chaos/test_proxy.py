"""The slow link: that it does to what passes what it says, and the same for the same seed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.chaos.proxy import Proxy, Weather

HOST = "127.0.0.1"


@asynccontextmanager
async def echo_behind(proxy_of: Weather) -> AsyncIterator[tuple[Proxy, int]]:
    """A server that sends back what it gets, behind a proxy; and the proxy's port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(4096):
                writer.write(piece)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    proxy = Proxy(server.sockets[0].getsockname(), proxy_of, "a seed")
    try:
        yield proxy, await proxy.listen(HOST)
    finally:
        await proxy.close()
        server.close()


async def sent_back(port: int, data: bytes) -> bytes:
    """What comes back of it, up to all of it or the end of the connection."""
    reader, writer = await asyncio.open_connection(HOST, port)
    received = b""
    with contextlib.suppress(OSError):
        writer.write(data)
        while len(received) < len(data) and (piece := await reader.read(4096)):
            received += piece
    writer.close()
    return received


async def test_everything_passes_late() -> None:
    data = bytes(range(256)) * 100
    async with echo_behind(Weather("late", latency_s=0.01, jitter_s=0.01)) as (proxy, port):
        assert await sent_back(port, data) == data
        assert proxy.seen.pieces >= 2
        assert proxy.seen.waited_s >= 0.02


async def test_it_cuts_in_the_middle() -> None:
    data = b"x" * 100_000
    async with echo_behind(Weather("cut", cut_after_bytes=10_000)) as (proxy, port):
        assert len(await sent_back(port, data)) < len(data)
        assert proxy.seen.cuts == 1


async def test_it_stalls_and_goes_on() -> None:
    data = b"x" * 60_000
    async with echo_behind(Weather("stall", stall_every_bytes=5_000, stall_s=0.01)) as found:
        proxy, port = found
        assert await sent_back(port, data) == data
        assert proxy.seen.stalls >= 2


async def test_it_throttles() -> None:
    async with echo_behind(Weather("slow", bytes_a_second=200_000)) as (proxy, port):
        assert len(await sent_back(port, b"x" * 20_000)) == 20_000
        assert proxy.seen.waited_s == pytest.approx(0.2)  # both ways


async def test_closing_ends_what_passes() -> None:
    async with echo_behind(Weather("long", latency_s=60.0)) as (proxy, port):
        waiting = asyncio.create_task(sent_back(port, b"hello"))
        while not proxy.seen.pieces:
            await asyncio.sleep(0.01)
        await proxy.close()
        assert await waiting == b""


async def test_a_target_that_is_gone_ends_the_connection() -> None:
    async with echo_behind(Weather("any")) as (proxy, _):
        gone = Proxy((HOST, 1), Weather("any"), "a seed")
        port = await gone.listen(HOST)
        assert await sent_back(port, b"hello") == b""
        await gone.close()
        assert proxy.seen.connections == 0
