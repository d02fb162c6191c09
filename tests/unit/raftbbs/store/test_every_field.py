"""Every field that is stored, found by reflection, planted with a canary, and looked for on disk.

Each text and each bytes field that a stored message can have, however deep, gets a message of its
own with nothing in it but a canary (and a key). The log is written by the engine, rows, definitions
and changes by the writer of the state. With encryption off every canary lies in the file; with
encryption on none does, but for the few fields that are keys of the store.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from diegod.internal.v1 import command_pb2
from diegod.internal.v1.command_pb2 import Batch
from diegod.raftbbs.core.decision import Row, RowChange
from diegod.raftbbs.raft.api import Proposal
from diegod.raftbbs.store.environment import DATA_FILE
from diegod.raftbbs.store.state import StateWriter
from diegod.raftbbs.store.tables import number_key
from diegod.security.at_rest import NO_KEYS, Keyring
from diegod.v1 import definition_pb2, options_pb2, record_pb2
from diegod.v1.definition_pb2 import (
    LrpDefinition,
    TaskDefinition,
    TaskScheduleDefinition,
)
from diegod.v1.record_pb2 import (
    Change,
    DesiredLrp,
    LrpVersion,
    Provenance,
    Task,
    TaskSchedule,
    Transition,
)
from tests.unit.raftbbs.bbs import Parts, parts
from tests.unit.raftbbs.store.keyrings import ring

Path_ = tuple[FieldDescriptor, ...]

ROWS: tuple[type[Message], ...] = get_args(Row)
DEFINITIONS = {
    TaskDefinition: Task,
    LrpDefinition: DesiredLrp,
    TaskScheduleDefinition: TaskSchedule,
}
ROOTS: tuple[type[Message], ...] = (Batch, *ROWS, *DEFINITIONS, Change, LrpVersion, Transition)

#: What a message is found by. Keys of the store can't be encrypted: it sorts by them.
KEYS = {
    "diegod.v1.Task.task_guid",
    "diegod.v1.DesiredLrp.process_guid",
    "diegod.v1.ActualLrp.process_guid",
    "diegod.v1.ActualLrp.instance_guid",
    "diegod.v1.Cell.cell_id",
    "diegod.v1.Domain.domain",
    "diegod.v1.Lock.name",
    "diegod.v1.TaskSchedule.name",
}
#: Messages of these files that are stored nowhere: an answer, and what no command carries yet.
NEVER_STORED = {"diegod.internal.v1.Outcome", "diegod.internal.v1.Member"}

_TEXT = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)
_CANARY = re.compile(rb"canary-[0-9]{5}")


def leaves(message: Descriptor, above: tuple[Descriptor, ...] = ()) -> Iterator[Path_]:
    """The path to every text in a message; a message within itself is looked at once."""
    for field in message.fields:
        if field.message_type in (message, *above):
            continue
        if field.message_type is not None:
            for path in leaves(field.message_type, (*above, message)):
                yield (field, *path)
        elif field.type in _TEXT:
            yield (field,)


def plant(message: Any, path: Path_, canary: str) -> None:
    """Put a canary at the end of a path, and nothing beside it."""
    field, *rest = path
    if field.message_type is None:
        value = canary.encode() if field.type == FieldDescriptor.TYPE_BYTES else canary
        if field.is_repeated:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)
    elif field.message_type.GetOptions().map_entry:
        plant_in_map(getattr(message, field.name), tuple(rest), canary)
    elif field.is_repeated:
        plant(getattr(message, field.name).add(), tuple(rest), canary)
    else:
        plant(getattr(message, field.name), tuple(rest), canary)


def plant_in_map(entries: Any, path: Path_, canary: str) -> None:
    field, *rest = path
    if field.name == "key":
        value = field.containing_type.fields_by_name["value"]
        if value.message_type is not None:
            entries[canary].SetInParent()
        else:
            entries[canary] = value.default_value
    elif rest:
        plant(entries["key"], tuple(rest), canary)
    else:
        entries["key"] = canary.encode() if field.type == FieldDescriptor.TYPE_BYTES else canary


@dataclass(frozen=True)
class Planted:
    canary: str
    root: type[Message]
    path: Path_

    @property
    def message(self) -> Any:
        message = self.root()
        plant(message, self.path, self.canary)
        return message


def all_planted() -> list[Planted]:
    paths = [(root, path) for root in ROOTS for path in leaves(root.DESCRIPTOR)]
    return [Planted(f"canary-{n:05d}", *each) for n, each in enumerate(paths)]


PLANTED = all_planted()


def write_log(made: Parts) -> None:
    now = 1000.0
    for number, planted in enumerate(each for each in PLANTED if each.root is Batch):
        proposal = Proposal(number, planted.message.SerializeToString())
        now += 1.0
        made.log.step([], [proposal], [], now)
    made.log.step([], [], [], now + 1.0)


def write_state(made: Parts) -> None:
    with made.environment.begin_write() as transaction:
        writer = StateWriter(made.tables, transaction, history_changes=10**6)
        revision = 10**6
        for planted in PLANTED:
            revision += 1
            if planted.root in ROWS:
                row = planted.message
                write(writer, row, row.provenance, revision)
            elif planted.root in DEFINITIONS:
                row = DEFINITIONS[planted.root]()  # type: ignore[index]
                definition = planted.message.SerializeToString()
                write(writer, row, Provenance(), revision, definition)
            elif planted.root is LrpVersion:
                made_of = Provenance(revision=revision)
                lrp = DesiredLrp(process_guid=f"key-{revision}")
                change = RowChange(Change.CREATED, lrp, b"", versions=(planted.message,))
                writer.record([change], made_of)
            elif planted.root is Change:
                key = number_key(revision) + b"\0"
                stored = planted.message.SerializeToString()
                transaction.put(made.tables.changes, key, stored)
            elif planted.root is Transition:
                key = b"t" + number_key(revision)
                stored = planted.message.SerializeToString()
                transaction.put(made.tables.stories, key, stored)
        writer.close(10**6)


def write(
    writer: StateWriter,
    row: Any,
    provenance: Provenance,
    revision: int,
    definition: bytes | None = None,
) -> None:
    """A row as a command leaves it, under a key of its own where its key is no canary."""
    for name in ("task_guid", "process_guid", "instance_guid", "cell_id", "domain", "name"):
        is_key = f"{row.DESCRIPTOR.full_name}.{name}" in KEYS
        if is_key and not getattr(row, name):
            setattr(row, name, f"key-{revision}")
    made = Provenance()
    made.CopyFrom(provenance)
    made.revision = revision
    writer.record([RowChange(Change.CREATED, row, definition)], made)


def found_in(file: Path) -> set[str]:
    return {canary.decode() for canary in _CANARY.findall(file.read_bytes())}


def planted_store(folder: Path, keyring: Keyring) -> tuple[set[str], set[str]]:
    """The canaries in the file of a store, and in a copy of it."""
    made = parts(folder / "store", now=0.0, keyring=keyring)
    try:
        write_log(made)
        write_state(made)
        (folder / "copy").mkdir()
        made.environment.copy(folder / "copy")
    finally:
        made.environment.close()
    return found_in(folder / "store" / DATA_FILE), found_in(folder / "copy" / DATA_FILE)


def test_without_encryption_every_canary_is_found(tmp_path: Path) -> None:
    everything = {planted.canary for planted in PLANTED}
    assert planted_store(tmp_path, NO_KEYS) == (everything, everything)


def test_with_encryption_none_is_found_that_is_no_key(tmp_path: Path) -> None:
    store, copy = planted_store(tmp_path, ring("A"))
    fields = {planted.canary: planted.path[-1].full_name for planted in PLANTED}
    assert {fields[canary] for canary in store} == KEYS
    assert copy == store


@pytest.mark.parametrize("file", [command_pb2, definition_pb2, record_pb2])
def test_no_stored_message_was_left_out(file: Any) -> None:
    """A message that is new must be reached from one of the roots, or be said to be no record."""
    reached = {field.containing_type.full_name for each in PLANTED for field in each.path}
    with_text = {
        message.full_name
        for message in file.DESCRIPTOR.message_types_by_name.values()
        if any(field.type in _TEXT for field in message.fields)
    }
    assert with_text - reached <= NEVER_STORED


def test_every_secret_field_was_planted() -> None:
    secret = {
        field.full_name
        for file in (command_pb2, definition_pb2, record_pb2)
        for message in file.DESCRIPTOR.message_types_by_name.values()
        for field in message.fields
        if field.GetOptions().Extensions[options_pb2.secret]
    }
    planted = {field.full_name for each in PLANTED for field in each.path}
    assert len(secret) >= 3
    assert secret <= planted
