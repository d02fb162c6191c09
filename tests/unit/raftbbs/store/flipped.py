"""A member started on damaged copies of its store, one after another: what it says to each.

A program of its own, since a damaged store may end the process that opens it. The first line on
stdin is the folder of the store as it was; each further one is a flip, `OFFSET MASK`. For each a
line of JSON is printed: what the start came to, and a digest of everything that the member then
answered. It opens and starts as a role does; only the network is left out.
"""

import hashlib
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from google.protobuf.message import Message

from diegod.models.json_form import json_form
from diegod.raftbbs.raft.api import Fatal
from diegod.raftbbs.raft.engine import Engine
from diegod.raftbbs.replica import Replica
from diegod.raftbbs.store.environment import DATA_FILE, Environment, StoreFailed
from diegod.raftbbs.store.identity import Birth, StoreRefused
from diegod.raftbbs.store.opening import open_verified
from diegod.raftbbs.store.state import StateView
from diegod.raftbbs.store.tables import Tables
from diegod.world.ids import SeededIds

STEPS_MAX = 12


def main() -> None:
    pristine = Path(sys.stdin.readline().strip())
    with TemporaryDirectory(dir=pristine.parent) as scratch:
        for line in sys.stdin:
            offset, mask = map(int, line.split())
            print(json.dumps(_start(pristine, Path(scratch) / "store", offset, mask)), flush=True)


def _start(pristine: Path, folder: Path, offset: int, mask: int) -> dict[str, str]:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(pristine, folder)
    with (folder / DATA_FILE).open("r+b") as file:
        file.seek(offset)
        [byte] = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ mask]))
    try:
        environment, birth = open_verified(folder, member_id="m1")
    except (StoreRefused, StoreFailed) as refusal:
        return {"refused": str(refusal)}
    try:
        return {"answers": _answers(environment, birth)}
    except Fatal as error:
        return {"refused": str(error)}
    finally:
        environment.close()


def _answers(environment: Environment, birth: Birth) -> str:
    """A digest of all that the member says once it leads."""
    tables = Tables.open(environment)
    replica = Replica(tables)
    engine = Engine(environment, birth, replica.apply_entry, SeededIds(1), 0.0, state=replica)
    for step in range(STEPS_MAX):
        engine.step([], [], [], step / 10)
    digest = hashlib.blake2b(repr(engine.leadership()).encode())
    with environment.begin_read() as transaction:
        for answer in _said(StateView(tables, transaction)):
            digest.update(json.dumps(answer, sort_keys=True).encode())
    engine.close()
    return digest.hexdigest()


def _said(state: StateView) -> Iterator[object]:
    """Every row in a list, by its name, and what belongs to it; the counters; the history."""
    tables, transaction = state.tables, state.transaction
    yield repr(state.counters())
    for _, task in tables.tasks.scan(transaction):
        definition = state.task_definition(task.task_guid) or b""
        yield [json_form(task), _form(state.task(task.task_guid)), definition.hex()]
    for _, lrp in tables.desired_lrps.scan(transaction):
        guid = lrp.process_guid
        definition = state.lrp_definition(guid, lrp.definition_revision) or b""
        yield [json_form(lrp), _form(state.desired_lrp(guid)), definition.hex()]
        yield [json_form(instance) for instance in state.instances(guid)]
    for _, instance in tables.actual_lrps.scan(transaction):
        yield [json_form(instance), _form(state.actual_lrp(instance.instance_guid))]
    for rows in (tables.cells, tables.domains, tables.locks):
        yield [json_form(row) for row in rows.scan(transaction)]
    yield [json_form(change) for change in state.changes_after(0)]


def _form(row: Message | None) -> object:
    return None if row is None else json_form(row)


if __name__ == "__main__":
    main()
