"""Plugins: container backends, health checks, placement strategies and filters from elsewhere.

A plugin is a module with functions marked `@hookimpl` (the hooks: `hookspecs`), in a distribution
with an entry point in the group `diegod`:

    [project.entry-points.diegod]
    acme = "acme_backend"

    # acme_backend/__init__.py
    from diegod.plugins import BackendPlugin, hookimpl

    @hookimpl
    def diegod_backends():
        yield BackendPlugin(name="acme", interface_version=1, factory=AcmeBackend)

The built-in ones come in through the same hooks. `load_plugins` (in `manager`) finds them all;
`diegod plugin ls` shows what became of each. With `diegod.contracts` this package is all that a
plugin may import. Does not belong here: any implementation.
"""

from diegod.plugins.hookspecs import hookimpl
from diegod.plugins.manager import PluginEntry, Plugins, PluginState, load_plugins
from diegod.plugins.types import BackendPlugin, CheckPlugin, FilterPlugin, StrategyPlugin

__all__ = [
    "BackendPlugin",
    "CheckPlugin",
    "FilterPlugin",
    "PluginEntry",
    "PluginState",
    "Plugins",
    "StrategyPlugin",
    "hookimpl",
    "load_plugins",
]
