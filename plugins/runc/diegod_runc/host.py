"""What this host offers: tools in PATH, name servers, limits. Looks, and changes nothing."""

import os
import resource
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from diegod.contracts.backend import BackendError

from diegod_runc import etc
from diegod_runc.processes import TOOL_ENVIRONMENT

#: Program -> the Debian package that has it.
PACKAGES = {"runc": "runc", "conmon": "conmon", "nft": "nftables"}

_RESOLV_CONF = Path("/etc/resolv.conf")
_SYSTEMD_RESOLVED = Path("/run/systemd/resolve/resolv.conf")


@dataclass(frozen=True)
class Tools:
    runc: str
    conmon: str
    nft: str


def find(program: str) -> str | None:
    """Where a program is: in the agent's PATH, or where system programs usually are."""
    return shutil.which(program) or shutil.which(program, path=TOOL_ENVIRONMENT["PATH"])


def missing() -> list[str]:
    return [program for program in PACKAGES if find(program) is None]


def tools() -> Tools:
    """The tools, or one BackendError that names what is missing and how to get it."""
    if os.geteuid() != 0:
        raise BackendError("runc containers need root: start the cell as root")
    if lacking := missing():
        packages = " ".join(PACKAGES[program] for program in lacking)
        raise BackendError(
            f"not found in PATH: {', '.join(lacking)}."
            f" On Debian: apt-get install --no-install-recommends --no-remove {packages}"
        )
    runc, conmon, nft = (str(find(program)) for program in PACKAGES)
    return Tools(runc, conmon, nft)


def nofile_max() -> int:
    """The most open files that we may grant."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return 1 << 20 if hard == resource.RLIM_INFINITY else hard


def resolver() -> str:
    """The resolv.conf for containers."""
    return etc.resolv_conf(_text(_RESOLV_CONF), _text(_SYSTEMD_RESOLVED))


def _text(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(errors="replace")
    return ""
