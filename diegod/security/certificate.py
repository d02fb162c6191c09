"""Reading certificates: names, dates, issuer. Does not belong here: who they name (`identity`)."""

from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.hashes import SHA256

from diegod.security.errors import SecurityError


def parse_certificate(data: bytes, called: str = "this") -> x509.Certificate:
    """One certificate, PEM or DER, the first one of a PEM chain; `called` so in the refusal."""
    try:
        if b"-----BEGIN" in data:
            return x509.load_pem_x509_certificates(data)[0]
        return x509.load_der_x509_certificate(data)
    except ValueError as error:
        raise SecurityError(
            f"{called} is no certificate (neither PEM nor DER). Put one in its place."
        ) from error


def parse_authorities(pem: bytes, called: str) -> list[x509.Certificate]:
    """The CAs of a `ca.crt`: one, or two while the old one is being replaced."""
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise SecurityError(
            f"{called} is no CA certificate (not PEM). Put one in its place."
        ) from error


def alternative_names(
    certificate: x509.Certificate | x509.CertificateSigningRequest,
) -> list[x509.GeneralName]:
    """All subject alternative names, typed, in their order."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    except ValueError as error:
        raise SecurityError(
            "the names of this certificate can't be read (malformed). Issue it again."
        ) from error
    return list(extension.value)


def hosts_of(names: Sequence[x509.GeneralName]) -> list[str]:
    """The DNS names and IP addresses among `names`, as people write them.

    They may come from a stranger: what could steer a terminal is escaped.
    """
    hosts = [str(name.value) for name in names if isinstance(name, (x509.DNSName, x509.IPAddress))]
    return [host if host.isprintable() else ascii(host) for host in hosts]


def is_issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def not_before_s(certificate: x509.Certificate) -> float:
    return certificate.not_valid_before_utc.timestamp()


def not_after_s(certificate: x509.Certificate) -> float:
    return certificate.not_valid_after_utc.timestamp()


def fingerprint(certificate: x509.Certificate) -> str:
    """The SHA-256 of the certificate, in hexadecimal."""
    return certificate.fingerprint(SHA256()).hex()


def utc_text(wall_s: float) -> str:
    """`2026-11-22 06:10 UTC`"""
    return datetime.fromtimestamp(wall_s, UTC).strftime("%Y-%m-%d %H:%M UTC")


def duration_text(seconds: float) -> str:
    """`40 s`, `12 min`, `3 h`, `2 days`: the largest unit that is filled."""
    for unit_s, unit in ((86_400, "day"), (3_600, "h"), (60, "min")):
        count = int(seconds // unit_s)
        if count >= 1:
            return f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''}"
    return f"{max(0, int(seconds))} s"
