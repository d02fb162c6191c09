"""Stores with all kinds of rows, as a member that is stopped has left them on its disk."""

from collections.abc import Iterator
from pathlib import Path

from diegod.internal.v1 import command_pb2 as c
from diegod.raftbbs.raft.api import Proposal
from diegod.raftbbs.raft.engine import Engine
from diegod.raftbbs.replica import Replica
from diegod.raftbbs.store import identity
from diegod.raftbbs.store.identity import Birth, Voter
from diegod.raftbbs.store.tables import Tables
from diegod.v1.record_pb2 import Cell, DesiredLrp, Task, TaskSchedule
from diegod.world.ids import SeededIds

MAP_SIZE = 256 << 20
BIRTH = Birth("cluster-id", "test", "m1", "store-1", (Voter("m1", "m1:8889", "m1:8892"),))
_LOCK = "brain"


def write_store(folder: Path, lrps: int = 120) -> None:
    """The store of a cluster's only member, written by its engine: rows that came, changed, went.

    Several hundred pages: branches, big values, free pages, and each table with something in it.
    """
    identity.create(folder, BIRTH, durable=False)
    environment, birth = identity.load(folder, durable=False, map_size=MAP_SIZE)
    replica = Replica(Tables.open(environment))
    engine = Engine(environment, birth, replica.apply_entry, SeededIds(1), 0.0, state=replica)
    now = 1.0
    for number, commands in enumerate(_story(lrps), 1):
        proposals = [Proposal(number, _entry(*commands))] if commands else []
        before = engine.leadership().applied_index
        engine.step([], proposals, [], now)
        while engine.leadership().applied_index < before + len(proposals):
            now += 0.1
            engine.step([], [], [], now)
    engine.close()
    environment.close()


def _entry(*commands: c.Command) -> bytes:
    return c.Batch(at_ns=1_800_000_000 * 10**9, commands=commands).SerializeToString()


def _story(lrps: int) -> Iterator[list[c.Command]]:
    """One entry after another; an empty one is a step without a proposal, to be elected in."""
    yield []
    yield []
    yield [c.Command(by="bbs/m1", raise_format=c.RaiseFormat(cluster_format=2))]
    yield [c.Command(by="brain/b1", acquire_lock=c.AcquireLock(name=_LOCK))]  # revision 1: token
    yield [_registered(f"c{number}") for number in range(3)]  # up to revision 4
    yield [_domain("default"), _domain("other")]  # 6
    revision = 6
    for number in range(lrps):
        guid = f"lrp-{number:04}"
        definition = guid.encode() * (20 if number % 10 else 800)  # some have pages of their own
        lrp = DesiredLrp(process_guid=guid, domain="default", instances=2)
        desire = c.DesireLrp(desired_lrp=lrp, definition=definition)
        created = [
            c.CreateInstance(process_guid=guid, index=index, desired_revision=revision + 1)
            for index in range(2)
        ]
        yield [
            c.Command(by="user/ann", request_id=f"r{number}", desire_lrp=desire),
            *(
                c.Command(by="brain/b1", lock_name=_LOCK, lock_token=1, create_instance=each)
                for each in created
            ),
        ]
        revision += 3
        task = Task(task_guid=f"task-{number:04}", domain="default", max_placement_attempts=3)
        desired = c.DesireTask(task=task, definition=b"t" * (10 + number))
        yield [c.Command(by="user/ann", desire_task=desired)]
        revision += 1
        if number % 3 == 0:
            cancel = c.CancelTask(task_guid=task.task_guid)
            yield [c.Command(by="user/ann", cancel_task=cancel)]
            revision += 1
        if number % 6 == 0:
            delete = c.DeleteTask(task_guid=task.task_guid)
            yield [c.Command(by="user/ann", delete_task=delete)]
            revision += 1
    row = TaskSchedule(name="nightly", domain="default", cron="@daily")
    schedule = c.DesireSchedule(schedule=row, definition=b"s", task_definition=b"t")
    yield [c.Command(by="user/ann", desire_schedule=schedule)]


def _registered(cell_id: str) -> c.Command:
    row = Cell(cell_id=cell_id, zone="z1")
    return c.Command(by=f"cell/{cell_id}", register_cell=c.RegisterCell(cell=row))


def _domain(name: str) -> c.Command:
    return c.Command(by="user/ann", upsert_domain=c.UpsertDomain(domain=name, ttl_s=0))
