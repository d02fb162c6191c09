"""`diegod --role=…`: run one role in this process, or a child process a role."""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import structlog

from diegod.config.load import ConfigError, load_settings
from diegod.config.schema import Settings
from diegod.node import notify, parent
from diegod.node.statuses import DONE, FAILED, NOT_CURABLE, WRONG_USAGE, StartError
from diegod.node.supervise import Child, Supervisor
from diegod.telemetry import logs
from diegod.world import Clock, Ids, RandomIds, SystemClock

_log = structlog.get_logger("node")

#: settings, clock, ids, and what to call once the role is ready.
RoleMain = Callable[[Settings, Clock, Ids, Callable[[], None]], Coroutine[Any, Any, None]]


def run_roles(roles: Sequence[str], config: Path | None) -> int:
    """Run until SIGTERM or SIGINT. Returns the exit status; messages for people go to stderr."""
    # gRPC's fork handlers deadlock beside subprocesses, and nothing here forks without exec.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    try:
        settings = load_settings(config, os.environ).settings
        chosen = tuple(roles) or settings.roles
        if not chosen:
            raise StartError("no role to run. Give --role, or roles in the file.", WRONG_USAGE)
        logs.configure(
            settings.telemetry.log_format, settings.telemetry.log_level, node=settings.node.id
        )
        return asyncio.run(_run(chosen, config, settings))
    except ConfigError as error:
        for problem in error.problems:
            print(f"diegod: {problem}", file=sys.stderr)
        return WRONG_USAGE
    except StartError as error:
        for line in error.message.splitlines():
            print(f"diegod: {line}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


async def _run(roles: Sequence[str], config: Path | None, settings: Settings) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    following = parent.follow()
    try:
        if len(roles) == 1:
            return await _run_one(_main_of(roles[0]), settings, stop)
        return await _run_children(roles, config, settings, stop)
    finally:
        if following is not None:
            following.cancel()


async def _run_one(main: RoleMain, settings: Settings, stop: asyncio.Event) -> int:
    role = asyncio.create_task(main(settings, SystemClock(), RandomIds(), notify.tell_ready))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([role, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if role.done():
        role.result()  # raises why it ended: a role does not end by itself
        return FAILED
    role.cancel()
    await asyncio.wait([role])
    return DONE


def _main_of(role: str) -> RoleMain:
    """Imported when chosen: a brain has no use for a store, nor a BBS member for containers."""
    if role == "bbs":
        from diegod.node import bbs

        return bbs.run
    if role == "brain":
        from diegod.node import brain

        return brain.run
    from diegod.node import cell

    return cell.run


async def _run_children(
    roles: Sequence[str], config: Path | None, settings: Settings, stop: asyncio.Event
) -> int:
    """A child a role, each with the same settings; they stop together."""
    if config is None:
        raise StartError("several roles need a file: --config FILE.", WRONG_USAGE)
    with tempfile.TemporaryDirectory(prefix="diegod-") as run_dir:
        supervisor = Supervisor([Child(role, config, role, None, Path(run_dir)) for role in roles])
        supervisor.start()
        announcing = asyncio.create_task(_announce(supervisor))
        ending = asyncio.create_task(supervisor.wait_ended())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([ending, stopping], return_when=asyncio.FIRST_COMPLETED)
        announcing.cancel()
        await supervisor.stop()
        if stop.is_set():
            return DONE
        return next((c.last_exit or FAILED for c in supervisor.ended_for_good()), NOT_CURABLE)


async def _announce(supervisor: Supervisor) -> None:
    await supervisor.wait_ready()
    if not supervisor.ended_for_good():
        notify.tell_ready()
