"""What a person may set under `[backends.runc]`, and its defaults."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from ipaddress import IPv4Network
from pathlib import Path

from diegod.contracts.backend import BackendError


@dataclass(frozen=True)
class Settings:
    #: Name -> directory, for `preloaded:NAME`.
    preloaded: Mapping[str, Path] = field(default_factory=dict)
    #: What must not survive a restart of the machine. All cells of a host may share it.
    run_dir: Path = Path("/run/diegod")
    #: The containers' network; None: a free /23, chosen once and kept.
    subnet: IPv4Network | None = None
    #: How many networks are kept ready, so that the next container need not wait for its own.
    spare_networks: int = 4
    #: Networks that no container reaches. The default is where clouds serve credentials.
    deny: tuple[IPv4Network, ...] = (IPv4Network("169.254.0.0/16"),)
    #: Whether containers reach what listens on this host (DNS and mapped ports they always reach).
    host_access: bool = False
    #: Open files a process may have.
    nofile: int = 16384

    @classmethod
    def parse(cls, given: Mapping[str, object]) -> "Settings":
        """Settings from the values of a configuration file; BackendError names the wrong one."""
        known = [one.name for one in fields(cls)]
        values: dict[str, object] = {}
        for key, value in given.items():
            if key not in known:
                near = get_close_matches(key, known, 1)
                hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"
                raise BackendError(f"runc: there is no setting {key!r}{hint}")
            try:
                values[key] = _READERS[key](value)
            except (TypeError, ValueError, AttributeError) as wrong:
                raise BackendError(f"runc: setting {key} = {value!r} is wrong: {wrong}") from None
        return cls(**values)  # type: ignore[arg-type]  # each reader returns its field's type


#: The same for `diegod plugin show runc` and editors, as JSON Schema.
SCHEMA: Mapping[str, object] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "preloaded": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": "NAME = directory, for rootfs preloaded:NAME",
        },
        "run_dir": {
            "type": "string",
            "default": "/run/diegod",
            "description": "what must not survive a restart of the machine",
        },
        "subnet": {
            "type": "string",
            "default": "auto",
            "description": "the containers' network, /16 to /29; auto: a free /23",
        },
        "spare_networks": {
            "type": "integer",
            "minimum": 0,
            "default": 4,
            "description": "how many networks are kept ready for the next containers",
        },
        "deny": {
            "type": "array",
            "items": {"type": "string"},
            "default": ["169.254.0.0/16"],
            "description": "networks that no container reaches",
        },
        "host_access": {
            "type": "boolean",
            "default": False,
            "description": "whether containers reach what listens on this host",
        },
        "nofile": {
            "type": "integer",
            "minimum": 0,
            "default": 16384,
            "description": "open files a process may have",
        },
    },
}


def _preloaded(value: object) -> Mapping[str, Path]:
    if not isinstance(value, Mapping):
        raise TypeError("expected a table of NAME = directory")
    return {str(name): _absolute(path) for name, path in value.items()}


def _absolute(value: object) -> Path:
    path = Path(str(value))
    if not path.is_absolute():
        raise ValueError(f"{path} is not an absolute path")
    return path


def _subnet(value: object) -> IPv4Network | None:
    if value in ("", "auto", None):
        return None
    subnet = IPv4Network(str(value))
    if not 16 <= subnet.prefixlen <= 29:
        raise ValueError("expected a network between /16 and /29")
    return subnet


def _deny(value: object) -> tuple[IPv4Network, ...]:
    if isinstance(value, str) or not isinstance(value, list | tuple):
        raise TypeError("expected a list of networks")
    return tuple(IPv4Network(str(one)) for one in value)


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("expected a whole number, not negative")
    return value


def _yes_or_no(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError("expected true or false")
    return value


_READERS = {
    "preloaded": _preloaded,
    "run_dir": _absolute,
    "subnet": _subnet,
    "spare_networks": _count,
    "deny": _deny,
    "host_access": _yes_or_no,
    "nofile": _count,
}
