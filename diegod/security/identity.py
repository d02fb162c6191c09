"""Who somebody is: the principal that a certificate names, `spiffe://CLUSTER/ROLE/ID`.

A certificate names exactly one principal, in its one URI SAN; common names, units and everything
else in it mean nothing. What a principal may do is not written here.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from cryptography import x509

from diegod.security.certificate import (
    alternative_names,
    not_after_s,
    parse_certificate,
    utc_text,
)
from diegod.security.errors import SecurityError
from diegod.security.hosts import is_host


class Role(StrEnum):
    USER = "user"
    BBS = "bbs"
    BRAIN = "brain"
    CELL = "cell"
    TASK = "task"  # reserved, as is LRP: no certificate of theirs is issued or accepted yet
    LRP = "lrp"


SERVER_ROLES = (Role.BBS, Role.BRAIN, Role.CELL)
ISSUED_ROLES = (Role.USER, *SERVER_ROLES)

# A DNS label, so that a CA's name constraint can hold it (its URIs have the cluster as their host).
_CLUSTER = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
# Lower case only: two names that differ in case alone look like one to whoever reads a log.
_ID = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,126}[a-z0-9])?")
#: Certificates whose names and dates were read, and are not read again at each call.
_REMEMBERED = 4096
_URI = re.compile(r"spiffe://([^/]+)/([^/]+)/([^/]+)")


@dataclass(frozen=True)
class Principal:
    """Somebody of a cluster. One that exists is well-formed."""

    cluster: str
    role: Role
    id: str

    def __post_init__(self) -> None:
        check_cluster(self.cluster)
        if self.role not in ISSUED_ROLES:
            raise SecurityError(
                f"the role {self.role} can't be used (it is reserved). "
                f"Use one of {', '.join(ISSUED_ROLES)}."
            )
        if not _ID.fullmatch(self.id) or ".." in self.id:
            raise SecurityError(
                f"{_shown(self.id)} can't be the id of a {self.role} (1 to 128 of a-z, 0-9, '.', "
                "'_', '-'; a letter or digit first and last; no '..'). Choose another."
            )

    @property
    def uri(self) -> str:
        return f"spiffe://{self.cluster}/{self.role}/{self.id}"

    def __str__(self) -> str:
        return f"{self.role}/{self.id}"


def check_cluster(name: str) -> None:
    if not _CLUSTER.fullmatch(name):
        raise SecurityError(
            f"{_shown(name)} can't be the name of a cluster (1 to 63 of a-z, 0-9, '-'; "
            "a letter first, no '-' last). Choose another."
        )


def parse_role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError as error:
        raise SecurityError(
            f"there is no role {_shown(text)} (names are exact). "
            f"Use one of {', '.join(ISSUED_ROLES)}."
        ) from error


def parse_uri(uri: str) -> Principal:
    """The principal of one URI; anything but its canonical form is refused."""
    match = _URI.fullmatch(uri)
    if match is None:
        raise SecurityError(
            f"{_shown(uri)} names nobody (not of the form spiffe://CLUSTER/ROLE/ID). "
            "Use a certificate of this cluster's CA."
        )
    cluster, role, principal_id = match.groups()
    return Principal(cluster, parse_role(role), principal_id)


def principal_from_certificate(certificate: bytes | x509.Certificate) -> Principal:
    """Whom a certificate (PEM or DER) names. Its signature is for others to have checked."""
    if isinstance(certificate, bytes):
        certificate = parse_certificate(certificate)
    names = alternative_names(certificate)
    return _the_one(
        str(name.value) for name in names if not isinstance(name, (x509.DNSName, x509.IPAddress))
    )


def principal_from_auth_context(auth_context: Mapping[str, Iterable[bytes]]) -> Principal:
    """Who calls, as told by gRPC (`context.auth_context()`), which has checked the signatures.

    gRPC hands the names over without their types. So whatever can't be a host counts as a URI, and
    nothing can hide beside the one that is wanted.
    """
    return _principal_among(tuple(auth_context.get("x509_subject_alternative_name", ())))


@lru_cache(_REMEMBERED)
def _principal_among(names: tuple[bytes, ...]) -> Principal:
    """Remembered, since each call of a connection asks for the same."""
    # A byte that is not ASCII becomes a character that no valid name holds.
    texts = [name.decode("ascii", errors="replace") for name in names]
    return _the_one(text for text in texts if not is_host(text))


def require_unexpired(auth_context: Mapping[str, Iterable[bytes]], now: float) -> None:
    """Refuses a caller whose certificate has expired since its connection was opened."""
    for pem in auth_context.get("x509_pem_cert", ()):
        expiry = _expiry_s(pem)
        if expiry < now:
            raise SecurityError(
                f"your certificate expired ({utc_text(expiry)}, while you were connected). "
                "Ask for a new one and connect again."
            )


@lru_cache(_REMEMBERED)
def _expiry_s(pem: bytes) -> float:
    """Remembered, since each call of a connection asks for the same."""
    return not_after_s(parse_certificate(pem))


def check_server(peer_certificate: bytes, expected_cluster: str, expected_role: Role) -> Principal:
    """Who the server is; refuses one of another cluster or in another role than was dialled."""
    principal = principal_from_certificate(peer_certificate)
    if principal.cluster != expected_cluster:
        raise SecurityError(
            f'this is cluster "{principal.cluster}", not "{expected_cluster}" '
            f"(its certificate names {principal.uri}). Check the address."
        )
    if principal.role != expected_role:
        raise SecurityError(
            f"this is {principal}, not a {expected_role} (its certificate names {principal.uri}). "
            "Check the port."
        )
    return principal


def _the_one(uris: Iterable[str]) -> Principal:
    found = list(uris)
    if len(found) != 1:
        raise SecurityError(
            f"the certificate names nobody (it has {len(found)} URIs, and exactly one is needed). "
            "Use a certificate of this cluster's CA."
        )
    return parse_uri(found[0])


def _shown(text: str) -> str:
    """Text of a stranger, harmless on a terminal and in a log, and of bounded length."""
    return ascii(text if len(text) <= 160 else text[:160] + "…")
