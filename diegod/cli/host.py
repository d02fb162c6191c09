"""What a host must have for a role, and the command that cures its lack. Nothing is changed."""

import os
import shutil
from pathlib import Path

from diegod.config.schema import CellSettings, Settings

#: What a backend needs in PATH, and the Debian package that brings it.
TOOLS = {
    "runc": {"runc": "runc", "conmon": "conmon", "nft": "nftables", "busybox": "busybox-static"}
}


def lacking_for(settings: Settings) -> list[str]:
    """One line for each thing that these settings need and this host doesn't have."""
    tls = Path(settings.tls.dir)
    names = ["ca.crt", *(f"{role}.{end}" for role in settings.roles for end in ("crt", "key"))]
    found = [
        f"{tls / name} is missing: diegod ca csr, then diegod ca sign"
        for name in names
        if settings.roles and not (tls / name).is_file()
    ]
    found += _folder(Path(settings.node.data_dir))
    if "cell" in settings.roles:
        found += _cell(settings.cell)
    return found


def _folder(path: Path) -> list[str]:
    """Whether it can be written to, or made."""
    existing = next(each for each in (path, *path.parents) if each.exists())
    if existing.is_dir() and os.access(existing, os.W_OK):
        return []
    return [f"{path} can't be written to: make it, and give it to the user of diegod"]


def _cell(cell: CellSettings) -> list[str]:
    found = [
        f"{path} is missing: the rootfs preloaded:{name}"
        for name, path in sorted(cell.images.preloaded.items())
        if not Path(path).exists()
    ]
    if "runc" in cell.backends:
        found += [f"{tool} is not in PATH: {cure}" for tool, cure in missing_tools("runc")]
        if os.geteuid() != 0:
            found.append("the backend runc needs root: run the cell as root")
    return found


def missing_tools(backend: str) -> list[tuple[str, str]]:
    """What the backend needs and PATH doesn't have, with the command that installs it."""
    return [
        (tool, f"apt-get install --no-install-recommends --no-remove {package}")
        for tool, package in TOOLS.get(backend, {}).items()
        if shutil.which(tool) is None
    ]
