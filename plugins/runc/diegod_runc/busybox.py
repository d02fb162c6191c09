"""A small root file system from one static busybox: what `preloaded:busybox` is made of."""

import os
import shutil
import subprocess
from pathlib import Path

from diegod.contracts.backend import BackendError

INDEX = "www/index.html"
TEMPLATE = "www/.diegod-template"

_FOLDERS = (
    *("bin", "dev", "etc", "home", "proc", "root", "run", "sbin", "sys", "tmp"),
    *("usr/bin", "usr/sbin", "var/log", "var/tmp", "www"),
)

#: `{guid}`, `{index}` … are labels of the container; it answers 200 on `/` and says who answers.
_PAGE = """\
<!doctype html>
<title>{guid}/{index}</title>
<h1>{guid}/{index} on {cell}, pid {pid}</h1>
"""

_FILES = {
    "etc/passwd": (
        "root:x:0:0:root:/root:/bin/sh\n"
        "daemon:x:1:1:daemon:/usr/sbin:/bin/false\n"
        "www-data:x:33:33:www-data:/www:/bin/false\n"
        "nobody:x:65534:65534:nobody:/:/bin/false\n"
    ),
    "etc/group": "root:x:0:\ndaemon:x:1:\ntty:x:5:\nwww-data:x:33:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "etc/profile": "export PATH=/usr/sbin:/usr/bin:/sbin:/bin\n",
    TEMPLATE: _PAGE,
    INDEX: "",
}


def build_busybox(directory: Path, busybox: Path = Path("/bin/busybox")) -> None:
    """Make the root file system at `directory`, which must not be there yet.

    It is built aside and appears whole, or not at all; what another process made first is kept.
    """
    if directory.exists():
        return
    aside = directory.with_name(f".{directory.name}.{os.getpid()}")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        _build(aside, busybox)
        aside.rename(directory)
    except OSError as error:
        if not directory.is_dir():
            why = error.strerror or error
            raise BackendError(f"rootfs {directory} can't be made from {busybox}: {why}") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _build(root: Path, busybox: Path) -> None:
    for folder in _FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    for path in (root, *root.rglob("*")):
        path.chmod(0o755)
    for folder in ("tmp", "var/tmp"):
        (root / folder).chmod(0o1777)
    (root / "root").chmod(0o700)
    for name, text in _FILES.items():
        (root / name).write_text(text)
        (root / name).chmod(0o644)
    shutil.copyfile(busybox, root / "bin/busybox")
    (root / "bin/busybox").chmod(0o755)
    for applet in _applets(busybox):
        link = root / applet
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.exists():
            link.symlink_to("/bin/busybox")


def _applets(busybox: Path) -> list[str]:
    """Every program in it, with its place: `bin/sh`, `usr/bin/head`, …"""
    listed = subprocess.run([busybox, "--list-full"], capture_output=True, check=False)
    if listed.returncode != 0:
        raise BackendError(f"{busybox} is not a busybox: it does not answer --list-full")
    return [line.lstrip("/") for line in listed.stdout.decode().split() if line]
