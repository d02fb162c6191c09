"""What holds: every setting with its value and where it comes from. Pure."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from diegod.config.load import DEFAULT_ORIGIN, Loaded
from diegod.config.rules import AUTO, PortRange


@dataclass(frozen=True)
class Effective:
    key: str  # cell.images.preloaded
    value: object  # as JSON has it
    origin: str  # diegod.toml:14, DIEGOD_BBS__PORT, default

    @property
    def is_set(self) -> bool:
        return self.origin != DEFAULT_ORIGIN

    @property
    def text(self) -> str:
        """As TOML has it, or near enough to be read."""
        return json.dumps(self.value, ensure_ascii=False)


def effective(loaded: Loaded) -> Iterator[Effective]:
    """Every setting, in the order of the schema."""
    yield from _section(loaded.settings, (), loaded.origins)


def _section(
    section: Any, at: tuple[str, ...], origins: Mapping[tuple[str, ...], str]
) -> Iterator[Effective]:
    for each in fields(section):
        value, path = getattr(section, each.name), (*at, each.name)
        if is_dataclass(value) and not isinstance(value, PortRange):
            yield from _section(value, path, origins)
        else:
            yield Effective(".".join(path), _plain(value), origins.get(path, DEFAULT_ORIGIN))


def _plain(value: Any) -> object:
    if value is None:
        return AUTO
    if isinstance(value, PortRange):
        return str(value)
    if isinstance(value, Mapping):
        return {name: _plain(member) for name, member in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
