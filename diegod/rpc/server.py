"""A gRPC server made of a table of methods and the handlers that a service gives.

Authentication is the handshake's (a certificate of our CA, or no connection); here the certificate
becomes a principal, the principal is held against the method's row, and refusals become statuses.
"""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection

from diegod.models.errors import DomainError, Reason
from diegod.rpc.errors import code_of, details_of, text_of
from diegod.rpc.handlers import Handler, Handlers
from diegod.rpc.methods import BULK_BYTES_MAX, Method
from diegod.security.errors import SecurityError
from diegod.security.identity import (
    Principal,
    principal_from_auth_context,
    require_unexpired,
)
from diegod.world import Clock

_log = structlog.get_logger("rpc")

_Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_OPTIONS = [
    ("grpc.so_reuseport", 0),  # else two servers share a port without a word
    ("grpc.max_receive_message_length", BULK_BYTES_MAX),
    ("grpc.max_send_message_length", BULK_BYTES_MAX),
    ("grpc.max_connection_age_ms", 600_000),  # a removed principal is out after ten minutes
    ("grpc.max_connection_age_grace_ms", 60_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 2),
    ("grpc.keepalive_permit_without_calls", 1),
]


class PortInUse(Exception):  # noqa: N818 - a refusal in the words of the operator
    """Somebody else listens there."""


@dataclass(frozen=True)
class Served:
    """One method with what carries it out, and what its callers are held against."""

    method: Method
    handler: Handler
    cluster: str
    clock: Clock


class Server:
    """Listens on one address, for one role. `start` returns the port that was bound."""

    def __init__(self, credentials: grpc.ServerCredentials, cluster: str, clock: Clock) -> None:
        self._credentials = credentials
        self._cluster = cluster
        self._clock = clock
        self._server = grpc.aio.server(options=_OPTIONS)
        self._health = HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._services: list[str] = []

    def add(self, methods: Iterable[Method], handlers: Handlers) -> None:
        """Serve these methods. A method without a handler is a mistake in the program."""
        by_service: dict[str, dict[str, Any]] = {}
        for method in methods:
            served = Served(method, handlers[method.name], self._cluster, self._clock)
            name = method.name.partition("/")[2]
            by_service.setdefault(method.service, {})[name] = _grpc_handler(served)
        for service, rows in by_service.items():
            generic = grpc.method_handlers_generic_handler(service, rows)
            self._server.add_generic_rpc_handlers((generic,))
            self._services.append(service)

    async def start(self, host: str, port: int) -> int:
        """Raises PortInUse. Port 0 lets the system choose."""
        reflection.enable_server_reflection(
            [*self._services, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name],
            self._server,
        )
        try:
            bound = self._server.add_secure_port(f"{host}:{port}", self._credentials)
        except RuntimeError as error:
            raise PortInUse(f"port {port} is in use") from error
        await self._server.start()
        for service in ["", *self._services]:
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        return int(bound)

    async def stop(self, grace_s: float) -> None:
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_s)


def _grpc_handler(served: Served) -> Any:
    make = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[served.method.request_stream, served.method.reply_stream]
    behaviour = _streaming(served) if served.method.reply_stream else _unary(served)
    return make(
        behaviour,
        request_deserializer=served.method.request.FromString,
        response_serializer=served.method.reply.SerializeToString,
    )


def _unary(served: Served) -> Any:
    async def behaviour(request: Any, context: _Context) -> Any:
        try:
            caller = _admitted(served, request, context)
            return await served.handler(request, caller)
        except DomainError as error:
            return await _refuse(context, served.method, error)

    return behaviour


def _streaming(served: Served) -> Any:
    async def behaviour(request: Any, context: _Context) -> AsyncIterator[Any]:
        try:
            caller = _admitted(served, request, context)
            if served.method.request_stream:
                request = within_limit(served.method, request)
            async for reply in served.handler(request, caller):
                yield reply
        except DomainError as error:
            await _refuse(context, served.method, error)

    return behaviour


def _admitted(served: Served, request: Any, context: _Context) -> Principal:
    method, cluster, clock = served.method, served.cluster, served.clock
    try:
        # A certificate may run out while its connection is open.
        require_unexpired(context.auth_context(), clock.wall())
        caller = principal_from_auth_context(context.auth_context())
    except SecurityError as error:
        raise DomainError(Reason.UNAUTHENTICATED, error.message) from None
    if caller.cluster != cluster:
        raise DomainError(
            Reason.UNAUTHENTICATED, f'this is cluster "{cluster}", not "{caller.cluster}"'
        )
    if caller.role not in method.roles:
        raise DomainError(Reason.PERMISSION_DENIED, f"{caller} may not call {method.name}")
    if not method.request_stream:
        _refuse_large(method, request)
    return caller


async def within_limit(method: Method, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """The requests of a stream; one that is larger than the method's row allows ends it."""
    async for request in requests:
        _refuse_large(method, request)
        yield request


def _refuse_large(method: Method, request: Any) -> None:
    if request.ByteSize() > method.request_bytes_max:
        raise DomainError(
            Reason.INVALID_REQUEST,
            f"the request has {request.ByteSize()} bytes; {method.request_bytes_max} are allowed",
        )


async def _refuse(context: _Context, method: Method, error: DomainError) -> None:
    _log.debug("rpc.refused", method=method.name, reason=error.reason.value, why=error.message)
    await context.abort(code_of(error), text_of(error), details_of(error))
