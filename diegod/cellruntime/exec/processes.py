"""What the operating system says about processes: who lives, since when, and from whom.

A pid is only believed together with its start time and the boot it was seen in. /proc where there
is one, `ps` elsewhere. Does not belong here: starting and killing (`spawn`, `children`).
"""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    pid: int
    parent: int
    session: int  # where sessions can't be seen (no /proc): the process group
    started: str  # in whatever unit the system has; only compared for equality
    zombie: bool


ProcessTable = Mapping[int, Process]


def process_table() -> dict[int, Process]:
    """Every process of this machine that may be seen."""
    if not _has_proc():
        return _parse_ps(_ps("-axo"))
    pids = (int(name) for name in os.listdir(_PROC) if name.isdigit())
    return {process.pid: process for pid in pids if (process := _read_stat(pid)) is not None}


def find(pid: int) -> Process | None:
    """One process, or None when it is gone."""
    if _has_proc():
        return _read_stat(pid)
    return _parse_ps(_ps("-p", str(pid), "-o")).get(pid)


def start_time(pid: int) -> str:
    """When a living process was started; "" when it is gone or has only its parent to tell."""
    process = find(pid)
    return "" if process is None or process.zombie else process.started


def members(table: ProcessTable, leader: int) -> list[int]:
    """The living processes that a session leader has brought into the world, itself included.

    Those of its session, and the descendants of all of them. What left the session *and* lost its
    parent (a daemon that forked twice) can't be told from a stranger and isn't found.
    """
    children: dict[int, list[int]] = {}
    for process in table.values():
        children.setdefault(process.parent, []).append(process.pid)
    found: dict[int, Process] = {}
    waiting = [
        process.pid for process in table.values() if leader in (process.session, process.pid)
    ]
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found[pid] = table[pid]
            waiting.extend(children.get(pid, ()))
    return sorted(pid for pid, process in found.items() if not process.zombie)


@cache
def boot_id() -> str:
    """What distinguishes this boot of the machine from every other."""
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return _output("sysctl", "-n", "kern.bootsessionuuid").strip()


@cache
def _has_proc() -> bool:
    return (_PROC / "self/stat").exists()


def _read_stat(pid: int) -> Process | None:
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    # "pid (name) state ppid pgrp session …"; the name may hold blanks and parentheses.
    fields = stat[stat.rindex(b")") + 2 :].split()
    return Process(
        pid=pid,
        parent=int(fields[1]),
        session=int(fields[3]),
        started=fields[19].decode(),
        zombie=fields[0] in (b"Z", b"X"),
    )


def _ps(*selection: str) -> str:
    return _output("ps", *selection, "pid=,ppid=,pgid=,stat=,lstart=")


def _parse_ps(listing: str) -> dict[int, Process]:
    table = {}
    for line in listing.splitlines():
        pid, parent, group, state, started = line.split(None, 4)
        table[int(pid)] = Process(
            int(pid), int(parent), int(group), started.strip(), state.startswith("Z")
        )
    return table


def _output(*argv: str) -> str:
    try:
        return subprocess.run(
            argv, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"}
        ).stdout
    except OSError:
        return ""
