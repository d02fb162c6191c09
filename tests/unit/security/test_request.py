"""Requests: what a host asks of the CA, and what the CA must not believe."""

import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from diegod.security.errors import SecurityError
from diegod.security.identity import Principal, Role
from diegod.security.request import parse_request, request_certificate
from tests.unit.security.certificates import LOOPBACK, common_name, csr, uri

BBS_URI = uri("spiffe:///bbs/bbs-1")


def test_a_request_leaves_the_key_at_home(tmp_path: Path) -> None:
    csr_file = request_certificate(Role.BBS, "bbs-1", ["bbs-1", "10.0.0.11"], tmp_path / "tls")
    key_file = tmp_path / "tls" / "bbs.key"
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert b"PRIVATE" not in csr_file.read_bytes()
    key = load_pem_private_key(key_file.read_bytes(), password=None)
    request = parse_request(csr_file.read_bytes(), "prod")
    assert request.public_key == key.public_key()
    assert request.principal == Principal("prod", Role.BBS, "bbs-1")
    assert [str(host.value) for host in request.hosts] == ["bbs-1", "10.0.0.11"]


@pytest.mark.parametrize("name", ["bbs.key", "bbs.csr", "bbs.crt"])
def test_nothing_is_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("precious")
    with pytest.raises(SecurityError, match=f"{name} is already there"):
        request_certificate(Role.BBS, "bbs-1", ["bbs-1"], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "precious"


@pytest.mark.parametrize(
    ("role", "hosts", "why"),
    [
        (Role.BBS, [], "needs at least one host"),
        (Role.BRAIN, [], "needs at least one host"),
        (Role.CELL, [], "needs at least one host"),
        (Role.USER, ["localhost"], "can't have a host"),
        (Role.CELL, ["*.example.com"], "is no host"),
        (Role.TASK, ["localhost"], "reserved"),
    ],
)
def test_a_request_that_would_be_refused_makes_no_file(
    tmp_path: Path, role: Role, hosts: list[str], why: str
) -> None:
    with pytest.raises(SecurityError, match=why):
        request_certificate(role, "x-1", hosts, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SecurityError, match=r"file/tls/user\.key can't be written \(not a dir"):
        request_certificate(Role.USER, "alice", [], tmp_path / "file" / "tls")


def test_a_request_of_another_tool_may_name_the_cluster() -> None:
    request = parse_request(csr([uri("spiffe://prod/bbs/bbs-1"), *LOOPBACK]), "prod")
    assert request.principal == Principal("prod", Role.BBS, "bbs-1")


def test_the_subject_of_a_request_means_nothing() -> None:
    request = parse_request(csr([uri("spiffe:///user/eve")], subject=common_name("bbs-1")), "prod")
    assert request.principal == Principal("prod", Role.USER, "eve")


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ([], "names nobody"),
        (LOOPBACK, "names nobody"),
        ([BBS_URI, uri("spiffe:///user/eve"), *LOOPBACK], "it has 2 URIs"),
        ([BBS_URI, x509.RFC822Name("eve@example.com"), *LOOPBACK], "it has 2 URIs"),
        ([uri("spiffe://staging/bbs/bbs-1"), *LOOPBACK], 'this CA is of cluster "prod"'),
        ([uri("spiffe:///bbs/../user/eve"), *LOOPBACK], "names nobody"),
        ([uri("spiffe:////bbs/bbs-1"), *LOOPBACK], "names nobody"),
        ([uri("spiffe:///root/eve")], "no role 'root'"),
        ([uri("spiffe:///task/5d1b")], "reserved"),
        ([BBS_URI, x509.DNSName("spiffe://prod/bbs/bbs-2")], "is no host"),
        ([BBS_URI, x509.DNSName("*.example.com")], "is no host"),
        ([BBS_URI], "needs at least one host"),
        ([uri("spiffe:///user/eve"), *LOOPBACK], "can't have a host"),
    ],
)
def test_a_request_for_what_the_ca_does_not_give(names: list[x509.GeneralName], why: str) -> None:
    with pytest.raises(SecurityError, match=why):
        parse_request(csr(names), "prod")


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 1024),
        ec.generate_private_key(ec.SECP192R1()),
        ec.generate_private_key(ec.SECP256K1()),
    ],
    ids=["RSA 1024", "P-192", "secp256k1"],
)
def test_weak_and_unusual_keys_are_refused(key: object) -> None:
    with pytest.raises(SecurityError, match="the key of the request is refused"):
        parse_request(csr([BBS_URI, *LOOPBACK], key), "prod")


@pytest.mark.parametrize(
    "key",
    [rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())],
    ids=["RSA 2048", "P-384"],
)
def test_strong_keys_of_other_tools_are_accepted(key: object) -> None:
    assert parse_request(csr([BBS_URI, *LOOPBACK], key), "prod").public_key is not None


def test_a_key_that_tls_here_can_not_use_is_refused() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    builder = builder.add_extension(x509.SubjectAlternativeName([BBS_URI, *LOOPBACK]), False)
    with pytest.raises(SecurityError, match="the key of the request is refused"):
        parse_request(builder.sign(key, None).public_bytes(Encoding.PEM), "prod")


def test_a_request_changed_on_its_way_is_refused() -> None:
    der = x509.load_pem_x509_csr(csr([BBS_URI, *LOOPBACK])).public_bytes(Encoding.DER)
    changed = x509.load_der_x509_csr(der.replace(b"/bbs/bbs-1", b"/bbs/bbs-2"))
    with pytest.raises(SecurityError, match="changed on its way"):
        parse_request(changed.public_bytes(Encoding.PEM), "prod")


@pytest.mark.parametrize("rubbish", [b"", b"hello", b"-----BEGIN CERTIFICATE REQUEST-----\nMII\n"])
def test_what_is_no_request(rubbish: bytes) -> None:
    with pytest.raises(SecurityError, match="this is no certificate request"):
        parse_request(rubbish, "prod")
