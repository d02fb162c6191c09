"""From a parsed document to a definition, with every problem that is in it.

One walker over the message descriptors, so that a new field of `definition.proto` needs nothing
here. It does not stop at the first problem: each is kept with its path and line, what could be
read is read on, and the rules of admission are asked about the rest, so that a person mends a
file in one go. Pure: files are read in `diegod.config.spec`.
"""

from dataclasses import dataclass, field
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from diegod.models import admission
from diegod.models.descriptors import field_named, fields, is_map
from diegod.models.did_you_mean import closest, unknown
from diegod.models.spec_nodes import Entry, Mapping, Node, Scalar, Sequence, described
from diegod.models.spec_values import MismatchError, empty_value, scalar, text_key
from diegod.v1 import definition_pb2

#: The kinds of document that this release knows, by the word in their head.
KINDS: dict[
    str,
    type[definition_pb2.TaskDefinition]
    | type[definition_pb2.LrpDefinition]
    | type[definition_pb2.TaskScheduleDefinition],
] = {
    "task": definition_pb2.TaskDefinition,
    "lrp": definition_pb2.LrpDefinition,
    "task_schedule": definition_pb2.TaskScheduleDefinition,
}


@dataclass(frozen=True)
class SpecProblem:
    line: int
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


@dataclass(frozen=True)
class SpecDocument:
    """One document of a file. `definition` means something only when there are no problems."""

    kind: str
    line: int
    definition: admission.Definition | None
    problems: tuple[SpecProblem, ...]


def read_document(node: Node) -> SpecDocument:
    """Read one document: its head says what it is, everything else is a field of the definition."""
    if not isinstance(node, Mapping):
        found = f"a document is a mapping with a kind, not {described(node)}"
        return SpecDocument("", node.line, None, (SpecProblem(node.line, "", found),))
    heads = [entry for entry in node.entries if entry.key.value == "kind"]
    kind, problem = _kind(heads, node.line)
    if problem:
        return SpecDocument(kind, node.line, None, (problem,))
    body = Mapping(tuple(e for e in node.entries if e is not heads[0]), node.line)
    definition = KINDS[kind]()
    walk = _Walk()
    walk.message(body, definition, "")
    walk.admit(definition, node.line)
    ordered = sorted(walk.problems, key=lambda found: found.line)
    return SpecDocument(kind, node.line, definition, tuple(ordered))


def _kind(heads: list[Entry], line: int) -> tuple[str, SpecProblem | None]:
    """What the head says: without it nothing else can be judged."""
    *others, last = KINDS
    expected = f"{', '.join(others)} or {last}"
    if not heads:
        return "", SpecProblem(line, "kind", f"is required: {expected}")
    node = heads[0].node
    value = node.value if isinstance(node, Scalar) else None
    if isinstance(value, str) and value in KINDS:
        return value, None
    near = closest(str(value), KINDS)
    hint = f"; did you mean {near}?" if near else ""
    found = f"{described(node)} is not a kind of document, which is {expected}{hint}"
    return "", SpecProblem(node.line, "kind", found)


