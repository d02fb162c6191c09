"""The cell's own edge: the output of its containers, for the members that relay it to clients.

Handlers are plain functions of a request and a caller; who may call is the method table's. A task
is meant in its latest attempt on this cell. Does not read files itself (`log_reader.py`).
"""

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol

from diegod.cellruntime.core.keys import instance_handle, task_handle_prefix
from diegod.cellruntime.log_lines import LogLines
from diegod.cellruntime.log_reader import STREAMS, LogReader
from diegod.cellruntime.ports import RunBlocking
from diegod.models.errors import DomainError, Reason
from diegod.security.identity import Principal
from diegod.v1.stream_pb2 import LogChunk, ReadLogsReply, ReadLogsRequest

#: How long a follower sleeps at most before it looks whether there is more.
LOOK_AGAIN_S = 0.1
_OUTPUT = (LogChunk.STDOUT, LogChunk.STDERR)
_GUID = re.compile(r"[A-Za-z0-9_-]{1,128}")


class LiveContainers(Protocol):
    """What the agent knows of the containers that are here now."""

    def may_still_write(self, handle: str) -> bool: ...

    def handles_of_task(self, task_guid: str) -> list[str]: ...

    async def await_change(self, timeout_s: float) -> None: ...


class LogFiles(Protocol):
    """Where output is, of containers that are here and of those that are gone."""

    def log_path(self, handle: str) -> Path | None: ...

    def story_path(self, handle: str) -> Path | None: ...

    def logged_handles(self, prefix: str) -> list[str]: ...


class LogService:
    def __init__(
        self, cell_id: str, live: LiveContainers, files: LogFiles, run_blocking: RunBlocking
    ) -> None:
        self._cell_id = cell_id
        self._live = live
        self._files = files
        self._run_blocking = run_blocking

    def handlers(self) -> dict[str, Callable[..., AsyncIterator[ReadLogsReply]]]:
        return {"diegod.v1.LogService/Read": self.read}

    async def read(
        self, request: ReadLogsRequest, caller: Principal
    ) -> AsyncIterator[ReadLogsReply]:
        """What the container has said; with `follow`, until it has ended and all was read."""
        handle = await self._handle(request)

        async def await_more() -> bool:
            if not self._live.may_still_write(handle):
                return True
            await self._live.await_change(LOOK_AGAIN_S)
            return False

        reader = self._reader(handle, request)
        async for chunks in reader.read(await_more if request.follow else None):
            yield ReadLogsReply(chunks=chunks)

    def _reader(self, handle: str, request: ReadLogsRequest) -> LogReader:
        wanted = {STREAMS[stream] for stream in request.streams or _OUTPUT if stream in STREAMS}
        story = {STREAMS[LogChunk.CELL]}
        files, tail = self._files, request.tail_lines
        return LogReader(
            LogLines(lambda: files.log_path(handle), tail, wanted) if wanted - story else None,
            LogLines(lambda: files.story_path(handle), tail, story) if wanted & story else None,
            self._run_blocking,
        )

    async def _handle(self, request: ReadLogsRequest) -> str:
        """Guids become names of files here, so nothing but a guid may pass."""
        if not _GUID.fullmatch(request.task_guid or request.instance_guid):
            raise DomainError(
                Reason.INVALID_REQUEST, "name the task_guid or instance_guid to read the output of"
            )
        match request.WhichOneof("of"):
            case "task_guid":
                return await self._handle_of_task(request.task_guid)
            case _:
                return await self._handle_of_instance(request.instance_guid)

    async def _handle_of_task(self, task_guid: str) -> str:
        prefix = task_handle_prefix(task_guid)
        logged = await self._run_blocking(lambda: self._files.logged_handles(prefix))
        attempts = [
            int(handle.removeprefix(prefix))
            for handle in (*self._live.handles_of_task(task_guid), *logged)
            if handle.removeprefix(prefix).isdecimal()
        ]
        if not attempts:
            raise self._nothing(f"task {task_guid}")
        return f"{prefix}{max(attempts)}"

    async def _handle_of_instance(self, instance_guid: str) -> str:
        handle = instance_handle(instance_guid)
        if not self._live.may_still_write(handle) and not await self._run_blocking(
            lambda: self._files.log_path(handle) or self._files.story_path(handle)
        ):
            raise self._nothing(f"instance {instance_guid}")
        return handle

    def _nothing(self, what: str) -> DomainError:
        return DomainError(
            Reason.RESOURCE_NOT_FOUND,
            f"cell {self._cell_id} has no output of {what}: it did not run here, or its log was "
            "removed a day after its end",
        )
