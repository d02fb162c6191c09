"""`diegod --role=…`: roles in the foreground, or the question whether they are ready."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from diegod.cli.terminal.errors import FAILED, USAGE, CliError
from diegod.config.load import DEFAULT_FILE, load_settings
from diegod.config.schema import ROLES, Settings
from diegod.models.did_you_mean import closest
from diegod.security.credentials import load_identity
from diegod.security.diagnosis import Kind, diagnose
from diegod.security.identity import parse_role
from diegod.world import SystemClock

_PROBE_S = 3.0


def start_roles(roles: Sequence[str], config: Path | None) -> int:
    """Run until SIGTERM; the exit status."""
    from diegod.node.run import run_roles

    _require_known(roles)
    _require_file(roles, config)
    return run_roles(roles, config)


def _require_known(roles: Sequence[str]) -> None:
    for role in roles:
        if role not in ROLES:
            near = closest(role, ROLES)
            hint = f". Did you mean {near}?" if near else ""
            raise CliError(f'--role: "{role}" is not one of {", ".join(ROLES)}{hint}', USAGE)
    if len(set(roles)) != len(roles):
        raise CliError("--role: each role once", USAGE)


def _require_file(roles: Sequence[str], config: Path | None) -> None:
    """On a bare machine: say which two ways there are to get a role running."""
    file = config or DEFAULT_FILE
    if not file.exists():
        what = f"a {roles[0]}" if roles else "a role"
        raise CliError(
            f"{file} does not exist, and {what} needs settings (cluster, id, certificates). "
            "Write it and check it: diegod config check FILE. Or try a cluster here: diegod dev",
            USAGE,
        )


def check_roles(roles: Sequence[str], config: Path | None) -> int:
    """Whether the roles that should run here accept connections: 0, or 1 with the reasons."""
    _require_known(roles)
    settings = load_settings(config, os.environ).settings
    wanted = roles or settings.roles
    if not wanted:
        raise CliError("no role to check. Give --role, or roles in the file", USAGE)
    problems = asyncio.run(_problems(wanted, settings))
    if problems:
        raise CliError(f"not ready: {len(problems)} of {len(wanted)} roles", FAILED, problems)
    print(f"ready: {', '.join(wanted)}")
    return 0


async def _problems(roles: Sequence[str], settings: Settings) -> list[str]:
    ports = {"bbs": settings.bbs.port, "brain": settings.brain.port, "cell": settings.cell.port}
    host = settings.node.advertise or settings.node.bind
    found = []
    for name in roles:
        role = parse_role(name)
        identity = load_identity(
            Path(settings.tls.dir), role, SystemClock().wall(), settings.cluster.name
        )
        address = f"{host}:{ports[name]}"
        diagnosis = await diagnose(address, identity, _PROBE_S, expected_role=role)
        if diagnosis.kind is not Kind.WORKS:
            found.append(f"{name}: {diagnosis.line}")
    return found
