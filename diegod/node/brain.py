"""The brain role, assembled from its settings and the plugins that are installed."""

import asyncio
import gc
from collections.abc import Callable

import structlog

from diegod.config.schema import Settings
from diegod.models.errors import DomainError
from diegod.node import identity
from diegod.node.callback_sender import HttpCallbackSender
from diegod.node.plugins import load_all_plugins
from diegod.node.ports import unusable
from diegod.node.statuses import WRONG_USAGE, StartError
from diegod.plugins.manager import Plugins
from diegod.rpc.client import ClusterClient
from diegod.rpc.ring import RingClient
from diegod.rpc.server import PortInUse, Server
from diegod.scheduler.brain import Brain
from diegod.security.identity import Role
from diegod.world import Clock, Ids

_log = structlog.get_logger("brain")


async def run(settings: Settings, clock: Clock, ids: Ids, ready: Callable[[], None]) -> None:
    who = identity.load(settings, Role.BRAIN, clock)
    plugins = load_all_plugins()
    _require_strategy(settings.brain.strategy, plugins)
    dialer = who.dialer()
    bbs = RingClient(ClusterClient(dialer, settings.cluster.endpoints, clock, ids))
    server = Server(who.server(), settings.cluster.name, clock)
    brain = Brain(
        bbs,
        clock,
        ids,
        settings.node.id,
        {name: record.factory() for name, record in plugins.strategies.items()},
        {name: record.factory() for name, record in plugins.filters.items()},
        settings.brain.strategy,
        sender=HttpCallbackSender(),
        on_settled=set_rows_aside,
    )
    try:
        try:
            await server.start(settings.node.bind, settings.brain.port)
        except PortInUse:
            raise unusable(settings.node.bind, settings.brain.port) from None
        ready()
        _log.info("brain.started", port=settings.brain.port)
        await _run_until_cancelled(brain)
    except DomainError as error:
        raise StartError(error.message) from None
    finally:
        await asyncio.gather(server.stop(0.0), bbs.close())
        await dialer.close()


async def _run_until_cancelled(brain: Brain) -> None:
    """Asked to end, it gives the lock back, so that another need not wait for its lease."""
    running = asyncio.create_task(brain.run())
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        brain.stop()
        await running
        raise


def set_rows_aside() -> None:
    """Let the garbage collector walk them no more: it would do so again and again, for a sixth of a
    second each time, and find nothing, since rows have no cycles. What has is collected before."""
    gc.collect()
    gc.freeze()


def _require_strategy(name: str, plugins: Plugins) -> None:
    if name not in plugins.strategies:
        known = ", ".join(plugins.strategies)
        raise StartError(
            f'there is no placement strategy "{name}". Installed are: {known}.', WRONG_USAGE
        )
