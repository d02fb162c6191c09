"""Who has which slot, kept on disk: one symbolic link a lease, `leases/SLOT -> HANDLE`.

Making a symbolic link is one step that either succeeds or finds the slot taken, so no lock is
needed, and no crash leaves half a lease. (CNI's host-local plugin keeps one file an address for the
same reason.)
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path


class Leases:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)

    def take(self, slot: int, handle: str) -> bool:
        """False: the slot is somebody's already."""
        try:
            os.symlink(handle, self._folder / str(slot))
        except FileExistsError:
            return False
        return True

    def give_back(self, slot: int) -> None:
        with suppress(FileNotFoundError):
            (self._folder / str(slot)).unlink()

    def all(self) -> dict[int, str]:
        """Slot -> handle."""
        try:
            slots = sorted(int(name) for name in os.listdir(self._folder) if name.isdigit())
        except FileNotFoundError:
            return {}
        return {slot: handle for slot in slots if (handle := self._holder(slot)) is not None}

    def slots_of(self, handle: str) -> list[int]:
        return [slot for slot, holder in self.all().items() if holder == handle]

    def clear(self) -> None:
        if self._folder.exists():
            shutil.rmtree(self._folder)

    def _holder(self, slot: int) -> str | None:
        try:
            return os.readlink(self._folder / str(slot))
        except FileNotFoundError:  # given back meanwhile
            return None
