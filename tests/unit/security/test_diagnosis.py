"""One real case for each reason why a connection fails, each with a line of its own."""

import asyncio
import contextlib
import re
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import grpc
import pytest

from diegod.security.authority import Authority, create_authority, issue
from diegod.security.credentials import Identity, channel_credentials, load_identity
from diegod.security.diagnosis import Diagnosis, Kind, diagnose
from diegod.security.errors import SecurityError
from diegod.security.identity import Role
from tests.unit.security import certificates
from tests.unit.security.certificates import CLIENT, HOUR_S, LOOPBACK, Pair, uri
from tests.unit.security.echo import call, serving

NOW = time.time()
BBS_URI = uri("spiffe://prod/bbs/bbs-1")
FORM = re.compile(r"[^\n]+ \([^\n]+\)\. [^\n]+")


@dataclass(frozen=True)
class Scene:
    """Alice of cluster prod, and the CA that her servers may have certificates of."""

    authority: Authority
    alice: Identity

    @property
    def forger(self) -> certificates.CarelessAuthority:
        """Our CA, if it signed whatever it is asked to."""
        return certificates.CarelessAuthority(self.authority.certificate, self.authority.key)

    def server(self, pair: Pair, client_ca_pem: bytes = b"") -> grpc.ServerCredentials:
        return grpc.ssl_server_credentials(
            [(pair.key_pem, pair.certificate_pem)],
            client_ca_pem or self.authority.certificate_pem,
            require_client_auth=True,
        )


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("scene")
    authority = create_authority("prod", folder / "ca", NOW)
    issue(authority, Role.USER, "alice", [], folder / "alice", NOW)
    return Scene(authority, load_identity(folder / "alice", Role.USER, NOW, "prod"))


Serve = Callable[[Scene], AbstractAsyncContextManager[str]]


def at(port: int, host: str = "127.0.0.1") -> str:
    return f"{host}:{port}"


@asynccontextmanager
async def good(scene: Scene) -> AsyncIterator[str]:
    async with serving(scene.server(scene.forger.sign([BBS_URI, *LOOPBACK], NOW))) as port:
        yield at(port)


@asynccontextmanager
async def distrustful(scene: Scene) -> AsyncIterator[str]:
    """Its `ca.crt` is another one than ours, though we trust its certificate."""
    stranger = certificates.careless_authority(NOW).certificate_pem
    pair = scene.forger.sign([BBS_URI, *LOOPBACK], NOW)
    async with serving(scene.server(pair, client_ca_pem=stranger)) as port:
        yield at(port)


@asynccontextmanager
async def elsewhere(scene: Scene) -> AsyncIterator[str]:
    names = [BBS_URI, certificates.dns("bbs-1.example.com"), certificates.ip("10.0.0.11")]
    async with serving(scene.server(scene.forger.sign(names, NOW))) as port:
        yield at(port, "localhost")


@asynccontextmanager
async def elsewhere_by_address(scene: Scene) -> AsyncIterator[str]:
    names = [BBS_URI, certificates.dns("localhost")]
    async with serving(scene.server(scene.forger.sign(names, NOW))) as port:
        yield at(port)


@asynccontextmanager
async def of_another_ca(scene: Scene) -> AsyncIterator[str]:
    pair = certificates.careless_authority(NOW).sign([BBS_URI, *LOOPBACK], NOW)
    async with serving(scene.server(pair)) as port:
        yield at(port)


@asynccontextmanager
async def nameless(scene: Scene) -> AsyncIterator[str]:
    """Some TLS server that has nothing to do with us."""
    pair = certificates.careless_authority(NOW).sign(LOOPBACK, NOW)
    async with serving(scene.server(pair)) as port:
        yield at(port)


@asynccontextmanager
async def staging(scene: Scene) -> AsyncIterator[str]:
    names = [uri("spiffe://staging/bbs/bbs-1"), *LOOPBACK]
    pair = certificates.careless_authority(NOW).sign(names, NOW)
    async with serving(scene.server(pair)) as port:
        yield at(port)


@asynccontextmanager
async def staging_of_our_ca(scene: Scene) -> AsyncIterator[str]:
    names = [uri("spiffe://staging/bbs/bbs-1"), *LOOPBACK]
    async with serving(scene.server(scene.forger.sign(names, NOW))) as port:
        yield at(port)


