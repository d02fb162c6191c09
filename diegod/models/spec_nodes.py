"""What a parsed document is before anybody knows what it should be: values with their lines.

Made by `diegod.config.yaml_nodes` from YAML or JSON, read by `spec_reader.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

#: What a scalar of YAML's core rules can be.
Value = str | int | float | bool | None


@dataclass(frozen=True)
class Scalar:
    value: Value
    source: str  # as it was written: 1.10, not 1.1
    line: int


@dataclass(frozen=True)
class Entry:
    key: Scalar
    node: Node


@dataclass(frozen=True)
class Mapping:
    entries: tuple[Entry, ...]  # in the order of the file, repeated keys included
    line: int


@dataclass(frozen=True)
class Sequence:
    items: tuple[Node, ...]
    line: int


Node = Scalar | Mapping | Sequence


def described(node: Node) -> str:
    """What a node is, for a person."""
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, Sequence):
        return "a list"
    if node.value is None:
        return "nothing"
    if isinstance(node.value, str):
        return f'"{node.value if len(node.value) <= 40 else node.value[:39] + "…"}"'
    return node.source
