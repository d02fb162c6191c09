"""Messages as JSON and as the mapping that a spec file holds.

`json_form` is what `-o json` prints: every field under its proto name, zeros too, 64-bit integers
as numbers, enums as bare names, times in RFC 3339, null where nothing is. `spec_form` is what
`show -o yaml` prints and `apply` reads: only what was given, under its kind.
Pure; does not belong here: writing text (`diegod.cli.terminal.render`, `diegod.config.yaml_nodes`).
"""

from base64 import b64encode
from math import isfinite
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from diegod.models.admission import Definition
from diegod.models.descriptors import fields, is_map
from diegod.models.spec_reader import KINDS
from diegod.v1 import options_pb2

#: JSON numbers are read as doubles almost everywhere: beyond this they would be rounded.
EXACT_INTEGER_MAX = 2**53

HIDDEN = "(hidden)"


def json_form(message: Message, *, secrets: bool = False) -> dict[str, Any]:
    """Every field of a message. Values of secret fields only for readers of the definition."""
    return {known.name: _field(message, known, secrets) for known in fields(message)}


def _field(message: Message, known: FieldDescriptor, secrets: bool) -> Any:
    value = getattr(message, known.name)
    hidden = not secrets and known.GetOptions().Extensions[options_pb2.secret]
    if is_map(known):
        return {name: HIDDEN if hidden else value[name] for name in sorted(value)}
    if known.is_repeated:
        return [HIDDEN if hidden else _value(item, known, secrets) for item in value]
    if known.has_presence and not message.HasField(known.name):
        return None
    return HIDDEN if hidden else _value(value, known, secrets)


def _value(value: Any, known: FieldDescriptor, secrets: bool) -> Any:
    if isinstance(value, Timestamp):
        return value.ToJsonString()
    if isinstance(value, Message):
        return json_form(value, secrets=secrets)
    if known.enum_type is not None:
        named = known.enum_type.values_by_number.get(value)
        return named.name if named else value
    if isinstance(value, bytes):
        return b64encode(value).decode("ascii")
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, int) and abs(value) > EXACT_INTEGER_MAX:
        return str(value)
    return value


def spec_form(definition: Definition) -> dict[str, Any]:
    """A definition as the document that gives the same definition when it is read."""
    kinds = {message: kind for kind, message in KINDS.items()}
    return {"kind": kinds[type(definition)], **_given(definition)}


def _given(message: Message) -> dict[str, Any]:
    """The fields that were given, in the order of the proto."""
    given: dict[str, Any] = {}
    for known, value in message.ListFields():
        if is_map(known):
            given[known.name] = {name: value[name] for name in sorted(value)}
        elif known.is_repeated:
            given[known.name] = [_given_value(item, known) for item in value]
        else:
            given[known.name] = _given_value(value, known)
    return given


def _given_value(value: Any, known: FieldDescriptor) -> Any:
    if isinstance(value, Message):
        return _given(value)
    if known.enum_type is not None:
        return known.enum_type.values_by_number[value].name
    return value
