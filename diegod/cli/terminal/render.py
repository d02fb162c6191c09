"""Records on stdout: columns for people, JSON and YAML for programs, names for shells.

Columns are plain text and never cut, so that `| grep` finds what is there; colour is for
terminals. Does not belong here: which columns a kind of record has (`record/views.py`).
"""

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from diegod.cli.terminal.errors import one_line
from diegod.cli.terminal.session import Output, Session

R = TypeVar("R")

_BOLD, _RESET = "\x1b[1m", "\x1b[0m"
_COLORS = {
    "RUNNING": "\x1b[32m",
    "PRESENT": "\x1b[32m",
    "CRASHED": "\x1b[31m",
    "MISSING": "\x1b[31m",
    "SUSPECT": "\x1b[33m",
    "UNCLAIMED": "\x1b[33m",
    "PENDING": "\x1b[33m",
}


@dataclass(frozen=True)
class Column(Generic[R]):
    title: str
    text: Callable[[R], str]
    wide: bool = False  # only with -o wide


@dataclass(frozen=True)
class View(Generic[R]):
    """How one kind of record is shown."""

    columns: Sequence[Column[R]]
    name: Callable[[R], str]
    form: Callable[[R], Mapping[str, Any]]
    nothing: str = "nothing found"


def print_rows(session: Session, view: View[R], rows: Sequence[R]) -> None:
    """A list, in the form that was asked for."""
    if session.output in (Output.TABLE, Output.WIDE):
        if not rows:
            session.say(view.nothing)
            return
        columns = [c for c in view.columns if session.output is Output.WIDE or not c.wide]
        cells = [[one_line(column.text(row)) or "-" for column in columns] for row in rows]
        Table([column.title for column in columns], cells).print(colored=session.colored)
        return
    for row in rows:
        print_row(session, view, row)


def print_row(session: Session, view: View[R], row: R) -> None:
    """One record for a program: a line of JSON, a YAML document, a name."""
    if session.output is Output.NAME:
        print(one_line(view.name(row)))
    elif session.output is Output.YAML:
        print_yaml(view.form(row))
    else:
        print_json(view.form(row))


def print_json(form: Mapping[str, Any]) -> None:
    """One object, one line."""
    print(json.dumps(form, ensure_ascii=False))


def print_yaml(form: Mapping[str, Any]) -> None:
    """One document; several make a file of several documents."""
    from diegod.config.yaml_nodes import dump

    print(f"---\n{dump(dict(form))}", end="")


@dataclass(frozen=True)
class Table:
    """Titles and rows, each column as wide as its widest text, and never cut."""

    titles: Sequence[str]
    rows: Sequence[Sequence[str]]

    def print(self, *, colored: bool = False, color_column: str = "STATE") -> None:
        titles = list(self.titles)
        columns = zip(titles, *self.rows, strict=True)
        widths = [max(len(text) for text in column) for column in columns]
        painted = titles.index(color_column) if colored and color_column in titles else -1
        self._print_line(titles, widths, bold=colored)
        for row in self.rows:
            self._print_line(row, widths, painted=painted)

    def _print_line(
        self, texts: Sequence[str], widths: Sequence[int], *, bold: bool = False, painted: int = -1
    ) -> None:
        padded = [text.ljust(width) for text, width in zip(texts, widths, strict=True)]
        padded[-1] = padded[-1].rstrip()
        if bold:
            padded = [f"{_BOLD}{text}{_RESET}" for text in padded]
        if painted >= 0:
            padded[painted] = _painted(padded[painted])
        sys.stdout.write("   ".join(padded).rstrip() + "\n")


def _painted(text: str) -> str:
    """A state in its colour; the last word decides: RUNNING, SUSPECT."""
    words = text.replace(",", " ").split()
    color = _COLORS.get(words[-1] if words else "", "")
    return f"{color}{text}{_RESET}" if color else text


def print_fields(fields: Iterable[tuple[str, str]]) -> None:
    """One record for a person: a name and a value a line; what is empty is left out."""
    shown = [(name, one_line(value)) for name, value in fields if value]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        sys.stdout.write(f"{name.ljust(width)}   {value}\n")
