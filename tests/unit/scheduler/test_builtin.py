"""The brain's own strategy and filters come in through the door that is everybody's."""

import subprocess
import sys

from diegod.plugins import load_plugins
from diegod.scheduler import builtin
from diegod.scheduler.core.filters import BUILTIN
from diegod.scheduler.strategies.spread import Spread


def test_the_registry_offers_them() -> None:
    plugins = load_plugins([builtin], load_entry_points=False)
    assert [str(entry.state) for entry in plugins.entries] == ["ready"] * 9
    assert isinstance(plugins.strategies["spread"].factory(), Spread)
    made = {name: plugin.factory() for name, plugin in plugins.filters.items()}
    assert made == BUILTIN


def test_listing_them_needs_no_numpy() -> None:
    code = "import sys, diegod.scheduler.builtin as b; list(b.diegod_filters()); "
    code += "sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
