"""A real gRPC server that tells callers who they are, and a client that asks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from diegod.security.identity import principal_from_auth_context

_PATH = "/echo.Echo/Who"


async def _who(_: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
    return str(principal_from_auth_context(context.auth_context())).encode()


@asynccontextmanager
async def serving(credentials: grpc.ServerCredentials | None) -> AsyncIterator[int]:
    """The port of a server on 127.0.0.1; without credentials it speaks plaintext."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        "Who": grpc.unary_unary_rpc_method_handler(_who)
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("echo.Echo", handlers),))
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


async def call(port: int, credentials: grpc.ChannelCredentials, host: str = "127.0.0.1") -> str:
    """Who the server says we are, over a connection of its own."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
    async with grpc.aio.secure_channel(f"{host}:{port}", credentials, options) as channel:
        ask: Any = channel.unary_unary(_PATH)
        answer: bytes = await ask(b"", timeout=5.0)
    return answer.decode()
