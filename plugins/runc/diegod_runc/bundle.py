"""From a container spec to an OCI runtime configuration (config.json). Pure.

All that a container may and may not do stands in this file: namespaces, capabilities, mounts, what
of /proc is hidden, limits. Nothing here looks at the host; `Host` tells what it must know.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diegod.contracts.backend import ContainerSpec, Limits

from diegod_runc.identity import Identity

#: Docker's default without MKNOD (no new device nodes) and NET_RAW (no forged packets to the
#: neighbours on the bridge; ping works without it, see `network.py`).
CAPABILITIES = (
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
)

MASKED_PATHS = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_CPU_SHARES_FULL = 1024  # what the kernel gives to a group that nobody has set
_CPU_SHARES_MIN = 2


@dataclass(frozen=True)
class Host:
    """What the configuration depends on besides the spec."""

    cgroup_version: int
    swap_limit: bool
    nofile: int


@dataclass(frozen=True)
class Place:
    """Where this container's parts are on the host."""

    rootfs: Path
    netns: Path
    cgroup: str


def config(spec: ContainerSpec, identity: Identity, place: Place, host: Host) -> dict[str, Any]:
    """The whole config.json."""
    return {
        "ociVersion": "1.0.2",
        "process": process(spec, identity, host),
        "root": {"path": str(place.rootfs), "readonly": False},
        "hostname": spec.hostname,
        "mounts": _mounts(host),
        "annotations": {f"diegod.{key}": value for key, value in sorted(spec.labels.items())},
        "linux": {
            "cgroupsPath": place.cgroup,
            "namespaces": _namespaces(place),
            "resources": resources(spec.limits, host),
            "maskedPaths": list(MASKED_PATHS),
            "readonlyPaths": list(READONLY_PATHS),
        },
    }


def process(spec: ContainerSpec, identity: Identity, host: Host) -> dict[str, Any]:
    """Who runs what, with which rights."""
    return {
        "terminal": False,
        "user": _user(identity),
        "args": list(spec.argv),
        "env": environment(spec.env, identity),
        "cwd": spec.working_dir or "/",
        "capabilities": {
            kind: list(CAPABILITIES) for kind in ("bounding", "effective", "permitted")
        },
        "rlimits": [{"type": "RLIMIT_NOFILE", "hard": host.nofile, "soft": host.nofile}],
        "noNewPrivileges": True,
    }


def exec_process(
    main: Mapping[str, Any], argv: Sequence[str], env: Mapping[str, str]
) -> dict[str, Any]:
    """Another process in the same container: as the main one, with its own arguments."""
    overridden = tuple(f"{name}=" for name in env)
    kept = [entry for entry in main["env"] if not entry.startswith(overridden)]
    added = [f"{name}={value}" for name, value in env.items()]
    return {**main, "args": list(argv), "env": kept + added}


def environment(env: Mapping[str, str], identity: Identity) -> list[str]:
    """The program's environment: what the spec says, and what every program counts on."""
    whole = {"PATH": DEFAULT_PATH, "HOME": identity.home, **env}
    return [f"{name}={value}" for name, value in whole.items()]


def resources(limits: Limits, host: Host) -> dict[str, Any]:
    """Limits for the cgroup. 0 is no limit."""
    found: dict[str, Any] = {
        "devices": [{"allow": False, "access": "rwm"}],
        "cpu": {"shares": cpu_shares(limits.cpu_weight)},
    }
    if limits.memory_mb:
        memory = limits.memory_mb * 1024 * 1024
        found["memory"] = {"limit": memory}
        if host.swap_limit:
            found["memory"]["swap"] = memory  # memory and swap together: no swap at all
    if limits.max_pids:
        found["pids"] = {"limit": limits.max_pids}
    return found


def cpu_shares(cpu_weight: int) -> int:
    """1–100 to the kernel's scale, where 100 is one ordinary group."""
    return max(_CPU_SHARES_MIN, _CPU_SHARES_FULL * cpu_weight // 100)


def _user(identity: Identity) -> dict[str, Any]:
    user: dict[str, Any] = {"uid": identity.uid, "gid": identity.gid}
    if identity.groups:
        user["additionalGids"] = list(identity.groups)
    return user


def _namespaces(place: Place) -> list[dict[str, str]]:
    own = [{"type": kind} for kind in ("pid", "mount", "ipc", "uts", "cgroup")]
    return [*own, {"type": "network", "path": str(place.netns)}]


def _mounts(host: Host) -> list[dict[str, Any]]:
    mounts = [
        _mount("/proc", "proc", "nosuid", "noexec", "nodev"),
        _mount("/dev", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
        _mount(
            "/dev/pts",
            "devpts",
            "nosuid",
            "noexec",
            "newinstance",
            "ptmxmode=0666",
            "mode=0620",
            "gid=5",
        ),
        _mount("/dev/shm", "tmpfs", "nosuid", "noexec", "nodev", "mode=1777", "size=65536k"),  # noqa: S108
        _mount("/dev/mqueue", "mqueue", "nosuid", "noexec", "nodev"),
        _mount("/sys", "sysfs", "nosuid", "noexec", "nodev", "ro"),
    ]
    if host.cgroup_version == 2:  # version 1 would be a dozen mounts, and shows nothing of use
        mounts.append(
            _mount("/sys/fs/cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime", "ro")
        )
    return mounts


def _mount(destination: str, kind: str, *options: str) -> dict[str, Any]:
    return {"destination": destination, "type": kind, "source": kind, "options": list(options)}
