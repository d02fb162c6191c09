"""Who a certificate names, and all the ways in which one must name nobody."""

import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from diegod.security.errors import SecurityError
from diegod.security.identity import (
    ISSUED_ROLES,
    Principal,
    Role,
    check_server,
    parse_uri,
    principal_from_auth_context,
    principal_from_certificate,
    require_unexpired,
)
from tests.unit.security import certificates
from tests.unit.security.certificates import HOUR_S, LOOPBACK, uri

ALICE = Principal("prod", Role.USER, "alice")
ids = st.from_regex(r"[a-z0-9]([a-z0-9_-]{0,126}[a-z0-9])?", fullmatch=True)


def test_a_principal_is_written_as_a_uri_and_as_people_say_it() -> None:
    assert ALICE.uri == "spiffe://prod/user/alice"
    assert str(ALICE) == "user/alice"


@given(st.sampled_from(ISSUED_ROLES), ids)
def test_a_uri_reads_back_as_its_principal(role: Role, principal_id: str) -> None:
    principal = Principal("prod-2", role, principal_id)
    assert parse_uri(principal.uri) == principal


@given(st.one_of(st.text(), st.from_regex(r"spiffe://[^/]*/(user|bbs|cell)/.*")))
def test_only_the_canonical_form_is_read(text: str) -> None:
    try:
        read = parse_uri(text).uri
    except SecurityError:
        return
    assert read == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "alice",
        "spiffe://",
        "spiffe://prod",
        "spiffe://prod/user",
        "spiffe://prod/user/",
        "spiffe:///user/alice",
        "spiffe://prod//alice",
        "spiffe://prod/user/alice/",
        "spiffe://prod/user/alice/admin",
        "spiffe://prod/user//alice",
        "spiffe://prod/user/..",
        "spiffe://prod/user/.",
        "spiffe://prod/user/a..b",
        "spiffe://prod/user/../bbs/bbs-1",
        "spiffe://prod/user/alice.",
        "spiffe://prod./user/alice",
        "spiffe://prod/user/alice\0",
        "spiffe://prod/user/alice\0/../../bbs/b",
        "spiffe://prod/user/alice\n",
        "spiffe://prod/user/ alice",
        "spiffe://prod/user/alice%2e",
        "spiffe://prod/user/alice?role=bbs",
        "spiffe://prod/user/alice#bbs",
        "spiffe://prod:8889/user/alice",
        "spiffe://root@prod/user/alice",
        "SPIFFE://prod/user/alice",
        "spiffe://PROD/user/alice",
        "spiffe://prod/USER/alice",
        "spiffe://prod/user/Alice",
        "https://prod/user/alice",
        "spiffe://prod/user/\u0430lice",  # a Cyrillic a
        "spiffe://prod/user/alice\u200b",
        "spiffe://\uff50rod/user/alice",
        "spiffe://prod/user/\u0661",  # a digit, but not an ASCII one
        "spiffe://prod/root/alice",
        "spiffe://prod/task/5d1b",
        "spiffe://prod/lrp/web",
        "spiffe://prod/user/" + "a" * 129,
        "spiffe://" + "a" * 64 + "/user/alice",
        "spiffe://9prod/user/alice",
        "spiffe://-prod/user/alice",
    ],
)
def test_a_uri_that_is_not_exact_names_nobody(text: str) -> None:
    with pytest.raises(SecurityError) as refusal:
        parse_uri(text)
    assert refusal.value.message.isprintable()
    assert len(refusal.value.message) < 1000


def test_the_longest_names_are_accepted() -> None:
    assert parse_uri(f"spiffe://{'a' * 63}/cell/{'b' * 128}").id == "b" * 128


@pytest.mark.parametrize("principal_id", ["", "..", "a/b", "Alice", "a" * 129])
def test_a_malformed_principal_can_not_exist(principal_id: str) -> None:
    with pytest.raises(SecurityError):
        Principal("prod", Role.USER, principal_id)


def make(*names: x509.GeneralName) -> bytes:
    now = time.time()
    return certificates.careless_authority(now).sign(names, now).certificate_pem


def test_a_certificate_names_its_uri_in_pem_and_in_der() -> None:
    pem = make(uri(ALICE.uri), *LOOPBACK)
    der = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    assert principal_from_certificate(pem) == principal_from_certificate(der) == ALICE


