"""Clients that no server may let in: one without a certificate, one that another CA vouches for.

Seen with plain TLS, beneath our client library. A server lets a client in if it sends it a byte
(the settings of HTTP/2); it refuses one by closing the connection, in or after the handshake,
without one.
"""

import asyncio
import ssl
import time
from enum import StrEnum
from pathlib import Path

from diegod.node.dev.layout import HOST
from diegod.security.authority import create_authority, issue
from diegod.security.identity import Role

_ANSWER_S = 5.0
_H2_CLIENT = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"


class Outcome(StrEnum):
    LET_IN = "let in"
    REFUSED = "refused"
    NO_ANSWER = "no answer"


def other_authority(cluster: str, folder: Path) -> Path:
    """The certificate of a user of an equally named cluster, by a CA of its own; its folder."""
    now = time.time()
    issue(create_authority(cluster, folder / "ca", now), Role.USER, "mallory", (), folder, now)
    return folder


async def knock(port: int, certificate: Path | None) -> Outcome:
    """What a server does with a client that shows this folder's certificate, or none."""
    try:
        async with asyncio.timeout(_ANSWER_S):
            reader, writer = await asyncio.open_connection(HOST, port)
            try:
                return await _greeting(reader, writer, _context(certificate))
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError):  # not even a connection, or silence
        return Outcome.NO_ANSWER


async def _greeting(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext
) -> Outcome:
    try:
        await writer.start_tls(context, server_hostname=HOST)
        writer.write(_H2_CLIENT)
        return Outcome.LET_IN if await reader.read(1) else Outcome.REFUSED
    except (ssl.SSLError, ConnectionError):
        return Outcome.REFUSED


def _context(certificate: Path | None) -> ssl.SSLContext:
    """Trusts any server: whom the server trusts is the question."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    if certificate is not None:
        context.load_cert_chain(certificate / "user.crt", certificate / "user.key")
    return context
