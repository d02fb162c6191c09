"""Small file systems, one for each member's data, that can be filled to the last block."""

import os
import shutil
import subprocess
from pathlib import Path

_MIB = 1 << 20
_FILLER = "filler"


class Disk:
    """ext4 on a loop device; where there is no loop device, a tmpfs of the same size."""

    def __init__(self, folder: Path, size_mb: int) -> None:
        self.folder = folder
        self._size_mb = size_mb
        self.kind = ""

    def mount(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True)
        if self._mount_loop():
            self.kind = "ext4 on a loop device"
            return
        options = ["-t", "tmpfs", "-o", f"size={self._size_mb}m"]
        subprocess.run(["mount", *options, "diegod", str(self.folder)], check=True)
        self.kind = "tmpfs"

    def _mount_loop(self) -> bool:
        if shutil.which("mkfs.ext4") is None:
            return False
        image = self.folder.with_name(f"{self.folder.name}.img")
        with image.open("wb") as file:
            file.truncate(self._size_mb * _MIB)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True)
        mount = ["mount", "-o", "loop", str(image), str(self.folder)]
        if subprocess.run(mount, capture_output=True, check=False).returncode == 0:
            return True
        image.unlink()
        return False

    def fill(self) -> None:
        """Take everything that is free: first in large pieces, the rest by the block."""
        descriptor = os.open(self.folder / _FILLER, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            for size in (16 * _MIB, _MIB, 64 << 10, 4 << 10):
                while _grows(descriptor, size):
                    pass
        finally:
            os.close(descriptor)

    def free(self) -> None:
        (self.folder / _FILLER).unlink(missing_ok=True)


def _grows(descriptor: int, size: int) -> bool:
    try:
        os.posix_fallocate(descriptor, os.fstat(descriptor).st_size, size)
    except OSError:
        return False
    return True
