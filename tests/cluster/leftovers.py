"""What the cells of one dev cluster have on the host: looked for by their own names and processes.

Other clusters of the machine are left out, so that tests may run beside anything.
"""

import json
import subprocess
from pathlib import Path

from diegod.contracts.backend import Owner
from tests.cluster.dev import Dev
from tests.cluster.waiting import is_alive


def traces(dev: Dev) -> list[str]:
    """Processes that work in its folder; with runc, also links, tables, cgroups and mounts."""
    directory = dev.directory
    found = [*_processes(directory), *_mounts(directory)]
    if dev.backend == "runc":
        for name in _runc_names(dev):
            found += _kernel_things(name)
    return found


def _processes(directory: Path) -> list[str]:
    """Whoever has the folder in its command or stands in it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (
                (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            )
            folder = str((process / "cwd").readlink())
        except OSError:
            continue  # gone, or another user's
        ours = f"{directory}/"
        if (ours in command or folder.startswith(ours)) and is_alive(int(process.name)):
            found.append(f"process {process.name}: {command}")
    return found


def roles(dev: Dev) -> list[str]:
    """The parts of the cluster that are alive: members, brains, agents."""
    return [line for line in _processes(dev.directory) if "--role=" in line]


def _mounts(directory: Path) -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in lines if line.split(" ")[4].startswith(f"{directory}/")]


def _runc_names(dev: Dev) -> list[str]:
    """The short ids that its cells' names carry; a cell that never ran has none."""
    from diegod_runc.names import Names  # type: ignore[import-untyped,unused-ignore]

    names = []
    for cell in sorted((dev.directory / "parts").glob("cell-*")):
        owner = cell / "data" / "owner-id"
        if owner.exists():
            whose = Owner(owner.read_text().strip(), cell.name)
            names.append(Names.of(whose, dev.directory / "run").short)
    return names


def _kernel_things(short: str) -> list[str]:
    links = [link.name for link in Path("/sys/class/net").iterdir() if short in link.name]
    cgroups = [str(folder) for folder in Path("/sys/fs/cgroup").glob(f"**/{short}")]
    listed = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True)
    tables = [line for line in listed.stdout.splitlines() if short in line]
    return [*links, *cgroups, *tables]


def container_pids(dev: Dev) -> dict[str, int]:
    """By handle, the process of each container that runs, as the host sees it."""
    return _runc_pids(dev) if dev.backend == "runc" else _exec_pids(dev)


def _runc_pids(dev: Dev) -> dict[str, int]:
    found = {}
    for root in (dev.directory / "run").glob("*/runc"):
        command = ["runc", "--root", str(root), "list", "--format", "json"]
        listed = subprocess.run(command, capture_output=True, check=True)
        for container in json.loads(listed.stdout) or []:
            if container["status"] == "running":
                found[container["id"]] = container["pid"]
    return dict(sorted(found.items()))


def _exec_pids(dev: Dev) -> dict[str, int]:
    from diegod.cellruntime.exec.records import container_files, handles

    found = {}
    for cell in dev.directory.glob("parts/cell-*/data/exec/exec-*"):
        for handle in handles(cell):
            process = container_files(cell, handle).process
            if process is not None and process.runs():
                found[handle] = process.pid
    return dict(sorted(found.items()))
