"""A TLS folder (`ca.crt`, `ROLE.crt`, `ROLE.key`) as an identity, and gRPC credentials made of it.

All that can be wrong with one's own files is found here, before any connection: a server that
refuses a certificate does not say why (gRPC hangs up), so nobody else could tell.
"""

import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from diegod.security.certificate import (
    duration_text,
    is_issued_by,
    not_after_s,
    not_before_s,
    parse_authorities,
    parse_certificate,
    utc_text,
)
from diegod.security.errors import SecurityError
from diegod.security.files import CA_CERTIFICATE, read_file
from diegod.security.identity import Principal, Role, principal_from_certificate
from diegod.world import Clock


@dataclass(frozen=True)
class TlsFolder:
    """Where the three files of one role lie."""

    directory: Path
    role: Role

    @property
    def ca_file(self) -> Path:
        return self.directory / CA_CERTIFICATE

    @property
    def certificate_file(self) -> Path:
        return self.directory / f"{self.role}.crt"

    @property
    def key_file(self) -> Path:
        return self.directory / f"{self.role}.key"

    @property
    def how_to_renew(self) -> str:
        if self.role is Role.USER:
            return "Ask for a new one: diegod ca issue user NAME"
        return f"Ask for a new one: diegod ca csr --role {self.role} …, then diegod ca sign"


@dataclass(frozen=True)
class Identity:
    """Who we are, with what proves it; checked when it was loaded."""

    principal: Principal
    folder: TlsFolder
    ca_pem: bytes = field(repr=False)
    certificate_pem: bytes = field(repr=False)
    key_pem: bytes = field(repr=False)
    not_after_s: float  # wall time; for renewal and `diegod_cert_expiry_seconds`


def load_identity(
    directory: Path, role: Role, now: float, expected_cluster: str | None = None
) -> Identity:
    """The identity of `role` in a TLS folder; whatever a server would refuse, is refused here."""
    folder = TlsFolder(directory, role)
    ca_pem, certificate_pem, key_pem = _read(folder)
    certificate = parse_certificate(certificate_pem, f"your certificate {folder.certificate_file}")
    principal = _check_principal(folder, certificate, expected_cluster)
    _check_issuer(folder, certificate, ca_pem)
    _check_dates(folder, certificate, now)
    _check_key(folder, certificate, key_pem)
    return Identity(principal, folder, ca_pem, certificate_pem, key_pem, not_after_s(certificate))


def channel_credentials(identity: Identity) -> grpc.ChannelCredentials:
    """For a client. gRPC can't exchange them in a channel: after a renewal, open a new one."""
    return grpc.ssl_channel_credentials(identity.ca_pem, identity.key_pem, identity.certificate_pem)


def server_credentials(source: "IdentitySource") -> grpc.ServerCredentials:
    """For a server: clients must show a certificate of our CA; each handshake takes the files as
    they are then. Open connections live on with what they began with: limit their age."""

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        return _configuration(source.current) if source.refresh() else None

    return grpc.dynamic_ssl_server_credentials(
        _configuration(source.current),
        fetch,  # type: ignore[arg-type]  # None means unchanged, which the stubs do not know
        require_client_authentication=True,
    )


def client_context(identity: Identity) -> ssl.SSLContext:
    """What gRPC does in a client, for Python's `ssl`."""
    context = ssl.create_default_context(cadata=identity.ca_pem.decode("ascii"))
    context.set_alpn_protocols(["h2"])
    try:
        context.load_cert_chain(identity.folder.certificate_file, identity.folder.key_file)
    except OSError as error:  # `ssl` reads files only, and they may have changed since
        raise SecurityError(
            f"your certificate {identity.folder.certificate_file} and its key can't be used "
            f"({error}). Try again."
        ) from error
    return context


