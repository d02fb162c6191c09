"""Why did a connection fail? A TLS probe that tells apart what gRPC reports as one UNAVAILABLE.

One's own files were checked before (`credentials.load_identity`). The probe connects twice: once
only to read the server's certificate, then as gRPC does. A server that refuses our certificate lets
the handshake complete and then hangs up without a byte; a good one greets with HTTP/2 settings.
"""

import asyncio
import socket
import ssl
from dataclasses import dataclass
from enum import StrEnum

from diegod.security.certificate import (
    alternative_names,
    hosts_of,
    not_after_s,
    not_before_s,
    parse_certificate,
    utc_text,
)
from diegod.security.credentials import Identity, client_context
from diegod.security.errors import SecurityError
from diegod.security.hosts import split_address
from diegod.security.identity import Principal, Role, check_server, principal_from_certificate


class Kind(StrEnum):
    WORKS = "works"
    NOTHING_LISTENS = "nothing listens"
    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed out"
    NOT_TLS = "not TLS"
    OTHER_CLUSTER = "other cluster"
    OTHER_CA = "other CA"
    OTHER_HOST = "other host"
    OTHER_ROLE = "other role"
    SERVER_EXPIRED = "server certificate expired"
    SERVER_NOT_YET_VALID = "server certificate not yet valid"
    REFUSED = "certificate refused"


@dataclass(frozen=True)
class Diagnosis:
    kind: Kind
    line: str  # WHAT (WHY). WHAT TO DO.


# OpenSSL's numbers (x509_vfy.h); whatever is not listed is a chain that does not lead to our CA.
_VERIFY_CODES = {
    9: Kind.SERVER_NOT_YET_VALID,
    10: Kind.SERVER_EXPIRED,
    26: Kind.OTHER_ROLE,  # not for servers: a user's certificate
    62: Kind.OTHER_HOST,
    64: Kind.OTHER_HOST,  # the same for an IP address
}


async def diagnose(
    address: str,
    identity: Identity,
    timeout_s: float,
    *,
    expected_role: Role = Role.BBS,
    context: str = "",
) -> Diagnosis:
    """Tries what a gRPC client would do at `address`; `context` is what the user calls the cluster.

    Raises `SecurityError` if the address has no such form.
    """
    host, port = split_address(address)
    probe = _Probe(address, host, port, identity, expected_role, context)
    try:
        async with asyncio.timeout(timeout_s):
            return await probe.run()
    except TimeoutError:
        return probe.timed_out(timeout_s)


