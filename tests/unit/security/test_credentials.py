"""A TLS folder: every way it can be wrong, and certificates exchanged under a running server."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import grpc
import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from diegod.security.authority import Authority, create_authority, issue
from diegod.security.certificate import fingerprint, parse_certificate
from diegod.security.credentials import (
    Identity,
    IdentitySource,
    channel_credentials,
    client_context,
    load_identity,
    server_credentials,
)
from diegod.security.errors import SecurityError
from diegod.security.identity import Principal, Role
from tests.unit.security import certificates
from tests.unit.security.echo import call, serving

NOW = time.time()
HOUR_S, DAY_S = 3600.0, 86_400.0


class FixedClock:
    """The time at which these tests began; certificates are made and checked at it."""

    def wall(self) -> float:
        return NOW

    def monotonic(self) -> float:
        return NOW

    def boottime(self) -> float:
        return NOW


@dataclass(frozen=True)
class Place:
    authority: Authority
    tls: Path

    def load(self, now: float = NOW, cluster: str | None = "prod") -> Identity:
        return load_identity(self.tls, Role.USER, now, cluster)

    def put(self, name: str, content: bytes) -> None:
        (self.tls / name).write_bytes(content)

    def put_signed_by_stranger(self, *uris: str) -> None:
        stranger = certificates.careless_authority(NOW)
        pair = stranger.sign([certificates.uri(uri) for uri in uris], NOW)
        self.put("user.crt", pair.certificate_pem)
        self.put("user.key", pair.key_pem)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    authority = create_authority("prod", tmp_path / "ca", NOW)
    issue(authority, Role.USER, "alice", [], tmp_path / "tls", NOW)
    return Place(authority, tmp_path / "tls")


def test_a_good_folder_is_an_identity_that_shows_no_key(place: Place) -> None:
    identity = place.load()
    assert identity.principal == Principal("prod", Role.USER, "alice")
    assert abs(identity.not_after_s - NOW - 365 * DAY_S) <= 1
    assert "PRIVATE" not in repr(identity)
    assert place.load(cluster=None).principal.cluster == "prod"


def encrypted(key_pem: bytes) -> bytes:
    key = load_pem_private_key(key_pem, password=None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))


def folder_for_certificate(place: Place) -> None:
    (place.tls / "user.crt").unlink()
    (place.tls / "user.crt").mkdir()


def other_key(place: Place) -> None:
    issue(place.authority, Role.USER, "bob", [], place.tls.parent / "bob", NOW)
    place.put("user.key", (place.tls.parent / "bob" / "user.key").read_bytes())


def other_role(place: Place) -> None:
    issue(place.authority, Role.CELL, "cell-1", ["localhost"], place.tls.parent / "cell", NOW)
    place.put("user.crt", (place.tls.parent / "cell" / "cell.crt").read_bytes())


Spoil = Callable[[Place], None]
SPOILT: dict[str, tuple[Spoil, str]] = {
    "no certificate": (
        lambda place: (place.tls / "user.crt").unlink(),
        r"^your certificate .*user\.crt is missing \(no such file",
    ),
    "no key": (
        lambda place: (place.tls / "user.key").unlink(),
        r"^the key of your certificate .*user\.key is missing",
    ),
    "no CA": (
        lambda place: (place.tls / "ca.crt").unlink(),
        r"^the CA certificate .*ca\.crt is missing",
    ),
    "certificate is a folder": (
        folder_for_certificate,
        r"^your certificate .*user\.crt can't be read \(is a directory",
    ),
    "certificate is rubbish": (
        lambda place: place.put("user.crt", b"rubbish"),
        r"^your certificate .*user\.crt is no certificate",
    ),
    "CA is rubbish": (
        lambda place: place.put("ca.crt", b"rubbish"),
        r"ca\.crt is no CA certificate",
    ),
    "key is rubbish": (
        lambda place: place.put("user.key", b"rubbish"),
        r"user\.key is no usable key",
    ),
    "key is encrypted": (
        lambda place: place.put("user.key", encrypted((place.tls / "user.key").read_bytes())),
        r"user\.key is no usable key",
    ),
    "key of another certificate": (other_key, r"does not match your certificate .*user\.crt"),
    "another CA": (
        lambda place: place.put_signed_by_stranger("spiffe://prod/user/alice"),
        r"^your certificate .*user\.crt is of another CA \(not signed by .*ca\.crt\)",
    ),
    "another cluster": (
        lambda place: place.put_signed_by_stranger("spiffe://staging/user/alice"),
        r'is for cluster "staging" \("prod" is expected\)',
    ),
    "another role": (other_role, r"is for another role \(it names cell/cell-1, and a user is"),
    "two names": (
        lambda place: place.put_signed_by_stranger(
            "spiffe://prod/user/alice", "spiffe://prod/bbs/b"
        ),
        r"user\.crt: the certificate names nobody",
    ),
}


@pytest.mark.parametrize(("spoil", "line"), SPOILT.values(), ids=SPOILT.keys())
def test_a_spoilt_folder_is_refused_in_one_line(place: Place, spoil: Spoil, line: str) -> None:
    spoil(place)
    with pytest.raises(SecurityError, match=line) as refusal:
        place.load()
    assert refusal.value.message.isprintable()


def test_an_expired_certificate_says_since_when(place: Place) -> None:
    end_s = place.load().not_after_s
    place.load(now=end_s)
    with pytest.raises(SecurityError, match=r"expired 3 h ago \(20.* UTC\)\. .*diegod ca issue"):
        place.load(now=end_s + 3 * HOUR_S)


def test_a_certificate_of_tomorrow_says_to_look_at_the_clock(place: Place) -> None:
    with pytest.raises(SecurityError, match=r"is not valid for another 23 h .*clock"):
        place.load(now=NOW - DAY_S)


def test_during_the_change_of_the_authority_certificates_of_both_are_good(place: Place) -> None:
    new = create_authority("prod", place.tls.parent / "new", NOW)
    place.put("ca.crt", place.authority.certificate_pem + new.certificate_pem)
    place.load()
    place.put("ca.crt", new.certificate_pem + place.authority.certificate_pem)
    place.load()
    place.put("ca.crt", new.certificate_pem)
    with pytest.raises(SecurityError, match="of another CA"):
        place.load()


def test_files_that_changed_since_make_no_context(place: Place) -> None:
    identity = place.load()
    assert client_context(identity).verify_mode == ssl.CERT_REQUIRED
    other_key(place)
    with pytest.raises(SecurityError, match="can't be used"):
        client_context(identity)


class Cell:
    """A cell's TLS folder and what reads it, with the problems it told."""

    def __init__(self, authority: Authority, folder: Path) -> None:
        self.authority = authority
        self.folder = folder
        self.problems: list[str] = []
        self.renew("cell-1")
        identity = load_identity(folder, Role.CELL, NOW, "prod")
        self.source = IdentitySource(identity, FixedClock(), self.problems.append)

    def renew(self, principal_id: str, names: tuple[str, ...] = ("cell.key", "cell.crt")) -> None:
        """Puts a new certificate and key in place, or only one of the files."""
        made = self.folder.parent / f"made-{len(list(self.folder.parent.iterdir()))}"
        issue(self.authority, Role.CELL, principal_id, ["localhost", "127.0.0.1"], made, NOW)
        self.folder.mkdir(exist_ok=True)
        (made / "ca.crt").replace(self.folder / "ca.crt")
        for name in names:
            (made / name).replace(self.folder / name)

    @property
    def serial(self) -> str:
        """The fingerprint of the certificate on disk."""
        return fingerprint(parse_certificate((self.folder / "cell.crt").read_bytes()))


