"""The loop of a cell: events into the machine, instructions to the executor, answers back.

The agent decides nothing and may be killed at any await: what it did is in the records, and the
containers live on. It uses only asyncio and what it is handed, so it runs on a virtual clock too.

Order of a start: the backend opens, a trial container passes, records and handles are taken up,
and only then does the cell register and ask for work.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from diegod.cellruntime.core import events as e
from diegod.cellruntime.core import instructions as i
from diegod.cellruntime.core.keys import task_handle_prefix
from diegod.cellruntime.core.lifecycle import MAY_RUN, NOT_STARTED, State
from diegod.cellruntime.core.machine import CellMachine
from diegod.cellruntime.core.states import CellFacts
from diegod.cellruntime.executor import Executor
from diegod.cellruntime.outbox import Outbox
from diegod.cellruntime.ports import Bbs, Directories, Records
from diegod.cellruntime.registration import Registration
from diegod.cellruntime.story import Story
from diegod.cellruntime.trial import try_container
from diegod.cellruntime.watching import Watcher
from diegod.contracts.backend import BackendError, ContainerBackend, Owner
from diegod.plugins.types import CheckFactory
from diegod.v1.record_pb2 import Cell, Resources
from diegod.world import Clock, Ids

TIDY_EVERY_S = 600.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ContainerSummary:
    handle: str
    state: State
    host_ports: tuple[int, ...]


@dataclass(frozen=True)
class AgentStatus:
    """What a person, or a health endpoint, wants to know of a cell."""

    cell_id: str
    registered: bool
    incarnation: int
    lease_held: bool
    used: Resources
    containers: tuple[ContainerSummary, ...]


class Agent:
    """One cell. `run` returns after `stop`, and raises BackendError if nothing can run here."""

    def __init__(
        self,
        cell: Cell,
        owner: Owner,
        bbs: Bbs,
        backend: ContainerBackend,
        checks: Mapping[str, CheckFactory],
        records: Records,
        clock: Clock,
        ids: Ids,
        directories: Directories,
        host_ports: range,
    ) -> None:
        self._cell = Cell()
        self._cell.CopyFrom(cell)
        self._owner = owner
        self._backend = backend
        self._records = records
        self._clock = clock
        self._ids = ids
        self._directories = directories
        facts = CellFacts(
            cell.cell_id, _host_of(cell.address), backend.capabilities.network_namespace
        )
        self.machine = CellMachine(facts, cell.capacity, host_ports)
        self._registration = Registration(self._cell, bbs, clock, ids, self._tell)
        self._outbox = Outbox(bbs, self._registration, self._tell)
        self._watcher = Watcher(cell.cell_id, bbs, ids, self._tell)
        self._executor = Executor(
            backend=backend,
            checks=checks,
            records=records,
            directories=directories,
            lease=self._registration,
            clock=clock,
            owner=owner,
            facts=facts,
        )
        self._story = Story(directories)
        self._events: deque[e.Event] = deque()
        self._something = asyncio.Event()
        #: Instructions that are being carried out, in order: a dict, since a set has none.
        self._performing: dict[asyncio.Task[None], None] = {}
        self._stopping = asyncio.Event()
        self._stopped = asyncio.Event()
        self._stopped.set()
        #: Set, and replaced, whenever a container has moved on.
        self._changed = asyncio.Event()

    async def run(self) -> None:
        self._stopped.clear()
        try:
            await self._backend.open()
            await try_container(
                self._backend, self._owner, self._directories, f"trial-{self._ids.new_id()}"
            )
            await self._describe_cell()
            await self._take_up()
            await self._run_loops()
        finally:
            await self._end_tasks(list(self._performing))
            await self._story.flush()
            await self._backend.close()
            self._stopped.set()

    async def stop(self) -> None:
        """Leave. Every container lives on, and is taken up again by the next agent."""
        self._stopping.set()
        await self._stopped.wait()

    async def registered(self) -> None:
        """Returns once the BBS knows this cell: its trial container has passed by then."""
        await self._registration.registered.wait()

    async def remove_all(self) -> None:
        """Leave, and remove every container of this cell with its record: the end of a dev cell."""
        await self.stop()
        await self._backend.open()
        try:
            handles = await self._backend.handles()
            await self._backend.sweep()
            records = [record.handle for record in await self._records.load()]
            for handle in sorted({*handles, *records}):
                await self._directories.discard(handle)
                await self._records.remove(handle)
        finally:
            await self._backend.close()

    def status(self) -> AgentStatus:
        return AgentStatus(
            cell_id=self._cell.cell_id,
            registered=self._registration.registered.is_set(),
            incarnation=self._registration.incarnation,
            lease_held=self._registration.held(),
            used=self.machine.used,
            containers=tuple(
                ContainerSummary(c.handle, c.state, tuple(p.host_port for p in c.ports))
                for c in self.machine.containers.values()
            ),
        )

    # What the log service asks (`service.LiveContainers`).

    def may_still_write(self, handle: str) -> bool:
        """Whether output of this container may still come."""
        container = self.machine.containers.get(handle)
        if container is None or container.ended:
            return False
        return container.state in (*NOT_STARTED, *MAY_RUN)

    def handles_of_task(self, task_guid: str) -> list[str]:
        prefix = task_handle_prefix(task_guid)
        return [handle for handle in self.machine.containers if handle.startswith(prefix)]

    async def await_change(self, timeout_s: float) -> None:
        """Until something has happened on this cell, or the time is over."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            pass

    # The loop.

    async def _describe_cell(self) -> None:
        """What the backend can do is known only now that it is open."""
        if not self._cell.rootfs_providers:
            self._cell.rootfs_providers.extend(await self._backend.rootfs_providers())
        self._cell.isolation = self._cell.isolation or self._backend.capabilities.isolation

    async def _take_up(self) -> None:
        records = tuple(await self._records.load())
        handles = tuple(await self._backend.handles())
        self._tell(e.Recovered(records, handles, self._clock.boottime()))

    async def _run_loops(self) -> None:
        loops = [
            asyncio.create_task(loop, name=name)
            for name, loop in (
                ("machine", self._keep_deciding()),
                ("registration", self._registration.keep()),
                ("outbox", self._outbox.keep_sending()),
                ("watch", self._keep_watching()),
                ("tidy", self._keep_tidy()),
                ("story", self._story.keep_writing()),
                ("stop", self._until_stopped()),
            )
        ]
        try:
            done, _ = await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._end_tasks(loops)
        for loop in done:
            loop.result()  # a loop ends by `stop`, or by a bug that must not pass unseen

    async def _until_stopped(self) -> None:
        await self._stopping.wait()

    async def _keep_watching(self) -> None:
        await self._registration.registered.wait()
        await self._watcher.keep_watching()

    async def _keep_tidy(self) -> None:
        """Old logs, and containers that nobody knows of."""
        while True:
            await self._directories.prune(self._clock.wall())
            await asyncio.sleep(TIDY_EVERY_S)
            try:
                self._tell(e.HandlesFound(tuple(await self._backend.handles())))
            except BackendError as error:
                _log.warning("cell.not_tidied", why=str(error))

    async def _keep_deciding(self) -> None:
        while True:
            await self._await_event()
            while self._events:
                self._handle(self._events.popleft())
            deadline = self.machine.next_deadline()
            if deadline is not None and deadline <= self._clock.monotonic():
                self._handle(e.Due())

    async def _await_event(self) -> None:
        deadline = self.machine.next_deadline()
        delay = None if deadline is None else max(0.0, deadline - self._clock.monotonic())
        try:
            async with asyncio.timeout(delay):
                await self._something.wait()
        except TimeoutError:
            pass
        self._something.clear()

    def _tell(self, event: e.Event) -> None:
        self._events.append(event)
        self._something.set()

    def _handle(self, event: e.Event) -> None:
        instructions = self.machine.handle(event, self._clock.monotonic())
        self._log_story(event)
        for instruction in instructions:
            if isinstance(instruction, i.Submit):
                self._outbox.put(instruction)
            else:
                self._launch(instruction)

    def _log_story(self, event: e.Event) -> None:
        moves = self.machine.take_moves()
        if isinstance(event, e.StepFailed):
            _log.warning("step.failed", handle=event.handle, step=str(event.step), why=event.reason)
        for move in moves:
            _log.info("container.moved", handle=move.handle, to=str(move.after), why=move.why)
        notes = self.machine.take_notes()
        for note in notes:
            self._story.put(note, self._clock.wall())
        if moves or notes:
            self._changed.set()
            self._changed = asyncio.Event()

    def _launch(self, instruction: i.Instruction) -> None:
        task = asyncio.create_task(self._perform(instruction))
        self._performing[task] = None
        task.add_done_callback(lambda done: self._performing.pop(done, None))

    async def _perform(self, instruction: i.Instruction) -> None:
        event = await self._executor.perform(instruction)
        if event is not None:
            self._tell(event)

    async def _end_tasks(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _host_of(address: str) -> str:
    """The host of `host:port`."""
    return address.rpartition(":")[0].strip("[]") or address
