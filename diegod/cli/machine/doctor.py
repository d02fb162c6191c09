"""`diegod doctor`: what this host lacks for each backend, each with what cures it.

What a backend needs is the backend's to know: its plugin is asked. Nothing is changed.
"""

import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from diegod.cli.terminal.errors import FAILED
from diegod.cli.terminal.render import Column, View, print_rows
from diegod.cli.terminal.session import Session
from diegod.cli.terminal.verbs import single, verb

app = single()


@dataclass(frozen=True)
class Row:
    check: str
    state: str  # ok, note, LACKING
    finding: str
    why: str = ""
    cure: str = ""


_VIEW: View[Row] = View(
    columns=[
        Column("CHECK", lambda each: each.check),
        Column("STATE", lambda each: each.state),
        Column("FINDING", lambda each: each.finding),
        Column("WHY", lambda each: each.why, wide=True),
        Column("CURE", lambda each: each.cure),
    ],
    name=lambda each: each.check,
    form=asdict,
)


@verb(app, "doctor")
def doctor(session: Session) -> int:
    """Tell what this host lacks for running containers, and what cures it; 1 if anything does."""
    rows = [Row("system", "ok", f"{platform.system()} {platform.release()}"), *_backends()]
    print_rows(session, _VIEW, rows)
    lacking = [row for row in rows if row.state == "LACKING"]
    session.say(f"{len(lacking)} lacking" if lacking else "this host has everything")
    return FAILED if lacking else 0


def _backends() -> Iterator[Row]:
    from diegod.node.plugins import load_all_plugins
    from diegod.plugins import PluginState

    for entry in load_all_plugins().entries:
        if entry.kind not in ("backend", "plugin"):
            continue
        check = f"{entry.kind} {entry.name}"
        if entry.state is PluginState.UNAVAILABLE:
            yield Row(check, "note", entry.reason)  # nothing that this host could be cured of
        elif entry.state is not PluginState.READY:
            yield Row(check, "LACKING", entry.reason)
        else:
            yield from _asked(check, entry.name)


def _asked(check: str, name: str) -> Iterator[Row]:
    """What the backend itself finds; it is ready when nothing of that hinders it."""
    from diegod.node.plugins import load_all_plugins

    ask = load_all_plugins().backends[name].problems
    findings = ask() if ask is not None else ()
    if not any(finding.hinders for finding in findings):
        yield Row(check, "ok", "ready")
    for finding in findings:
        state = "LACKING" if finding.hinders else "note"
        yield Row(check, state, finding.what, finding.why, finding.cure)