@dataclass
class _Probe:
    address: str
    host: str
    port: int
    identity: Identity
    expected_role: Role
    context: str
    connected: bool = False

    async def run(self) -> Diagnosis:
        try:
            _, writer = await self._connect()
            try:
                certificate = await self._handshake(writer, _trusting_context())
            except OSError:  # `ssl.SSLError` is one too
                return self._not_tls()
            finally:
                writer.transport.abort()
            claimed = _claimed_principal(certificate)
            if claimed and claimed.cluster != self.identity.principal.cluster:
                return self._wrong_cluster(claimed)
            return await self._as_grpc_does(certificate)
        except OSError as error:
            return self._no_connection(error)

    async def _as_grpc_does(self, certificate: bytes) -> Diagnosis:
        reader, writer = await self._connect()
        try:
            return await self._judge(reader, writer)
        except ssl.SSLCertVerificationError as error:
            return self._distrusted(error.verify_code, certificate)
        except OSError:
            return self._refused()
        finally:
            writer.transport.abort()

    async def _judge(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Diagnosis:
        certificate = await self._handshake(writer, client_context(self.identity))
        try:
            server = check_server(certificate, self.identity.principal.cluster, self.expected_role)
        except SecurityError as error:
            return Diagnosis(Kind.OTHER_ROLE, f"{self.address}: {error.message}")
        greeting = await reader.read(1)
        return self._works(server) if greeting else self._refused()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """To the first of the host's addresses that answers; the last one's error otherwise."""
        self.connected = False
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        failure = OSError("no address")
        for *_, target in found:
            try:
                streams = await asyncio.open_connection(str(target[0]), int(target[1]))
            except OSError as error:
                failure = error
            else:
                self.connected = True
                return streams
        raise failure

    async def _handshake(self, writer: asyncio.StreamWriter, context: ssl.SSLContext) -> bytes:
        """The server's certificate (DER)."""
        await writer.start_tls(context, server_hostname=self.host)
        return writer.get_extra_info("ssl_object").getpeercert(binary_form=True) or b""

    # What each finding is called: WHAT (WHY). WHAT TO DO.

    def _works(self, server: Principal) -> Diagnosis:
        return Diagnosis(
            Kind.WORKS,
            f"{self.address} accepts your certificate (it is {server}, you are "
            f"{self.identity.principal}). Certificates are not the trouble: try again.",
        )

    def _no_connection(self, error: OSError) -> Diagnosis:
        if isinstance(error, ConnectionRefusedError):
            return Diagnosis(
                Kind.NOTHING_LISTENS,
                f"no answer from {self.address} (connection refused). "
                f"Start it there: diegod --role={self.expected_role}; or correct the address.",
            )
        why = (error.strerror or str(error)).lower()
        return Diagnosis(
            Kind.UNREACHABLE,
            f"no way to {self.address} ({why}). Check the address and the network.",
        )

    def timed_out(self, timeout_s: float) -> Diagnosis:
        if self.connected:
            why, todo = f"connected, but silent for {timeout_s:g} s", "Is this the right port?"
        else:
            why, todo = f"timed out after {timeout_s:g} s", "Is a firewall in the way?"
        return Diagnosis(Kind.TIMED_OUT, f"no answer from {self.address} ({why}). {todo}")

    def _not_tls(self) -> Diagnosis:
        return Diagnosis(
            Kind.NOT_TLS,
            f"{self.address} does not speak TLS (the handshake failed at its first answer). "
            "Something else listens there: check the port.",
        )

    def _wrong_cluster(self, claimed: Principal) -> Diagnosis:
        expects = f'your context "{self.context}" expects' if self.context else "you are of"
        return Diagnosis(
            Kind.OTHER_CLUSTER,
            f'this is cluster "{claimed.cluster}"; {expects} '
            f'"{self.identity.principal.cluster}" ({self.address} is {claimed.uri}). '
            "Choose the other context, or correct the address.",
        )

    def _distrusted(self, verify_code: int, certificate: bytes) -> Diagnosis:
        """We do not trust the server; `certificate` is what it showed."""
        kind = _VERIFY_CODES.get(verify_code, Kind.OTHER_CA)
        return Diagnosis(kind, self._why_distrusted(kind, certificate))

    def _why_distrusted(self, kind: Kind, certificate: bytes) -> str:
        if kind is Kind.OTHER_CA:
            return (
                f"{self.address} has a certificate of another CA (not signed by "
                f"{self.identity.folder.ca_file}). Is it your cluster? If its CA is new, get "
                "ca.crt and a certificate of it."
            )
        shown = parse_certificate(certificate)
        called = _claimed_principal(certificate) or self.address
        if kind is Kind.SERVER_EXPIRED:
            return (
                f"the certificate of {called} expired ({self.address}, "
                f"{utc_text(not_after_s(shown))}). Renew it there: diegod ca csr"
            )
        if kind is Kind.SERVER_NOT_YET_VALID:
            return (
                f"the certificate of {called} is not yet valid ({self.address}, not before "
                f"{utc_text(not_before_s(shown))}). Check the clocks of both machines."
            )
        if kind is Kind.OTHER_ROLE:
            return (
                f"{self.address} has the certificate of {called} (which is for clients only). "
                f"Give it one of its own: diegod ca csr --role {self.expected_role}"
            )
        hosts = ", ".join(hosts_of(alternative_names(shown))) or "no host"
        return (
            f'{called}\'s certificate is for {hosts}, not for "{self.host}" (a client trusts only '
            f"these names). Use one of them, or ask for a certificate with --host {self.host}"
        )

    def _refused(self) -> Diagnosis:
        return Diagnosis(
            Kind.REFUSED,
            f"{self.address} refused your certificate {self.identity.folder.certificate_file} "
            "(it completed the handshake, then hung up). Compare ca.crt and the clocks there and "
            "here.",
        )


def _trusting_context() -> ssl.SSLContext:
    """Trusts anybody and shows nothing: for reading a certificate, never for sending anything."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context


def _claimed_principal(certificate: bytes) -> Principal | None:
    """Whom the certificate of an untrusted server names."""
    try:
        return principal_from_certificate(certificate)
    except SecurityError:
        return None
