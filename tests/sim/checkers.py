"""What must be so on the machines and in the stores, whatever goes wrong.

The containers that really run are the truth; what the API says of them is held against it. What
must be so of the commands is in `history`.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from google.protobuf.timestamp_pb2 import Timestamp

from diegod.internal.v1.command_pb2 import Command
from diegod.models.errors import DomainError, Reason
from diegod.raftbbs.store.environment import Table
from diegod.raftbbs.store.state import StateView
from diegod.raftbbs.store.tables import KeyedRows, NumberedRows
from diegod.rpc.client import ClusterClient
from diegod.v1.event_pb2 import WatchRequest
from diegod.v1.record_pb2 import Change, Task
from tests.sim.history import History, digest_of
from tests.sim.roles import SimCell, SimMember
from tests.sim.rows import Row

if TYPE_CHECKING:
    from tests.sim.bbs import Bbs
    from tests.sim.ring import Ring


class StartChecks:
    """Looks at every start of a program at the moment it happens."""

    def __init__(self, ring: "Ring") -> None:
        self._ring = ring
        self.tasks: Counter[str] = Counter()  # starts of each guid, on all machines there ever were
        self.instances = 0
        self._attempts: dict[tuple[str, int], None] = {}  # that were started
        self._rejected: dict[tuple[str, int], None] = {}  # of which was said that they never were

    def judge(self, command: Command, before: Row | None, change: Change) -> None:
        """A cell may start what is placed there, and says truly what it has never started."""
        if not isinstance(before, Task):
            return
        guid, kind = before.task_guid, command.WhichOneof("command")
        if kind == "start_task":
            placed = before.placed_cell_id, before.attempt
            if (change.task.cell_id, change.task.attempt) != placed:
                where = f"{change.task.cell_id}, attempt {change.task.attempt}"
                self._ring.complain(f"task {guid} was granted to {where}, and is placed: {placed}")
        elif kind == "reject_task":
            attempt = guid, command.reject_task.attempt
            self._rejected[attempt] = None
            if attempt in self._attempts:
                self._ring.complain(f"task {guid} was said never to have started, and it was")

    def started(self, cell: SimCell, handle: str) -> None:
        kind, _, rest = handle.partition("-")
        self._ring.note(f"{cell.name} runs {handle}")
        if kind == "t":
            guid, _, attempt = rest.rpartition("-")
            self._task_started(cell, guid, int(attempt))
        elif kind == "l":
            self.instances += 1
            if self._ring.history.claims.get(rest) != cell.name:
                self._ring.complain(f"{cell.name} started instance {rest}: no claim")
        if kind in ("t", "l"):
            self._ring.network.at(0.0, lambda: self._check_capacity(cell))

    def _task_started(self, cell: SimCell, guid: str, attempt: int) -> None:
        self.tasks[guid] += 1
        if self.tasks[guid] > 1:
            self._ring.complain(f"task {guid} was started {self.tasks[guid]} times")
        self._attempts[guid, attempt] = None
        if (guid, attempt) in self._rejected:
            self._ring.complain(f"task {guid} started, and it was said that it never would")
        if self._ring.history.grants.get((guid, attempt)) != cell.name:
            self._ring.complain(f"{cell.name} started task {guid}, attempt {attempt}: no grant")

    def _check_capacity(self, cell: SimCell) -> None:
        """By everything that is there and not over yet, also what has been asked to leave."""
        specs = [spec for spec in cell.host.live() if not spec.handle.startswith("trial-")]
        memory_mb = sum(spec.limits.memory_mb for spec in specs)
        if len(specs) > cell.plan.containers or memory_mb > cell.plan.memory_mb:
            self._ring.complain(f"{cell.name} runs {len(specs)} containers, {memory_mb} MB")


class Auditor:
    """Watches everything, and expects each change of the history once and in its order."""

    def __init__(self, history: History, client: ClusterClient) -> None:
        self._history = history
        self._client = client
        self.position = 0  # in the history's changes
        self.revision = 0
        self.streams = 0

    async def watch(self) -> None:
        """For ever: from the beginning whenever the present stream can't go on."""
        request = WatchRequest()
        while True:
            try:
                async for reply in self._client.watch(request):
                    self._take(reply)
                    request.from_revision = max(reply.revision, request.from_revision)
            except DomainError as error:
                if error.reason is Reason.COMPACTED:
                    request.from_revision = 0

    def _take(self, reply: Any) -> None:
        history = self._history
        if reply.rows_end:
            self.streams += 1
            self.revision = reply.revision
            self.position = self._first_after(reply.revision)
            return
        for change in reply.changes:
            heard = (change.revision, digest_of(change))
            if history.changes[self.position : self.position + 1] != [heard]:
                history.complain(f"a watcher heard of revision {change.revision} out of turn")
                self.position = self._first_after(change.revision)
                return
            self.position += 1
        if reply.revision:
            if reply.revision < self.revision:
                history.complain(f"a watcher went back from {self.revision} to {reply.revision}")
            self.revision = reply.revision
            if self._first_after(reply.revision) > self.position:
                history.complain(f"a watcher at {reply.revision} has missed something")
                self.position = self._first_after(reply.revision)

    def _first_after(self, revision: int) -> int:
        """Where the changes behind a revision begin."""
        changes = self._history.changes
        position = self.position
        while position < len(changes) and changes[position][0] <= revision:
            position += 1
        return position


