"""Which fields of two definitions differ, each by its path. Values of secret fields never show.

A definition is taken apart into leaves: what has no field below it. So two definitions are equal
exactly where they have the same leaves, and nothing can differ that no line is about. Pure.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from diegod.models.descriptors import is_map
from diegod.v1 import options_pb2

HIDDEN = "(hidden)"


@dataclass(frozen=True)
class FieldChange:
    """`old` and `new` as a person reads them; None where the field is not given."""

    path: str
    old: str | None
    new: str | None

    def __str__(self) -> str:
        return f"{self.path}: {_shown(self.old)} → {_shown(self.new)}"


@dataclass(frozen=True)
class _Leaf:
    value: Any
    text: str


def differences(old: Message, new: Message) -> list[FieldChange]:
    """In the order of the new definition's fields; then what only the old one had."""
    before, after = dict(_leaves(old, "")), dict(_leaves(new, ""))
    return [
        FieldChange(path, _text(before.get(path)), _text(after.get(path)))
        for path in {**after, **before}
        if _value(before.get(path)) != _value(after.get(path))
    ]


def _text(leaf: _Leaf | None) -> str | None:
    return None if leaf is None else leaf.text


def _value(leaf: _Leaf | None) -> Any:
    return None if leaf is None else (type(leaf.value), leaf.value)


def _shown(text: str | None) -> str:
    return "(none)" if text is None else text


def _leaves(message: Message, path: str) -> Iterator[tuple[str, _Leaf]]:
    for known, value in message.ListFields():
        here = f"{path}.{known.name}" if path else known.name
        yield from _field(known, value, here)


def _field(known: FieldDescriptor, value: Any, path: str) -> Iterator[tuple[str, _Leaf]]:
    secret = bool(known.GetOptions().Extensions[options_pb2.secret])
    if is_map(known):
        for name in sorted(value):
            yield f"{path}.{name}", _leaf(value[name], secret)
    elif known.is_repeated and known.message_type is None:
        texts = ", ".join(_plain(item) for item in value)
        yield path, _Leaf(tuple(value), HIDDEN if secret else f"[{texts}]")
    elif known.is_repeated:
        for number, item in enumerate(value):
            yield from _member(item, f"{path}[{number}]")
    elif known.message_type is not None:
        yield from _member(value, path)
    elif known.enum_type is not None:
        yield path, _Leaf(value, known.enum_type.values_by_number[value].name)
    else:
        yield path, _leaf(value, secret)


def _member(value: Message, path: str) -> Iterator[tuple[str, _Leaf]]:
    """What was given and is empty is a leaf itself: it is not the same as left out."""
    below = list(_leaves(value, path))
    yield from below or [(path, _Leaf("", "{}"))]


def _leaf(value: Any, secret: bool) -> _Leaf:
    return _Leaf(value, HIDDEN if secret else _plain(value))


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        plain = value and value.isprintable() and not {'"', "[", "]", ","} & set(value)
        return value if plain else '"' + value.replace("\n", "\\n").replace('"', '\\"') + '"'
    return str(value)