class IdentitySource:
    """The identity in a TLS folder, read again when a file changes.

    Files that are wrong, or half replaced, change nothing: the last good identity stays, and
    `on_problem` is told once. Servers ask from gRPC's threads, hence the lock.
    """

    def __init__(self, identity: Identity, clock: Clock, on_problem: Callable[[str], None]) -> None:
        self._identity = identity
        self._clock = clock
        self._on_problem = on_problem
        self._lock = threading.Lock()
        self._seen = _fingerprints(identity.folder)

    @property
    def current(self) -> Identity:
        return self._identity

    def refresh(self) -> bool:
        """Looks at the files; whether there is another identity than before."""
        with self._lock:
            seen = _fingerprints(self._identity.folder)
            if seen == self._seen:
                return False
            # Taken before reading: what changes meanwhile is found the next time.
            self._seen = seen
            return self._reload()

    def _reload(self) -> bool:
        old = self._identity
        try:
            new = load_identity(
                old.folder.directory, old.folder.role, self._clock.wall(), old.principal.cluster
            )
            if new.principal != old.principal:
                raise SecurityError(
                    f"your certificate {old.folder.certificate_file} now is {new.principal} (this "
                    f"process is {old.principal}). Restart it, or put the old one back."
                )
        except SecurityError as error:
            self._on_problem(error.message)
            return False
        self._identity = new
        return new != old


def _fingerprints(folder: TlsFolder) -> list[tuple[int, int, int] | None]:
    """What changes when a file is replaced or written to."""
    return [
        _fingerprint(path) for path in (folder.ca_file, folder.certificate_file, folder.key_file)
    ]


def _fingerprint(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _configuration(identity: Identity) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(identity.key_pem, identity.certificate_pem)], identity.ca_pem
    )


def _read(folder: TlsFolder) -> tuple[bytes, bytes, bytes]:
    """CA, certificate, key. The certificate first: the one that a newcomer lacks."""
    certificate = read_file(
        folder.certificate_file, "your certificate", folder.how_to_renew.replace("a new one", "one")
    )
    key = read_file(
        folder.key_file,
        "the key of your certificate",
        "It lies where the certificate was asked for.",
    )
    ca = read_file(folder.ca_file, "the CA certificate", "Copy it from your cluster's CA.")
    return ca, certificate, key


def _check_principal(
    folder: TlsFolder, certificate: x509.Certificate, expected_cluster: str | None
) -> Principal:
    try:
        principal = principal_from_certificate(certificate)
    except SecurityError as error:
        raise SecurityError(f"{folder.certificate_file}: {error.message}") from error
    if principal.role != folder.role:
        raise SecurityError(
            f"your certificate {folder.certificate_file} is for another role (it names "
            f"{principal}, and a {folder.role} is needed). {folder.how_to_renew}"
        )
    if expected_cluster is not None and principal.cluster != expected_cluster:
        raise SecurityError(
            f'your certificate {folder.certificate_file} is for cluster "{principal.cluster}" '
            f'("{expected_cluster}" is expected). {folder.how_to_renew}'
        )
    return principal


def _check_issuer(folder: TlsFolder, certificate: x509.Certificate, ca_pem: bytes) -> None:
    authorities = parse_authorities(ca_pem, str(folder.ca_file))
    if not any(is_issued_by(certificate, authority) for authority in authorities):
        raise SecurityError(
            f"your certificate {folder.certificate_file} is of another CA (not signed by "
            f"{folder.ca_file}). {folder.how_to_renew}"
        )


def _check_dates(folder: TlsFolder, certificate: x509.Certificate, now: float) -> None:
    start, end = not_before_s(certificate), not_after_s(certificate)
    if now > end:
        raise SecurityError(
            f"your certificate {folder.certificate_file} expired {duration_text(now - end)} ago "
            f"({utc_text(end)}). {folder.how_to_renew}"
        )
    if now < start:
        raise SecurityError(
            f"your certificate {folder.certificate_file} is not valid for another "
            f"{duration_text(start - now)} (until {utc_text(start)}). Check this machine's clock."
        )


def _check_key(folder: TlsFolder, certificate: x509.Certificate, key_pem: bytes) -> None:
    try:
        key = load_pem_private_key(key_pem, password=None)
    except (ValueError, TypeError) as error:
        raise SecurityError(
            f"{folder.key_file} is no usable key (not PEM, or encrypted). "
            "Bring back the one that your certificate was asked for with."
        ) from error
    if key.public_key() != certificate.public_key():
        raise SecurityError(
            f"the key {folder.key_file} does not match your certificate "
            f"{folder.certificate_file} (they are of two requests). Bring back the right one."
        )