def compare_replicas(ring: "Ring | Bbs") -> None:
    """Members that have applied the same have the same in their tables."""
    seen: dict[tuple[int, int], tuple[str, bytes]] = {}
    for member in ring.members:
        if not member.is_up or member.member is None:
            continue
        with member.state().transaction as transaction:
            assert member.tables is not None
            counters = StateView(member.tables, transaction).counters()
            key = (counters.revision, counters.at_ns)
            state = _digest_of_tables(member, transaction)
        other, its_state = seen.setdefault(key, (member.name, state))
        if state != its_state:
            ring.complain(f"{member.name} and {other} differ at revision {counters.revision}")


def _digest_of_tables(member: SimMember, transaction: Any) -> bytes:
    whole = hashlib.blake2b(digest_size=16)
    for table in _tables(member.tables):
        for key, value in transaction.scan(table):
            whole.update(b"%d %d " % (len(key), len(value)) + key + value)
    return whole.digest()


def _tables(tables: Any) -> Iterator[Table]:
    for each in fields(tables):
        value = getattr(tables, each.name)
        if isinstance(value, KeyedRows):
            yield value.rows
        elif isinstance(value, NumberedRows):
            yield from (value.rows, value.numbers)
        else:
            yield value


def check_tasks(ring: "Ring", state: StateView) -> None:
    """What the records say of each task agrees with what was counted on the machines."""
    for _, task in state.tables.tasks.scan(state.transaction):
        starts = ring.starts.tasks[task.task_guid]
        if task.state == Task.COMPLETED and task.exit_status_known and starts != 1:
            ring.complain(f"task {task.task_guid} has a result, and was started {starts} times")
        if task.state == Task.COMPLETED and not task.failed and not task.exit_status_known:
            ring.complain(f"task {task.task_guid} went well, and its exit status is not known")
        if task.state == Task.COMPLETED and not task.failed and task.result != result_of(task):
            ring.complain(f"the result of task {task.task_guid} is {task.result!r}")


def result_of(task: Task) -> str:
    """What a task that is asked for a result writes down."""
    return f"made by {task.task_guid}" if task.task_guid.startswith("task-") else ""


def check_callbacks(ring: "Ring") -> None:
    """Each was heard, or given up by its task's policy, or its next try has a time."""
    for task in ring.history.rows.tasks.values():
        heard = ring.sink.heard.get(task.task_guid)
        ended = task.state in (Task.COMPLETED, Task.RESOLVING)
        if heard is not None and not ended:
            ring.complain(f"the end of task {task.task_guid} was told, and it has not ended")
        if not (ended and task.HasField("callback")):
            continue
        callback, guid = task.callback, task.task_guid
        ring.counts["callbacks delivered"] += callback.delivered
        ring.counts["callbacks given up"] += callback.given_up
        if callback.delivered and not (heard and heard.is_delivered):
            ring.complain(f"the callback of task {guid} counts as delivered, and was not heard")
        if callback.given_up and _seconds(task.completed_at) > (
            ring.history.rows.at_s - callback.give_up_after_ms / 1000
        ):
            ring.complain(f"the callback of task {guid} was given up before its time")
        if heard is not None and len(heard.keys) > 1:
            ring.complain(f"the callback of task {guid} was told under {list(heard.keys)}")
        for body in heard.bodies if heard else ():
            if body["task_guid"] != guid or body["attempt"] != task.attempt:
                ring.complain(f"the callback of task {guid} tells of another one: {body}")
            elif (body["failed"], body["result"]) != (task.failed, task.result):
                ring.complain(f"the callback of task {guid} tells of another result: {body}")


def _seconds(at: Timestamp) -> float:
    return at.ToNanoseconds() / 1e9
