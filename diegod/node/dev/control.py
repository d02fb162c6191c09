"""The socket through which `diegod dev kill …` reaches the dev cluster that runs: JSON lines.

Only the user who runs the cluster can reach it: the folder is 0700 and the socket 0600.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

#: A request as given, and the reply: {"error": "…"} or whatever the verb answers.
Answer = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class NotRunningError(Exception):
    """No dev cluster listens there."""


async def serve(path: Path, answer: Answer) -> asyncio.Server:
    path.unlink(missing_ok=True)

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = json.loads(await reader.readline() or b"{}")
        reply = await answer(request)
        writer.write(json.dumps(reply).encode() + b"\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(converse, path)
    path.chmod(0o600)
    return server


async def ask(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    try:
        reader, writer = await asyncio.open_unix_connection(path)
    except (FileNotFoundError, ConnectionRefusedError):
        raise NotRunningError(f"no dev cluster runs at {path.parent.parent}") from None
    try:
        writer.write(json.dumps(request).encode() + b"\n")
        await writer.drain()
        reply: dict[str, Any] = json.loads(await reader.readline())
        return reply
    finally:
        writer.close()
