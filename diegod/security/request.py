"""Asking for a certificate: a key that never leaves its host, and the request (CSR) that does.

A request names its role and id as `spiffe:///ROLE/ID`: the cluster is the one that signs it. A
request made by other tools may name the whole URI; then the cluster must be the right one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from diegod.security.certificate import alternative_names
from diegod.security.errors import SecurityError
from diegod.security.files import PUBLIC, SECRET, require_absent, write_new
from diegod.security.hosts import parse_host
from diegod.security.identity import SERVER_ROLES, Principal, Role, parse_uri

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

_NO_CLUSTER = "spiffe:///"
_PLACEHOLDER = "x"  # a well-formed name, to check the rest of a principal before there is a cluster
_MIN_RSA_BITS = 2048


@dataclass(frozen=True)
class Request:
    """What a CSR asks for, checked: its signature, its names and its key."""

    principal: Principal
    hosts: tuple[x509.GeneralName, ...]
    public_key: PublicKey


def request_certificate(
    role: Role, principal_id: str, hosts: Sequence[str], directory: Path
) -> Path:
    """Makes `ROLE.key` and `ROLE.csr` in `directory`; the path of the latter, for the CA."""
    key_file, csr_file = directory / f"{role}.key", directory / f"{role}.csr"
    require_absent([key_file, csr_file, directory / f"{role}.crt"])
    key_pem, csr_pem = new_request(role, principal_id, hosts)
    write_new(key_file, key_pem, SECRET)
    write_new(csr_file, csr_pem, PUBLIC)
    return csr_file


def new_request(role: Role, principal_id: str, hosts: Sequence[str]) -> tuple[bytes, bytes]:
    """A new key and a request for it, both PEM."""
    principal = Principal(_PLACEHOLDER, role, principal_id)
    names = [parse_host(host) for host in hosts]
    _check_hosts(principal, names)
    uri = x509.UniformResourceIdentifier(f"{_NO_CLUSTER}{principal}")
    key = ec.generate_private_key(ec.SECP256R1())
    csr = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(x509.SubjectAlternativeName([uri, *names]), critical=True)
        .sign(key, SHA256())
    )
    return private_pem(key), csr.public_bytes(Encoding.PEM)


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def parse_request(csr_pem: bytes, cluster: str) -> Request:
    """What a CSR asks of the CA of `cluster`; all else in it than names and key is ignored."""
    try:
        csr = x509.load_pem_x509_csr(csr_pem)
        genuine = csr.is_signature_valid
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SecurityError(
            "this is no certificate request (not a PEM CSR). Make one: diegod ca csr"
        ) from error
    if not genuine:
        raise SecurityError(
            "the request was changed on its way (its signature is wrong). Copy it again."
        )
    principal, hosts = _wanted_names(alternative_names(csr), cluster)
    return Request(principal, hosts, _strong_key(csr))


def _wanted_names(
    names: Sequence[x509.GeneralName], cluster: str
) -> tuple[Principal, tuple[x509.GeneralName, ...]]:
    hosts = [name for name in names if isinstance(name, (x509.DNSName, x509.IPAddress))]
    others = [str(name.value) for name in names if name not in hosts]
    if len(others) != 1:
        raise SecurityError(
            f"the request names nobody (it has {len(others)} URIs, and exactly one is needed). "
            "Make one: diegod ca csr"
        )
    principal = _wanted_principal(others[0], cluster)
    # A "DNS name" is any text in a request; only what could be dialled may be signed.
    hosts = [parse_host(str(host.value)) for host in hosts]
    _check_hosts(principal, hosts)
    return principal, tuple(hosts)


def _wanted_principal(uri: str, cluster: str) -> Principal:
    if uri.startswith(_NO_CLUSTER):
        uri = f"spiffe://{cluster}/{uri.removeprefix(_NO_CLUSTER)}"
    principal = parse_uri(uri)
    if principal.cluster != cluster:
        raise SecurityError(
            f'this CA is of cluster "{cluster}" (the request is for {principal.uri}). '
            f'Take the CA of "{principal.cluster}".'
        )
    return principal


def _check_hosts(principal: Principal, hosts: Sequence[x509.GeneralName]) -> None:
    if principal.role in SERVER_ROLES and not hosts:
        raise SecurityError(
            f"{principal} needs at least one host (clients check that the certificate names the "
            "one they dial). Add --host NAME-OR-IP."
        )
    if principal.role not in SERVER_ROLES and hosts:
        raise SecurityError(
            f"{principal} can't have a host (users are no servers). Leave --host away."
        )


def _strong_key(csr: x509.CertificateSigningRequest) -> PublicKey:
    key = csr.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(
        key.curve, (ec.SECP256R1, ec.SECP384R1)
    ):
        return key
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= _MIN_RSA_BITS:
        return key
    raise SecurityError(
        "the key of the request is refused (neither ECDSA P-256 or P-384 nor RSA of 2048 bits or "
        "more). Make a new one: diegod ca csr"
    )
