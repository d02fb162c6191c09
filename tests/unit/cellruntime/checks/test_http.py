"""The http check against real connections: 200 and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio

from diegod.cellruntime.checks.http import make_http_check
from diegod.contracts.backend import ExecResult
from diegod.contracts.check import Target, Unhealthy
from diegod.testing.backend_bench import free_port
from diegod.v1.definition_pb2 import Check, HttpCheck


async def run_nothing(argv: Sequence[str], timeout_s: float) -> ExecResult:
    raise AssertionError("an http check runs nothing")


class Site:
    """Says `answer` to whoever asks, and remembers the request."""

    def __init__(self) -> None:
        self.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        self.silent_s = 0.0
        self.request = b""
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.request = await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(self.silent_s)
        writer.write(self.answer)
        writer.close()

    async def probe(self, path: str = "/healthz", timeout_s: float = 5) -> Unhealthy | None:
        check = make_http_check(Check(http_check=HttpCheck(port=8080, path=path)))
        target = Target("127.0.0.1", {8080: self.port}, run_nothing)
        return await check.probe(target, timeout_s)


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    async with await asyncio.start_server(site.serve, "127.0.0.1", 0) as server:
        site.port = server.sockets[0].getsockname()[1]
        yield site


async def test_200_is_healthy_and_the_request_is_an_ordinary_one(site: Site) -> None:
    assert await site.probe() is None
    lines = site.request.decode().split("\r\n")
    assert lines[0] == "GET /healthz HTTP/1.1"
    assert f"Host: 127.0.0.1:{site.port}" in lines
    assert "Connection: close" in lines


@pytest.mark.parametrize("status", ["404 Not Found", "204 No Content", "302 Found", "500 Oh"])
async def test_every_other_status_is_unhealthy(site: Site, status: str) -> None:
    site.answer = f"HTTP/1.1 {status}\r\nLocation: /\r\n\r\n".encode()
    found = await site.probe()
    assert found == Unhealthy(f"{status[:3]} from http://127.0.0.1:{site.port}/healthz")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.1 200\r\n\r\n",
        b"HTTP/1.1 200 OK\n\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ],
)
async def test_spellings_of_200(site: Site, answer: bytes) -> None:
    site.answer = answer
    assert await site.probe() is None


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 2x0 OK\r\n",
        b"HTTP/1.1 100\r\n",
        b"x" * 99999,
    ],
)
async def test_what_is_not_http_is_unhealthy(site: Site, answer: bytes) -> None:
    site.answer = answer
    found = await site.probe()
    assert found == Unhealthy(f"no HTTP answer from http://127.0.0.1:{site.port}/healthz")


async def test_silence_ends_in_time(site: Site) -> None:
    site.silent_s = 1.0
    found = await site.probe(timeout_s=0.2)
    assert found == Unhealthy(f"no answer from http://127.0.0.1:{site.port}/healthz within 0.2 s")


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("", "/"),
        ("ready", "/ready"),
        ("/a/b?x=1&y=%20", "/a/b?x=1&y=%20"),
        ("/ä b", "/%C3%A4%20b"),
        ("/x HTTP/1.1\r\nHost: evil\r\n\r\n", "/x%20HTTP/1.1%0D%0AHost:%20evil%0D%0A%0D%0A"),
    ],
)
async def test_paths(site: Site, path: str, asked: str) -> None:
    assert await site.probe(path) is None
    assert site.request.split(b"\r\n")[0].decode() == f"GET {asked} HTTP/1.1"


async def test_nobody_listens() -> None:
    site = Site()
    site.port = free_port()
    assert await site.probe() == Unhealthy("connection refused on port 8080")


async def test_a_port_that_the_container_does_not_have() -> None:
    check = make_http_check(Check(http_check=HttpCheck(port=9090)))
    found = await check.probe(Target("127.0.0.1", {8080: 1}, run_nothing), 5)
    assert found == Unhealthy("port 9090 is not a port of this container")
