"""POSTs to callback URLs, with the standard library: asyncio's streams, and its TLS.

Each name is resolved once, and the connection made to an address that was looked at. Of an answer
the status is all that counts: its body is taken in for a moment, for the server's sake, and thrown
away. See docs/decisions/0016-callbacks.md. Does not belong here: what an answer means
(`scheduler.core`).
"""

import asyncio
import io
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage, parse_headers

from diegod.node.callback_addresses import refusal
from diegod.node.callback_url import BadUrlError, CallbackUrl
from diegod.scheduler.core.callback_message import Answer

REDIRECTS_MAX = 3
#: Of the status line and the headers together.
_HEAD_BYTES_MAX = 64 * 1024
#: Of the body so much is taken in, and for so long: a server that has said it all can end in peace.
_BODY_BYTES_MAX = 64 * 1024
_BODY_S = 1.0
_INTERIM = 200  # below it: "go on", and another answer follows
_REDIRECTS_OF_A_POST = (307, 308)
_OTHER_REDIRECTS = (301, 302, 303)

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
Dial = Callable[[str, int, ssl.SSLContext | None, str], Awaitable[Streams]]


class NotPostedError(Exception):
    """Why there is no answer, for a person; `for_ever`: there can never be one."""

    def __init__(self, why: str, *, for_ever: bool = False) -> None:
        super().__init__(why)
        self.for_ever = for_ever


@dataclass(frozen=True)
class _Head:
    status: int
    location: str


async def resolved(host: str, port: int) -> Sequence[str]:
    """All addresses of a name, in the system's order; odd spellings of numbers are numbers."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


async def dialled(address: str, port: int, tls: ssl.SSLContext | None, host: str) -> Streams:
    return await asyncio.open_connection(
        address, port, ssl=tls, server_hostname=host if tls else None, limit=_HEAD_BYTES_MAX
    )


class HttpCallbackSender:
    """`resolve` and `dial` are how it reaches the world; `tls` is whom it trusts there."""

    def __init__(
        self,
        tls: ssl.SSLContext | None = None,
        resolve: Resolve = resolved,
        dial: Dial = dialled,
    ) -> None:
        self._tls = tls or ssl.create_default_context()
        self._resolve = resolve
        self._dial = dial

    async def post(self, url: str, body: bytes, timeout_s: float, idempotency_key: str) -> Answer:
        try:
            async with asyncio.timeout(timeout_s):
                return await self._post(CallbackUrl.parse(url), body, idempotency_key)
        except TimeoutError:
            return Answer(error=f"no answer within {timeout_s:g} s")
        except NotPostedError as error:
            return Answer(error=str(error), give_up=error.for_ever)
        except BadUrlError as error:
            return Answer(error=str(error), give_up=True)

    async def _post(self, url: CallbackUrl, body: bytes, key: str) -> Answer:
        redirects = 0
        while True:
            head = await self._ask(url, body, key, redirected=redirects > 0)
            if head.status in _OTHER_REDIRECTS:
                why = f"redirected with status {head.status}, which does not keep a POST"
                return Answer(head.status, why)
            if head.status not in _REDIRECTS_OF_A_POST:
                return Answer(head.status)
            if redirects == REDIRECTS_MAX:
                return Answer(head.status, f"redirected more than {REDIRECTS_MAX} times")
            try:
                url = url.redirected(head.location)
            except BadUrlError as error:  # the server's fault, and it may mend it
                return Answer(head.status, f"redirected: {error}")
            redirects += 1

    async def _ask(
        self, url: CallbackUrl, body: bytes, key: str, *, redirected: bool
    ) -> _Head:
        address = await self._address(url, redirected)
        writer: asyncio.StreamWriter | None = None
        try:
            tls = self._tls if url.is_https else None
            reader, writer = await self._dial(address, url.port, tls, url.host)
            writer.write(_request(url, len(body), key) + body)
            head = await _head(reader)
            await _take_body(reader)
            return head
        except ssl.SSLError as error:
            why = getattr(error, "verify_message", "") or error.reason or str(error)
            raise NotPostedError(f"{url.host}: {why}") from None
        except OSError as error:
            why = error.strerror or str(error) or type(error).__name__
            raise NotPostedError(f"{url.host} ({address}, port {url.port}): {why}") from None
        except (HTTPException, ValueError, EOFError) as error:
            why = f"{url.host} did not answer in HTTP: {error}"
            raise NotPostedError(why) from None
        finally:
            if writer is not None:
                writer.transport.abort()

    async def _address(self, url: CallbackUrl, redirected: bool) -> str:
        """The first one that may be posted to."""
        try:
            addresses = await self._resolve(url.host, url.port)
        except (OSError, UnicodeError) as error:
            why = f"{url.host} has no address: {error}"
            raise NotPostedError(why) from None
        refusals = {each: refusal(each, redirected=redirected) for each in addresses}
        for address, why in refusals.items():
            if not why:
                return address
        why = ", ".join(refusals.values()) or "it has no address"
        is_literal = url.host in refusals
        raise NotPostedError(
            f"{url.host} is not called: {why}", for_ever=is_literal and not redirected
        )


def _request(url: CallbackUrl, length: int, key: str) -> bytes:
    lines = (
        f"POST {url.target} HTTP/1.1",
        f"Host: {url.host_header}",
        "User-Agent: diegod",
        "Accept: */*",
        "Content-Type: application/json",
        f"Content-Length: {length}",
        f"Idempotency-Key: {key}",
        "Connection: close",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


async def _head(reader: asyncio.StreamReader) -> _Head:
    """Of the answer itself; interim ones are passed over."""
    left = _HEAD_BYTES_MAX
    while True:
        raw = await _until_blank_line(reader, left)
        left -= len(raw)
        first, _, rest = raw.partition(b"\r\n")
        status = _status(first)
        if status >= _INTERIM:
            headers: HTTPMessage = parse_headers(io.BytesIO(rest))
            return _Head(status, headers.get("Location", ""))


async def _until_blank_line(reader: asyncio.StreamReader, bytes_max: int) -> bytes:
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        raw = b""
    except asyncio.IncompleteReadError:
        raise HTTPException("it hung up in the middle") from None
    if not raw or len(raw) > bytes_max:
        raise HTTPException(f"more than {_HEAD_BYTES_MAX // 1024} KiB of headers")
    return raw


async def _take_body(reader: asyncio.StreamReader) -> None:
    left = _BODY_BYTES_MAX
    try:
        async with asyncio.timeout(_BODY_S):
            while left > 0 and (data := await reader.read(left)):
                left -= len(data)
    except (TimeoutError, OSError):
        pass  # the status has been heard


def _status(line: bytes) -> int:
    """Of "HTTP/1.1 200 OK"."""
    protocol, _, rest = line.partition(b" ")
    code = rest[:3]
    if not protocol.startswith(b"HTTP/1.") or not (len(code) == 3 and code.isdigit()):
        raise HTTPException(f"{line[:40]!r} is not a status line")
    return int(code)
