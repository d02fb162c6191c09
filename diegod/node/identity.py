"""The identity of a role on this node, and what is made of it: server and channel credentials."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc
import structlog

from diegod.config.schema import Settings
from diegod.node.statuses import NOT_CURABLE, StartError
from diegod.rpc.channel import GrpcDialer
from diegod.security.credentials import (
    IdentitySource,
    channel_credentials,
    load_identity,
    server_credentials,
)
from diegod.security.errors import SecurityError
from diegod.security.identity import Role
from diegod.world import Clock

_log = structlog.get_logger("tls")


@dataclass(frozen=True)
class RoleIdentity:
    source: IdentitySource

    def server(self) -> grpc.ServerCredentials:
        return server_credentials(self.source)

    def dialer(self) -> GrpcDialer:
        """New channels take the certificate as it is then."""

        def credentials() -> grpc.ChannelCredentials:
            self.source.refresh()
            return channel_credentials(self.source.current)

        return GrpcDialer(credentials)


def load(settings: Settings, role: Role, clock: Clock) -> RoleIdentity:
    """Everything that a peer would refuse is refused here, before any port is opened."""
    directory = Path(settings.tls.dir)
    on_problem: Callable[[str], None] = lambda line: _log.error("certificate.refused", why=line)  # noqa: E731
    try:
        identity = load_identity(directory, role, clock.wall(), settings.cluster.name)
    except SecurityError as error:
        raise StartError(error.message, NOT_CURABLE) from None
    if identity.principal.id != settings.node.id:
        raise StartError(
            f"the certificate {identity.folder.certificate_file} is of {identity.principal}, and "
            f"this node is {settings.node.id}. Give the node that id, or its own certificate.",
            NOT_CURABLE,
        )
    return RoleIdentity(IdentitySource(identity, clock, on_problem))
