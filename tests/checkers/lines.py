"""Histories as JSON lines: a header with the version, one line a record, and an end.

A file without its end was cut short and is refused: half a history proves nothing.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from diegod.models.errors import Reason
from tests.checkers.history import (
    Change,
    Done,
    History,
    Operation,
    Outcome,
    Refused,
    Row,
    Unknown,
    Verb,
)

FORMAT = "diegod client history"
VERSION = 1


class HistoryFileError(ValueError):
    """The file is not a whole history of this version; the message says where and why."""


def written(history: History) -> Iterator[str]:
    """The lines of a history, without line ends."""
    yield _line("header", format=FORMAT, version=VERSION, base_revision=history.base_revision)
    for key, row in sorted(history.initial.items()):
        yield _line("initial", key=key, row=asdict(row))
    for operation in history.operations:
        yield _line("operation", **_of_operation(operation))
    for change in history.changes:
        yield _line("change", **asdict(change))
    for key, row in sorted(history.final.items()):
        yield _line("final", key=key, row=asdict(row))
    yield _line(
        "end",
        final_revision=history.final_revision,
        operations=len(history.operations),
        changes=len(history.changes),
    )


def read(lines: Iterable[str]) -> History:
    """The history that these lines hold. Raises HistoryFileError."""
    reader = _Reader()
    number = 0
    for number, line in enumerate(lines, start=1):
        try:
            reader.take(line)
        except (ValueError, KeyError, TypeError) as error:
            raise HistoryFileError(f"line {number}: {_reason(error)}") from None
    try:
        return reader.history()
    except ValueError as error:
        raise HistoryFileError(f"after line {number}: {error}") from None


class _Reader:
    def __init__(self) -> None:
        self._header: dict[str, Any] = {}
        self._end: dict[str, Any] = {}
        self._operations: list[Operation] = []
        self._changes: list[Change] = []
        self._rows: dict[str, dict[str, Row]] = {"initial": {}, "final": {}}

    def take(self, line: str) -> None:
        kind, content = _named(json.loads(line))
        body = _record(content)
        if self._end:
            raise ValueError("comes after the end")
        if kind == "header":
            self._begin(body)
        elif not self._header:
            raise ValueError(f"the first line is no header of a {FORMAT}")
        else:
            self._add(kind, body)

    def history(self) -> History:
        if not self._end:
            raise ValueError("the end is missing; the file was cut short")
        counts = {"operations": len(self._operations), "changes": len(self._changes)}
        for name, count in counts.items():
            if self._end[name] != count:
                raise ValueError(f"{self._end[name]} {name} were written, {count} are here")
        return History(
            base_revision=self._header["base_revision"],
            operations=self._operations,
            changes=self._changes,
            final_revision=self._end["final_revision"],
            **self._rows,
        )

    def _begin(self, body: dict[str, Any]) -> None:
        if self._header:
            raise ValueError("is a second header")
        if body["format"] != FORMAT or body["version"] != VERSION:
            found = f"{body['format']!r}, version {body['version']!r}"
            raise ValueError(f"this is {found}; {FORMAT!r}, version {VERSION}, can be read")
        self._header = {"base_revision": _number(body["base_revision"])}

    def _add(self, kind: str, body: dict[str, Any]) -> None:
        if kind == "operation":
            self._operations.append(_operation(body))
        elif kind == "change":
            row = None if body["row"] is None else _row(body["row"])
            self._changes.append(Change(_number(body["revision"]), _text(body["key"]), row))
        elif kind in self._rows:
            self._rows[kind][_text(body["key"])] = _row(body["row"])
        elif kind == "end":
            names = ("final_revision", "operations", "changes")
            self._end = {name: _number(body[name]) for name in names}
        else:
            raise ValueError(f"{kind!r} is no kind of record")


def _line(kind: str, **body: Any) -> str:
    return json.dumps({kind: body}, separators=(",", ":"))


def _of_operation(operation: Operation) -> dict[str, Any]:
    body = asdict(operation)
    match operation.outcome:
        case Done():
            body["outcome"] = {"done": body["outcome"]}
        case Refused(reason):
            body["outcome"] = {"refused": reason.value}
        case Unknown():
            body["outcome"] = {"unknown": True}
    return body


def _operation(body: dict[str, Any]) -> Operation:
    return Operation(
        request_id=_text(body["request_id"]),
        client=_number(body["client"]),
        key=_text(body["key"]),
        verb=Verb(body["verb"]),
        invoked_ns=_number(body["invoked_ns"]),
        returned_ns=_number(body["returned_ns"]),
        outcome=_outcome(body["outcome"]),
        value=_text(body["value"]),
        expected_revision=_number(body["expected_revision"]),
    )


def _outcome(body: object) -> Outcome:
    kind, what = _named(body)
    if kind == "done":
        done = _record(what)
        return Done(_row(done["row"]), _number(done["read_revision"]))
    if kind == "refused":
        return Refused(Reason(_text(what)))
    if kind == "unknown":
        return Unknown()
    raise ValueError(f"{kind!r} is no outcome")


def _row(content: object) -> Row:
    body = _record(content)
    return Row(_number(body["revision"]), _text(body["request_id"]), _text(body["value"]))


def _named(value: object) -> tuple[str, object]:
    if isinstance(value, dict) and len(value) == 1:
        ((name, content),) = value.items()
        return name, content
    raise ValueError(f"{value!r} is not one record with its name")


def _record(value: object) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise ValueError(f"{value!r} is not a record")


def _number(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError(f"{value!r} is not a number")


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise ValueError(f"{value!r} is not a text")


def _reason(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)
