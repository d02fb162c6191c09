"""etcd's side: three members as processes, and a client made of the same gRPC."""

import asyncio
import shutil
import socket
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import grpc

from diegod.security.authority import create_authority, issue
from diegod.security.identity import Role
from tests.bench.bbs import programs
from tests.bench.bbs.side import MEMBERS, VALUE_BYTES

_HOST = "127.0.0.1"
_TRANSACTION_PUTS = 128
_TRANSACTIONS_IN_FLIGHT = 16
_TRY_S = 1.0
_WAIT_S = 0.02
_RANGE_ROWS = 5_000
_BYTES_MAX = 64 * 1024 * 1024
_VALUE = b"x" * VALUE_BYTES
_OPTIONS = [
    ("grpc.use_local_subchannel_pool", 1),  # a channel is a connection
    ("grpc.max_receive_message_length", _BYTES_MAX),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
]


class Theirs:
    name = "etcd"

    def __init__(self, directory: Path, program: Path, prefix: Sequence[str] = ()) -> None:
        self._directory = directory
        self._program = program
        self._prefix = prefix
        self._pb = programs.etcd_messages()
        self.members: Sequence[str] = [f"etcd-{number}" for number in range(1, MEMBERS + 1)]
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._channels: dict[tuple[str, int], grpc.aio.Channel] = {}
        self._ids: dict[int, str] = {}

    async def start(self) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)
        self._directory.mkdir(parents=True)
        authority = create_authority("etcd", self._directory / "ca", time.time())
        for folder, role in (("member", Role.BBS), ("client", Role.USER)):
            hosts = (_HOST,) if role is Role.BBS else ()
            issue(authority, role, folder, hosts, self._directory / folder, time.time())
        ports = _free_ports(2 * MEMBERS)
        self._client_ports = dict(zip(self.members, ports[:MEMBERS], strict=True))
        self._peer_ports = dict(zip(self.members, ports[MEMBERS:], strict=True))
        for member in self.members:
            await self._spawn(member)
        await self.whole()
        self._preferred = self.members[0]

    async def _spawn(self, member: str) -> None:
        arguments = [*self._prefix, str(self._program), *self._flags(member)]
        with (self._directory / f"{member}.log").open("ab") as log:
            self._processes[member] = await asyncio.create_subprocess_exec(
                "setpriv", "--pdeathsig", "KILL", *arguments,
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,  # a Ctrl-C is the benchmark's to answer
            )  # fmt: skip

    def _flags(self, member: str) -> list[str]:
        tls = self._directory / "member"
        client = f"https://{_HOST}:{self._client_ports[member]}"
        peers = {name: f"https://{_HOST}:{port}" for name, port in self._peer_ports.items()}
        given = {
            "name": member,
            "data-dir": self._directory / member,
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peers[member],
            "initial-advertise-peer-urls": peers[member],
            "initial-cluster": ",".join(f"{name}={url}" for name, url in peers.items()),
            "initial-cluster-state": "new",
            "quota-backend-bytes": 8 << 30,
            "logger": "zap",
            "log-level": "error",
        }
        for kind in ("", "peer-"):
            given |= {
                f"{kind}cert-file": tls / "bbs.crt",
                f"{kind}key-file": tls / "bbs.key",
                f"{kind}trusted-ca-file": tls / "ca.crt",
                f"{kind}client-cert-auth": "true",
            }
        return [f"--{name}={value}" for name, value in given.items()]

    async def stop(self) -> None:
        channels, self._channels = list(self._channels.values()), {}
        for channel in channels:
            await channel.close()
        for member in list(self._processes):
            await self.kill(member)
        shutil.rmtree(self._directory, ignore_errors=True)

    def pid(self, member: str) -> int:
        return self._processes[member].pid

    async def leader(self) -> str:
        while True:
            for member in self.members:
                status = await self._status(member)
                if status is not None and status.leader in self._ids:
                    return self._ids[status.leader]
            await asyncio.sleep(_WAIT_S)

    async def kill(self, member: str) -> None:
        process = self._processes.pop(member)
        if process.returncode is None:
            process.kill()
        await process.wait()

    async def restart(self, member: str) -> None:
        await self._spawn(member)
        while True:
            try:
                await self._call(member, "KV/Range", self._pb.RangeRequest(key=b"none"))
            except grpc.aio.AioRpcError:
                await asyncio.sleep(_WAIT_S)
            else:
                return

    async def whole(self) -> None:
        while True:
            found = [await self._status(member) for member in self.members]
            statuses = [status for status in found if status is not None and status.leader]
            if len(statuses) == MEMBERS and len({each.raft_index for each in statuses}) == 1:
                return
            await asyncio.sleep(_WAIT_S)

    async def put(self, key: str) -> None:
        """By any member: etcd passes a write on to its leader. A put may be repeated."""
        request = self._pb.PutRequest(key=key.encode(), value=_VALUE)
        while True:
            try:
                await self._call(self._preferred, "KV/Put", request)
            except grpc.aio.AioRpcError:
                following = self.members.index(self._preferred) + 1
                self._preferred = self.members[following % MEMBERS]
                await asyncio.sleep(_WAIT_S)
            else:
                return

    async def prefer_leader(self) -> None:
        """Write without a hop, as our client does."""
        self._preferred = await self.leader()

    async def put_many(self, keys: Sequence[str]) -> None:
        free = asyncio.Semaphore(_TRANSACTIONS_IN_FLIGHT)

        async def transaction(some: Sequence[str]) -> None:
            async with free:
                request = self._pb.TxnRequest()
                for key in some:
                    put = request.success.add().request_put
                    put.key, put.value = key.encode(), _VALUE
                await self._call(self._preferred, "KV/Txn", request, timeout_s=30.0)

        starts = range(0, len(keys), _TRANSACTION_PUTS)
        portions = [keys[start : start + _TRANSACTION_PUTS] for start in starts]
        await asyncio.gather(*(transaction(portion) for portion in portions))

    async def follow(self, member: str, key: str, channel: int) -> AsyncIterator[str]:
        pb = self._pb
        everything = {} if key else {"range_end": b"\0"}
        create = pb.WatchCreateRequest(key=key.encode() or b"\0", **everything)
        call = self._channel(member, channel).stream_stream(
            "/etcdserverpb.Watch/Watch",
            request_serializer=pb.WatchRequest.SerializeToString,
            response_deserializer=pb.WatchResponse.FromString,
        )()
        try:
            await call.write(pb.WatchRequest(create_request=create))
            async for response in call:
                if response.created:
                    yield ""
                for event in response.events:
                    yield event.kv.key.decode()
        finally:
            call.cancel()

    async def list_all(self) -> int:
        """Page by page, each at the revision of the first, as a client of etcd must."""
        pb, first, revision, count = self._pb, b"\0", 0, 0
        while True:
            request = pb.RangeRequest(
                key=first, range_end=b"\0", limit=_RANGE_ROWS, revision=revision
            )
            page = await self._call(self._preferred, "KV/Range", request, timeout_s=30.0)
            revision = revision or page.header.revision
            count += len(page.kvs)
            if not page.more:
                return count
            first = page.kvs[-1].key + b"\0"

    async def _status(self, member: str) -> Any:
        try:
            status = await self._call(member, "Maintenance/Status", self._pb.StatusRequest())
        except grpc.aio.AioRpcError:
            return None
        self._ids[status.header.member_id] = member
        return status

    async def _call(
        self, member: str, name: str, request: Any, timeout_s: float = _TRY_S
    ) -> Any:
        reply = getattr(self._pb, type(request).__name__.replace("Request", "Response"))
        stub = self._channel(member, 0).unary_unary(
            f"/etcdserverpb.{name}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=reply.FromString,
        )
        return await stub(request, timeout=timeout_s)

    def _channel(self, member: str, number: int) -> grpc.aio.Channel:
        if (member, number) not in self._channels:
            tls = self._directory / "client"
            credentials = grpc.ssl_channel_credentials(
                (tls / "ca.crt").read_bytes(),
                (tls / "user.key").read_bytes(),
                (tls / "user.crt").read_bytes(),
            )
            self._channels[member, number] = grpc.aio.secure_channel(
                f"{_HOST}:{self._client_ports[member]}", credentials, options=_OPTIONS
            )
        return self._channels[member, number]


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    held = [socket.socket() for _ in range(count)]
    try:
        for each in held:
            each.bind((_HOST, 0))
        return [int(each.getsockname()[1]) for each in held]
    finally:
        for each in held:
            each.close()
