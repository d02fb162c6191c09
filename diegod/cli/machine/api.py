"""`diegod api export`: what clients in other languages are made from."""

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from diegod.cli.terminal.session import Session
from diegod.cli.terminal.verbs import noun, verb
from diegod.v1 import (
    cell_pb2,
    cluster_pb2,
    domain_pb2,
    event_pb2,
    lrp_pb2,
    stream_pb2,
    task_pb2,
)

app = noun("The API: .proto files for clients in other languages.")

DESCRIPTOR_SET = "diegod-v1.binpb"
_SERVICES = (task_pb2, lrp_pb2, cell_pb2, domain_pb2, event_pb2, stream_pb2, cluster_pb2)


@verb(app, "export")
def export(session: Session, directory: Annotated[Path, typer.Argument(metavar="DIR")]) -> None:
    """Write the public .proto files and a descriptor set into a folder."""
    target = directory / "diegod" / "v1"
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for source in sorted(files("diegod.v1").iterdir(), key=lambda each: each.name):
        if source.name.endswith(".proto"):
            (target / source.name).write_bytes(source.read_bytes())
            written.append(target / source.name)
    (directory / DESCRIPTOR_SET).write_bytes(descriptor_set().SerializeToString(deterministic=True))
    for path in [*written, directory / DESCRIPTOR_SET]:
        print(path)
    session.say(f"protoc -I {directory} --LANGUAGE_out=… diegod/v1/task.proto")


def descriptor_set() -> FileDescriptorSet:
    """Every public file with what it imports, each after what it needs."""
    found: dict[str, FileDescriptor] = {}
    for module in _SERVICES:
        _collect(module.DESCRIPTOR, found)
    made = FileDescriptorSet()
    for descriptor in found.values():
        descriptor.CopyToProto(made.file.add())
    return made


def _collect(descriptor: FileDescriptor, found: dict[str, FileDescriptor]) -> None:
    for needed in descriptor.dependencies:
        _collect(needed, found)
    found.setdefault(descriptor.name, descriptor)
