"""The small CA behind `diegod ca`: one for each cluster, kept in a folder, used offline.

Its certificate can sign identities of its own cluster only: name constraints, which every client
and server checks, hold it to URIs whose host is the cluster's name. It signs no further CAs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from diegod.security.certificate import fingerprint, parse_certificate, utc_text
from diegod.security.errors import SecurityError
from diegod.security.files import (
    CA_CERTIFICATE,
    CA_KEY,
    PUBLIC,
    SECRET,
    read_file,
    require_absent,
    write_new,
)
from diegod.security.identity import SERVER_ROLES, Role, check_cluster
from diegod.security.request import PublicKey, Request, new_request, parse_request, private_pem

AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 365
_CLOCK_SKEW = timedelta(minutes=5)  # a machine whose clock is behind accepts a new certificate

_CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
_SERVER = ExtendedKeyUsageOID.SERVER_AUTH


@dataclass(frozen=True)
class Authority:
    cluster: str
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def sha256(self) -> str:
        """What two people compare to know that they mean the same CA."""
        return fingerprint(self.certificate)


def create_authority(cluster: str, directory: Path, now: float) -> Authority:
    """Makes `ca.crt` and `ca.key` in `directory`."""
    check_cluster(cluster)
    certificate_file, key_file = directory / CA_CERTIFICATE, directory / CA_KEY
    require_absent([certificate_file, key_file])
    key = ec.generate_private_key(ec.SECP256R1())
    authority = Authority(cluster, _own_certificate(cluster, key, now), key)
    write_new(key_file, private_pem(key), SECRET)
    write_new(certificate_file, authority.certificate_pem, PUBLIC)
    return authority


def load_authority(directory: Path) -> Authority:
    """The CA that `create_authority` made in `directory`."""
    todo = "Make a CA: diegod ca init; or give its folder: --dir"
    certificate_pem = read_file(directory / CA_CERTIFICATE, "the CA certificate", todo)
    key_pem = read_file(directory / CA_KEY, "the key of the CA", todo)
    certificate = parse_certificate(certificate_pem, str(directory / CA_CERTIFICATE))
    try:
        key = load_pem_private_key(key_pem, password=None)
    except (ValueError, TypeError) as error:
        raise SecurityError(
            f"{directory / CA_KEY} is no usable key (not PEM, or encrypted). Give the CA's own."
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or (
        key.public_key() != certificate.public_key()
    ):
        raise SecurityError(
            f"{directory / CA_KEY} is not the key of {CA_CERTIFICATE} beside it (they differ). "
            "Bring back the pair from a backup."
        )
    return Authority(_cluster_of(certificate), certificate, key)


def sign(
    authority: Authority, csr_pem: bytes, now: float, validity_days: int = CERTIFICATE_DAYS
) -> bytes:
    """A certificate (PEM) for what a CSR asks for: its names, and purposes by its role."""
    request = parse_request(csr_pem, authority.cluster)
    start, end = _validity(authority, now, validity_days)
    purposes = [_SERVER, _CLIENT] if request.principal.role in SERVER_ROLES else [_CLIENT]
    builder = (
        _builder(authority.certificate.subject, request.public_key, start, end)
        .subject_name(x509.Name([]))  # empty on purpose: who it is stands in the URI alone
        .add_extension(_names(request), critical=True)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(_issuer_key(authority), critical=False)
    )
    return builder.sign(authority.key, SHA256()).public_bytes(Encoding.PEM)


def sign_file(
    authority: Authority, csr_file: Path, now: float, validity_days: int = CERTIFICATE_DAYS
) -> Path:
    """Signs `ROLE.csr` into `ROLE.crt` beside it; the path of the certificate."""
    certificate_file = csr_file.with_suffix(".crt")
    require_absent([certificate_file])
    csr_pem = read_file(csr_file, "the request", "Make one on its host: diegod ca csr")
    try:
        certificate_pem = sign(authority, csr_pem, now, validity_days)
    except SecurityError as error:
        raise SecurityError(f"{csr_file}: {error.message}") from error
    write_new(certificate_file, certificate_pem, PUBLIC)
    return certificate_file


def issue(
    authority: Authority,
    role: Role,
    principal_id: str,
    hosts: Sequence[str],
    directory: Path,
    now: float,
    validity_days: int = CERTIFICATE_DAYS,
) -> Path:
    """The one-machine short form: `ca.crt`, `ROLE.crt` and `ROLE.key` in `directory` at once."""
    ca_file = directory / CA_CERTIFICATE
    certificate_file, key_file = directory / f"{role}.crt", directory / f"{role}.key"
    require_absent([certificate_file, key_file])
    ca_is_there = _holds_authority(ca_file, authority)
    key_pem, csr_pem = new_request(role, principal_id, hosts)
    certificate_pem = sign(authority, csr_pem, now, validity_days)
    if not ca_is_there:
        write_new(ca_file, authority.certificate_pem, PUBLIC)
    write_new(key_file, key_pem, SECRET)
    write_new(certificate_file, certificate_pem, PUBLIC)
    return certificate_file


def _holds_authority(ca_file: Path, authority: Authority) -> bool:
    """Whether `ca.crt` is there already, as after issuing for another role of the same machine."""
    if not ca_file.exists():
        return False
    pem = read_file(ca_file, "the CA certificate", "Choose another folder.")
    if authority.certificate_pem not in pem:
        raise SecurityError(
            f"{ca_file} is of another CA (it differs from that of cluster "
            f'"{authority.cluster}"). Choose another folder.'
        )
    return True


def _own_certificate(cluster: str, key: ec.EllipticCurvePrivateKey, now: float) -> x509.Certificate:
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, cluster),
            x509.NameAttribute(NameOID.COMMON_NAME, "diegod CA"),
        ]
    )
    constraints = x509.NameConstraints([x509.UniformResourceIdentifier(cluster)], None)
    start = _moment(now)
    builder = (
        _builder(name, key.public_key(), start, start + timedelta(days=AUTHORITY_DAYS))
        .subject_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(constraints, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return builder.sign(key, SHA256())


def _builder(
    issuer: x509.Name,
    public_key: PublicKey,
    start: datetime,
    end: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - _CLOCK_SKEW)
        .not_valid_after(end)
    )


def _validity(authority: Authority, now: float, days: int) -> tuple[datetime, datetime]:
    """From now on, and never longer than the CA itself."""
    start, ca_end = _moment(now), authority.certificate.not_valid_after_utc
    if days < 1:
        raise SecurityError(f"a validity of {days} days is too short. Give 1 or more.")
    if start >= ca_end:
        raise SecurityError(
            f'the CA of cluster "{authority.cluster}" expired ({utc_text(ca_end.timestamp())}). '
            "Make a new one: diegod ca init, in a new folder"
        )
    return start, min(start + timedelta(days=days), ca_end)


def _names(request: Request) -> x509.SubjectAlternativeName:
    uri = x509.UniformResourceIdentifier(request.principal.uri)
    return x509.SubjectAlternativeName([uri, *request.hosts])


def _issuer_key(authority: Authority) -> x509.AuthorityKeyIdentifier:
    """Tells two CAs of one name apart, so that the error is 'another CA', not 'bad signature'."""
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _cluster_of(certificate: x509.Certificate) -> str:
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except (x509.ExtensionNotFound, ValueError):
        permitted = []
    else:
        permitted = [str(name.value) for name in constraints.permitted_subtrees or ()]
    if len(permitted) != 1:
        raise SecurityError(
            "this CA is not bound to one cluster (it was not made by diegod ca init). Make one."
        )
    check_cluster(permitted[0])
    return permitted[0]


def _moment(now: float) -> datetime:
    return datetime.fromtimestamp(now, UTC)
