"""What the brain brings along: the strategy spread and the filters, as any plugin would.

Whoever assembles a process hands this module to `diegod.plugins.load_plugins`. The factories
import late: numpy is for brains only.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from diegod.plugins import FilterPlugin, StrategyPlugin, hookimpl

if TYPE_CHECKING:
    from diegod.contracts.strategy import PlacementFilter, PlacementStrategy

#: In the order in which they are asked: the first that refuses a cell gives the reason.
_FILTERS = {
    "cell": "the cell is the one that the work names, if it names one",
    "health": "the cell is healthy",
    "cordon": "the cell is neither cordoned nor being drained",
    "rootfs": "the cell offers the work's root file system",
    "placement-tags": "the cell's required tags within the work's, within all of the cell's",
    "memory": "the cell has the memory left",
    "disk": "the cell has the disk space left",
    "containers": "the cell has a container left",
}


def _make_spread() -> "PlacementStrategy":
    from diegod.scheduler.strategies.spread import Spread

    return Spread()


def _filter_factory(name: str) -> Callable[[], "PlacementFilter"]:
    def make() -> "PlacementFilter":
        from diegod.scheduler.core.filters import BUILTIN

        return BUILTIN[name]

    return make


@hookimpl
def diegod_strategies() -> Iterator[StrategyPlugin]:
    yield StrategyPlugin("spread", 1, _make_spread, "over zones, then cells, then by load")


@hookimpl
def diegod_filters() -> Iterator[FilterPlugin]:
    for name, description in _FILTERS.items():
        yield FilterPlugin(name, 1, _filter_factory(name), description)
