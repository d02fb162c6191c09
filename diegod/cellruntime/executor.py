"""Performs the machine's instructions with a backend, the checks and the records.

One instruction is one call of `perform`, and what comes of it is *returned* as an event; nothing
here decides, and nothing edits the machine's state. An exception becomes an event too.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from diegod.cellruntime.core import events as e
from diegod.cellruntime.core import instructions as i
from diegod.cellruntime.core.states import CellFacts
from diegod.cellruntime.core.work import Work
from diegod.cellruntime.environment import bind_port, container_spec
from diegod.cellruntime.ports import Directories, Lease, Records
from diegod.contracts.backend import (
    BackendError,
    ContainerBackend,
    ContainerSpec,
    ExecResult,
    Owner,
)
from diegod.contracts.check import Target
from diegod.plugins.types import CheckFactory
from diegod.world import Clock

#: How many containers are made at a time, and how many destroyed: each costs processes and disk.
HEAVY_MAX = 8
#: For the result file of a task, which may lie on a disk that does not answer.
READ_MAX_S = 30.0
_REASON_CHARS_MAX = 500

#: The step that an instruction is, for the event that says it failed.
_STEPS: dict[type[Any], e.Step] = {
    i.Prepare: e.Step.PREPARE,
    i.WriteRecord: e.Step.RECORD,
    i.Create: e.Step.CREATE,
    i.Start: e.Step.START,
    i.Inspect: e.Step.INSPECT,
    i.AwaitEnd: e.Step.WAIT,
    i.Signal: e.Step.SIGNAL,
    i.ReadResult: e.Step.READ,
    i.Destroy: e.Step.DESTROY,
    i.Forget: e.Step.FORGET,
}


class Executor:
    def __init__(
        self,
        *,
        backend: ContainerBackend,
        checks: Mapping[str, CheckFactory],
        records: Records,
        directories: Directories,
        lease: Lease,
        clock: Clock,
        owner: Owner,
        facts: CellFacts,
        heavy_max: int = HEAVY_MAX,
    ) -> None:
        self._backend = backend
        self._checks = checks
        self._records = records
        self._directories = directories
        self._lease = lease
        self._clock = clock
        self._owner = owner
        self._facts = facts
        self._making = asyncio.Semaphore(heavy_max)
        self._destroying = asyncio.Semaphore(heavy_max)
        #: One a container with a record: what is written later must not be overtaken.
        self._record_locks: dict[str, asyncio.Lock] = {}
        #: The tasks that wait for the end of a container; all and only those under way.
        self._waiting: dict[str, asyncio.Task[Any]] = {}
        self._performers: dict[type[Any], Callable[[Any], Awaitable[e.Event | None]]] = {
            i.Prepare: self._prepare,
            i.WriteRecord: self._write_record,
            i.Create: self._create,
            i.Start: self._start,
            i.Inspect: self._inspect,
            i.AwaitEnd: self._await_end,
            i.Signal: self._signal,
            i.ReadResult: self._read_result,
            i.Destroy: self._destroy,
            i.Forget: self._forget,
            i.Probe: self._probe,
        }

    async def perform(self, instruction: i.Instruction) -> e.Event | None:
        """Carry it out and say what came of it; None where there is nothing to be said."""
        try:
            return await self._performers[type(instruction)](instruction)
        except Exception as error:  # whatever a backend raises, the machine must hear of it
            phase = instruction.record.phase if isinstance(instruction, i.WriteRecord) else None
            return e.StepFailed(
                instruction.handle,
                _STEPS[type(instruction)],
                _one_line(error),
                definite=isinstance(error, BackendError),
                phase=phase,
            )

    async def _prepare(self, instruction: i.Prepare) -> e.Event:
        async with self._making:
            await self._backend.prepare(await self._spec(instruction.work))
            return e.Prepared(instruction.handle, await self._own_address(instruction.handle))

    async def _own_address(self, handle: str) -> str:
        if not self._facts.network_namespace:
            return ""
        status = await self._backend.inspect(handle)
        return status.address if status else ""

    async def _create(self, instruction: i.Create) -> e.Event:
        async with self._making:
            await self._backend.create(await self._spec(instruction.work))
            return e.Created(instruction.handle)

    async def _start(self, instruction: i.Start) -> e.Event:
        async with self._making:
            # The last moment at which it can be left undone.
            if instruction.under_lease and not self._lease.held():
                return e.GrantExpired(instruction.handle)
            status = await self._backend.start(instruction.handle)
            return e.Started(
                instruction.handle, status.address, self._clock.boottime(), status.pid
            )

    async def _inspect(self, instruction: i.Inspect) -> e.Event:
        return e.Inspected(instruction.handle, await self._backend.inspect(instruction.handle))

    async def _await_end(self, instruction: i.AwaitEnd) -> e.Event:
        task = asyncio.current_task()
        assert task is not None
        self._waiting[instruction.handle] = task
        try:
            status = await self._backend.wait(instruction.handle)
            return e.Ended(instruction.handle, status.exit)
        finally:
            self._waiting.pop(instruction.handle, None)

    async def _signal(self, instruction: i.Signal) -> None:
        await self._backend.signal(instruction.handle, instruction.signal)

    async def _read_result(self, instruction: i.ReadResult) -> e.Event:
        try:
            async with asyncio.timeout(READ_MAX_S):
                content = await self._backend.read_file(
                    instruction.handle, instruction.path, instruction.bytes_max
                )
        except TimeoutError:
            raise BackendError(f"not within {READ_MAX_S:g} s") from None
        return e.ResultRead(instruction.handle, content)

    async def _destroy(self, instruction: i.Destroy) -> e.Event:
        handle = instruction.handle
        async with self._destroying:
            await self._directories.keep_log(handle)
            await self._backend.destroy(handle)
            await self._directories.discard(handle)
        if waiting := self._waiting.get(handle):
            waiting.cancel()  # its end is of no interest any more
        return e.Destroyed(handle)

    async def _write_record(self, instruction: i.WriteRecord) -> e.Event:
        record = instruction.record
        async with self._record_locks.setdefault(record.handle, asyncio.Lock()):
            await self._records.write(record)
            return e.Recorded(record.handle, record.phase)

    async def _forget(self, instruction: i.Forget) -> e.Event:
        async with self._record_locks.setdefault(instruction.handle, asyncio.Lock()):
            await self._records.remove(instruction.handle)
        self._record_locks.pop(instruction.handle, None)
        return e.Forgotten(instruction.handle)

    async def _probe(self, instruction: i.Probe) -> e.Event:
        try:
            problem = await self._probe_once(instruction)
        except Exception as error:  # the contract: any exception counts as unhealthy
            problem = _one_line(error)
        return e.Probed(instruction.handle, instruction.index, problem)

    async def _probe_once(self, instruction: i.Probe) -> str:
        kind = (instruction.check.WhichOneof("check") or "").removesuffix("_check")
        if kind not in self._checks:
            return f'this cell has no health check "{kind}"'
        ports = {port.container_port: bind_port(port, self._facts) for port in instruction.ports}
        handle = instruction.handle

        async def run(argv: Any, timeout_s: float) -> ExecResult:
            return await self._backend.exec(handle, argv, {}, timeout_s)

        target = Target(instruction.address, ports, run)
        check = self._checks[kind](instruction.check)
        try:
            async with asyncio.timeout(instruction.timeout_s + 1.0):  # a check should end by itself
                unhealthy = await check.probe(target, instruction.timeout_s)
        except TimeoutError:
            return f"no answer within {instruction.timeout_s:g} s"
        return unhealthy.reason or "unhealthy" if unhealthy else ""

    async def _spec(self, work: Work) -> ContainerSpec:
        directory = await self._directories.make(work.handle)
        return container_spec(work, self._facts, self._owner, directory)


def _one_line(error: Exception) -> str:
    """What went wrong, for a person; the kind of the error only where its text needs it."""
    text = " ".join(str(error).split()) or type(error).__name__
    if not isinstance(error, BackendError | OSError):
        text = f"{type(error).__name__}: {text}"
    return text[:_REASON_CHARS_MAX]
