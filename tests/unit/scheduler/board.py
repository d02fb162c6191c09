"""A bulletin board in memory: the real rules of the BBS over dicts, without a log, disk or network.

What the brain decides is applied by the very `apply` that members run, so a repair that the BBS
would refuse fails here. `BoardBbs` is the brain's port to it, and can be told to misbehave.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, TypeVar

from google.protobuf.message import Message

from diegod.internal.v1 import command_pb2 as c
from diegod.internal.v1.ring_pb2 import RenewReply, RenewRequest
from diegod.models.errors import DomainError, Reason
from diegod.raftbbs import core
from diegod.raftbbs.core.decision import Changed, Refused
from diegod.raftbbs.core.stamps import NS, stamp
from diegod.raftbbs.core.view import Context
from diegod.v1 import record_pb2 as r
from diegod.v1.event_pb2 import WatchReply, WatchRequest

Row = TypeVar("Row", bound=Message)

LOCK = "brain"
_TABLES = {
    r.Task: ("task", "task_guid"),
    r.DesiredLrp: ("desired_lrp", "process_guid"),
    r.ActualLrp: ("actual_lrp", "instance_guid"),
    r.Cell: ("cell", "cell_id"),
    r.Domain: ("domain", "domain"),
    r.TaskSchedule: ("task_schedule", "name"),
    r.Lock: ("lock", "name"),
}


class Board:
    """The rows, and the history of their changes. `now` is replicated time, set by the test."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now
        self.revision = 0
        self.rows: dict[tuple[str, str], Message] = {}
        self.history: list[r.Change] = []
        self.kept_guids: dict[str, int] = {}
        self._definitions: dict[tuple[str, int], bytes] = {}
        self._versions: dict[tuple[str, int], r.LrpVersion] = {}
        self._removed_incarnation = 0

    # What a rule may read (diegod.raftbbs.core.view.View).

    def task(self, guid: str) -> r.Task | None:
        return self._copy("task", guid)

    def task_definition(self, guid: str) -> bytes | None:
        return b"" if ("task", guid) in self.rows else None

    def tombstone(self, guid: str) -> int | None:
        return self.kept_guids.get(guid)

    def task_schedule(self, name: str) -> r.TaskSchedule | None:
        return self._copy("task_schedule", name)

    def schedule_definition(self, name: str) -> bytes | None:
        return b"" if ("task_schedule", name) in self.rows else None

    def schedule_task_definition(self, name: str) -> bytes | None:
        return self.schedule_definition(name)

    def desired_lrp(self, guid: str) -> r.DesiredLrp | None:
        return self._copy("desired_lrp", guid)

    def lrp_definition(self, guid: str, definition_revision: int) -> bytes | None:
        return self._definitions.get((guid, definition_revision))

    def actual_lrp(self, guid: str) -> r.ActualLrp | None:
        return self._copy("actual_lrp", guid)

    def instances(self, process_guid: str) -> Sequence[r.ActualLrp]:
        rows = [row for row in self.all(r.ActualLrp) if row.process_guid == process_guid]
        return sorted(rows, key=lambda row: row.index)

    def instances_at(self, process_guid: str, index: int) -> Sequence[r.ActualLrp]:
        return [row for row in self.instances(process_guid) if row.index == index]

    def has_instances(self, process_guid: str) -> bool:
        return bool(self.instances(process_guid))

    def lrp_versions(self, process_guid: str) -> Sequence[r.LrpVersion]:
        kept = [version for (guid, _), version in self._versions.items() if guid == process_guid]
        return [r.LrpVersion.FromString(version.SerializeToString()) for version in kept]

    def removed_incarnation(self) -> int:
        return self._removed_incarnation

    def cluster_format(self) -> int:
        return 2

    def cell(self, cell_id: str) -> r.Cell | None:
        return self._copy("cell", cell_id)

    def domain(self, domain: str) -> r.Domain | None:
        return self._copy("domain", domain)

    def lock(self, name: str) -> r.Lock | None:
        return self._copy("lock", name)

    # What tests do to it.

    def all(self, kind: type[Row]) -> list[Row]:
        table = _TABLES[kind][0]
        rows = sorted(self.rows.items(), key=lambda item: item[0])
        return [row for (name, _), row in rows if name == table]

    def submit(self, command: c.Command, by: str) -> c.Outcome:
        context = Context(self.revision + 1, int(self.now * NS), by, command.cell_incarnation)
        command.by = by
        decision = core.apply(self, command, context)
        if isinstance(decision, Refused):
            return c.Outcome(reason=decision.reason.value, message=decision.message)
        if isinstance(decision, Changed):
            self._record(decision, command)
        outcome = c.Outcome(unchanged=not isinstance(decision, Changed))
        outcome.revision = decision.row.provenance.revision
        getattr(outcome, _TABLES[type(decision.row)][0]).CopyFrom(decision.row)
        return outcome

    def do(self, by: str, **command: Message) -> c.Outcome:
        """A command that the test means to succeed."""
        cell = self.cell(by.partition("/")[2]) if by.startswith("cell/") else None
        outcome = self.submit(
            c.Command(cell_incarnation=cell.incarnation if cell else 0, **command), by
        )
        assert not outcome.reason, outcome.message
        return outcome

    def _copy(self, table: str, guid: str) -> Any:
        row = self.rows.get((table, guid))
        if row is None:
            return None
        copy = type(row)()
        copy.CopyFrom(row)
        return copy

    def _record(self, decision: Changed, command: c.Command) -> None:
        self.revision += 1
        for row_change in decision.changes:
            row = row_change.row
            row.provenance.CopyFrom(
                r.Provenance(
                    revision=self.revision,
                    by=command.by,
                    cause=command.cause,
                    request_id=command.request_id,
                )
            )
            table, key = _TABLES[type(row)]
            guid = getattr(row, key)
            if isinstance(row, r.DesiredLrp) and row_change.definition is not None:
                self._definitions[guid, row.definition_revision] = row_change.definition
            if row_change.guid_free_at_ns:
                self.kept_guids[guid] = row_change.guid_free_at_ns
            for version in row_change.versions:
                self._versions[guid, version.version] = version
            if row_change.verb == r.Change.REMOVED:
                if isinstance(row, r.Cell):
                    self._removed_incarnation = max(self._removed_incarnation, row.incarnation)
                del self.rows[table, guid]
            else:
                self.rows[table, guid] = row
            change = r.Change(
                revision=self.revision,
                at=stamp(int(self.now * NS)),
                verb=row_change.verb,
                by=command.by,
                cause=command.cause,
            )
            getattr(change, table).CopyFrom(row)
            self.history.append(change)


