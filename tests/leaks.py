"""What tests may leave on a machine: processes, mounts, cgroups, namespaces, links, nft tables.

Only things that carry our names are looked at, so that what else happens on the machine is nobody's
fault. A snapshot before the run and one after it are compared; the difference is a leak. While
another cluster or another run is alive on the machine, new links and the like may be its; then only
processes are judged, which carry the mark of their run.
"""

import itertools
import os
import re
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

#: In the environment of everything that a run starts; the value names the run.
RUN_VARIABLE = "DIEGOD_TEST_RUN"
#: Control groups, network namespaces and nft tables of ours.
NAME = re.compile(r"diegod.*")
#: Bridges and the host's ends of cables: room for 15 characters, see diegod_runc/names.py.
LINK_NAME = re.compile(r"diegod.*|dg[0-9a-f]{8}|dv[0-9a-f]{12}")
#: Folders whose mounts are ours: the product's own, and those that tests get from pytest.
MOUNT_MARKS = ("diegod", "/pytest-of-")
SETTLE_S = 5.0


def snapshot(run: str) -> frozenset[str]:
    """Everything of ours that there is now, one readable line each."""
    unmarked = (contained(), mounts(), cgroups(), namespaces(), links(), tables())
    return frozenset(itertools.chain(processes(run), *unmarked))


def left_behind(run: str, before: frozenset[str]) -> list[str]:
    """What there is now and was not before; what is just ending gets a moment."""
    give_up = time.monotonic() + SETTLE_S
    look = processes if any(others(run)) else snapshot
    while (more := _new(look(run), before)) and time.monotonic() < give_up:
        time.sleep(0.1)
    return more


def _new(lines: Iterable[str], before: frozenset[str]) -> list[str]:
    """A process may change its command, and stays the same process."""
    known = {_identity(line) for line in before}
    return sorted(line for line in lines if _identity(line) not in known)


def _identity(line: str) -> str:
    number = re.match(r"process \d+", line)
    return number[0] if number else line


def processes(run: str) -> Iterator[str]:
    """What the run started, whoever its parent is now."""
    for process in _all_processes():
        if process.variables.get(RUN_VARIABLE) == run:
            test = process.variables.get("PYTEST_CURRENT_TEST")
            yield f"{process}{f' (started by {test})' if test else ''}"


def contained() -> Iterator[str]:
    """What runs in a cgroup of ours: containers have an environment of their own."""
    for process in _all_processes():
        if any(NAME.fullmatch(part) for part in process.cgroup.split("/")):
            yield f"{process} (in {process.cgroup})"


def others(run: str) -> Iterator[str]:
    """Another run's processes, and the cells of a cluster that no run started."""
    for process in _all_processes():
        mark = process.variables.get(RUN_VARIABLE)
        if mark != run and (mark or "--role=cell" in process.command):
            yield str(process)


@dataclass(frozen=True)
class _Process:
    pid: int
    command: str
    variables: dict[str, str]
    cgroup: str

    def __str__(self) -> str:
        return f"process {self.pid}: {self.command[:200]}"


def _all_processes() -> Iterator[_Process]:
    """All but this one; empty values for what has just ended or may not be looked at."""
    for folder in Path("/proc").glob("[0-9]*"):
        if int(folder.name) != os.getpid():
            command = _read(folder / "cmdline").replace("\0", " ").strip()
            pairs = (pair.partition("=") for pair in _read(folder / "environ").split("\0"))
            variables = {name: value for name, _, value in pairs}
            cgroup = _read(folder / "cgroup").replace("\n", "/")
            yield _Process(int(folder.name), command, variables, cgroup)


def mounts() -> Iterator[str]:
    for line in _read(Path("/proc/self/mountinfo")).splitlines():
        place = line.split(" ")[4]
        if any(mark in place for mark in MOUNT_MARKS):
            yield f"mount {place}"


def cgroups() -> Iterator[str]:
    for folder, children, _ in os.walk("/sys/fs/cgroup"):
        yield from (f"cgroup {folder}/{name}" for name in children if NAME.fullmatch(name))


def namespaces() -> Iterator[str]:
    yield from (f"network namespace {name}" for name in _ours_in(Path("/run/netns"), NAME))


def links() -> Iterator[str]:
    yield from (f"link {name}" for name in _ours_in(Path("/sys/class/net"), LINK_NAME))


def tables() -> Iterator[str]:
    """nft tables. Nobody but root may list them, and then nobody made one either."""
    if os.geteuid() != 0:
        return
    try:
        command = ["nft", "list", "tables"]
        listed = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return
    for line in listed.stdout.splitlines():
        if NAME.fullmatch(line.rpartition(" ")[2]):
            yield f"nft {line}"


def _ours_in(folder: Path, ours: re.Pattern[str]) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(entry.name for entry in folder.iterdir() if ours.fullmatch(entry.name))


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return ""
