"""Which dev cluster is meant: where one of a name keeps its data, and how to name one in a command.

Light, since every `diegod dev VERB` imports it. What is in the folder is `layout.py`'s.
"""

import os
import shlex
from pathlib import Path

DEFAULT_NAME = "dev"


def default_directory(name: str) -> Path:
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "diegod" / name


def flags(name: str, directory: Path) -> str:
    """What `diegod dev VERB` needs to find this one; nothing for the one that it takes unasked."""
    named = "" if name == DEFAULT_NAME else f" --name {shlex.quote(name)}"
    if directory.absolute() == default_directory(name).absolute():
        return named
    return f"{named} --data {shlex.quote(str(directory))}"
