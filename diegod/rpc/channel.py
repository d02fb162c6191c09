"""gRPC channels: one per address, kept open, with mutual TLS.

gRPC's own retries are switched off: whether a call may be repeated is decided by `client.py`,
which knows what an unknown outcome means.
"""

from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc

from diegod.rpc.errors import error_of
from diegod.rpc.methods import BULK_BYTES_MAX, Method

_OPTIONS = [
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),  # a proxy of the environment is not for cluster traffic
    ("grpc.max_receive_message_length", BULK_BYTES_MAX),
    ("grpc.max_send_message_length", BULK_BYTES_MAX),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # A member that comes back is to be found at once, not after gRPC's two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
]


class GrpcDialer:
    """Reaches addresses of this cluster. `credentials` is asked anew for each new channel."""

    def __init__(self, credentials: Callable[[], grpc.ChannelCredentials]) -> None:
        self._credentials = credentials
        self._channels: dict[str, grpc.aio.Channel] = {}

    async def call(self, address: str, method: Method, request: Any, timeout_s: float) -> Any:
        stub = self._channel(address).unary_unary(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.reply.FromString,
        )
        try:
            return await stub(request, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            raise error_of(error, address) from None

    async def stream(
        self, address: str, method: Method, request: Any, timeout_s: float | None
    ) -> AsyncIterator[Any]:
        stub = self._channel(address).unary_stream(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.reply.FromString,
        )
        call = stub(request, timeout=timeout_s)
        async for reply in _replies(call, address):
            yield reply

    async def duplex(
        self, address: str, method: Method, requests: AsyncIterator[Any], timeout_s: float | None
    ) -> AsyncIterator[Any]:
        stub = self._channel(address).stream_stream(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.reply.FromString,
        )
        call = stub(requests, timeout=timeout_s)
        async for reply in _replies(call, address):
            yield reply

    async def close(self) -> None:
        channels, self._channels = list(self._channels.values()), {}
        for channel in channels:
            await channel.close()

    def _channel(self, address: str) -> grpc.aio.Channel:
        if address not in self._channels:
            self._channels[address] = grpc.aio.secure_channel(
                address, self._credentials(), options=_OPTIONS
            )
        return self._channels[address]


async def _replies(call: Any, address: str) -> AsyncIterator[Any]:
    """The replies; a reader that stops early ends the call, so that the server stops too."""
    try:
        async for reply in call:
            yield reply
    except grpc.aio.AioRpcError as error:
        raise error_of(error, address) from None
    finally:
        call.cancel()