@pytest.fixture
def cell(place: Place) -> Cell:
    return Cell(place.authority, place.tls.parent / "cell")


def test_files_that_did_not_change_are_not_read(cell: Cell) -> None:
    before = cell.source.current
    assert not cell.source.refresh()
    assert cell.source.current is before


def test_a_renewed_certificate_is_taken_once(cell: Cell) -> None:
    before = cell.source.current
    cell.renew("cell-1")
    assert cell.source.refresh()
    assert not cell.source.refresh()
    assert cell.source.current.certificate_pem != before.certificate_pem
    assert cell.problems == []


def test_a_half_replaced_pair_changes_nothing_until_it_is_whole(cell: Cell) -> None:
    before = cell.source.current
    cell.renew("cell-1", names=("cell.key",))
    assert not cell.source.refresh()
    assert not cell.source.refresh()
    assert cell.source.current is before
    assert len(cell.problems) == 1
    assert "does not match" in cell.problems[0]
    cell.renew("cell-1")
    assert cell.source.refresh()


def test_a_vanished_file_changes_nothing(cell: Cell) -> None:
    before = cell.source.current
    (cell.folder / "cell.crt").unlink()
    assert not cell.source.refresh()
    assert cell.source.current is before
    assert "is missing" in cell.problems[0]


def test_a_running_process_does_not_become_somebody_else(cell: Cell) -> None:
    before = cell.source.current
    cell.renew("cell-2")
    assert not cell.source.refresh()
    assert cell.source.current is before
    assert "now is cell/cell-2 (this process is cell/cell-1)" in cell.problems[0]


@pytest.fixture
async def port(cell: Cell) -> AsyncIterator[int]:
    async with serving(server_credentials(cell.source)) as bound:
        yield bound


async def test_a_server_knows_its_caller(place: Place, port: int) -> None:
    assert await call(port, channel_credentials(place.load())) == "user/alice"


async def test_a_server_is_a_client_too(cell: Cell, port: int) -> None:
    assert await call(port, channel_credentials(cell.source.current)) == "cell/cell-1"


async def refused(port: int, credentials: grpc.ChannelCredentials) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call(port, credentials)
    assert error.value.code() is grpc.StatusCode.UNAVAILABLE
    return error.value.details() or ""


