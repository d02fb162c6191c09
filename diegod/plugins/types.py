"""The records that plugins return from hooks: a name, the interface it was made for, a factory.

A record is cheap: the factory is called, and what it needs imported, only when the thing is used.
Does not belong here: how records are found and judged (`manager`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from diegod.contracts.backend import Capabilities, ContainerBackend, Finding, Owner
from diegod.contracts.check import HealthCheck

if TYPE_CHECKING:
    from diegod.contracts.strategy import PlacementFilter, PlacementStrategy
    from diegod.v1.definition_pb2 import Check

#: Whose containers, where the backend may keep its state, and its settings.
BackendFactory = Callable[[Owner, Path, Mapping[str, object]], ContainerBackend]
#: From the check of a definition. Raises ValueError, with a message for a person, for a bad one.
CheckFactory = Callable[["Check"], HealthCheck]
StrategyFactory = Callable[[], "PlacementStrategy"]
FilterFactory = Callable[[], "PlacementFilter"]


@dataclass(frozen=True)
class BackendPlugin:
    """A way to run containers, chosen by name in a cell's configuration."""

    name: str
    interface_version: int  # the INTERFACE_VERSION it was written for, as a number
    factory: BackendFactory
    description: str = ""  # one line for `diegod plugin ls`
    capabilities: Capabilities | None = None  # None: only known once it was made
    settings_schema: Mapping[str, object] = field(default_factory=dict)  # JSON Schema
    platforms: tuple[str, ...] = ()  # values of sys.platform; none: every platform
    unavailable: str = ""  # why nobody can use it, on any platform: "not in this release"
    problems: Callable[[], Sequence[Finding]] | None = None  # what this host lacks for it


@dataclass(frozen=True)
class CheckPlugin:
    """A kind of health check. `tcp` is what a definition calls `tcp_check`."""

    name: str
    interface_version: int
    factory: CheckFactory
    description: str = ""


@dataclass(frozen=True)
class StrategyPlugin:
    """A way to choose among the cells that may run a work."""

    name: str
    interface_version: int
    factory: StrategyFactory
    description: str = ""


@dataclass(frozen=True)
class FilterPlugin:
    """A rule which cells may run a work. Every filter that is installed applies."""

    name: str
    interface_version: int
    factory: FilterFactory
    description: str = ""


PluginRecord = BackendPlugin | CheckPlugin | StrategyPlugin | FilterPlugin
