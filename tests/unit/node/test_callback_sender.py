"""The sender against real connections to a server that says what the test wants.

Names of the outside lead to that server, too: the test resolves them to an outside address, and
dials what listens here when that very address is asked for.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from diegod.node.callback_sender import HttpCallbackSender, Streams, dialled, resolved
from diegod.scheduler.core.callback_message import Answer
from diegod.testing.backend_bench import free_port
from tests.unit.security.certificates import LOOPBACK, careless_authority, dns

OUTSIDE = "93.184.216.34"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def status(line: str, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {line}", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\nContent-Length: 0\r\n\r\n").encode()


class Site:
    """Answers one after the other; remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: list[bytes] = [OK]
        self.then: Callable[[asyncio.StreamWriter], object] = lambda writer: writer.close()
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.split("Content-Length: ")[1].split("\r\n")[0])
        self.heads.append(head)
        self.bodies.append(await reader.readexactly(length))
        writer.write(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
        self.then(writer)

    def url(self, path: str = "/done") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    @property
    def asked(self) -> list[str]:
        """ "/path of host" of each request."""
        return [
            f"{head.split()[1]} of {head.split('Host: ')[1].splitlines()[0]}"
            for head in self.heads
        ]


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    async with await asyncio.start_server(site.serve, "127.0.0.1", 0) as server:
        site.port = server.sockets[0].getsockname()[1]
        yield site


class Outside:
    """A world in which names ending in .example are outside, and are all that one server."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.names: dict[str, Sequence[str]] = {}
        self.dialled: list[str] = []

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        if host in self.names:
            return self.names[host]
        return [OUTSIDE] if host.endswith(".example") else await resolved(host, port)

    async def dial(self, address: str, port: int, tls: ssl.SSLContext | None, host: str) -> Streams:
        self.dialled.append(address)
        if address == OUTSIDE:
            address, port = "127.0.0.1", self.port
        return await dialled(address, port, tls, host)

    def sender(self, tls: ssl.SSLContext | None = None) -> HttpCallbackSender:
        return HttpCallbackSender(tls, self.resolve, self.dial)


async def post(url: str, sender: HttpCallbackSender | None = None, timeout_s: float = 10) -> Answer:
    return await (sender or HttpCallbackSender()).post(url, b'{"a": 1}', timeout_s, "t/42")


class TestOneRequest:
    async def test_it_is_an_ordinary_one(self, site: Site) -> None:
        assert await post(site.url("/done?x=1")) == Answer(200)
        (head,) = site.heads
        lines = head.split("\r\n")
        assert lines[0] == "POST /done?x=1 HTTP/1.1"
        assert f"Host: 127.0.0.1:{site.port}" in lines
        assert "Content-Type: application/json" in lines
        assert "Idempotency-Key: t/42" in lines
        assert "Connection: close" in lines
        assert not [line for line in lines if line.lower().startswith(("authorization", "cookie"))]
        assert site.bodies == [b'{"a": 1}']

    @pytest.mark.parametrize("code", [204, 304, 400, 404, 410, 429, 500, 503])
    async def test_every_status_is_told_as_it_is(self, site: Site, code: int) -> None:
        site.answers = [status(f"{code} Whatever")]
        assert await post(site.url()) == Answer(code)

    async def test_an_interim_answer_is_not_the_answer(self, site: Site) -> None:
        site.answers = [b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK]
        assert await post(site.url()) == Answer(200)

    async def test_nobody_listens(self) -> None:
        answer = await post(f"http://127.0.0.1:{free_port()}/")
        assert answer.status == 0
        assert "Connect call failed" in answer.error or "refused" in answer.error.lower()
        assert not answer.give_up

    async def test_a_name_without_an_address(self) -> None:
        answer = await post("http://nobody.example/")
        assert answer.error.startswith("nobody.example has no address")
        assert not answer.give_up

    async def test_a_url_that_can_never_be_called_is_given_up(self) -> None:
        answer = await post("gopher://example.com/")
        assert answer == Answer(
            error="gopher://example.com/ is neither http nor https", give_up=True
        )

    @pytest.mark.parametrize(
        ("said", "error"),
        [
            (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "is not a status line"),
            (b"HTTP/1.1 2", "it hung up in the middle"),
            (b"", "it hung up in the middle"),
            (b"HTTP/1.1 200 OK\r\nX: " + bytes(70_000) + b"\r\n\r\n", "more than 64 KiB"),
        ],
    )
    async def test_what_is_not_http(self, site: Site, said: bytes, error: str) -> None:
        site.answers = [said]
        answer = await post(site.url())
        assert answer.status == 0
        assert error in answer.error

    async def test_who_says_nothing_is_not_waited_for_longer_than_asked(self, site: Site) -> None:
        site.answers, site.then = [b""], lambda writer: None
        assert await post(site.url(), timeout_s=0.2) == Answer(error="no answer within 0.2 s")

    async def test_a_body_without_an_end_holds_nobody_up(self, site: Site) -> None:
        """Its status has been heard: the rest is taken in for a second and no longer."""
        site.answers = [b"HTTP/1.1 200 OK\r\n\r\n"]
        site.then = lambda writer: drips.append(asyncio.create_task(_drip(writer)))
        drips: list[asyncio.Task[None]] = []
        assert await post(site.url()) == Answer(200)
        await asyncio.gather(*drips)

    async def test_a_huge_body_is_not_read(self, site: Site) -> None:
        site.answers = [b"HTTP/1.1 200 OK\r\n\r\n" + bytes(16 * 1024 * 1024)]
        assert await post(site.url()) == Answer(200)


async def _drip(writer: asyncio.StreamWriter) -> None:
    while not writer.is_closing():
        writer.write(b".")
        await asyncio.sleep(0.05)


class TestAddresses:
    @pytest.mark.parametrize(
        "host",
        ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "0xa9fea9fe", "2852039166"],
    )
    async def test_a_link_local_one_is_never_called(self, host: str) -> None:
        outside = Outside(0)
        answer = await post(f"http://{host}/latest/meta-data", outside.sender())
        assert "is link-local" in answer.error
        assert outside.dialled == []

    async def test_a_literal_one_is_given_up_but_a_name_may_be_mended(self) -> None:
        assert (await post("http://169.254.169.254/")).give_up
        outside = Outside(0)
        outside.names["cloud.example"] = ["169.254.169.254"]
        answer = await post("http://cloud.example/", outside.sender())
        assert answer.error == "cloud.example is not called: 169.254.169.254 is link-local"
        assert not answer.give_up

    async def test_the_connection_is_made_to_the_address_that_was_looked_at(
        self, site: Site
    ) -> None:
        outside = Outside(site.port)
        outside.names["two.example"] = ["169.254.169.254", OUTSIDE]
        assert await post("http://two.example/", outside.sender()) == Answer(200)
        assert outside.dialled == [OUTSIDE]
        assert site.asked == ["/ of two.example"]

    async def test_loopback_in_an_odd_spelling_is_loopback(self, site: Site) -> None:
        """The definition may name it."""
        assert await post(f"http://0x7f000001:{site.port}/") == Answer(200)


class TestRedirects:
    async def test_the_outside_is_followed_and_the_post_kept(self, site: Site) -> None:
        site.answers = [
            status("307 Temporary Redirect", Location="http://b.example/b"),
            status("308 Permanent Redirect", Location="/c"),
            OK,
        ]
        assert await post(site.url("/a"), Outside(site.port).sender()) == Answer(200)
        assert site.asked == [f"/a of 127.0.0.1:{site.port}", "/b of b.example", "/c of b.example"]
        assert site.bodies == [b'{"a": 1}'] * 3

    @pytest.mark.parametrize("code", [301, 302, 303])
    async def test_a_post_is_not_turned_into_a_get(self, site: Site, code: int) -> None:
        site.answers = [status(f"{code} Moved", Location="http://b.example/")]
        answer = await post(site.url(), Outside(site.port).sender())
        assert answer == Answer(code, f"redirected with status {code}, which does not keep a POST")
        assert len(site.heads) == 1

    @pytest.mark.parametrize(
        "host",
        [
            "127.0.0.1",
            "localhost",
            "127.1",
            "0x7f.1",
            "2130706433",
            "0177.0.0.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "0.0.0.0",
            "10.1.2.3",
            "192.168.0.1",
            "169.254.169.254",
            "inside.example",
        ],
    )
    async def test_the_inside_is_not(self, site: Site, host: str) -> None:
        outside = Outside(site.port)
        outside.names["inside.example"] = ["10.0.0.7"]
        site.answers = [status("307 Over There", Location=f"http://{host}:{site.port}/")]
        answer = await post("http://a.example/", outside.sender())
        assert answer.error.startswith(f"{host.strip('[]')} is not called: ")
        assert not answer.give_up
        assert outside.dialled == [OUTSIDE]

    async def test_three_times_and_no_more(self, site: Site) -> None:
        site.answers = [status("307 On", Location="http://b.example/")]
        answer = await post("http://a.example/", Outside(site.port).sender())
        assert answer == Answer(307, "redirected more than 3 times")
        assert len(site.heads) == 4

    async def test_a_redirect_to_nowhere(self, site: Site) -> None:
        site.answers = [status("307 On", Location="http://user:word@b.example/")]
        answer = await post("http://a.example/", Outside(site.port).sender())
        assert answer == Answer(
            307, "redirected: a callback URL must not carry a user or a password"
        )


class TestTls:
    @pytest_asyncio.fixture
    async def secure(self, tmp_path: Path) -> AsyncIterator[tuple[Site, ssl.SSLContext]]:
        """A site for localhost and a.example, and whoever trusts its authority."""
        authority = careless_authority(time.time())
        pair = authority.sign([*LOOPBACK, dns("a.example")], time.time())
        chain, key = tmp_path / "site.crt", tmp_path / "site.key"
        chain.write_bytes(pair.certificate_pem)
        key.write_bytes(pair.key_pem)
        server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server_side.load_cert_chain(chain, key)
        trusting = ssl.create_default_context(cadata=authority.certificate_pem.decode())
        site = Site()
        server = await asyncio.start_server(site.serve, "127.0.0.1", 0, ssl=server_side)
        async with server:
            site.port = server.sockets[0].getsockname()[1]
            yield site, trusting

    async def test_the_certificate_is_for_the_name_though_an_address_is_dialled(
        self, secure: tuple[Site, ssl.SSLContext]
    ) -> None:
        site, tls = secure
        outside = Outside(site.port)
        assert await post("https://a.example/x", outside.sender(tls)) == Answer(200)
        assert outside.dialled == [OUTSIDE]
        answer = await post("https://b.example/x", outside.sender(tls))
        assert "b.example" in answer.error
        assert "certificate is not valid for" in answer.error
        assert len(site.heads) == 1

    async def test_an_authority_that_nobody_trusts(
        self, secure: tuple[Site, ssl.SSLContext]
    ) -> None:
        answer = await post("https://a.example/x", Outside(secure[0].port).sender())
        assert "unable to get local issuer certificate" in answer.error

    async def test_no_redirect_from_https_to_http(
        self, secure: tuple[Site, ssl.SSLContext]
    ) -> None:
        site, tls = secure
        site.answers = [status("307 Down", Location="http://a.example/")]
        answer = await post("https://a.example/x", Outside(site.port).sender(tls))
        assert answer == Answer(307, "redirected: from https to http://a.example/")
