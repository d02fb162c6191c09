"""The life of one thing as lines: what the cluster wrote down, and what its cell did. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from diegod.cli.terminal.render import Column, View
from diegod.models.json_form import json_form
from diegod.v1.record_pb2 import Change, Transition
from diegod.v1.stream_pb2 import LogChunk


@dataclass(frozen=True)
class Line:
    """Of the cluster, with a revision; or of a cell, without one."""

    at: Timestamp
    what: str
    cell: str
    by: str
    why: str
    revision: int = 0
    form: Mapping[str, Any] | None = None


def of_transition(transition: Transition) -> Line:
    cause, detail = transition.cause, transition.detail
    why = cause if detail in cause else ": ".join(each for each in (cause, detail) if each)
    what = transition.state
    if transition.verb == Change.REMOVED:
        what = f"{what} removed".strip()
    return Line(
        transition.at,
        what,
        transition.cell_id,
        transition.by,
        why,
        transition.revision,
        json_form(transition),
    )


def of_cell_lines(chunks: Iterable[LogChunk], cell_id: str) -> list[Line]:
    """A chunk may hold several lines, all of its time."""
    lines = []
    for chunk in chunks:
        for text in chunk.data.decode("utf-8", "replace").splitlines():
            form = {"at": chunk.at.ToJsonString(), "cell_id": cell_id, "cell_line": text}
            lines.append(Line(chunk.at, text, cell_id, f"cell/{cell_id}", "", form=form))
    return lines


def merged(*parts: Iterable[Line]) -> list[Line]:
    """By time. Of one time, the cluster's before the cell's: a cell acts on what it was told."""
    lines = [line for part in parts for line in part]
    return sorted(lines, key=lambda line: (line.at.ToNanoseconds(), not line.revision))


def story_view() -> View[Line]:
    return View(
        columns=[
            Column("TIME", lambda line: clock_time(line.at)),
            Column("REVISION", lambda line: str(line.revision or "")),
            Column("WHAT", lambda line: line.what),
            Column("CELL", lambda line: line.cell),
            Column("BY", lambda line: line.by),
            Column("WHY", lambda line: line.why),
        ],
        name=lambda line: str(line.revision or "-"),
        form=lambda line: line.form or {},
        nothing="nothing is known of its past",
    )


def clock_time(at: Timestamp) -> str:
    """`11-22 12:00:00.123`, UTC."""
    moment = datetime.fromtimestamp(at.ToNanoseconds() / 1e9, UTC)
    return moment.strftime("%m-%d %H:%M:%S.") + f"{moment.microsecond // 1000:03d}"
