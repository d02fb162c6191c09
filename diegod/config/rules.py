"""What one setting may be: each rule turns a TOML value into the typed one, or says why not.

A rule raises ValueError with the expected form; who calls it knows file, line and key.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from diegod.models import limits
from diegod.models.did_you_mean import closest

T = TypeVar("T")
Rule = Callable[[Any], T]

AUTO = "auto"

_CLUSTER = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_ID = re.compile(r"[a-z0-9]([a-z0-9._-]{0,126}[a-z0-9])?")
_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+):([0-9]{1,5})")
_TAG = re.compile(r"[!-~]{1,128}")
_KEY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PORT_RANGE = re.compile(r"([0-9]{1,5})-([0-9]{1,5})")


@dataclass(frozen=True)
class PortRange:
    """Both ends belong to it."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


def shown(value: object) -> str:
    """A value as the file has it, as far as a message can carry it."""
    text = f'"{value}"' if isinstance(value, str) else str(value)
    if isinstance(value, bool):
        text = str(value).lower()
    return text if len(text) <= 60 else f"{text[:59]}…"


def text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{shown(value)} is not a text")
    return value


def _matching(value: Any, form: re.Pattern[str], expected: str) -> str:
    if not isinstance(value, str) or not form.fullmatch(value):
        raise ValueError(f"{shown(value)} is not {expected}")
    return value


def cluster_name(value: Any) -> str:
    return _matching(
        value, _CLUSTER, "the name of a cluster (a–z 0–9 -, a letter first, at most 63)"
    )


def node_id(value: Any) -> str:
    found = _matching(value, _ID, "an id (a–z 0–9 . _ -, a letter or digit first and last)")
    if ".." in found:
        raise ValueError(f'{shown(value)} is not an id (".." is not allowed)')
    return found


def optional_key_name(value: Any) -> str:
    """The name of an encryption key, or "" for none."""
    expected = "the name of a key (A–Z a–z 0–9 . _ -, at most 64)"
    return "" if value == "" else _matching(value, _KEY_NAME, expected)


def key_file(value: Any) -> str:
    """`{ file = "PATH" }`: a table, so that keys can come from elsewhere one day."""
    if not isinstance(value, dict) or list(value) != ["file"]:
        example = '{ file = "/etc/diegod/keys/NAME.key" }'
        raise ValueError(f"{shown(value)} is not a key, like {example}")
    return text(value["file"])


def tag(value: Any) -> str:
    return _matching(value, _TAG, "a tag (visible ASCII characters, at most 128)")


def address(value: Any) -> str:
    """HOST:PORT, as a client dials it or a server listens on it."""
    found = _matching(value, _ADDRESS, "an address (HOST:PORT)")
    port(int(found.rpartition(":")[2]))
    return found


def optional_address(value: Any) -> str:
    """An address, or "" for none."""
    return "" if value == "" else address(value)


def whole_number(lowest: int, highest: int) -> Rule[int]:
    def rule(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"{shown(value)} is not a whole number")
        if not lowest <= value <= highest:
            raise ValueError(f"{value} is not within {lowest}–{highest}")
        return value

    return rule


def seconds(lowest: float, highest: float) -> Rule[float]:
    def rule(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{shown(value)} is not a number of seconds")
        if not lowest <= value <= highest:
            raise ValueError(f"{value} is not within {lowest:g}–{highest:g}")
        return float(value)

    return rule


def hours(lowest: float, highest: float) -> Rule[float]:
    def rule(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{shown(value)} is not a number of hours")
        if not lowest <= value <= highest:
            raise ValueError(f"{value} is not within {lowest:g}–{highest:g}")
        return float(value)

    return rule


def optional_path(value: Any) -> str:
    """An absolute path, or "" for none."""
    if value == "":
        return ""
    found = text(value)
    if not found.startswith("/"):
        raise ValueError(f"{shown(value)} is not an absolute path")
    return found


def words(value: Any) -> tuple[str, ...]:
    """A program and its arguments; no shell reads them."""
    if not isinstance(value, list):
        raise ValueError(f"{shown(value)} is not a list of words, the program first")
    return tuple(text(word) for word in value)


def port(value: Any) -> int:
    """0 lets the system choose."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= limits.PORT_MAX:
        raise ValueError(f"{shown(value)} is not a port (1–65535, or 0: the system chooses)")
    return value


def port_range(value: Any) -> PortRange:
    match = _PORT_RANGE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'{shown(value)} is not a range of ports, like "61000-62999"')
    first, last = int(match[1]), int(match[2])
    if not limits.PORT_MIN <= first <= last <= limits.PORT_MAX:
        raise ValueError(f"{shown(value)} is not a range of ports within 1–65535, low to high")
    return PortRange(first, last)


def subnet(value: Any) -> str:
    """An IPv4 network with room for the bridge and at least one container."""
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError:
        raise ValueError(f'{shown(value)} is not a network, like "10.200.0.0/23"') from None
    if network.prefixlen > 29:
        raise ValueError(f"{shown(value)} is too small: at most /29")
    return str(network)


def one_of(*names: str) -> Rule[str]:
    def rule(value: Any) -> str:
        if value in names:
            return str(value)
        near = closest(str(value), names)
        hint = f"; did you mean {near}?" if near else ""
        raise ValueError(f"{shown(value)} is not one of {', '.join(names)}{hint}")

    return rule


def auto_or(rule: Rule[T]) -> Rule[T | None]:
    """ "auto" is None: whoever uses the setting finds out for itself."""

    def either(value: Any) -> T | None:
        if value == AUTO:
            return None
        try:
            return rule(value)
        except ValueError as error:
            raise ValueError(f'{error} (nor "auto")') from None

    return either


def list_of(rule: Rule[T]) -> Rule[tuple[T, ...]]:
    def each(value: Any) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise ValueError(f"{shown(value)} is not a list")
        items = tuple(rule(item) for item in value)
        repeated = [item for number, item in enumerate(items) if item in items[:number]]
        if repeated:
            raise ValueError(f"{shown(repeated[0])} is given twice")
        return items

    return each


def table_of(rule: Rule[T]) -> Rule[Mapping[str, T]]:
    def each(value: Any) -> Mapping[str, T]:
        if not isinstance(value, dict):
            raise ValueError(f"{shown(value)} is not a table")
        return MappingProxyType({name: rule(member) for name, member in value.items()})

    return each


def anything(value: Any) -> object:
    """Checked by whoever defines it: a plugin knows its own settings."""
    return value


def is_wildcard(host: str) -> bool:
    """Whether it stands for all addresses of a machine: to listen on, never to be dialled."""
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).is_unspecified
    except ValueError:
        return False