class BoardBbs:
    """One brain's way to the board."""

    def __init__(self, board: Board, name: str = "brain/brain-1", lag_s: float = 0.01) -> None:
        self.board = board
        self.name = name
        self.lag_s = lag_s  # of every answer
        self.watch_lag_s = lag_s  # of every change
        self.submit_fails: Reason | None = (
            None  # every write fails so, until the test says otherwise
        )
        self.applies_though_unknown = True
        self.is_cut_off = False
        self.compacted_below = 0
        self.renewals_fail = False
        self.submitted: list[c.Command] = []
        self.calls: list[int] = []  # how many commands each call carried
        self.watches = 0
        self._breaks = 0

    async def submit(self, commands: Sequence[c.Command]) -> Sequence[c.Outcome]:
        await asyncio.sleep(self.lag_s)
        self._refuse_if_cut_off()
        self.calls.append(len(commands))
        if self.submit_fails is not None and not self._is_unknown_but_done():
            raise DomainError(self.submit_fails, "the test says so")
        outcomes = []
        for command in commands:
            self.submitted.append(command)
            outcomes.append(self.board.submit(command, self.name))
        await asyncio.sleep(self.lag_s)
        if self.submit_fails is not None:
            raise DomainError(self.submit_fails, "the test says so")
        return outcomes

    async def watch(self, request: WatchRequest) -> AsyncIterator[WatchReply]:
        self.watches += 1
        breaks = self._breaks
        self._refuse_if_cut_off()
        if 0 < request.from_revision < self.compacted_below:
            raise DomainError(Reason.COMPACTED, "list again")
        position = request.from_revision
        if not position:
            position = self.board.revision
            rows = [as_created(row) for row in self.board.rows.values()]
            yield WatchReply(rows=rows)
            yield WatchReply(rows_end=True, revision=position)
        while breaks == self._breaks:
            await asyncio.sleep(self.watch_lag_s)
            self._refuse_if_cut_off()
            if changes := [ch for ch in self.board.history if ch.revision > position]:
                position = self.board.revision
                yield WatchReply(changes=changes, revision=position)

    async def renew(self, request: RenewRequest) -> RenewReply:
        await asyncio.sleep(self.lag_s)
        self._refuse_if_cut_off()
        if self.renewals_fail:
            raise DomainError(Reason.UNAVAILABLE, "the lease was not renewed in time")
        lock = self.board.lock(request.lock_name)
        held = lock is not None and lock.owner == self.name and lock.token == request.sequence
        return RenewReply(held=held, ttl_ms=10_000)

    def break_watches(self) -> None:
        """Every watch ends, as when a member stops."""
        self._breaks += 1

    def actions(self) -> list[str]:
        """What the brain has submitted, lock aside."""
        names = [command.WhichOneof("command") for command in self.submitted]
        return [name for name in names if name not in ("acquire_lock", "release_lock")]

    def _is_unknown_but_done(self) -> bool:
        return self.submit_fails is Reason.UNKNOWN_OUTCOME and self.applies_though_unknown

    def _refuse_if_cut_off(self) -> None:
        if self.is_cut_off:
            raise DomainError(Reason.UNAVAILABLE, "cut off")


