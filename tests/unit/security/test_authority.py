"""The CA: what it makes, what it refuses, and that OpenSSL and people can use the result."""

import ssl
import stat
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from diegod.security.authority import (
    Authority,
    create_authority,
    issue,
    load_authority,
    sign,
    sign_file,
)
from diegod.security.certificate import fingerprint
from diegod.security.errors import SecurityError
from diegod.security.identity import Principal, Role, principal_from_certificate
from diegod.security.request import new_request, request_certificate
from tests.unit.security import certificates

NOW = time.time()
DAY_S = 86_400.0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return create_authority("prod", tmp_path_factory.mktemp("ca"), NOW)


def signed(authority: Authority, role: Role, hosts: list[str], days: int = 365) -> x509.Certificate:
    _, csr_pem = new_request(role, "x-1", hosts)
    return x509.load_pem_x509_certificate(sign(authority, csr_pem, NOW, days))


def test_an_authority_is_kept_in_two_files(tmp_path: Path) -> None:
    made = create_authority("prod", tmp_path / "new" / "ca", NOW)
    assert stat.S_IMODE((tmp_path / "new" / "ca" / "ca.key").stat().st_mode) == 0o600
    loaded = load_authority(tmp_path / "new" / "ca")
    assert (loaded.cluster, loaded.sha256) == ("prod", made.sha256)
    assert loaded.sha256 == fingerprint(loaded.certificate)
    assert loaded.key.private_numbers() == made.key.private_numbers()


def test_an_authority_binds_itself_to_its_cluster_and_signs_no_other(authority: Authority) -> None:
    extensions = authority.certificate.extensions
    constraints = extensions.get_extension_for_class(x509.NameConstraints)
    basic = extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value.permitted_subtrees == [x509.UniformResourceIdentifier("prod")]
    assert (basic.critical, basic.value.ca, basic.value.path_length) == (True, True, 0)
    assert isinstance(authority.key.curve, ec.SECP256R1)
    life_s = authority.certificate.not_valid_after_utc.timestamp() - NOW
    assert 3649 * DAY_S < life_s <= 3650 * DAY_S


@pytest.mark.parametrize("name", ["ca.crt", "ca.key"])
def test_an_authority_is_never_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("precious")
    with pytest.raises(SecurityError, match=f"{name} is already there"):
        create_authority("prod", tmp_path, NOW)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("cluster", ["", "Prod", "prod.", "pro d", "a/b", "1", "prod.eu"])
def test_a_cluster_name_must_fit_into_a_uri(tmp_path: Path, cluster: str) -> None:
    with pytest.raises(SecurityError, match="can't be the name of a cluster"):
        create_authority(cluster, tmp_path, NOW)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("role", [Role.BBS, Role.BRAIN, Role.CELL])
def test_a_server_is_also_a_client(authority: Authority, role: Role) -> None:
    certificate = signed(authority, role, ["bbs-1.example.com", "10.0.0.11"])
    assert principal_from_certificate(certificate) == Principal("prod", role, "x-1")
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["bbs-1.example.com"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.11"]
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [
        f"spiffe://prod/{role}/x-1"
    ]
    assert purposes(certificate) == {"serverAuth", "clientAuth"}


def test_a_user_is_a_client_only(authority: Authority) -> None:
    assert purposes(signed(authority, Role.USER, [])) == {"clientAuth"}


def purposes(certificate: x509.Certificate) -> set[str]:
    names = {
        ExtendedKeyUsageOID.SERVER_AUTH: "serverAuth",
        ExtendedKeyUsageOID.CLIENT_AUTH: "clientAuth",
    }
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    return {names[purpose] for purpose in usage}


def test_a_certificate_can_not_sign_and_says_who_it_is_in_one_place(authority: Authority) -> None:
    certificate = signed(authority, Role.USER, [])
    basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert not basic.value.ca
    assert usage.digital_signature
    assert not usage.key_cert_sign
    assert len(certificate.subject) == 0


def test_a_certificate_lives_a_year_and_never_longer_than_its_authority(
    authority: Authority,
) -> None:
    year = signed(authority, Role.USER, [])
    assert abs(year.not_valid_after_utc.timestamp() - NOW - 365 * DAY_S) <= 1
    assert year.not_valid_before_utc.timestamp() < NOW - 60  # for a machine whose clock is behind
    longer = signed(authority, Role.USER, [], days=100_000)
    assert longer.not_valid_after_utc == authority.certificate.not_valid_after_utc


def test_an_expired_authority_signs_nothing(authority: Authority) -> None:
    _, csr_pem = new_request(Role.USER, "alice", [])
    with pytest.raises(SecurityError, match=r"expired \(20\d\d-\d\d-\d\d \d\d:\d\d UTC\)"):
        sign(authority, csr_pem, NOW + 3651 * DAY_S)


def test_a_validity_below_a_day_is_refused(authority: Authority) -> None:
    with pytest.raises(SecurityError, match="0 days is too short"):
        signed(authority, Role.USER, [], days=0)


def test_two_certificates_never_share_a_serial_number(authority: Authority) -> None:
    serials = {signed(authority, Role.USER, []).serial_number for _ in range(10)}
    assert len(serials) == 10


def test_a_request_is_signed_into_a_file_beside_it(authority: Authority, tmp_path: Path) -> None:
    csr_file = request_certificate(Role.CELL, "cell-17", ["cell-17"], tmp_path)
    certificate_file = sign_file(authority, csr_file, NOW)
    assert certificate_file == tmp_path / "cell.crt"
    principal = principal_from_certificate(certificate_file.read_bytes())
    assert principal == Principal("prod", Role.CELL, "cell-17")
    with pytest.raises(SecurityError, match=r"cell\.crt is already there"):
        sign_file(authority, csr_file, NOW)


def test_a_refused_request_is_called_by_its_file(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "x.csr").write_bytes(b"rubbish")
    with pytest.raises(SecurityError, match=r"x\.csr: this is no certificate request"):
        sign_file(authority, tmp_path / "x.csr", NOW)
    with pytest.raises(SecurityError, match=r"the request .*y\.csr is missing"):
        sign_file(authority, tmp_path / "y.csr", NOW)
    assert [path.name for path in tmp_path.iterdir()] == ["x.csr"]


def test_two_roles_of_one_machine_share_a_folder(authority: Authority, tmp_path: Path) -> None:
    issue(authority, Role.BBS, "bbs-1", ["localhost"], tmp_path, NOW)
    issue(authority, Role.BRAIN, "bbs-1", ["localhost"], tmp_path, NOW)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "bbs.crt", "bbs.key", "brain.crt", "brain.key", "ca.crt",
    ]  # fmt: skip
    assert stat.S_IMODE((tmp_path / "brain.key").stat().st_mode) == 0o600
    with pytest.raises(SecurityError, match=r"bbs\.crt is already there"):
        issue(authority, Role.BBS, "bbs-1", ["localhost"], tmp_path, NOW)


