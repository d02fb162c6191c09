"""The settings of a node: what there is, what it may be, and what it is when nothing is said.

One frozen class a section of `diegod.toml`; the default stands beside the field. Does not belong
here: reading files (`load.py`), and what a setting leads to (each role).
"""
# ruff: noqa: RUF009 - setting(), names() and section() make fields, as dataclasses.field does

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from pathlib import PurePosixPath
from typing import Any, TypeVar

from diegod.config import rules
from diegod.config.rules import PortRange, Rule

ROLES = ("bbs", "brain", "cell")

S = TypeVar("S")


def setting(default: Any, rule: Rule[Any], about: str = "") -> Any:
    """A field with its rule. Without a default (MISSING) somebody must set it."""
    return field(default=default, metadata={"rule": rule, "about": about})


def names(rule: Rule[Any], about: str = "") -> Any:
    """A table whose keys are chosen by whoever writes the file; empty by default."""
    return field(default_factory=dict, metadata={"rule": rules.table_of(rule), "about": about})


def section(kind: type[S]) -> S:
    """A table of the file as a field of its own class."""
    made: S = field(default_factory=kind, metadata={"section": kind})
    return made


def required_section(kind: type[S]) -> S:
    """A table in which something must be set, so that it has no default as a whole."""
    made: S = field(metadata={"section": kind})
    return made


@dataclass(frozen=True, kw_only=True)
class ClusterSettings:
    name: str = setting(MISSING, rules.cluster_name, "the trust domain of every certificate")
    endpoints: tuple[str, ...] = setting(
        (), rules.list_of(rules.address), "where to find the cluster; not its membership"
    )


@dataclass(frozen=True, kw_only=True)
class NodeSettings:
    id: str = setting(MISSING, rules.node_id, "stable for the life of this disk")
    zone: str = setting("z1", rules.node_id)
    advertise: str = setting("", rules.text, "the name in this node's certificates")
    bind: str = setting("127.0.0.1", rules.text)
    data_dir: str = setting("/var/lib/diegod", rules.text)
    run_dir: str = setting("/run/diegod", rules.text)


@dataclass(frozen=True, kw_only=True)
class TlsSettings:
    dir: str = setting(
        "/etc/diegod/tls", rules.text, "ca.crt and, for each role, ROLE.crt and ROLE.key"
    )


@dataclass(frozen=True, kw_only=True)
class EncryptionSettings:
    active_key: str = setting("", rules.optional_key_name, "its name; empty: nothing is encrypted")
    keys: Mapping[str, str] = names(
        rules.key_file, 'NAME = { file = "PATH" }: every key that the store or a copy still needs'
    )


@dataclass(frozen=True, kw_only=True)
class BackupSettings:
    directory: str = setting("", rules.optional_path, "empty: no automatic backups")
    every_h: float = setting(6.0, rules.hours(0.001, 8760))
    keep: int = setting(28, rules.whole_number(1, 100_000), "the newest so many")
    keep_for_h: float = setting(0.0, rules.hours(0, 876_000), "none older; 0: whatever their age")
    after: tuple[str, ...] = setting(
        (), rules.words, "run for each backup, without a shell; {file} is its path"
    )


@dataclass(frozen=True, kw_only=True)
class BbsSettings:
    port: int = setting(8889, rules.port)
    raft_port: int = setting(8892, rules.port)
    lease_ttl_s: float = setting(10.0, rules.seconds(1, 600))
    history_changes: int = setting(
        1_000_000, rules.whole_number(1000, 1_000_000_000), "how far back a watch can resume"
    )
    min_free_disk_mb: int = setting(
        512, rules.whole_number(0, 1_000_000_000), "with less a leader takes no new work"
    )
    log_kept_entries: int = setting(
        10_000,
        rules.whole_number(100, 1_000_000),
        "kept for members that are a little behind; one further behind gets a copy of the state",
    )
    encryption: EncryptionSettings = section(EncryptionSettings)
    backup: BackupSettings = section(BackupSettings)


@dataclass(frozen=True, kw_only=True)
class BrainSettings:
    port: int = setting(9016, rules.port)
    strategy: str = setting("spread", rules.text, "any name in `diegod plugin ls`")
    converge_every_s: float = setting(30.0, rules.seconds(0.1, 3600))


