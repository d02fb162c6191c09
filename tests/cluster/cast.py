"""Everybody who may speak with a BBS, each with a certificate of their own, over real gRPC.

A test plays the brain and the cells itself, so that it can say what no honest one would.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import grpc

from diegod.internal.v1.command_pb2 import Command, Outcome
from diegod.internal.v1.ring_pb2 import SubmitReply, SubmitRequest
from diegod.rpc.channel import GrpcDialer
from diegod.rpc.methods import method
from diegod.security.authority import issue, load_authority
from diegod.security.credentials import channel_credentials, load_identity
from diegod.security.identity import Role
from tests.cluster.roles import HOST, Node, Site

LOCK = "brain"
DAY_S = 86_400.0
_TRIES = 50
_WRITE_FAILED = "Internal error from Core"


def principal_folder(site: Site, role: str, id_: str) -> Path:
    return site.folder / "cast" / f"{role}-{id_}"


def add_principal(site: Site, role: str, id_: str, ago_s: float = 0.0) -> Path:
    """A certificate of the site's CA, for a day, issued so long ago."""
    folder = principal_folder(site, role, id_)
    hosts = [] if role == "user" else [HOST]
    now = time.time() - ago_s
    issue(load_authority(site.ca), Role(role), id_, hosts, folder, now, validity_days=1)
    return folder


class Cast:
    """Who speaks with one member; channels are kept open until the end."""

    def __init__(self, site: Site, member: Node) -> None:
        self._site = site
        self._member = member
        self._dialers: dict[str, GrpcDialer] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for dialer in self._dialers.values():
            await dialer.close()

    def dialer(self, who: str) -> GrpcDialer:
        """`cell/a` and the like."""
        if who not in self._dialers:
            role, _, id_ = who.partition("/")
            folder = principal_folder(self._site, role, id_)
            identity = load_identity(folder, Role(role), time.time())
            self._dialers[who] = GrpcDialer(lambda: channel_credentials(identity))
        return self._dialers[who]

    async def call(self, who: str, name: str, request: Any) -> Any:
        """Raises DomainError."""
        return await self.dialer(who).call(self._member.address, method(name), request, 5.0)

    async def first(self, who: str, name: str, request: Any) -> Any:
        """The first reply of a stream, or None where it ends without one."""
        stream = self.dialer(who).stream(self._member.address, method(name), request, 5.0)
        try:
            async for reply in stream:
                return reply
            return None
        finally:
            await stream.aclose()  # type: ignore[attr-defined]

    async def submit(self, who: str, *commands: Command) -> Sequence[Outcome]:
        name = "diegod.internal.v1.RingService/Submit"
        reply: SubmitReply = await self.call(who, name, SubmitRequest(commands=commands))
        return reply.outcomes

    async def say(self, who: str, incarnation: int = 0, **command: Any) -> Outcome:
        """One command of a brain or a cell: `say("cell/a", 3, start_task=StartTask(…))`."""
        [outcome] = await self.submit(who, Command(cell_incarnation=incarnation, **command))
        return outcome

    async def decide(self, token: int, **command: Any) -> Outcome:
        """One command of the brain that holds the lock."""
        given = Command(lock_name=LOCK, lock_token=token, **command)
        [outcome] = await self.submit("brain/one", given)
        return outcome


@dataclass(frozen=True)
class Refused:
    """What gRPC says of a call that failed."""

    code: grpc.StatusCode
    details: str


def secure_channel(
    address: str, ca: Path, folder: Path | None = None, role: str = "user"
) -> grpc.aio.Channel:
    """A channel that trusts `ca`, with a certificate or without one."""
    own = [] if folder is None else [folder / f"{role}.key", folder / f"{role}.crt"]
    credentials = grpc.ssl_channel_credentials(
        ca.read_bytes(), *(file.read_bytes() for file in own)
    )
    return grpc.aio.secure_channel(address, credentials, options=[("grpc.enable_retries", 0)])


async def outcome_of(channel: grpc.aio.Channel, path: str, request: bytes = b"") -> Refused | None:
    """What comes of one call with raw bytes, whatever its kind; None: it was answered.

    Where a server refuses before it has read the request, the client's own write fails, and gRPC
    may report that in place of the refusal: such a call says nothing, and is made again.
    """
    for _ in range(_TRIES):
        refused = await _outcome_of_one(channel, path, request)
        if refused is None or refused.details != _WRITE_FAILED:
            return refused
    raise AssertionError(f"{path}: {_TRIES} × {_WRITE_FAILED}")


async def _outcome_of_one(channel: grpc.aio.Channel, path: str, request: bytes) -> Refused | None:
    call: Any = channel.stream_stream(path)(iter_once(request), timeout=5.0)
    try:
        async for _ in call:
            return None
        code, details = await call.code(), await call.details()
    except grpc.aio.AioRpcError as error:
        code, details = error.code(), error.details()
    finally:
        call.cancel()
    return None if code is grpc.StatusCode.OK else Refused(code, details or "")


async def iter_once(request: bytes) -> Any:
    yield request
