"""A slow link: a TCP proxy that delays, stalls, cuts or throttles what passes; by a seed.

It knows bytes, not frames: a cut comes after a number of bytes that falls into the middle of one.
"""

import asyncio
import contextlib
import random
from dataclasses import dataclass

_PIECE_BYTES = 16 << 10


@dataclass(frozen=True)
class Weather:
    """How a link behaves."""

    name: str
    latency_s: float = 0.0
    jitter_s: float = 0.0
    stall_every_bytes: int = 0  # then nothing passes for `stall_s`
    stall_s: float = 0.0
    cut_after_bytes: int = 0  # then the connection ends, in the middle of whatever it is
    bytes_a_second: int = 0


@dataclass
class Seen:
    """What the proxy has done to what passed."""

    connections: int = 0
    pieces: int = 0
    stalls: int = 0
    cuts: int = 0
    waited_s: float = 0.0


class Proxy:
    """Listens on an address of its own and passes everything on to one target."""

    def __init__(self, target: tuple[str, int], weather: Weather, seed: str) -> None:
        self._target = target
        self._weather = weather
        self._chance = random.Random(seed)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.seen = Seen()

    async def listen(self, host: str) -> int:
        """Begin; the port."""
        self._server = await asyncio.start_server(self._serve, host, 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._join(reader, writer)
        except asyncio.CancelledError:
            return  # closed; asyncio's server would complain of it otherwise
        finally:
            self._tasks.discard(task)
            _drop(writer)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Both ways, until either ends."""
        try:
            there, back = await asyncio.open_connection(*self._target)
        except OSError:
            return
        self.seen.connections += 1
        ways = [
            asyncio.create_task(self._pass(reader, back)),
            asyncio.create_task(self._pass(there, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            _drop(back)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        weather, passed = self._weather, 0
        to_stall = self._span(weather.stall_every_bytes)
        to_cut = self._span(weather.cut_after_bytes)
        with contextlib.suppress(OSError):
            while piece := await reader.read(_PIECE_BYTES):
                await self._wait(len(piece))
                passed += len(piece)
                if weather.stall_every_bytes and passed >= to_stall:
                    to_stall = passed + self._span(weather.stall_every_bytes)
                    self.seen.stalls += 1
                    await asyncio.sleep(weather.stall_s)
                if weather.cut_after_bytes and passed >= to_cut:
                    self.seen.cuts += 1
                    writer.write(piece[: len(piece) // 2])
                    await writer.drain()
                    return
                writer.write(piece)
                await writer.drain()

    async def _wait(self, size: int) -> None:
        weather = self._weather
        wait_s = weather.latency_s + self._chance.uniform(0, weather.jitter_s)
        if weather.bytes_a_second:
            wait_s += size / weather.bytes_a_second
        self.seen.pieces += 1
        self.seen.waited_s += wait_s
        await asyncio.sleep(wait_s)

    def _span(self, size: int) -> int:
        return self._chance.randint(1, 2 * size) if size else 0


def _drop(writer: asyncio.StreamWriter) -> None:
    """At once, with a reset where something is still on its way."""
    writer.transport.abort()
