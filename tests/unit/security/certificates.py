"""Certificates that `diegod ca` would never make, for showing that they are refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

HOUR_S = 3600.0
SERVER = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH


@dataclass(frozen=True)
class Pair:
    """A certificate with its key, both PEM."""

    certificate_pem: bytes
    key_pem: bytes


@dataclass(frozen=True)
class CarelessAuthority:
    """A CA of another make: it signs whatever it is asked to, for any cluster."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def sign(
        self,
        names: Sequence[x509.GeneralName],
        now: float,
        *,
        valid_s: tuple[float, float] = (-HOUR_S, HOUR_S),
        purposes: Sequence[ObjectIdentifier] = (SERVER, CLIENT),
    ) -> Pair:
        """`valid_s`: from when to when, counted from `now`."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(self.certificate.subject, key, now + valid_s[0], now + valid_s[1])
        certificate = (
            builder.subject_name(x509.Name([]))
            .add_extension(x509.SubjectAlternativeName(names), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
            .sign(self.key, SHA256())
        )
        return Pair(certificate.public_bytes(Encoding.PEM), key_pem(key))


def careless_authority(now: float) -> CarelessAuthority:
    key = ec.generate_private_key(ec.SECP256R1())
    name = common_name("careless CA")
    certificate = (
        _builder(name, key, now - HOUR_S, now + HOUR_S)
        .subject_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    return CarelessAuthority(certificate, key)


def csr(
    names: Sequence[x509.GeneralName],
    key: object | None = None,
    subject: x509.Name | None = None,
) -> bytes:
    """A request as another tool would make it."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject or x509.Name([]))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    signed = builder.sign(key or ec.generate_private_key(ec.SECP256R1()), SHA256())  # type: ignore[arg-type]
    return signed.public_bytes(Encoding.PEM)


def uri(text: str) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(text)


def dns(text: str) -> x509.DNSName:
    return x509.DNSName(text)


def ip(text: str) -> x509.IPAddress:
    return x509.IPAddress(ip_address(text))


def common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    issuer: x509.Name, key: ec.EllipticCurvePrivateKey, start: float, end: float
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.fromtimestamp(start, UTC))
        .not_valid_after(datetime.fromtimestamp(end, UTC))
    )


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


LOOPBACK = (dns("localhost"), ip("127.0.0.1"))
