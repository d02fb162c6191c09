"""Every method of every service has its row in the table of methods, and the row says the truth."""

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor import MethodDescriptor

from diegod.rpc.methods import METHODS
from tests.repo import tree


def declared() -> Iterator[tuple[str, MethodDescriptor]]:
    """All methods of all .proto files, as "package.Service/Method"."""
    for path in sorted(tree.ROOT.glob("diegod/**/*.proto")):
        module = importlib.import_module(f"{'.'.join(_folder(path))}.{path.stem}_pb2")
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                yield f"{service.full_name}/{method.name}", method


def _folder(path: Path) -> tuple[str, ...]:
    return path.parent.relative_to(tree.ROOT).parts


DECLARED = dict(declared())


def test_there_are_methods_to_look_at() -> None:
    assert "diegod.v1.TaskService/Desire" in DECLARED


def test_no_method_lacks_a_row_and_no_row_lacks_its_method() -> None:
    assert sorted(METHODS) == sorted(DECLARED)


@pytest.mark.parametrize("name", sorted(DECLARED.keys() & METHODS.keys()))
def test_a_row_has_the_messages_and_streams_of_its_method(name: str) -> None:
    row, method = METHODS[name], DECLARED[name]
    assert row.request.DESCRIPTOR.full_name == method.input_type.full_name
    assert row.reply.DESCRIPTOR.full_name == method.output_type.full_name
    assert (row.request_stream, row.reply_stream) == (
        method.client_streaming,
        method.server_streaming,
    )


@pytest.mark.parametrize("name", sorted(METHODS))
def test_somebody_may_call_it_and_it_ends(name: str) -> None:
    row = METHODS[name]
    assert row.roles, "no role may call it"
    assert row.request_bytes_max > 0
    assert row.deadline_s is not None or row.reply_stream, "only a stream may go on for ever"
