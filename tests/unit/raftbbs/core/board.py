"""A bulletin board for tests of the rules: the real store and replica, one command at a time."""

from dataclasses import dataclass
from pathlib import Path

from diegod.internal.v1.command_pb2 import Batch, Command, Outcome, RaiseFormat
from diegod.raftbbs.replica import AppliedEntry, Replica
from diegod.raftbbs.store.envelope import FORMAT
from diegod.raftbbs.store.environment import Environment
from diegod.raftbbs.store.state import StateView
from diegod.raftbbs.store.tables import Tables
from diegod.v1.record_pb2 import Cell, Change, DesiredLrp, Task

SECOND = 1_000_000_000
BEGIN = 1_800_000_000 * SECOND


@dataclass
class Board:
    """Who speaks is the first argument of `say`: "user/ann", "brain/b1", "cell/c1", "bbs/m1"."""

    environment: Environment
    tables: Tables
    replica: Replica
    at_ns: int = BEGIN
    index: int = 0
    lock_token: int = 0

    @staticmethod
    def open(path: Path, history_changes: int = 1000, cluster_format: int = FORMAT) -> "Board":
        environment = Environment.open(path, create=True, durable=False)
        tables = Tables.open(environment)
        board = Board(environment, tables, Replica(tables, history_changes))
        if cluster_format > 1:
            board.say("bbs/m1", raise_format=RaiseFormat(cluster_format=cluster_format))
        return board

    def entry(self, *commands: Command) -> AppliedEntry:
        self.index += 1
        payload = Batch(at_ns=self.at_ns, commands=commands).SerializeToString()
        with self.environment.begin_write() as transaction:
            return self.replica.apply_entry(transaction, self.index, payload)

    def say(
        self, by: str, request_id: str = "", incarnation: int = 1, **command: object
    ) -> Outcome:
        made = Command(by=by, request_id=request_id, **command)  # type: ignore[arg-type]
        if by.startswith("cell/"):
            made.cell_incarnation = incarnation
        if by.startswith("brain/") and self.lock_token:
            made.lock_name, made.lock_token = "brain", self.lock_token
        return self.entry(made).outcomes[0]

    def later(self, seconds: float) -> None:
        self.at_ns += int(seconds * SECOND)

    def state(self) -> StateView:
        return StateView(self.tables, self.environment.begin_read())

    def task(self, task_guid: str) -> Task:
        row = self.state().task(task_guid)
        assert row is not None
        return row

    def changes_after(self, revision: int) -> list[Change]:
        return list(self.state().changes_after(revision))

    # What most tests begin with.

    def with_brain(self) -> "Board":
        from diegod.internal.v1.command_pb2 import AcquireLock

        outcome = self.say("brain/b1", acquire_lock=AcquireLock(name="brain"))
        self.lock_token = outcome.lock.token
        return self

    def with_cell(self, cell_id: str = "c1", zone: str = "z1") -> "Board":
        from diegod.internal.v1.command_pb2 import RegisterCell

        cell = Cell(cell_id=cell_id, zone=zone)
        assert not self.say(f"cell/{cell_id}", register_cell=RegisterCell(cell=cell)).reason
        return self


def a_task(task_guid: str = "t1", attempts: int = 3) -> Task:
    return Task(task_guid=task_guid, domain="default", max_placement_attempts=attempts)


def an_lrp(process_guid: str = "web", instances: int = 1) -> DesiredLrp:
    return DesiredLrp(process_guid=process_guid, domain="default", instances=instances)
