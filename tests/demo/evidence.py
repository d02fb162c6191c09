"""What can be seen of containers without asking the cluster: HTTP answers, logs on disk, /proc.

Does not belong here: what the cluster says of itself (`instances`), the request loop (`traffic`).
"""

import asyncio
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from diegod.node.dev.layout import HOST
from diegod.v1.record_pb2 import ActualLrp
from tests.demo.cluster import CELLS, Container, DemoCluster
from tests.demo.instances import host_port, name
from tests.demo.report import NotSeen

_ANSWER_S = 5.0
_OWN_NAMESPACES = ("pid", "mnt", "net", "ipc", "uts")
_OK = re.compile(r"HTTP/1\.[01] 200 ")
_PAGE = re.compile(r"<h1>(?P<says>.*/(?P<index>\d+) on (?P<cell>[\w-]+), pid (?P<pid>\d+))</h1>")
#: A complete line of standard output in the log format of conmon.
_LOG_LINE = re.compile(r"^\S+ stdout F (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Answer:
    """Who answered an HTTP request, by the page's own words."""

    says: str
    index: int
    cell: str
    pid: int


async def ask(port: int) -> Answer:
    """One GET through a mapped port, tried once. OSError or TimeoutError when nobody answers."""
    async with asyncio.timeout(_ANSWER_S):
        reader, writer = await asyncio.open_connection(HOST, port)
        try:
            writer.write(f"GET / HTTP/1.0\r\nHost: {HOST}\r\n\r\n".encode())
            told = (await reader.read()).decode(errors="replace")
        finally:
            writer.close()
    page = _PAGE.search(told)
    if _OK.match(told) is None or page is None:
        first = told.partition("\r\n")[0]
        raise ConnectionError(f"not the page of an instance: {first or 'nothing'}")
    return Answer(page["says"], int(page["index"]), page["cell"], int(page["pid"]))


async def answers(rows: Sequence[ActualLrp]) -> list[Answer]:
    """Each instance's own word over HTTP, which must agree with what the cluster says of it."""
    return [await _answer(row) for row in rows]


async def _answer(row: ActualLrp) -> Answer:
    port = host_port(row)
    try:
        answer = await ask(port)
    except (OSError, TimeoutError) as error:
        why = str(error) or "no answer in time"
        raise NotSeen(f"{name(row)} did not answer at http://{HOST}:{port}: {why}") from None
    if (answer.index, answer.cell) != (row.index, row.cell_id):
        raise NotSeen(f'port {port} of {name(row)} on {row.cell_id} says "{answer.says}"')
    return answer


async def containers_of(cluster: DemoCluster, rows: Sequence[ActualLrp]) -> list[Container]:
    """The container of each instance, by `runc list` of its cell, as its process shows in /proc."""
    running = await cluster.containers()
    return [_container(cluster, row, running) for row in rows]


def _container(cluster: DemoCluster, row: ActualLrp, running: dict[str, Container]) -> Container:
    handle = f"l-{row.instance_guid}"
    found = running.get(handle)
    if found is None or found.cell != row.cell_id:
        raise NotSeen(f"{name(row)}: runc list of {row.cell_id} has no running {handle}")
    cgroup = f"/diegod/{cluster.short_ids[found.cell]}/{handle}"
    if cgroup not in found.process.cgroups:
        raise NotSeen(f"{name(row)}: pid {found.process.pid} is not in the cgroup {cgroup}")
    return found


def require_isolated(container: Container) -> dict[str, str]:
    """Its namespaces, which must not be this process's own: a container, not a plain process."""
    found = {kind: container.process.namespace(kind) for kind in _OWN_NAMESPACES}
    shared = [kind for kind, own in found.items() if own == os.readlink(f"/proc/self/ns/{kind}")]
    if shared or not all(found.values()):
        raise NotSeen(f"pid {container.process.pid} has no namespace of its own: {shared}")
    return found


def first_lines(cluster: DemoCluster, task_guid: str) -> list[str]:
    """What every container that any cell ever made for a task has written, from the logs on disk.

    A task's program writes one line as it starts, conmon puts it into a file, and the file outlives
    the container. So there are as many lines as there were starts, whatever the cluster says.
    """
    found = []
    for cell in range(1, CELLS + 1):
        for log in _logs(cluster.data(f"cell-{cell}"), f"t-{task_guid}-"):
            found += _LOG_LINE.findall(log.read_text(errors="replace"))
    return found


def require_one_start(cluster: DemoCluster, task_guid: str, line: str) -> None:
    lines = first_lines(cluster, task_guid)
    if lines != [line]:
        raise NotSeen(f"{task_guid} was started {len(lines)} times: its logs hold {lines}")


def _logs(data: Path, prefix: str) -> list[Path]:
    """One a container: where it is, or where it was kept when the container went."""
    here = {path.parent.name: path for path in data.glob(f"containers/{prefix}*/container.log")}
    kept = {path.stem: path for path in data.glob(f"logs/{prefix}*.log")}
    return [{**here, **kept}[handle] for handle in sorted({*here, *kept})]
