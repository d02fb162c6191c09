"""The state of this host, as far as diegod can change it: taken before, compared afterwards.

While no other diegod is at work here, whatever has come under a name of diegod's is judged. While
there is one (a developer's cluster, a test run), what has come may be its: then only what carries
the ids or the folder of the demo's own cluster is.
"""

import asyncio
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from diegod.config.contexts import contexts_file
from tests import leaks
from tests.demo import processes

_SETTLE_S = 5.0
_PAUSE_S = 0.1
#: Where programs leave files outside the clone, and how deep names of ours are looked for.
_PLACES = {
    "/etc": 2, "/opt": 1, "/srv": 1, "/usr/local": 2, "/var/lib": 2, "/var/log": 2, "/var/cache": 1,
    "/run": 3, "/tmp": 1, "/var/tmp": 1, "/dev/shm": 1,
}  # fmt: skip
_NAME = re.compile(r"diegod|conmon", re.IGNORECASE)
#: In the commands of other diegods, and of what makes files like theirs.
_AT_WORK = ("--role=", "-m tests.sim", "-m tests.bench", "tests/sim/")
_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")


@dataclass(frozen=True)
class Mine:
    """How the things of one cluster are known on the host."""

    folder: Path
    short_ids: Sequence[str] = ()
    ports: Sequence[int] = ()

    def owns(self, thing: str) -> bool:
        """Whether it names the folder, an id of a cell, or a port of ours."""
        by_name = any(one in thing for one in (f"{self.folder}/", *self.short_ids))
        return by_name or any(thing == _port(port) for port in self.ports)


#: Category -> what there is, one line each.
Snapshot = Mapping[str, frozenset[str]]


def take(mine: Mine) -> Snapshot:
    kinds: Mapping[str, Iterable[str]] = {
        "processes": _processes(mine),
        "mounts": _mounts(mine.folder),
        "cgroups": leaks.cgroups(),
        "namespaces": leaks.namespaces(),
        "links": leaks.links(),
        "nft": leaks.tables(),
        "ports": (_port(port) for port in _listening() if port in mine.ports),
        "settings": [f"ip_forward {_FORWARDING.read_text().strip()}"],
        "files": _files(mine.folder),
        "contexts": [_users_context()],
    }
    return {kind: frozenset(things) for kind, things in kinds.items()}


async def differences(before: Snapshot, mine: Mine, *, alone: bool) -> list[str]:
    """What has come and what has gone; what is just ending gets a moment.

    `alone`: no other diegod has been at work since `before`.
    """
    found: list[str] = []
    for _ in range(round(_SETTLE_S / _PAUSE_S)):
        after = await asyncio.to_thread(take, mine)
        found = _differences(before, after, mine, alone and not others(mine.folder))
        if not found:
            break
        await asyncio.sleep(_PAUSE_S)
    return found


def _differences(before: Snapshot, after: Snapshot, mine: Mine, alone: bool) -> list[str]:
    found = []
    for kind in before:
        judged = [
            thing
            for thing in sorted(before[kind] ^ after[kind])
            if alone or kind == "contexts" or mine.owns(thing)
        ]
        found += [
            f"{kind}: {thing} {'is left' if thing in after[kind] else 'is gone'}"
            for thing in judged
        ]
    return found


def others(folder: Path) -> list[str]:
    """Processes of another diegod, and of test runs, which may start one at any time."""
    return [one.command for one in processes.everyone() if _is_another(one, folder)]


def _is_another(process: processes.Process, folder: Path) -> bool:
    command = process.command
    if processes.names(command, folder):
        return False
    is_test = "pytest" in command or leaks.RUN_VARIABLE in processes.variables(process)
    return is_test or any(word in command for word in _AT_WORK)


def _processes(mine: Mine) -> Iterator[str]:
    """Those that name the folder, and those in a cgroup of ours: containers have our names nowhere
    else."""
    for one in processes.everyone():
        cgroups = one.cgroups
        is_contained = any(f"/diegod/{short}" in cgroups for short in mine.short_ids)
        if is_contained or processes.names(one.command, mine.folder):
            yield f"{one.pid} {one.command[:200]} (in {mine.folder}/)"


def _mounts(folder: Path) -> Iterator[str]:
    """Root file systems of containers, and their networks, which are held by a mount each."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        place = line.split(" ")[4]
        if _NAME.search(place) or place.startswith(f"{folder}/"):
            yield place


def _listening() -> Iterator[int]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            columns = line.split()
            if columns[3] == "0A":
                yield int(columns[1].rpartition(":")[2], 16)


def _port(port: int) -> str:
    return f"port {port}"


def _files(own: Path) -> Iterator[str]:
    """Files and folders whose name is of ours, outside the clone."""
    for place, depth in _PLACES.items():
        for folder, children, names in os.walk(place):
            if folder.count("/") - place.count("/") >= depth - 1:
                children_here, children[:] = list(children), []
            else:
                children_here = children
            found = (f"{folder}/{name}" for name in (*children_here, *names) if _NAME.search(name))
            yield from (path for path in found if not path.startswith(str(own)))


def _users_context() -> str:
    """The user's own contexts, by their content: the demo has contexts of its own."""
    file = contexts_file(os.environ)
    content = file.read_bytes() if file.exists() else b""
    return f"{file} {hashlib.sha256(content).hexdigest()[:16] if content else 'is not there'}"
