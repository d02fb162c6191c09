"""Which container backend a dev cluster uses when nobody says: real containers where possible."""

import os
import shutil
import sys
from dataclasses import dataclass

from diegod.node.roles import load_all_plugins
from diegod.node.statuses import WRONG_USAGE, StartError

_RUNC_TOOLS = ("runc", "conmon", "nft", "busybox")


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
    return Choice("exec", f"exec: plain processes, NO isolation ({lacking}; see diegod doctor)")


def _named(name: str) -> Choice:
    plugins = load_all_plugins()
    if name not in plugins.backends:
        known = ", ".join(plugins.backends)
        raise StartError(f'there is no backend "{name}". Installed are: {known}.', WRONG_USAGE)
    if name == "exec":
        return Choice(name, "exec: plain processes, NO isolation")
    return Choice(name, name)


def _what_runc_lacks() -> str:
    """Why runc can't be used here; empty: nothing that shows from outside."""
    if sys.platform != "linux":
        return "not Linux"
    if os.geteuid() != 0:
        return "not root; runc needs it: sudo diegod dev"
    missing = [tool for tool in _RUNC_TOOLS if shutil.which(tool) is None]
    if missing:
        return f"not found: {', '.join(missing)}"
    if "runc" not in load_all_plugins().backends:
        return "the package diegod-runc is not installed"
    return ""
