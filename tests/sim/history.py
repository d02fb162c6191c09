"""The cluster's one history, as its members apply it; and what must be so of it at every step.

All members apply the same command at the same index, once, and come to the same result. Whoever
gets to an index first writes the history; the others are held against it.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from diegod.internal.v1.command_pb2 import Batch, Command, Outcome
from diegod.raftbbs.raft.api import Leadership
from diegod.raftbbs.replica import AppliedEntry
from diegod.v1.record_pb2 import Change, Task
from tests.sim.rows import Row, Rows

#: Of the cluster: before all members have said that they can read it, new things are not kept.
FORMAT = 2
Complain = Callable[[str], None]
#: Looks at one change: the command that made it, the row before it (None: there was none).
Judge = Callable[[Command, Row | None, Change], None]


def digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=12).digest()


@dataclass
class History:
    complain: Complain
    payloads: dict[int, bytes] = field(default_factory=dict)  # index -> digest
    results: dict[int, bytes] = field(default_factory=dict)
    hashes: dict[int, bytes] = field(default_factory=dict)  # index -> hash of the state
    changes: list[tuple[int, bytes]] = field(default_factory=list)  # revision, digest: in order
    changed_at: dict[int, int] = field(default_factory=dict)  # revision -> position in `changes`
    grants: dict[tuple[str, int], str] = field(default_factory=dict)  # task, attempt -> cell
    instances: dict[str, tuple[str, int]] = field(default_factory=dict)  # guid -> process, index
    claims: dict[str, str] = field(default_factory=dict)  # instance guid -> cell
    ended: dict[str, Task] = field(default_factory=dict)  # the first result of each task
    leaders: dict[int, str] = field(default_factory=dict)  # term -> member
    ended_well: dict[str, None] = field(default_factory=dict)
    lock_token: int = 0
    cluster_format: int = 1
    lock_owners: dict[int, str] = field(default_factory=dict)  # token -> brain
    revision: int = 0
    rows: Rows = field(default_factory=Rows)
    judge: Judge | None = None
    durable: dict[str, int] = field(default_factory=dict)  # member -> applied and on disk
    _applying: dict[str, int] = field(default_factory=dict)

    def applied(self, member_id: str, index: int, payload: bytes, entry: AppliedEntry) -> None:
        """A member has applied an entry, in a transaction that is not on disk yet."""
        if index <= self.durable.get(member_id, 0):
            self.complain(f"{member_id} applied entry {index} twice")
        self._applying[member_id] = index
        key, result = digest(payload), _digest_of_result(entry)
        if index not in self.payloads:
            self.payloads[index], self.results[index] = key, result
            self._write_down(payload, entry)
        elif self.payloads[index] != key:
            self.complain(f"entry {index} is another one on {member_id}")
        elif self.results[index] != result:
            self.complain(f"entry {index} came to something else on {member_id}")

    def hashed(self, member_id: str, index: int, state_hash: bytes) -> None:
        """What a member's whole state hashes to when it has applied this entry."""
        if self.hashes.setdefault(index, state_hash) != state_hash:
            self.complain(f"the state at entry {index} is another one on {member_id}")

    def restarted(self, member_id: str) -> None:
        """What it was applying when it died is not on its disk."""
        self._applying.pop(member_id, None)

    def committed(self, member_id: str) -> None:
        """What the member applied last is on its disk."""
        self.durable[member_id] = max(
            self.durable.get(member_id, 0), self._applying.get(member_id, 0)
        )

    def leads(self, member_id: str, leadership: Leadership) -> None:
        if leadership.leads and self.leaders.setdefault(leadership.term, member_id) != member_id:
            other = self.leaders[leadership.term]
            self.complain(f"{member_id} and {other} both lead in term {leadership.term}")

    def _write_down(self, payload: bytes, entry: AppliedEntry) -> None:
        batch = Batch.FromString(payload)
        for command, outcome in zip(batch.commands, entry.outcomes, strict=True):
            self._check_lock(command, outcome)
            self._check_attempt(command, outcome)
            if command.WhichOneof("command") == "raise_format" and not outcome.reason:
                self.cluster_format = command.raise_format.cluster_format
        by_revision = {
            outcome.revision: command
            for command, outcome in zip(batch.commands, entry.outcomes, strict=True)
            if not outcome.reason and not outcome.unchanged
        }
        for change in entry.changes:
            self._note(change)
            if self.judge is not None:
                self.rows.at_s = batch.at_ns / 1e9
                command = by_revision.get(change.revision, Command())
                self.judge(command, self.rows.row_of(change), change)
            self.rows.take(change)
        self.rows.at_s = batch.at_ns / 1e9
        self.revision = entry.revision

    def _check_lock(self, command: Command, outcome: Outcome) -> None:
        """A brain changes something only under the lock that it holds."""
        kind = command.WhichOneof("command")
        if outcome.reason or outcome.unchanged:
            return
        if kind == "acquire_lock":
            self.lock_token = outcome.lock.token
            if self.lock_owners.setdefault(outcome.lock.token, command.by) != command.by:
                self.complain(f"two brains hold the lock under token {outcome.lock.token}")
        elif command.lock_name and (
            command.lock_token != self.lock_token
            or self.lock_owners.get(command.lock_token) != command.by
        ):
            self.complain(f"{command.by} did {kind} under token {command.lock_token}, not its own")

    def _check_attempt(self, command: Command, outcome: Outcome) -> None:
        """A cell changes a task only under the attempt that is its current one."""
        if command.WhichOneof("command") in ("start_task", "complete_task") and not outcome.reason:
            body = getattr(command, command.WhichOneof("command") or "")
            if body.attempt != outcome.task.attempt:
                self.complain(f"{command.by} spoke of attempt {body.attempt}, it was believed")

    def _note(self, change: Change) -> None:
        self.changed_at.setdefault(change.revision, len(self.changes))
        self.changes.append((change.revision, digest_of(change)))
        kind = change.WhichOneof("row")
        if kind == "task":
            self._note_task(change.task, change.verb == Change.REMOVED)
        elif kind == "actual_lrp":
            row = change.actual_lrp
            self.instances[row.instance_guid] = row.process_guid, row.index
            if row.cell_id:
                self.claims[row.instance_guid] = row.cell_id

    def _note_task(self, task: Task, is_removed: bool) -> None:
        if is_removed:
            self.ended.pop(task.task_guid, None)
        elif task.state == Task.RUNNING:
            self.grants[task.task_guid, task.attempt] = task.cell_id
        elif task.state in (Task.COMPLETED, Task.RESOLVING):
            if not task.failed:
                self.ended_well[task.task_guid] = None
            first = self.ended.setdefault(task.task_guid, task)
            if _result_of(first) != _result_of(task):
                self.complain(f"the result of task {task.task_guid} has changed")


def _result_of(task: Task) -> tuple[Any, ...]:
    """What must never change once it is there."""
    return (
        *(task.attempt, task.failed, task.failure, task.failure_reason, task.result),
        *(task.exit_status, task.exit_status_known, task.outcome_unknown),
        task.completed_at.ToNanoseconds(),
    )


def digest_of(change: Change) -> bytes:
    return digest(change.SerializeToString(deterministic=True))


def _digest_of_result(entry: AppliedEntry) -> bytes:
    whole = hashlib.blake2b(digest_size=12)
    for message in (*entry.outcomes, *entry.changes):
        whole.update(message.SerializeToString(deterministic=True))
    whole.update(b"%d %d" % (entry.revision, entry.at_ns))
    return whole.digest()
