"""`task run`: a task as if it were a program on this terminal.

Its output comes through byte for byte, its status is ours. The first Ctrl-C cancels the task and
waits for its end, the second one leaves it alone.
"""

import asyncio
import signal
import sys
from contextlib import suppress

from diegod.cli.task.status import failure_line, program_status
from diegod.cli.terminal.errors import INTERRUPTED, as_cli_error, one_line
from diegod.cli.terminal.output import copy_output
from diegod.cli.terminal.session import Session
from diegod.client import Client
from diegod.models.errors import DomainError
from diegod.v1.definition_pb2 import TaskDefinition
from diegod.v1.record_pb2 import Task

#: After the end of the task its output is waited for as long as something comes.
_OUTPUT_SILENCE_S = 10.0
#: A task that was placed at once need not hear that it wasn't.
_PLACEMENT_NOTE_S = 3.0


async def run_attached(session: Session, definition: TaskDefinition, *, remove: bool) -> int:
    """Desire the task and stay with it; the exit status."""
    async with session.client() as client:
        reply = await client.tasks.desire(definition, cause="diegod task run")
        if reply.already_there:
            state = Task.State.Name(reply.task.state)
            session.say(f"task {definition.task_guid} is already there ({state})")
        attachment = _Attachment(session, client, definition.task_guid)
        status = await attachment.outcome()
        if remove and not attachment.detached.is_set():
            await client.tasks.delete(definition.task_guid, cause="diegod task run --rm")
        return status


class _Attachment:
    """One task and this terminal."""

    def __init__(self, session: Session, client: Client, guid: str) -> None:
        self._session = session
        self._client = client
        self._guid = guid
        self._output: asyncio.Task[None] | None = None
        self._cancelling: asyncio.Task[None] | None = None
        self._note: asyncio.TimerHandle | None = None
        self._chunks = 0
        self.detached = asyncio.Event()

    async def outcome(self) -> int:
        """The status to exit with, once the task has ended or the user has left it alone."""
        loop = asyncio.get_running_loop()
        with suppress(NotImplementedError, RuntimeError, ValueError):  # not on the main thread
            loop.add_signal_handler(signal.SIGINT, self._interrupt)
        ended = asyncio.create_task(self._end())
        left = asyncio.create_task(self.detached.wait())
        try:
            await asyncio.wait((ended, left), return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                self._session.say(f"task {self._guid} is left alone. diegod task show {self._guid}")
                return INTERRUPTED
            return self._status(ended.result())
        finally:
            with suppress(NotImplementedError, RuntimeError, ValueError):
                loop.remove_signal_handler(signal.SIGINT)
            self._forget_note()
            await _stop(ended, left, self._output, self._cancelling)

    def _status(self, task: Task) -> int:
        if self._cancelling is not None:
            return INTERRUPTED
        if line := failure_line(task):
            print(f"diegod: {one_line(line)}", file=sys.stderr)
        return program_status(task)

    async def _end(self) -> Task:
        """Follow the task to its end, and its output to its last byte."""
        last = Task()
        async for task in self._client.tasks.follow(self._guid):
            last = task
            self._note_placement(task)
            if self._output is None and task.cell_id:
                self._output = asyncio.create_task(self._copy(task))
        if self._output is not None:
            await self._drained(self._output)
        return last

    def _note_placement(self, task: Task) -> None:
        """Say why it waits, unless that is over in a moment."""
        self._forget_note()
        if task.state == Task.PENDING and task.placement_error:
            line = f"task {self._guid} waits: {task.placement_error}. diegod cell ls"
            loop = asyncio.get_running_loop()
            self._note = loop.call_later(_PLACEMENT_NOTE_S, self._session.say, line)

    def _forget_note(self) -> None:
        if self._note is not None:
            self._note.cancel()

    async def _copy(self, task: Task) -> None:
        try:
            await copy_output(self._client.logs(task, follow=True), self._count)
        except DomainError as error:
            self._session.say(f"diegod: the output is incomplete ({error.message})")

    async def _drained(self, output: asyncio.Task[None]) -> None:
        """Wait for the rest of the output; not for ever, should its cell never end the stream."""
        before = -1
        while not output.done() and self._chunks > before:
            before = self._chunks
            await asyncio.wait((output,), timeout=_OUTPUT_SILENCE_S)
        if output.done():
            output.result()
        else:
            self._session.say("diegod: the output may be incomplete (its end did not come)")

    def _count(self) -> None:
        self._chunks += 1

    def _interrupt(self) -> None:
        if self._cancelling is not None:
            self.detached.set()
            return
        self._session.say(f"cancelling task {self._guid}; Ctrl-C again leaves it alone")
        self._cancelling = asyncio.create_task(self._cancel())

    async def _cancel(self) -> None:
        try:
            await self._client.tasks.cancel(self._guid, cause="Ctrl-C in diegod task run")
        except DomainError as error:
            self._session.say(f"diegod: {as_cli_error(error).message}")


async def _stop(*tasks: asyncio.Task[object] | None) -> None:
    """End what still goes on, and take note of how it ended."""
    running = [task for task in tasks if task is not None]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
