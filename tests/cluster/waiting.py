"""Waiting for something of the world outside: no longer than it may take, never a fixed sleep."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_LOOK_EVERY_S = 0.05


def until(what: str, look: Callable[[], T], within_s: float = 15.0) -> T:
    """The first thing that `look` returns which is not empty. Fails with `what` it was about."""
    give_up = time.monotonic() + within_s
    while not (seen := look()):
        assert time.monotonic() < give_up, f"not within {within_s:g} s: {what} (seen: {seen!r})"
        time.sleep(_LOOK_EVERY_S)
    return seen


def is_alive(pid: int) -> bool:
    """Whether there is such a process; one that only waits to be collected has ended."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def whole_lines(file: Path) -> list[str]:
    """The lines that have been written to their end; none where there is no file yet."""
    text = file.read_text() if file.exists() else ""
    return text.splitlines() if text.endswith("\n") else text.splitlines()[:-1]
