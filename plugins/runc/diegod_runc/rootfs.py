"""Where root file systems come from, and how a container gets one of its own.

A container writes into an overlay: the lower layer is shared and never changed, the upper one lies
in the container's bundle. Files of ours are put into the upper layer before it is mounted, when
nothing of the image can lie in the way.
"""

import html
import os
import shutil
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from diegod.contracts.backend import BackendError, ContainerSpec, RootfsNotFound

from diegod_runc import beneath, syscalls
from diegod_runc.busybox import INDEX, TEMPLATE, build_busybox

__all__ = ["build_busybox", "fill_in_index", "find_lower", "lay_out", "rootfs_of", "take_down"]


def find_lower(rootfs: str, preloaded: Mapping[str, Path]) -> Path:
    """The directory that `preloaded:NAME` or `dir:/PATH` means."""
    kind, _, name = rootfs.partition(":")
    if kind == "preloaded":
        return _preloaded(name, preloaded)
    if kind == "dir":
        return _existing(Path(name), rootfs)
    raise RootfsNotFound(
        f"rootfs {rootfs!r} is not preloaded:NAME or dir:/PATH, which is what this cell offers"
    )


def _preloaded(name: str, preloaded: Mapping[str, Path]) -> Path:
    if name not in preloaded:
        known = ", ".join(sorted(preloaded)) or "none"
        raise RootfsNotFound(f"rootfs preloaded:{name} is not on this cell (it has: {known})")
    return _existing(preloaded[name], f"preloaded:{name}")


def _existing(path: Path, rootfs: str) -> Path:
    if not path.is_absolute() or not path.is_dir():
        raise RootfsNotFound(f"rootfs {rootfs}: {path} is not a directory of this cell")
    return path


def rootfs_of(bundle: Path) -> Path:
    return bundle / "rootfs"


def lay_out(lower: Path, bundle: Path, etc: Mapping[str, str]) -> Path:
    """Mount a root file system of the container's own, with our files of /etc; returns its path.

    Done again after a crash, it finds what is mounted and leaves it.
    """
    rootfs = rootfs_of(bundle)
    if rootfs.is_mount():
        return rootfs
    upper, work = bundle / "upper", bundle / "work"
    for folder in (upper, work, rootfs):
        folder.mkdir(parents=True, exist_ok=True)
    _take_over(lower, upper)
    _put_etc(lower, upper, etc)
    _put_index(lower, upper)
    try:
        syscalls.mount_overlay(rootfs, _options(lower, upper, work))
    except OSError as error:
        raise BackendError(_why_no_overlay(error, bundle)) from None
    return rootfs


def take_down(bundle: Path) -> None:
    """Unmount the root file system and remove all that the container has written."""
    syscalls.unmount(rootfs_of(bundle))
    while bundle.exists():
        with suppress(FileNotFoundError):  # another agent of this cell removes it as well
            shutil.rmtree(bundle)


def _options(lower: Path, upper: Path, work: Path) -> str:
    layers = {"lowerdir": lower, "upperdir": upper, "workdir": work}
    return ",".join(f"{name}={_escaped(path)}" for name, path in layers.items())


def _escaped(path: Path) -> str:
    """The kernel's own escapes: a colon separates lower layers, a comma options."""
    text = str(path)
    for special in ("\\", ":", ","):
        text = text.replace(special, f"\\{special}")
    return text


def _why_no_overlay(error: OSError, bundle: Path) -> str:
    return (
        f"the root file system can't be mounted at {bundle}: {error.strerror}."
        " An overlay needs root, and a folder that isn't on an overlay itself"
    )


def _take_over(lower: Path, upper: Path) -> None:
    """Give a folder of the upper layer the mode and the owner that it has in the lower one."""
    there = lower.lstat()
    os.chown(upper, there.st_uid, there.st_gid)
    upper.chmod(stat.S_IMODE(there.st_mode))


def _folder(lower: Path, upper: Path, name: str) -> bool:
    """Make a folder of the upper layer. False: in the lower one it is something else."""
    try:
        mode = (lower / name).lstat().st_mode
    except FileNotFoundError:
        (upper / name).mkdir(exist_ok=True)
        (upper / name).chmod(0o755)
        return True
    if not stat.S_ISDIR(mode):
        return False
    (upper / name).mkdir(exist_ok=True)
    _take_over(lower / name, upper / name)
    return True


def _put_etc(lower: Path, upper: Path, etc: Mapping[str, str]) -> None:
    """A file here hides whatever the image has under its name, also a symbolic link."""
    if not _folder(lower, upper, "etc"):
        return
    for name, text in etc.items():
        _put(upper / "etc" / name, text)


def _put_index(lower: Path, upper: Path) -> None:
    if beneath.read_text(lower, TEMPLATE) and _folder(lower, upper, "www"):
        _put(upper / INDEX, "")


def _put(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o644)


def fill_in_index(rootfs: Path, spec: ContainerSpec, pid: int) -> None:
    """Write the page of a root file system that has a template for it.

    A static web server can't know whose container it runs in, so the page is written once the
    container has a pid and before its program runs.
    """
    template = beneath.read_text(rootfs, TEMPLATE)
    if not template:
        return
    known = {**spec.labels, "cell": spec.owner.cell_id, "handle": spec.handle, "pid": str(pid)}
    for name, value in known.items():
        template = template.replace(f"{{{name}}}", html.escape(value))
    beneath.replace_text(rootfs, INDEX, template)
