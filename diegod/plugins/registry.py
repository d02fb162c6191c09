"""What was found, and what became of it: the immutable answer of `load_plugins`.

Pure: the judgement over records, without imports of anybody's code. Does not belong here: finding
plugins and calling their hooks (`manager`).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from diegod.contracts import INTERFACE_VERSION
from diegod.plugins.types import (
    BackendPlugin,
    CheckPlugin,
    FilterPlugin,
    PluginRecord,
    StrategyPlugin,
)

if TYPE_CHECKING:
    from diegod.contracts.check import HealthCheck
    from diegod.v1.definition_pb2 import Check

Record = TypeVar("Record", bound=PluginRecord)

KINDS: Mapping[type[PluginRecord], str] = MappingProxyType(
    {
        BackendPlugin: "backend",
        CheckPlugin: "check",
        StrategyPlugin: "strategy",
        FilterPlugin: "filter",
    }
)

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")


class PluginState(StrEnum):
    READY = "ready"
    UNAVAILABLE = "unavailable"  # known by name, and can't be used here
    REFUSED = "refused"  # another interface version, a name that is taken
    BROKEN = "broken"  # its code could not be imported or its hook failed


@dataclass(frozen=True)
class Source:
    """Where a plugin comes from."""

    distribution: str
    version: str
    file: str
    built_in: bool = False

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}".strip()


@dataclass(frozen=True)
class PluginEntry:
    """One line of `diegod plugin ls`."""

    kind: str  # backend, check, strategy, filter; plugin for one that did not get that far
    name: str
    source: Source
    state: PluginState
    reason: str = ""  # for every state but READY
    record: PluginRecord | None = None  # all and only when READY or UNAVAILABLE


@dataclass(frozen=True)
class Plugins:
    """All plugins of this process. The mappings hold, by name, what may be chosen.

    A backend that is known but can't be used is among them: its factory says why.
    """

    entries: Sequence[PluginEntry]
    backends: Mapping[str, BackendPlugin]
    checks: Mapping[str, CheckPlugin]
    strategies: Mapping[str, StrategyPlugin]
    filters: Mapping[str, FilterPlugin]

    def why_not(self, kind: str, name: str) -> str:
        """One line for a person who asked for something that isn't there."""
        for entry in self.entries:
            if (entry.kind, entry.name) == (kind, name) and entry.reason:
                return f"{kind} {name} ({entry.source}) is {entry.state}: {entry.reason}"
        known = [e.name for e in self.entries if e.kind == kind and e.state is PluginState.READY]
        return f"there is no {kind} {name}; there is: {', '.join(known) or 'none'}"

    def health_check(self, check: "Check") -> "HealthCheck":
        """The check that a definition asks for. Raises ValueError, with a line for a person."""
        name = (check.WhichOneof("check") or "").removesuffix("_check")
        if not name:
            raise ValueError("a check needs one of tcp_check, http_check, command_check")
        if name not in self.checks:
            raise ValueError(self.why_not("check", name))
        return self.checks[name].factory(check)


def judged(record: object, source: Source, platform: str) -> PluginEntry:
    """What to make of one record, looked at alone."""
    kind = KINDS.get(type(record))  # type: ignore[arg-type]  # a hook may return anything
    if kind is None:
        reason = f"a hook returned a {type(record).__name__} instead of a plugin record"
        return PluginEntry("plugin", source.distribution, source, PluginState.BROKEN, reason)
    assert isinstance(record, PluginRecord)
    state, reason = _state(record, platform)
    kept = record if state in (PluginState.READY, PluginState.UNAVAILABLE) else None
    return PluginEntry(kind, str(record.name), source, state, reason, kept)


def _state(record: PluginRecord, platform: str) -> tuple[PluginState, str]:
    if not _NAME.fullmatch(str(record.name)):
        return PluginState.REFUSED, f"{record.name!r} is not a name: [a-z][a-z0-9_-]*, at most 64"
    if record.interface_version != INTERFACE_VERSION:
        return PluginState.REFUSED, (
            f"made for plugin interface {record.interface_version}; "
            f"this diegod has {INTERFACE_VERSION}: install a version that fits"
        )
    if isinstance(record, BackendPlugin) and record.unavailable:
        return PluginState.UNAVAILABLE, record.unavailable
    if isinstance(record, BackendPlugin) and record.platforms and platform not in record.platforms:
        return PluginState.UNAVAILABLE, f"works on {', '.join(record.platforms)}, not {platform}"
    return PluginState.READY, ""


def without_duplicates(entries: Iterable[PluginEntry]) -> Iterator[PluginEntry]:
    """A built-in keeps its name; of strangers who want the same one, none gets it.

    Else what runs would depend on the order in which distributions happen to be found.
    """
    entries = list(entries)
    claims: dict[tuple[str, str], list[Source]] = {}
    for entry in entries:
        if entry.record is not None:
            claims.setdefault((entry.kind, entry.name), []).append(entry.source)
    for entry in entries:
        rivals = claims.get((entry.kind, entry.name), [])
        if entry.record is None or entry.source.built_in or len(rivals) == 1:
            yield entry
        else:
            reason = _conflict(entry, rivals)
            yield replace(entry, state=PluginState.REFUSED, reason=reason, record=None)


def _conflict(entry: PluginEntry, rivals: Sequence[Source]) -> str:
    names = list(dict.fromkeys(str(rival) for rival in rivals))
    if len(names) == 1:
        return f"{names[0]} brings two {entry.kind} plugins called {entry.name}"
    return f"{' and '.join(names)} both bring a {entry.kind} called {entry.name}: remove one"


def registry(entries: Iterable[PluginEntry]) -> Plugins:
    """The answer, from every entry that was found."""
    settled = tuple(without_duplicates(entries))
    return Plugins(
        entries=settled,
        backends=_by_name(settled, BackendPlugin),
        checks=_by_name(settled, CheckPlugin),
        strategies=_by_name(settled, StrategyPlugin),
        filters=_by_name(settled, FilterPlugin),
    )


def _by_name(entries: Iterable[PluginEntry], kind: type[Record]) -> Mapping[str, Record]:
    return MappingProxyType(
        {entry.name: entry.record for entry in entries if isinstance(entry.record, kind)}
    )