@asynccontextmanager
async def a_cell(scene: Scene) -> AsyncIterator[str]:
    names = [uri("spiffe://prod/cell/cell-1"), *LOOPBACK]
    async with serving(scene.server(scene.forger.sign(names, NOW))) as port:
        yield at(port)


@asynccontextmanager
async def a_user(scene: Scene) -> AsyncIterator[str]:
    names = [uri("spiffe://prod/user/eve"), *LOOPBACK]
    async with serving(scene.server(scene.forger.sign(names, NOW, purposes=[CLIENT]))) as port:
        yield at(port)


def dated(start_s: float, end_s: float) -> Serve:
    @asynccontextmanager
    async def serve(scene: Scene) -> AsyncIterator[str]:
        pair = scene.forger.sign([BBS_URI, *LOOPBACK], NOW, valid_s=(start_s, end_s))
        async with serving(scene.server(pair)) as port:
            yield at(port)

    return serve


@asynccontextmanager
async def plaintext(_: Scene) -> AsyncIterator[str]:
    async with serving(None) as port:
        yield at(port)


@asynccontextmanager
async def a_banner(_: Scene) -> AsyncIterator[str]:
    """Speaks first, as SSH does, and hangs up on what it does not understand."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        await reader.read(1)
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        yield at(server.sockets[0].getsockname()[1])


@asynccontextmanager
async def nothing(_: Scene) -> AsyncIterator[str]:
    with socket.socket() as bound:  # bound, so that nobody else takes it; but not listening
        bound.bind(("127.0.0.1", 0))
        yield at(bound.getsockname()[1])


@asynccontextmanager
async def silent(_: Scene) -> AsyncIterator[str]:
    """The kernel accepts the connection, and nobody reads from it: a process that hangs."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(8)
        yield at(listening.getsockname()[1])


@asynccontextmanager
async def deaf(_: Scene) -> AsyncIterator[str]:
    """Its queue of new connections is full, so the kernel drops ours: like a firewall."""
    with contextlib.ExitStack() as sockets:
        listening = sockets.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _attempt in range(3):
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield at(listening.getsockname()[1])


@asynccontextmanager
async def nowhere(_: Scene) -> AsyncIterator[str]:
    yield "224.0.0.1:8889"  # a group of machines: there is never a route to connect to it


@dataclass(frozen=True)
class Case:
    serve: Serve
    kind: Kind
    line: str


CASES = [
    Case(good, Kind.WORKS, r"accepts your certificate \(it is bbs/bbs-1, you are user/alice\)"),
    Case(nothing, Kind.NOTHING_LISTENS, r"^no answer from [\d.:]+ \(connection refused\)"),
    Case(deaf, Kind.TIMED_OUT, r"^no answer from [\d.:]+ \(timed out after 0\.5 s\)"),
    Case(silent, Kind.TIMED_OUT, r"^no answer from [\d.:]+ \(connected, but silent for 0\.5 s\)"),
    Case(nowhere, Kind.UNREACHABLE, r"^no way to 224\.0\.0\.1:8889 \(.*unreachable"),
    Case(plaintext, Kind.NOT_TLS, r"does not speak TLS"),
    Case(a_banner, Kind.NOT_TLS, r"does not speak TLS"),
    Case(distrustful, Kind.REFUSED, r"refused your certificate .*user\.crt \(it completed the h"),
    Case(
        elsewhere,
        Kind.OTHER_HOST,
        r"^bbs/bbs-1's certificate is for bbs-1\.example\.com, 10\.0\.0\.11, not for \"localhost\"",
    ),
    Case(elsewhere_by_address, Kind.OTHER_HOST, r"is for localhost, not for \"127\.0\.0\.1\""),
    Case(of_another_ca, Kind.OTHER_CA, r"of another CA \(not signed by .*ca\.crt\)"),
    Case(nameless, Kind.OTHER_CA, r"of another CA \(not signed by .*ca\.crt\)"),
    Case(
        staging,
        Kind.OTHER_CLUSTER,
        r"^this is cluster \"staging\"; your context \"work\" expects \"prod\" \(",
    ),
    Case(staging_of_our_ca, Kind.OTHER_CLUSTER, r"^this is cluster \"staging\"; your context"),
    Case(a_cell, Kind.OTHER_ROLE, r"this is cell/cell-1, not a bbs"),
    Case(a_user, Kind.OTHER_ROLE, r"has the certificate of user/eve \(which is for clients only\)"),
    Case(
        dated(-2 * HOUR_S, -HOUR_S),
        Kind.SERVER_EXPIRED,
        r"^the certificate of bbs/bbs-1 expired \([\d.:]+, 20.* UTC\)",
    ),
    Case(
        dated(HOUR_S, 2 * HOUR_S),
        Kind.SERVER_NOT_YET_VALID,
        r"^the certificate of bbs/bbs-1 is not yet valid \(",
    ),
]


