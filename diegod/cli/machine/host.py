"""What these settings need of this host, for `diegod config check`. Nothing is changed."""

import os
from collections.abc import Iterator
from pathlib import Path

from diegod.config.schema import CellSettings, Settings


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
    if "bbs" in settings.roles:
        found += _keys(settings)
    if "cell" in settings.roles:
        found += _cell(settings.cell)
    return found


def _folder(path: Path) -> list[str]:
    """Whether it can be written to, or made."""
    existing = next(each for each in (path, *path.parents) if each.exists())
    if existing.is_dir() and os.access(existing, os.W_OK):
        return []
    return [f"{path} can't be written to: make it, and give it to the user of diegod"]


def _keys(settings: Settings) -> list[str]:
    """What is wrong with the files of the encryption keys."""
    from diegod.node.keys import keyring_of
    from diegod.node.statuses import StartError

    try:
        keyring_of(settings)
    except StartError as error:
        return error.message.splitlines()
    return []


def _cell(cell: CellSettings) -> Iterator[str]:
    for name, path in sorted(cell.images.preloaded.items()):
        if not Path(path).exists():
            yield f"{path} is missing: the rootfs preloaded:{name}"
    for name in cell.backends:
        yield from _backend(name)


def _backend(name: str) -> Iterator[str]:
    """What the backend's own plugin finds."""
    from diegod.node.plugins import load_all_plugins

    plugins = load_all_plugins()
    if name not in plugins.backends:
        yield plugins.why_not("backend", name)
        return
    ask = plugins.backends[name].problems
    for finding in ask() if ask is not None else ():
        if finding.hinders:
            yield f"{name}: {finding.what}: {finding.cure}"
