"""The versions of an LRP for a person, and what differs between two of them. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

from diegod.cli.record.views import since
from diegod.cli.terminal.errors import one_line
from diegod.cli.terminal.render import Column, View
from diegod.models.definition_diff import differences
from diegod.models.json_form import json_form
from diegod.v1.record_pb2 import LrpVersion


def _what(version: LrpVersion) -> str:
    """`again version 3`, and why it failed."""
    again = f"version {version.copy_of} again" if version.copy_of else ""
    return "; ".join(text for text in (again, version.reason) if text)


def version_view(
    now: float, form: Callable[[LrpVersion], Mapping[str, Any]] = json_form
) -> View[LrpVersion]:
    return View(
        columns=[
            Column("VERSION", lambda v: str(v.version)),
            Column("STATE", lambda v: LrpVersion.Outcome.Name(v.outcome)),
            Column("AGE", lambda v: since(v.at, now)),
            Column("BY", lambda v: v.by),
            Column("CAUSE", lambda v: v.cause),
            Column("NOTE", _what),
            Column("DEFINITION", lambda v: str(v.definition_revision), wide=True),
        ],
        name=lambda v: str(v.version),
        form=form,
        nothing="no versions are kept",
    )


def diff_lines(old: LrpVersion, new: LrpVersion) -> list[str]:
    """A line a field; one line where the two are the same definition."""
    changes = differences(old.definition, new.definition)
    if not changes:
        return [f"versions {old.version} and {new.version} are the same definition"]
    return [one_line(str(change)) for change in changes]