async def found(case: Case, scene: Scene) -> Diagnosis:
    timeout_s = 0.5 if case.kind is Kind.TIMED_OUT else 5.0
    async with case.serve(scene) as address:
        return await diagnose(address, scene.alice, timeout_s, context="work")


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.kind))
async def test_each_failure_is_told_by_its_line(case: Case, scene: Scene) -> None:
    diagnosis = await found(case, scene)
    assert diagnosis.kind is case.kind
    assert re.search(case.line, diagnosis.line)
    assert FORM.fullmatch(diagnosis.line)
    assert diagnosis.line.isprintable()


async def test_no_two_kinds_share_a_line_and_none_is_left_out(scene: Scene) -> None:
    lines: dict[str, Kind] = {}
    for case in CASES:
        line = re.sub(r"[\d.]+:\d+", "ADDRESS", (await found(case, scene)).line)
        lines.setdefault(line, case.kind)
        assert lines[line] is case.kind
    assert {case.kind for case in CASES} == set(Kind)
    assert len(lines) >= len(Kind)


@pytest.mark.parametrize(
    "serve",
    [good, distrustful, elsewhere, of_another_ca, staging, staging_of_our_ca, a_user, plaintext],
)
async def test_the_probe_and_grpc_are_of_one_opinion(serve: Serve, scene: Scene) -> None:
    async with serve(scene) as address:
        host, _, port = address.rpartition(":")
        diagnosis = await diagnose(address, scene.alice, 5.0)
        try:
            answer = await call(int(port), channel_credentials(scene.alice), host)
        except grpc.aio.AioRpcError as error:
            answer = error.code().name
        expected = "user/alice" if diagnosis.kind is Kind.WORKS else "UNAVAILABLE"
        assert answer == expected


async def test_without_a_context_the_line_names_ones_own_cluster(scene: Scene) -> None:
    async with staging(scene) as address:
        diagnosis = await diagnose(address, scene.alice, 5.0)
    assert diagnosis.line.startswith('this is cluster "staging"; you are of "prod" (')


async def test_the_role_that_is_dialled_may_be_another(scene: Scene) -> None:
    async with a_cell(scene) as address:
        diagnosis = await diagnose(address, scene.alice, 5.0, expected_role=Role.CELL)
    assert diagnosis.kind is Kind.WORKS


async def test_a_host_is_tried_at_each_of_its_addresses(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `localhost`, which often is ::1 first, where nothing listens."""

    async def two_addresses(_: str, port: int, **__: object) -> list[object]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))
            for host in ("127.0.0.2", "127.0.0.1")
        ]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", two_addresses)
    async with good(scene) as address:
        diagnosis = await diagnose(address.replace("127.0.0.1", "localhost"), scene.alice, 5.0)
    assert diagnosis.kind is Kind.WORKS


async def test_what_is_no_address_is_refused_before_anything_is_tried(scene: Scene) -> None:
    with pytest.raises(SecurityError, match="is no address"):
        await diagnose("bbs-1", scene.alice, 5.0)


async def test_files_that_changed_since_are_told_too(scene: Scene, tmp_path: Path) -> None:
    gone = replace(scene.alice, folder=replace(scene.alice.folder, directory=tmp_path))
    async with good(scene) as address:
        with pytest.raises(SecurityError, match="can't be used"):
            await diagnose(address, gone, 5.0)
