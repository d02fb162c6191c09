"""The root file system made of busybox."""

import os
import shutil
import stat
from pathlib import Path

import pytest
from diegod.contracts.backend import BackendError

from diegod_runc.rootfs import build_busybox

BUSYBOX = Path("/bin/busybox")
needs_busybox = pytest.mark.skipif(not BUSYBOX.exists(), reason="needs busybox")


@needs_busybox
def test_what_is_in_it(tmp_path: Path) -> None:
    root = tmp_path / "busybox"
    old = os.umask(0o077)
    try:
        build_busybox(root)
    finally:
        os.umask(old)
    for program in ("bin/sh", "bin/cat", "usr/bin/env", "usr/sbin/httpd"):
        assert (root / program).readlink() == Path("/bin/busybox")
    assert "root:x:0:0:" in (root / "etc/passwd").read_text()
    modes = {name: stat.S_IMODE((root / name).stat().st_mode) for name in ("tmp", "etc", "www")}
    assert modes == {"tmp": 0o1777, "etc": 0o755, "www": 0o755}
    assert "{index} on {cell}, pid {pid}" in (root / "www/.diegod-template").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["busybox"]  # nothing is left aside


@needs_busybox
def test_one_that_is_there_is_kept(tmp_path: Path) -> None:
    (tmp_path / "busybox").mkdir()
    build_busybox(tmp_path / "busybox")
    assert list((tmp_path / "busybox").iterdir()) == []


def test_not_a_busybox(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="is not a busybox"):
        build_busybox(tmp_path / "root", Path(shutil.which("false") or "/bin/false"))
    with pytest.raises(BackendError, match="No such file"):
        build_busybox(tmp_path / "root", tmp_path / "none")
    assert list(tmp_path.iterdir()) == []
