"""Finds plugins: registers them with pluggy, calls their hooks, and notes what became of each.

A plugin that can't be imported, or whose hook fails, costs nobody else anything: it is shown with
its reason. There is no manager at module level; whoever assembles a process calls `load_plugins`.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType

import pluggy

import diegod
from diegod.plugins import hookspecs
from diegod.plugins.registry import (
    PluginEntry,
    Plugins,
    PluginState,
    Source,
    judged,
    registry,
)

__all__ = ["PluginEntry", "PluginState", "Plugins", "load_plugins"]


def load_plugins(builtins: Sequence[object], load_entry_points: bool = True) -> Plugins:
    """Everything that the given modules and the installed distributions offer.

    `builtins` are modules (or objects) with `@hookimpl` functions, as every plugin is.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    entries: list[PluginEntry] = []
    for plugin in builtins:
        entries += _offers(manager, plugin, _built_in(plugin))
    for entry_point in _installed() if load_entry_points else ():
        entries += _loaded(manager, entry_point)
    return registry(entries)


def _installed() -> list[EntryPoint]:
    """In an order that doesn't depend on where they were found."""
    found = entry_points(group=hookspecs.PROJECT)
    return sorted(found, key=lambda point: (_source(point).distribution, point.name))


def _loaded(manager: pluggy.PluginManager, entry_point: EntryPoint) -> Iterable[PluginEntry]:
    source = _source(entry_point)
    try:
        plugin = entry_point.load()
    except (Exception, SystemExit) as error:  # whatever a stranger's import may raise
        return [_broken(entry_point.name, source, f"can't be imported: {_said(error)}")]
    return _offers(manager, plugin, _with_file(source, plugin))


def _offers(manager: pluggy.PluginManager, plugin: object, source: Source) -> Iterable[PluginEntry]:
    """The records of one plugin, each judged."""
    name = _name(plugin)
    try:
        manager.register(plugin)
        manager.check_pending()
    except (pluggy.PluginValidationError, ValueError) as error:
        if manager.is_registered(plugin):
            manager.unregister(plugin)
        return [_broken(name, source, _said(error))]
    try:
        records = list(_records(manager, plugin))
    except Exception as error:  # whatever a stranger's hook may raise
        return [_broken(name, source, f"its hook failed: {_said(error)}")]
    return [judged(record, source, sys.platform) for record in records]


def _records(manager: pluggy.PluginManager, plugin: object) -> Iterator[object]:
    """What this plugin alone answers to every hook."""
    others = [other for other in manager.get_plugins() if other is not plugin]
    for hook in ("backends", "checks", "strategies", "filters"):
        caller = manager.subset_hook_caller(f"{hookspecs.PROJECT}_{hook}", others)
        for answer in caller():
            yield from answer


def _broken(name: str, source: Source, reason: str) -> PluginEntry:
    return PluginEntry("plugin", name, source, PluginState.BROKEN, reason)


def _said(error: BaseException) -> str:
    """The error in one line."""
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _source(entry_point: EntryPoint) -> Source:
    """Known without importing anything."""
    distribution = entry_point.dist
    if distribution is None:
        return Source(entry_point.value, "", "")
    return Source(distribution.name, distribution.version, "")


def _with_file(source: Source, plugin: object) -> Source:
    return Source(source.distribution, source.version, _file(plugin))


def _built_in(plugin: object) -> Source:
    return Source("diegod", diegod.__version__, _file(plugin), built_in=True)


def _file(plugin: object) -> str:
    module = plugin if isinstance(plugin, ModuleType) else sys.modules.get(type(plugin).__module__)
    return getattr(module, "__file__", None) or ""


def _name(plugin: object) -> str:
    return plugin.__name__ if isinstance(plugin, ModuleType) else type(plugin).__name__
