"""Connecting to a container's port, with refusals in words."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from diegod.contracts.check import Target


class NotReachedError(Exception):
    """No connection; the message is a reason for a person."""


@asynccontextmanager
async def dialled(
    target: Target, port: int
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a container port, closed at the end. `port` is the definition's number."""
    if port not in target.ports:
        raise NotReachedError(f"port {port} is not a port of this container")
    try:
        reader, writer = await asyncio.open_connection(target.address, target.ports[port])
    except ConnectionRefusedError:
        raise NotReachedError(f"connection refused on port {port}") from None
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise NotReachedError(f"no connection to port {port}: {why}") from None
    try:
        yield reader, writer
    finally:
        writer.close()
