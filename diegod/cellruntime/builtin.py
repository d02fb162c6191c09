"""What the cell brings along: the exec backend and the health checks, as any plugin would.

Whoever assembles a process hands this module to `diegod.plugins.load_plugins`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from diegod.cellruntime.checks.command import make_command_check
from diegod.cellruntime.checks.http import make_http_check
from diegod.cellruntime.checks.tcp import make_tcp_check
from diegod.contracts.backend import Capabilities, ContainerBackend, Owner
from diegod.plugins import BackendPlugin, CheckPlugin, hookimpl

_EXEC_SETTINGS: Mapping[str, object] = {
    "type": "object",
    "properties": {
        "preloaded": {
            "type": "object",
            "description": "root file systems by name: a folder whose programs are added at the "
            'end of PATH, or "" for the host\'s own programs',
            "additionalProperties": {"type": "string"},
        }
    },
}


def _make_exec(owner: Owner, state_dir: Path, settings: Mapping[str, object]) -> ContainerBackend:
    """Imported late: it needs a Unix, and a cell may use another backend."""
    from diegod.cellruntime.exec.backend import ExecBackend

    return ExecBackend(owner, state_dir, settings)


@hookimpl
def diegod_backends() -> Iterator[BackendPlugin]:
    yield BackendPlugin(
        name="exec",
        interface_version=1,
        factory=_make_exec,
        description="plain processes, without isolation; needs no root",
        capabilities=Capabilities("none: plain processes", False, False, False),
        settings_schema=_EXEC_SETTINGS,
        platforms=("linux", "darwin"),
    )


@hookimpl
def diegod_checks() -> Iterator[CheckPlugin]:
    yield CheckPlugin("tcp", 1, make_tcp_check, "accepts a connection")
    yield CheckPlugin("http", 1, make_http_check, "answers a GET with status 200")
    yield CheckPlugin("command", 1, make_command_check, "a command in the container exits with 0")
