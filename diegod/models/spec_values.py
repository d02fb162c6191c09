"""One scalar of a file against one scalar field: the value, or why it is none.

Does not belong here: messages, lists and maps (`spec_reader.py`).
"""

import re
from typing import Any

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

from diegod.models.did_you_mean import closest
from diegod.models.spec_nodes import Node, Scalar, described

_WHOLE_NUMBERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
_FLOATS = (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT)
_NUMBER_WITH_UNIT = re.compile(r"[-+]?[0-9][0-9_.,]*\s*[a-zA-Z%]+")


class MismatchError(Exception):
    """The value does not fit the field; the message says what was expected."""


def scalar(node: Node, field: FieldDescriptor) -> Any:
    """The value of a field that is neither a message nor repeated. Raises MismatchError."""
    if not isinstance(node, Scalar):
        raise MismatchError(f"{_wanted(field)} is expected here, not {described(node)}")
    if node.value is None:
        raise MismatchError("nothing is given; leave the field out, or give it a value")
    kind = field.cpp_type
    if kind == FieldDescriptor.CPPTYPE_STRING:
        return _text(node)
    if kind in _WHOLE_NUMBERS:
        return _whole_number(node, *_WHOLE_NUMBERS[kind])
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return _truth(node)
    if kind == FieldDescriptor.CPPTYPE_ENUM:
        assert field.enum_type is not None
        return _enum(node, field.enum_type)
    assert kind in _FLOATS, f"specs have no fields of the kind of {field.full_name}"
    return _number(node)


def empty_value(field: FieldDescriptor) -> Any:
    """What stands in a list for an item that could not be read."""
    return "" if field.cpp_type == FieldDescriptor.CPPTYPE_STRING else 0


def text_key(node: Scalar) -> str:
    """The key of a map of texts. Raises MismatchError."""
    return _text(node)


def _wanted(field: FieldDescriptor) -> str:
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return "a text"
    if field.cpp_type in _WHOLE_NUMBERS:
        return "a whole number"
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return "true or false"
    return "a name" if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM else "a number"


def _text(node: Scalar) -> str:
    if isinstance(node.value, str):
        return node.value
    if node.value is None:
        raise MismatchError('nothing is given; an empty text is written ""')
    kind = "true or false" if isinstance(node.value, bool) else "a number"
    raise MismatchError(
        f'{node.source} is {kind} and a text is expected: quote it, "{node.source}"'
    )


def _whole_number(node: Scalar, lowest: int, highest: int) -> int:
    value = node.value
    if isinstance(value, str):
        raise MismatchError(_not_a_number(value))
    if isinstance(value, bool) or not isinstance(value, int):
        raise MismatchError(f"{node.source} is not a whole number")
    if not lowest <= value <= highest:
        raise MismatchError(f"{node.source} is not within {lowest}–{highest}")
    return value


def _not_a_number(value: str) -> str:
    shown = described(Scalar(value, value, 0))
    if value.strip().lstrip("+-").isdigit():
        return f"{shown} is a text and a whole number is expected: take the quotes away"
    if _NUMBER_WITH_UNIT.fullmatch(value.strip()):
        return f"{shown} is not a whole number; the unit is in the field's name"
    return f"{shown} is not a whole number"


def _number(node: Scalar) -> float:
    if isinstance(node.value, bool) or not isinstance(node.value, int | float):
        raise MismatchError(f"{described(node)} is not a number")
    return float(node.value)


def _truth(node: Scalar) -> bool:
    if isinstance(node.value, bool):
        return node.value
    raise MismatchError(f"{described(node)} is neither true nor false")


def _enum(node: Scalar, enum: EnumDescriptor) -> int:
    """Enums are written by name; INVALID is what a field is before anybody set it."""
    names = [value.name for value in enum.values if value.name != "INVALID"]
    if isinstance(node.value, str) and node.value in names:
        return int(enum.values_by_name[node.value].number)
    near = closest(str(node.value).upper(), names)
    hint = f"; did you mean {near}?" if near else ""
    raise MismatchError(f"{described(node)} is not one of {', '.join(names)}{hint}")