@pytest.mark.parametrize(
    "names",
    [
        (x509.DNSName("localhost"),),
        (uri(ALICE.uri), uri("spiffe://prod/bbs/bbs-1")),
        (uri(ALICE.uri), uri(ALICE.uri)),
        (uri(ALICE.uri), uri("https://example.com")),
        (uri(ALICE.uri), x509.RFC822Name("bbs@prod")),
        (uri(ALICE.uri), x509.DirectoryName(certificates.common_name("bbs-1"))),
        (x509.DNSName(ALICE.uri),),
        (x509.RFC822Name("alice@prod"),),
        (uri("spiffe://prod/user/alice\0/bbs"),),
    ],
)
def test_a_certificate_with_none_or_several_names_names_nobody(
    names: tuple[x509.GeneralName, ...],
) -> None:
    with pytest.raises(SecurityError):
        principal_from_certificate(make(*names))


@pytest.mark.parametrize("rubbish", [b"", b"\x30\x03", b"-----BEGIN CERTIFICATE-----\nMII\n"])
def test_what_is_no_certificate_names_nobody(rubbish: bytes) -> None:
    with pytest.raises(SecurityError, match="no certificate"):
        principal_from_certificate(rubbish)


def auth_context(*names: bytes) -> dict[str, list[bytes]]:
    # The common name claims to be a member, and must not matter.
    return {"x509_common_name": [b"bbs-1"], "x509_subject_alternative_name": list(names)}


@pytest.mark.parametrize(
    "hosts", [(), (b"localhost", b"bbs-1.example.com", b"10.0.0.11", b"::1", b"fe80::1")]
)
def test_a_caller_is_its_one_uri_among_hosts(hosts: tuple[bytes, ...]) -> None:
    context = auth_context(b"localhost", ALICE.uri.encode(), *hosts)
    assert principal_from_auth_context(context) == ALICE


@pytest.mark.parametrize(
    "names",
    [
        (),
        (b"localhost",),
        (b"spiffe://prod/user/alice", b"spiffe://prod/bbs/bbs-1"),
        (b"spiffe://prod/user/alice", b"spiffe://prod/user/alice"),
        (b"spiffe://prod/user/alice", b"urn:bbs"),
        (b"spiffe://prod/user/alice", b"SPIFFE://prod/bbs/bbs-1"),
        (b"spiffe://prod/user/alice", b"bbs@prod"),
        (b"spiffe://prod/user/alice", b""),
        (b"spiffe://prod/user/alice", b"\xff"),
        (b"spiffe://prod/user/\xd0\xb0lice",),
        (b"spiffe://prod/user/alice\x00",),
        (b"spiffe://prod/user/alice\xff",),
    ],
)
def test_a_caller_with_none_or_several_names_is_nobody(names: tuple[bytes, ...]) -> None:
    with pytest.raises(SecurityError):
        principal_from_auth_context(auth_context(*names))


def test_a_caller_without_a_certificate_is_nobody() -> None:
    with pytest.raises(SecurityError, match="names nobody"):
        principal_from_auth_context({})


def test_a_certificate_that_expires_while_connected_is_refused_from_then_on() -> None:
    now = time.time()
    pair = certificates.careless_authority(now).sign([uri(ALICE.uri)], now)
    context = {"x509_pem_cert": [pair.certificate_pem]}
    require_unexpired(context, now + HOUR_S - 2)
    with pytest.raises(SecurityError, match=r"expired .*while you were connected"):
        require_unexpired(context, now + HOUR_S + 2)


def test_the_server_must_be_of_the_cluster_and_in_the_role_that_was_dialled() -> None:
    certificate = make(uri("spiffe://prod/bbs/bbs-1"))
    assert check_server(certificate, "prod", Role.BBS) == Principal("prod", Role.BBS, "bbs-1")
    with pytest.raises(SecurityError, match='this is cluster "prod", not "staging"'):
        check_server(certificate, "staging", Role.BBS)
    with pytest.raises(SecurityError, match="this is bbs/bbs-1, not a cell"):
        check_server(certificate, "prod", Role.CELL)
    with pytest.raises(SecurityError, match="names nobody"):
        check_server(make(x509.DNSName("localhost")), "prod", Role.BBS)
