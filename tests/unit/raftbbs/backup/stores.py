"""A store with something of everything in it, and the log that made it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from diegod.internal.v1 import command_pb2 as c
from diegod.raftbbs.raft.journal import (
    LOG_TABLE,
    REGULAR,
    HardState,
    _encode_entry,
    write_hard_state,
)
from diegod.raftbbs.replica import Replica
from diegod.raftbbs.store import identity
from diegod.raftbbs.store.environment import Environment
from diegod.raftbbs.store.identity import META_TABLE, Birth, Voter
from diegod.raftbbs.store.state import StateView
from diegod.raftbbs.store.tables import Tables
from diegod.v1.record_pb2 import Cell, DesiredLrp, Task

MAP_SIZE = 64 << 20
SECOND = 1_000_000_000
BEGIN = 1_800_000_000 * SECOND
VOTERS = tuple(Voter(each, f"{each}:1", f"{each}:2") for each in ("m1", "m2", "m3"))
BIRTH = Birth("cluster-1", "prod", "m1", "store-1", VOTERS)


def command(by: str, **command: object) -> c.Command:
    made = c.Command(by=by, **command)  # type: ignore[arg-type]
    if by.startswith("cell/"):
        made.cell_incarnation = 1
    if by.startswith("brain/"):
        made.lock_name, made.lock_token = "brain", 1
    return made


def _create(index: int) -> c.Command:
    create = c.CreateInstance(process_guid="web", index=index, desired_revision=3)
    return command("brain/b1", create_instance=create)


#: One entry each; the revision of a command is its place here, from 1.
COMMANDS = [
    command("brain/b1", acquire_lock=c.AcquireLock(name="brain")),
    command("cell/c1", register_cell=c.RegisterCell(cell=Cell(cell_id="c1", zone="z1"))),
    command(
        "user/ann",
        desire_lrp=c.DesireLrp(
            desired_lrp=DesiredLrp(process_guid="web", domain="d", instances=2), definition=b"lrp"
        ),
    ),
    _create(0),
    _create(1),
    *(
        command(
            "user/ann",
            desire_task=c.DesireTask(
                task=Task(task_guid=guid, domain="d", max_placement_attempts=3),
                definition=guid.encode(),
            ),
        )
        for guid in ("waits", "runs", "ended")
    ),
    command("user/ann", cancel_task=c.CancelTask(task_guid="ended")),
    command("user/ann", upsert_domain=c.UpsertDomain(domain="d")),
]


@contextmanager
def a_store(folder: Path, applied: int = len(COMMANDS)) -> Iterator[Environment]:
    """All commands are in its log, one an entry from index 2; so many of them are applied."""
    identity.create(folder, BIRTH, durable=False)
    environment = Environment.open(folder, durable=False, map_size=MAP_SIZE)
    tables = Tables.open(environment)
    log, meta = environment.table(LOG_TABLE), environment.table(META_TABLE)
    replica = Replica(tables)
    with environment.begin_write() as transaction:
        transaction.put(log, (1).to_bytes(8, "big"), _encode_entry(b"\1", 1, 0))
        for index, each in enumerate(COMMANDS, 2):
            payload = c.Batch(at_ns=BEGIN + index, commands=[each]).SerializeToString()
            entry = _encode_entry(REGULAR + payload, index, 4)
            transaction.put(log, index.to_bytes(8, "big"), entry)
            if index < applied + 2:
                outcome = replica.apply_entry(transaction, index, payload).outcomes[0]
                assert not outcome.reason, outcome.message
        write_hard_state(transaction, meta, HardState(4, "m2", applied + 1, applied + 1))
        transaction.put(meta, b"store/m2", b"store-2")
    try:
        yield environment
    finally:
        environment.close()


@contextmanager
def state_of(environment: Environment) -> Iterator[StateView]:
    with environment.begin_read() as transaction:
        yield StateView(Tables.open(environment), transaction)