@dataclass
class _Walk:
    """One pass over one document."""

    problems: list[SpecProblem] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)  # of every path that the document has

    def message(self, node: Node, message: Message, path: str) -> None:
        if not isinstance(node, Mapping):
            self._problem(node.line, path, f"a mapping is expected here, not {described(node)}")
            return
        first_lines: dict[str, int] = {}
        chosen: dict[str, str] = {}  # of each oneof, the member that was given
        for entry in node.entries:
            name = str(entry.key.value)
            here = f"{path}.{name}" if path else name
            known = field_named(message, name)
            if name in first_lines:
                self._problem(entry.key.line, here, f"is already given in line {first_lines[name]}")
            elif known is None:
                names = [member.name for member in fields(message)]
                self._problem(entry.key.line, here, unknown(name, names))
            elif not self._second_of_oneof(known, chosen, entry, here):
                self.lines[here] = entry.key.line
                self._field(entry.node, message, known, here)
            first_lines.setdefault(name, entry.key.line)

    def _second_of_oneof(
        self, known: FieldDescriptor, chosen: dict[str, str], entry: Entry, here: str
    ) -> bool:
        oneof = known.containing_oneof
        if oneof is None:
            return False
        other = chosen.setdefault(oneof.name, known.name)
        if other == known.name:
            return False
        self._problem(entry.key.line, here, f"is given beside {other}: only one of them may be")
        return True

    def _field(self, node: Node, message: Message, known: FieldDescriptor, path: str) -> None:
        if is_map(known):
            self._map(node, getattr(message, known.name), path)
        elif known.is_repeated:
            self._list(node, getattr(message, known.name), known, path)
        elif known.message_type is not None:
            member = getattr(message, known.name)
            member.SetInParent()  # given and empty is not the same as left out
            self.message(node, member, path)
        else:
            try:
                setattr(message, known.name, scalar(node, known))
            except MismatchError as mismatch:
                self._problem(node.line, path, str(mismatch))

    def _map(self, node: Node, values: Any, path: str) -> None:
        """Every map of a definition is one of texts."""
        if not isinstance(node, Mapping):
            found = f"a mapping of names to texts is expected here, not {described(node)}"
            self._problem(node.line, path, found)
            return
        first_lines: dict[str, int] = {}
        for entry in node.entries:
            here = f"{path}.{entry.key.source}"
            self.lines[here] = entry.key.line
            if entry.key.source in first_lines:
                line = first_lines[entry.key.source]
                self._problem(entry.key.line, here, f"is already given in line {line}")
                continue
            first_lines[entry.key.source] = entry.key.line
            self._map_entry(entry, values, here)

    def _map_entry(self, entry: Entry, values: Any, path: str) -> None:
        try:
            name = text_key(entry.key)
            if not isinstance(entry.node, Scalar):
                raise MismatchError(f"a text is expected here, not {described(entry.node)}")
            values[name] = text_key(entry.node)
        except MismatchError as mismatch:
            self._problem(entry.node.line, path, str(mismatch))

    def _list(self, node: Node, values: Any, known: FieldDescriptor, path: str) -> None:
        if not isinstance(node, Sequence):
            self._problem(node.line, path, f"a list is expected here, not {described(node)}")
            return
        for number, item in enumerate(node.items):
            here = f"{path}[{number}]"
            self.lines[here] = item.line
            if known.message_type is not None:
                self.message(item, values.add(), here)
            else:
                self._list_item(item, values, known, here)

    def _list_item(self, item: Node, values: Any, known: FieldDescriptor, path: str) -> None:
        """An unreadable item leaves an empty one behind, so that later ones keep their number."""
        try:
            values.append(scalar(item, known))
        except MismatchError as mismatch:
            values.append(empty_value(known))
            self._problem(item.line, path, str(mismatch))

    def admit(self, definition: admission.Definition, line: int) -> None:
        """Add what the rules of admission say about everything that could be read."""
        unread = [problem.path for problem in self.problems]
        for problem in admission.problems(definition):
            if not any(_touches(problem.path, path) for path in unread):
                where = self._line_of(problem.path, line)
                self._problem(where, problem.path, problem.message)

    def _line_of(self, path: str, line: int) -> int:
        """The line of a path, or of the nearest thing around it that the document has."""
        while path and path not in self.lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.lines.get(path, line)

    def _problem(self, line: int, path: str, message: str) -> None:
        self.problems.append(SpecProblem(line, path, message))


def _touches(path: str, other: str) -> bool:
    """Whether one of the two is, or lies within, the other: then one message is enough."""
    return path != "" and (_within(path, other) or _within(other, path))


def _within(path: str, other: str) -> bool:
    return path == other or path.startswith((f"{other}.", f"{other}["))
