"""Which container backend a dev cluster uses when nobody says: real containers where possible."""

import sys
from dataclasses import dataclass

from diegod.node.plugins import load_all_plugins
from diegod.node.statuses import WRONG_USAGE, StartError


@dataclass(frozen=True)
class Choice:
    name: str
    description: str  # for the `cells` line of the banner
    note: str = ""  # why it is not the better one


def choose(wanted: str) -> Choice:
    """The backend by name, or the best one of this host with the reason why it isn't runc."""
    if wanted != "auto":
        return _named(wanted)
    lacking = _what_runc_lacks()
    if not lacking:
        return _named("runc")
    return Choice(
        "exec",
        "exec: plain processes, NO isolation",
        note=f"without containers: {lacking}. See diegod doctor; as root: sudo diegod dev",
    )


def _named(name: str) -> Choice:
    plugins = load_all_plugins()
    if name not in plugins.backends:
        known = ", ".join(plugins.backends)
        raise StartError(f'there is no backend "{name}". Installed are: {known}.', WRONG_USAGE)
    if name == "exec":
        return Choice(name, "exec: plain processes, NO isolation")
    return Choice(name, name)


def _what_runc_lacks() -> str:
    """Why runc can't be used here, as its own plugin says; empty: nothing that shows beforehand."""
    plugins = load_all_plugins()
    record = plugins.backends.get("runc")
    if record is None or (record.platforms and sys.platform not in record.platforms):
        return plugins.why_not("backend", "runc")
    findings = record.problems() if record.problems is not None else ()
    hindering = [finding.what for finding in findings if finding.hinders]
    return "; ".join(hindering)
