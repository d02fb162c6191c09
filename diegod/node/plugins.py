"""The plugins of this installation, the built-in ones among them."""

from functools import cache

from diegod.cellruntime import builtin as cell_builtin
from diegod.plugins.manager import Plugins, load_plugins
from diegod.scheduler import builtin as scheduler_builtin


@cache
def load_all_plugins() -> Plugins:
    """Looked for once a process: what is installed does not change under it."""
    return load_plugins([cell_builtin, scheduler_builtin])
