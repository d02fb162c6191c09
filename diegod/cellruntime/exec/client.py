"""The agent's side of the socket: ask the supervisor, and get its answer.

A connection is made when it is needed and made again when the supervisor has gone. Does not
belong here: what the requests mean for a container (`backend`).
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from diegod.cellruntime.exec.rendezvous import SUPERVISOR_LOG, launch_supervisor, socket_path
from diegod.contracts.backend import BackendError

Answer = Mapping[str, Any]

_LINE_MAX = 1 << 20
_LAUNCHES_MAX = 5
_ASKS_MAX = 5


class SupervisorGoneError(BackendError):
    """The supervisor ended before it had answered: what was asked may or may not be done."""


class _Connection:
    """One connection, with the requests that wait for their answers on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._answers: dict[int, asyncio.Future[Answer]] = {}
        self._last_id = 0
        self._receiver = asyncio.ensure_future(self._receive())

    @property
    def alive(self) -> bool:
        return not self._receiver.done()

    async def ask(self, op: str, **fields: Any) -> Answer:
        self._last_id += 1
        number = self._last_id
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        try:
            self._writer.write(json.dumps({"id": number, "op": op, **fields}).encode() + b"\n")
            return await answer
        finally:
            self._answers.pop(number, None)

    async def ended(self, patience_s: float) -> None:
        """Return once the other side has closed the connection, or when patience ends."""
        await asyncio.wait([self._receiver], timeout=patience_s)

    async def close(self) -> None:
        self._receiver.cancel()
        with suppress(asyncio.CancelledError):
            await self._receiver

    async def _receive(self) -> None:
        try:
            while line := await self._reader.readline():
                answer = json.loads(line)
                waiting = self._answers.get(answer.pop("id"))
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer)
        except OSError:
            pass  # the same as the end of the stream
        finally:
            self._writer.close()
            for waiting in self._answers.values():
                if not waiting.done():
                    waiting.set_exception(SupervisorGoneError("the supervisor has gone"))


class SupervisorClient:
    def __init__(self, cell: Path) -> None:
        self._cell = cell
        self._connection: _Connection | None = None
        self._connecting = asyncio.Lock()

    async def connect(self) -> None:
        """Make sure that a supervisor serves."""
        await self._connected()

    async def ask(self, op: str, **fields: Any) -> Answer:
        """Raises SupervisorGoneError when the answer is lost, BackendError for a refusal."""
        answer = await (await self._connected()).ask(op, **fields)
        if "error" in answer:
            raise BackendError(answer["error"])
        return answer

    async def ask_again(
        self, op: str, unless: Callable[[], bool] = lambda: False, **fields: Any
    ) -> Answer:
        """For what may be done twice: ask the next supervisor when this one ends meanwhile.

        More than once, because one that is being killed still accepts connections for a moment.
        """
        for _ in range(_ASKS_MAX - 1):
            try:
                return await self.ask(op, **fields)
            except SupervisorGoneError:
                if unless():
                    raise
        return await self.ask(op, **fields)

    async def ended(self, patience_s: float) -> None:
        """Return once the supervisor has closed our connection, or after `patience_s`."""
        if self._connection is not None:
            await self._connection.ended(patience_s)

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _connected(self) -> _Connection:
        async with self._connecting:
            if self._connection is None or not self._connection.alive:
                self._connection = await self._dial()
            return self._connection

    async def _dial(self) -> _Connection:
        path = str(socket_path(self._cell))
        for _ in range(_LAUNCHES_MAX):
            try:
                return _Connection(*await asyncio.open_unix_connection(path, limit=_LINE_MAX))
            except OSError:
                await launch_supervisor(self._cell)
                await asyncio.sleep(0.02)  # one that is just leaving still holds the lock
        log = self._cell / SUPERVISOR_LOG
        raise BackendError(f"the supervisor of plain processes does not answer; see {log}")