def as_created(row: Message) -> r.Change:
    change = r.Change(verb=r.Change.CREATED, revision=row.provenance.revision)
    getattr(change, _TABLES[type(row)][0]).CopyFrom(row)
    return change


class People:
    """What users and cells do to a board, in words."""

    def __init__(self, board: Board) -> None:
        self.board = board

    def cell(self, cell_id: str, zone: str = "z1", memory_mb: int = 4096, **fields: object) -> None:
        cell = r.Cell(
            cell_id=cell_id,
            zone=zone,
            address="127.0.0.1:1801",
            capacity=r.Resources(memory_mb=memory_mb, disk_mb=100_000, containers=100),
            rootfs_providers=["preloaded:busybox"],
            **fields,
        )
        self.board.do(f"cell/{cell_id}", register_cell=c.RegisterCell(cell=cell))

    def lose(self, *cell_ids: str) -> None:
        for cell_id in cell_ids:
            cell = self.board.cell(cell_id)
            assert cell is not None
            expire = c.ExpireCell(cell_id=cell_id, incarnation=cell.incarnation)
            self.board.do("bbs/bbs-1", expire_cell=expire)

    def task(self, guid: str, memory_mb: int = 128, **fields: object) -> None:
        row = r.Task(
            task_guid=guid,
            domain="default",
            needs=needs(memory_mb),
            start_deadline_ms=fields.pop("start_deadline_ms", 1_800_000),
            retention_ms=fields.pop("retention_ms", 604_800_000),
            max_placement_attempts=3,
            **fields,
        )
        self.board.do("user/alice", desire_task=c.DesireTask(task=row))

    def lrp(self, guid: str, instances: int = 1, definition: str = "v1", **fields: object) -> None:
        row = r.DesiredLrp(
            process_guid=guid,
            domain="default",
            instances=instances,
            needs=needs(fields.pop("memory_mb", 128)),
            **fields,
        )
        desire = c.DesireLrp(desired_lrp=row, definition=definition.encode())
        self.board.do("user/alice", desire_lrp=desire)

    def scale(self, guid: str, instances: int) -> None:
        scale = c.ScaleLrp(process_guid=guid, instances=instances)
        self.board.do("user/alice", scale_lrp=scale)

    def remove_lrp(self, guid: str) -> None:
        self.board.do("user/alice", remove_lrp=c.RemoveLrp(process_guid=guid))

    def start_task(self, guid: str) -> None:
        task = self.board.task(guid)
        assert task is not None
        start = c.StartTask(task_guid=guid, attempt=task.attempt)
        self.board.do(f"cell/{task.placed_cell_id}", start_task=start)

    def complete_task(self, guid: str) -> None:
        task = self.board.task(guid)
        assert task is not None
        complete = c.CompleteTask(task_guid=guid, attempt=task.attempt, exit_status_known=True)
        self.board.do(f"cell/{task.cell_id}", complete_task=complete)

    def claim(self, row: r.ActualLrp) -> None:
        claim = c.ClaimInstance(instance_guid=row.instance_guid)
        self.board.do(f"cell/{row.placed_cell_id}", claim_instance=claim)

    def run(self, row: r.ActualLrp) -> None:
        start = c.StartInstance(instance_guid=row.instance_guid, routable=True)
        self.board.do(f"cell/{row.placed_cell_id}", start_instance=start)

    def crash(self, row: r.ActualLrp) -> None:
        crash = c.CrashInstance(instance_guid=row.instance_guid, crash_reason="exit status 1")
        self.board.do(f"cell/{row.cell_id}", crash_instance=crash)

    def obey(self) -> None:
        """Every present cell does what its rows ask of it: claims, starts, stops."""
        for row in self.board.all(r.ActualLrp):
            if row.state == r.ActualLrp.UNCLAIMED and self._is_up(row.placed_cell_id):
                self.claim(row)
                self.run(row)
            elif row.state == r.ActualLrp.CLAIMED and self._is_up(row.cell_id) and not row.stopping:
                self.run(row)
            elif row.stopping and self._is_up(row.cell_id):
                remove = c.RemoveInstance(instance_guid=row.instance_guid)
                self.board.do(f"cell/{row.cell_id}", remove_instance=remove)
        for task in self.board.all(r.Task):
            if task.state == r.Task.PENDING and self._is_up(task.placed_cell_id):
                self.start_task(task.task_guid)

    def _is_up(self, cell_id: str) -> bool:
        cell = self.board.cell(cell_id)
        return cell is not None and cell.state == r.Cell.PRESENT


def needs(memory_mb: int, tags: Iterable[str] = ()) -> r.PlacementNeeds:
    return r.PlacementNeeds(
        resources=r.Resources(memory_mb=memory_mb, disk_mb=256, containers=1),
        rootfs_provider="preloaded:busybox",
        placement_tags=list(tags),
    )