@dataclass(frozen=True, kw_only=True)
class ImagesSettings:
    preloaded: Mapping[str, str] = names(
        rules.text, "NAME = directory or tar file of a root file system"
    )


@dataclass(frozen=True, kw_only=True)
class CellSettings:
    port: int = setting(1801, rules.port)
    backends: tuple[str, ...] = setting(
        ("runc",), rules.list_of(rules.text), "in order of preference"
    )
    placement_tags: tuple[str, ...] = setting((), rules.list_of(rules.tag), "work must carry these")
    optional_placement_tags: tuple[str, ...] = setting((), rules.list_of(rules.tag))
    memory_mb: int | None = setting(
        None, rules.auto_or(rules.whole_number(16, 2**32 - 1)), "auto leaves 10 % to the host"
    )
    disk_mb: int | None = setting(None, rules.auto_or(rules.whole_number(16, 2**32 - 1)))
    max_containers: int = setting(250, rules.whole_number(1, 65_536))
    host_ports: PortRange = setting(PortRange(61_000, 62_999), rules.port_range)
    container_subnet: str | None = setting(
        None, rules.auto_or(rules.subnet), "auto: a /23 that no route of this host overlaps"
    )
    images: ImagesSettings = section(ImagesSettings)


@dataclass(frozen=True, kw_only=True)
class TelemetrySettings:
    metrics: str = setting(
        "127.0.0.1:8890", rules.optional_address, "/metrics /livez /readyz /healthz; empty: none"
    )
    log_format: str = setting("json", rules.one_of("json", "console"))
    log_level: str = setting("info", rules.one_of("debug", "info", "warning", "error"))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that `diegod.toml` says."""

    roles: tuple[str, ...] = setting(
        (), rules.list_of(rules.one_of(*ROLES)), "what `diegod` starts"
    )
    cluster: ClusterSettings = required_section(ClusterSettings)
    node: NodeSettings = required_section(NodeSettings)
    tls: TlsSettings = section(TlsSettings)
    bbs: BbsSettings = section(BbsSettings)
    brain: BrainSettings = section(BrainSettings)
    cell: CellSettings = section(CellSettings)
    telemetry: TelemetrySettings = section(TelemetrySettings)
    # Of each backend by its name; the backend's plugin checks what stands in it.
    backends: Mapping[str, Mapping[str, object]] = names(rules.table_of(rules.anything))


def contradictions(settings: Settings) -> list[tuple[tuple[str, ...], str]]:
    """What is wrong only in view of several settings at once: (path of the key, message)."""
    found: list[tuple[tuple[str, ...], str]] = []
    roles = settings.roles
    if roles and "bbs" not in roles and not settings.cluster.endpoints:
        message = f"is required for {' and '.join(roles)}: the addresses of the BBS"
        found.append((("cluster", "endpoints"), message))
    bind, advertise = settings.node.bind, settings.node.advertise
    if rules.is_wildcard(bind) and not advertise:
        message = f"is required, because bind is {bind}: the name others dial"
        found.append((("node", "advertise"), message))
    if rules.is_wildcard(advertise):
        message = f"{advertise} is every address of a machine: give the name others dial"
        found.append((("node", "advertise"), message))
    for key, path in (("data_dir", settings.node.data_dir), ("run_dir", settings.node.run_dir)):
        if not PurePosixPath(path).is_absolute():
            found.append((("node", key), f'"{path}" is not an absolute path'))
    return found + _contradictions_of_keys(settings.bbs.encryption)


def _contradictions_of_keys(
    encryption: EncryptionSettings,
) -> list[tuple[tuple[str, ...], str]]:
    section = ("bbs", "encryption")
    found: list[tuple[tuple[str, ...], str]] = []
    if encryption.active_key and encryption.active_key not in encryption.keys:
        message = f'"{encryption.active_key}" is not one of the keys: it needs a file there'
        found.append(((*section, "active_key"), message))
    for name, path in encryption.keys.items():
        try:
            rules.optional_key_name(name)
        except ValueError as error:
            found.append(((*section, "keys", name), str(error)))
        if not PurePosixPath(path).is_absolute():
            found.append(((*section, "keys", name), f'"{path}" is not an absolute path'))
    return found
