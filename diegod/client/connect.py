"""Making the connection: who we are, over which channels, and why it does not work if it doesn't.

The only module of this package that knows gRPC and certificates.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from diegod.client.ports import Cluster
from diegod.config.contexts import Target, TlsFiles
from diegod.rpc.channel import GrpcDialer
from diegod.rpc.client import ClusterClient
from diegod.security.credentials import Identity, channel_credentials, load_identity
from diegod.security.diagnosis import Diagnosis, diagnose
from diegod.security.identity import Role
from diegod.world import RandomIds, SystemClock


async def _no_findings(timeout_s: float) -> Sequence[Diagnosis]:
    return ()


@dataclass(frozen=True)
class Connection:
    """An open way to a cluster."""

    cluster: Cluster
    close: Callable[[], Awaitable[None]]
    #: What a TLS probe of each address finds; for the message when nothing else tells.
    diagnose: Callable[[float], Awaitable[Sequence[Diagnosis]]] = _no_findings
    #: The way to one member alone, by its address; without it, whoever answers.
    at: Callable[[str], Cluster] | None = None

    def member(self, address: str) -> Cluster:
        """The member at this address: for what each is asked about itself."""
        return self.cluster if self.at is None else self.at(address)


def connect(target: Target) -> Connection:
    """Open a connection; nothing is sent yet. Raises SecurityError for what is wrong with us."""
    clock = SystemClock()
    identity = identity_of(target.tls, clock.wall(), target.cluster or None)
    dialer = GrpcDialer(lambda: channel_credentials(identity))
    cluster = ClusterClient(dialer, target.addresses, clock, RandomIds())

    def at(address: str) -> Cluster:
        return ClusterClient(dialer, (address,), clock, RandomIds())

    async def probe(timeout_s: float) -> Sequence[Diagnosis]:
        probes = (
            diagnose(address, identity, timeout_s, context=target.context)
            for address in target.addresses
        )
        return await asyncio.gather(*probes)

    return Connection(cluster, dialer.close, probe, at)


def identity_of(files: TlsFiles, now: float, cluster: str | None = None) -> Identity:
    """Whom these files prove us to be; files of other names are shown under the usual ones."""
    directory = files.client_cert.parent
    if files == TlsFiles.of_user(directory):
        return load_identity(directory, Role.USER, now, cluster)
    shown = Path(tempfile.mkdtemp(prefix="diegod-tls-"))
    try:
        names = TlsFiles.of_user(shown)
        names.ca_cert.symlink_to(files.ca_cert.absolute())
        names.client_cert.symlink_to(files.client_cert.absolute())
        names.client_key.symlink_to(files.client_key.absolute())
        return load_identity(shown, Role.USER, now, cluster)
    finally:
        shutil.rmtree(shown)
