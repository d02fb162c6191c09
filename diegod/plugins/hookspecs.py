"""The hooks of diegod. A plugin implements the ones it needs, with `@hookimpl`.

A hook returns records, any number of them, as a list or by `yield`. It is called once, at start,
and does no work of its own: what a record offers is made later, by its factory.
"""

from collections.abc import Iterable

import pluggy

from diegod.plugins.types import BackendPlugin, CheckPlugin, FilterPlugin, StrategyPlugin

PROJECT = "diegod"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def diegod_backends() -> Iterable[BackendPlugin]:
    """Container backends. A cell uses the one that its configuration names.

        from diegod.plugins import BackendPlugin, hookimpl

        def make(owner, state_dir, settings):
            from acme_backend.backend import AcmeBackend  # only now: a cell may use another one

            return AcmeBackend(owner, state_dir, settings)

        @hookimpl
        def diegod_backends():
            yield BackendPlugin(name="acme", interface_version=1, factory=make)

    Interface: `diegod.contracts.backend`. Conformance: `diegod.testing.backend_suite`.
    """
    return ()


@hookspec
def diegod_checks() -> Iterable[CheckPlugin]:
    """Health checks. A definition's `tcp_check` is made by the plugin called `tcp`.

        from diegod.contracts.check import Unhealthy
        from diegod.plugins import CheckPlugin, hookimpl

        class Banner:
            \"\"\"Healthy is who says something first, as an SMTP server does.\"\"\"

            def __init__(self, port):
                self.port = port

            async def probe(self, target, timeout_s):
                async with asyncio.timeout(timeout_s):
                    reader, writer = await asyncio.open_connection(
                        target.address, target.ports[self.port]
                    )
                    banner = await reader.readline()
                    writer.close()
                return None if banner else Unhealthy(f"port {self.port} says nothing")

        @hookimpl
        def diegod_checks():
            make = lambda check: Banner(check.tcp_check.port)
            yield CheckPlugin(name="banner", interface_version=1, factory=make)

    Interface: `diegod.contracts.check`.
    """
    return ()


@hookspec
def diegod_strategies() -> Iterable[StrategyPlugin]:
    """Placement strategies. A definition or the brain's configuration names one.

        from diegod.plugins import StrategyPlugin, hookimpl

        class MostFreeMemory:
            def score(self, cells, work):
                return -cells.memory_mb_free.astype(float)  # the lowest wins

        @hookimpl
        def diegod_strategies():
            yield StrategyPlugin(name="roomy", interface_version=1, factory=MostFreeMemory)

    Interface: `diegod.contracts.strategy`.
    """
    return ()


@hookspec
def diegod_filters() -> Iterable[FilterPlugin]:
    """Placement filters: which cells may run a work. All that are installed apply.

        from diegod.plugins import FilterPlugin, hookimpl

        class NotWhileStarting:
            def admits(self, cells, work):
                return cells.starting < 10

            def explain(self, cells, work, refused):
                return "ten containers are on their way up"

        @hookimpl
        def diegod_filters():
            yield FilterPlugin(name="calm", interface_version=1, factory=NotWhileStarting)

    Interface: `diegod.contracts.strategy`.
    """
    return ()
