"""Where an agent and its cell's supervisor meet: the unix socket's path, and bringing one to life.

Does not belong here: what they say to one another (`client`, `line_server`).
"""

import asyncio
import hashlib
import os
import sys
from pathlib import Path

import diegod
from diegod.contracts.backend import BackendError

#: The longest path of a unix socket that every system takes (macOS: 104 with its final zero).
_PATH_MAX = 100

#: What the interpreter is told to run.
SUPERVISOR = ("-m", "diegod.cellruntime.exec.supervisor")
SUPERVISOR_LOG = "supervisor.log"


def socket_path(cell: Path) -> Path:
    """In the cell's folder, or in a private short one where that path is too long for a socket."""
    near = cell / "supervisor.sock"
    if len(os.fsencode(near)) <= _PATH_MAX:
        return near
    name = hashlib.sha256(os.fsencode(cell)).hexdigest()[:16]
    # Not tempfile's choice: an agent started with another TMPDIR must find the same place.
    return Path(f"/tmp/diegod-{os.geteuid()}-{name}/sock")  # noqa: S108


def make_private(folder: Path) -> None:
    """Make sure that only we can enter the folder, also where others could have made it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.geteuid() or found.st_mode & 0o077 or folder.is_symlink():
        raise BackendError(f"{folder} must belong to uid {os.geteuid()} alone (0700): remove it")


async def launch_supervisor(cell: Path) -> None:
    """Have a supervisor serve the cell; there may be one already."""
    socket = socket_path(cell)
    make_private(cell)
    make_private(socket.parent)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-X", "utf8", *SUPERVISOR),
        *("--socket", str(socket), "--directory", str(cell)),
        env=_environment(),
        cwd=cell,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    if process.returncode != 0:
        last = (said.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
        raise BackendError(f"the supervisor of plain processes did not start: {last}")


def _environment() -> dict[str, str]:
    """No more of the agent's than the way to this very code."""
    home = str(Path(diegod.__file__).parent.parent)
    return {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": home}
