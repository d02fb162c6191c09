"""`net.ipv4.ip_forward`: switched on for containers, and back when the last owner leaves.

All owners of a host need it, also those with run folders of their own, so this has one folder for
the whole host. Each owner leaves a mark beside a note of how the setting was found, and the last to
leave puts it back. A restart of the machine empties the folder as it does the setting. Every step
is under one lock file.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

_FOLDER = Path("/run/diegod/ip_forward")
_LOCK = "lock"
_SETTING = Path("/proc/sys/net/ipv4/ip_forward")


class Forwarding:
    """`lives` tells whether an owner, by its short id, is still there: some never say goodbye."""

    def __init__(
        self, lives: Callable[[str], bool], folder: Path = _FOLDER, setting: Path = _SETTING
    ) -> None:
        self._lives = lives
        self._folder = folder
        self._setting = setting

    def need(self, owner: str) -> None:
        """Switch it on if it is off, and remember who needs it."""
        with self._locked():
            if self._setting.read_text().strip() == "0":
                (self._folder / "was-0").touch()
                self._setting.write_text("1")
            self._mark(owner).touch()

    def leave(self, owner: str) -> None:
        """The owner doesn't need it any more. With the last one the folder goes."""
        with self._locked():
            self._mark(owner).unlink(missing_ok=True)
            if self._needed():
                return
            found_off = self._folder / "was-0"
            if found_off.exists():
                self._setting.write_text("0")
                found_off.unlink()
            self._remove_folder()

    def _remove_folder(self) -> None:
        """Under the lock, which goes with it; the folder above may be somebody's."""
        (self._folder / _LOCK).unlink()
        with suppress(OSError):
            self._folder.rmdir()
            self._folder.parent.rmdir()

    def _needed(self) -> bool:
        owners = [mark.name.removeprefix("owner-") for mark in self._folder.glob("owner-*")]
        for owner in owners:
            if not self._lives(owner):
                self._mark(owner).unlink(missing_ok=True)
        return any(self._lives(owner) for owner in owners)

    def _mark(self, owner: str) -> Path:
        return self._folder / f"owner-{owner}"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        while (lock := self._lock_file()) is None:
            continue
        with lock:
            yield

    def _lock_file(self) -> TextIO | None:
        """Open and locked; None when the last owner has just removed it."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = (self._folder / _LOCK).open("w")
        except FileNotFoundError:
            return None
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.fstat(lock.fileno()).st_nlink:
            return lock
        lock.close()
        return None
