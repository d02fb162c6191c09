"""What encryption at rest costs: bulk apply and a full read, with and without it, in one run.

One member's engine and its real store on disk, without a network: tasks of 256-byte definitions and
random guids, 128 in an entry. The rounds alternate, so that a busy machine slows both alike. Then
the store that was plain is encrypted in the background, with and without writes beside it.
"""

import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from diegod.internal.v1.command_pb2 import Batch, Command, DesireTask
from diegod.raftbbs.raft.api import Proposal
from diegod.raftbbs.raft.engine import Engine
from diegod.raftbbs.replica import Replica
from diegod.raftbbs.store.environment import Environment
from diegod.raftbbs.store.identity import Birth, Voter, create, load
from diegod.raftbbs.store.rekeying import NEVER
from diegod.raftbbs.store.tables import Tables
from diegod.security.at_rest import NO_KEYS, Keyring, MasterKey
from diegod.v1.record_pb2 import Task
from diegod.world.ids import SeededIds
from tests.bench.report import percentile, ratio, row

_ROUNDS = 10
_ENTRIES = 16  # a round
_COMMANDS = 128  # an entry
_KEYS = Keyring("bench", {"bench": MasterKey("bench", os.urandom(32))})


class Alone:
    """A cluster of one, stepped by hand."""

    def __init__(self, folder: Path, keyring: Keyring) -> None:
        if not folder.exists():
            create(folder, Birth("bench", "bench", "m1", "s1", (Voter("m1", "", ""),)))
        self.environment, birth = load(folder, keyring=keyring)
        self.tables = Tables.open(self.environment)
        replica = Replica(self.tables)
        self.engine = Engine(
            self.environment, birth, replica.apply_entry, SeededIds(1), time.monotonic()
        )
        while not self.engine.leadership().noop_applied:
            self.engine.step([], [], [], time.monotonic())

    def write(self, commands: int = _COMMANDS) -> None:
        """One entry, to where it is applied."""
        batch = Batch(at_ns=time.time_ns(), commands=[_a_task() for _ in range(commands)])
        proposal = Proposal(1, batch.SerializeToString())
        answers = self.engine.step([], [proposal], [], time.monotonic()).answers
        while not answers:
            answers = self.engine.step([], [], [], time.monotonic()).answers

    def read_all(self) -> int:
        with self.environment.begin_read() as transaction:
            return sum(1 for _ in self.tables.tasks.scan(transaction))

    def close(self) -> None:
        self.engine.close()
        self.environment.close()


def _a_task() -> Command:
    task = Task(task_guid=str(uuid.uuid4()), domain="bench")
    return Command(by="user/bench", desire_task=DesireTask(task=task, definition=bytes(256)))


async def run() -> Iterator[str]:
    with TemporaryDirectory(prefix="diegod-bench-") as folder:
        return iter(_measured(Path(folder)))


def _measured(folder: Path) -> list[str]:
    stores = {"plain": Alone(folder / "p", NO_KEYS), "encrypted": Alone(folder / "e", _KEYS)}
    spent: dict[str, list[float]] = {name: [] for name in stores}
    for _ in range(_ROUNDS):
        for name, store in stores.items():
            began = time.process_time()
            for _ in range(_ENTRIES):
                store.write()
            spent[name].append((time.process_time() - began) / (_ENTRIES * _COMMANDS))
    lines = [row(f"applied, {name}: CPU a task", spent[name], 1e-6, "µs") for name in stores]
    middle = {name: percentile(spent[name], 0.5) for name in stores}
    lines.append(ratio("  encrypted, beside plain", middle["encrypted"], middle["plain"]))
    lines += _reads(stores)
    sizes = {name: _used(store.environment) for name, store in stores.items()}
    lines.append(ratio("  size of the store", sizes["encrypted"], sizes["plain"]))
    for store in stores.values():
        store.close()
    return lines + _rekeyed(folder / "p")


def _reads(stores: dict[str, Alone]) -> list[str]:
    spent: dict[str, list[float]] = {name: [] for name in stores}
    for _ in range(5):
        for name, store in stores.items():
            began = time.process_time()
            rows = store.read_all()
            spent[name].append((time.process_time() - began) / rows)
    lines = [row(f"read, {name}: CPU a row", spent[name], 1e-6, "µs") for name in stores]
    best = {name: min(spent[name]) for name in stores}
    return [*lines, ratio("  encrypted, beside plain", best["encrypted"], best["plain"])]


def _used(environment: Environment) -> float:
    return float(environment.used_bytes())


def _rekeyed(folder: Path) -> list[str]:
    """The plain store comes under a key; half of the way with a write after the other beside it."""
    store = Alone(folder, _KEYS)
    rekeying, values = store.engine.rekeying, _values(store.environment)
    beside: list[float] = []
    began = time.monotonic()
    while rekeying.progress.percent < 50:
        wrote = time.monotonic()
        store.write(1)
        beside.append(time.monotonic() - wrote)
    while rekeying.due_at() != NEVER:
        time.sleep(max(0.0, rekeying.due_at() - time.monotonic()))
        store.engine.step([], [], [], time.monotonic())
    took_s = time.monotonic() - began
    without: list[float] = []
    for _ in range(len(beside)):
        wrote = time.monotonic()
        store.write(1)
        without.append(time.monotonic() - wrote)
    store.close()
    return [
        row("a lone write, while the store is encrypted anew", beside),
        row("a lone write, afterwards", without),
        f"{values} values encrypted anew in {took_s:.1f} s",
    ]


def _values(environment: Environment) -> int:
    tables = [environment.table(name) for name in environment.table_names()]
    with environment.begin_read() as transaction:
        return sum(transaction.count(table) for table in tables)
