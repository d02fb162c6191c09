"""Members of a lab whose state is the bulletin board itself: real commands, rows and hashes."""

from diegod.internal.v1.command_pb2 import (
    Batch,
    CancelTask,
    Command,
    DesireTask,
    RaiseFormat,
)
from diegod.raftbbs.replica import Replica
from diegod.raftbbs.store.environment import WriteTransaction
from diegod.raftbbs.store.identity import load
from diegod.raftbbs.store.tables import Tables
from diegod.v1.record_pb2 import Task
from diegod.world.ids import SeededIds
from tests.sim.raft_member import MAP_SIZE
from tests.unit.raftbbs.raft.lab import Lab, Member


class BoardMember(Member):
    """An engine and its disk, with a `Replica` between them."""

    replica_class: type[Replica] = Replica

    def __init__(self, lab: Lab, who: str) -> None:
        self.environment, birth = load(lab.folder / who, durable=False, map_size=MAP_SIZE)
        self.state = self.environment.table("state")  # of the lab's own kind: it stays empty
        self.tables = Tables.open(self.environment)
        self.replica = self.replica_class(self.tables)
        self.inbox = []
        self.engine = lab.engine_class(
            self.environment,
            birth,
            self.apply,
            SeededIds(who),
            lab.now,
            state=self.replica,
            **lab.options,
        )

    def apply(self, transaction: WriteTransaction, index: int, payload: bytes) -> object:
        return self.replica.apply_entry(transaction, index, payload)

    def alter(self, task_guid: str) -> None:
        """Change a row behind the back of everybody, under a checksum that fits."""
        with self.environment.begin_write() as transaction:
            tasks = self.tables.tasks
            row = tasks.get(transaction, task_guid)
            assert row is not None
            row.rejection_reason = "somebody was here"
            tasks.update(transaction, task_guid, row)


def entry(*commands: Command) -> bytes:
    return Batch(at_ns=1, commands=commands).SerializeToString()


def raised(cluster_format: int = 2) -> bytes:
    return entry(Command(by="bbs/A", raise_format=RaiseFormat(cluster_format=cluster_format)))


def desired(task_guid: str) -> bytes:
    task = Task(task_guid=task_guid, domain="default")
    return entry(Command(by="user/ann", desire_task=DesireTask(task=task)))


def cancelled(task_guid: str) -> bytes:
    return entry(Command(by="user/ann", cancel_task=CancelTask(task_guid=task_guid)))