async def test_a_client_without_a_certificate_is_refused(place: Place, port: int) -> None:
    await refused(port, grpc.ssl_channel_credentials(place.authority.certificate_pem))


@pytest.mark.parametrize("uri", ["spiffe://prod/bbs/bbs-1", "spiffe://prod/user/alice"])
async def test_a_client_of_another_authority_is_refused(place: Place, port: int, uri: str) -> None:
    pair = certificates.careless_authority(NOW).sign([certificates.uri(uri)], NOW)
    await refused(port, pair_credentials(place, pair))


@pytest.mark.parametrize("valid_s", [(-2 * HOUR_S, -HOUR_S), (HOUR_S, 2 * HOUR_S)])
async def test_a_client_out_of_its_dates_is_refused(
    place: Place, port: int, valid_s: tuple[float, float]
) -> None:
    await refused(port, pair_credentials(place, careless(place, valid_s=valid_s)))


async def test_a_client_with_a_certificate_for_servers_is_refused(place: Place, port: int) -> None:
    pair = careless(place, purposes=[certificates.SERVER])
    await refused(port, pair_credentials(place, pair))


async def test_a_client_of_another_cluster_is_refused_even_if_our_ca_signed(
    place: Place, port: int
) -> None:
    pair = careless(place, uri="spiffe://staging/bbs/bbs-1")
    await refused(port, pair_credentials(place, pair))


async def test_an_authority_can_not_hand_on_its_power(place: Place, port: int) -> None:
    """A user's key signs a certificate for a member and shows the chain."""
    identity = place.load()
    user_key = load_pem_private_key(identity.key_pem, password=None)
    certificate = parse_certificate(identity.certificate_pem)
    forger = certificates.CarelessAuthority(certificate, user_key)  # type: ignore[arg-type]
    pair = forger.sign([certificates.uri("spiffe://prod/bbs/bbs-1")], NOW)
    chain = replace(pair, certificate_pem=pair.certificate_pem + identity.certificate_pem)
    await refused(port, pair_credentials(place, chain))


async def test_a_user_can_not_pose_as_a_server(place: Place) -> None:
    names = [certificates.uri("spiffe://prod/user/alice"), *certificates.LOOPBACK]
    forger = certificates.CarelessAuthority(place.authority.certificate, place.authority.key)
    pair = forger.sign(names, NOW, purposes=[certificates.CLIENT])
    credentials = grpc.ssl_server_credentials(
        [(pair.key_pem, pair.certificate_pem)], place.authority.certificate_pem, True
    )
    async with serving(credentials) as port:
        details = await refused(port, channel_credentials(place.load()))
    assert "unsupported certificate purpose" in details


def careless(
    place: Place,
    uri: str = "spiffe://prod/user/alice",
    **how: object,
) -> certificates.Pair:
    """What our own CA would sign if it looked at nothing."""
    forger = certificates.CarelessAuthority(place.authority.certificate, place.authority.key)
    return forger.sign([certificates.uri(uri)], NOW, **how)  # type: ignore[arg-type]


def pair_credentials(place: Place, pair: certificates.Pair) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        place.authority.certificate_pem, pair.key_pem, pair.certificate_pem
    )


async def shown(place: Place, port: int) -> str:
    """The fingerprint of what the server shows to a new connection."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client_context(place.load()))
    certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return fingerprint(parse_certificate(certificate))


async def test_a_running_server_takes_renewed_files_at_the_next_connection(
    place: Place, cell: Cell, port: int
) -> None:
    assert await shown(place, port) == cell.serial
    old = cell.serial
    cell.renew("cell-1")
    assert await shown(place, port) == cell.serial != old
    assert await call(port, channel_credentials(place.load())) == "user/alice"


async def test_a_running_server_survives_spoilt_files(place: Place, cell: Cell, port: int) -> None:
    old = cell.serial
    cell.renew("cell-1", names=("cell.crt",))
    assert await shown(place, port) == old
    assert len(cell.problems) == 1
    assert await call(port, channel_credentials(place.load())) == "user/alice"


async def test_a_running_server_changes_its_authority(place: Place, cell: Cell, port: int) -> None:
    """Both are trusted for a while, then only the new one."""
    new = create_authority("prod", place.tls.parent / "new", NOW)
    issue(new, Role.USER, "bob", [], place.tls.parent / "bob", NOW)
    bob = load_identity(place.tls.parent / "bob", Role.USER, NOW)
    both = place.authority.certificate_pem + new.certificate_pem
    old_client = channel_credentials(replace(place.load(), ca_pem=both))
    new_client = channel_credentials(replace(bob, ca_pem=both))

    await refused(port, new_client)
    (cell.folder / "ca.crt").write_bytes(both)
    assert await call(port, old_client) == "user/alice"
    assert await call(port, new_client) == "user/bob"

    (cell.folder / "ca.crt").unlink()
    cell.authority = new
    cell.renew("cell-1")
    assert await call(port, new_client) == "user/bob"
    await refused(port, old_client)