def test_a_folder_of_another_authority_is_left_alone(authority: Authority, tmp_path: Path) -> None:
    other = create_authority("prod", tmp_path / "other", NOW)
    issue(other, Role.USER, "alice", [], tmp_path / "alice", NOW)
    with pytest.raises(SecurityError, match=r"ca\.crt is of another CA"):
        issue(authority, Role.CELL, "cell-1", ["localhost"], tmp_path / "alice", NOW)
    assert not (tmp_path / "alice" / "cell.key").exists()


def test_an_authority_that_is_not_whole_is_refused(authority: Authority, tmp_path: Path) -> None:
    with pytest.raises(SecurityError, match=r"the CA certificate .*ca\.crt is missing"):
        load_authority(tmp_path)
    (tmp_path / "ca.crt").write_bytes(authority.certificate_pem)
    with pytest.raises(SecurityError, match=r"the key of the CA .*ca\.key is missing"):
        load_authority(tmp_path)
    (tmp_path / "ca.key").write_bytes(b"rubbish")
    with pytest.raises(SecurityError, match="no usable key"):
        load_authority(tmp_path)
    create_authority("prod", tmp_path / "other", NOW)
    (tmp_path / "ca.key").write_bytes((tmp_path / "other" / "ca.key").read_bytes())
    with pytest.raises(SecurityError, match=r"is not the key of ca\.crt"):
        load_authority(tmp_path)


def test_an_authority_of_another_make_is_refused(tmp_path: Path) -> None:
    careless = certificates.careless_authority(NOW)
    create_authority("prod", tmp_path / "made", NOW)
    pair = Authority("prod", careless.certificate, careless.key)
    (tmp_path / "ca.crt").write_bytes(pair.certificate_pem)
    (tmp_path / "ca.key").write_bytes(certificates.key_pem(careless.key))
    with pytest.raises(SecurityError, match="not bound to one cluster"):
        load_authority(tmp_path)


def handshake(client: ssl.SSLContext, server: ssl.SSLContext, host: str) -> None:
    """A whole TLS handshake in memory; raises what either side says."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(to_client, to_server, server_hostname=host),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(4):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert [side.version() for side in sides] == ["TLSv1.3", "TLSv1.3"]


def contexts(server: Path, role: Role, client: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The strictest that OpenSSL can be: RFC 5280 to the letter."""
    dialling = ssl.create_default_context(cafile=client / "ca.crt")
    dialling.load_cert_chain(client / "user.crt", client / "user.key")
    listening = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=server / "ca.crt")
    listening.verify_mode = ssl.CERT_REQUIRED
    listening.load_cert_chain(server / f"{role}.crt", server / f"{role}.key")
    for context in (dialling, listening):
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    return dialling, listening


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_openssl_at_its_strictest_accepts_what_is_made(
    authority: Authority, tmp_path: Path, host: str
) -> None:
    issue(authority, Role.BBS, "bbs-1", ["localhost", "127.0.0.1", "::1"], tmp_path / "s", NOW)
    issue(authority, Role.USER, "alice", [], tmp_path / "c", NOW)
    handshake(*contexts(tmp_path / "s", Role.BBS, tmp_path / "c"), host)


def test_a_stolen_authority_can_not_speak_for_another_cluster(tmp_path: Path) -> None:
    staging = create_authority("staging", tmp_path / "ca", NOW)
    forger = certificates.CarelessAuthority(staging.certificate, staging.key)
    forged = forger.sign([certificates.uri("spiffe://prod/bbs/bbs-1"), *certificates.LOOPBACK], NOW)
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "ca.crt").write_bytes(staging.certificate_pem)
    (tmp_path / "s" / "bbs.crt").write_bytes(forged.certificate_pem)
    (tmp_path / "s" / "bbs.key").write_bytes(forged.key_pem)
    issue(staging, Role.USER, "alice", [], tmp_path / "c", NOW)
    dialling, listening = contexts(tmp_path / "s", Role.BBS, tmp_path / "c")
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
        handshake(dialling, listening, "localhost")
