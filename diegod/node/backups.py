"""Automatic backups of one member: taken, read back, pruned, handed on. Beside the ticks.

What fails is logged and stands among the alarms of `bbs status` until a backup has succeeded. The
interval counts from the last backup that is there, so a restart takes none too many.
"""

import asyncio
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from diegod.config.schema import BbsSettings
from diegod.node.check_store import NO_FILES, checked_apart
from diegod.node.finished import finished, never
from diegod.node.kept import SUFFIX, UNVERIFIED, Kept, kept_in, name_of
from diegod.node.keys import KeyFiles, lacking
from diegod.raftbbs.backup import file
from diegod.raftbbs.backup.copying import require_room, take
from diegod.raftbbs.backup.file import BackupRefused
from diegod.raftbbs.core.kept_backups import to_remove
from diegod.raftbbs.edge.backup import SAVE_FOLDER
from diegod.raftbbs.member import Member
from diegod.raftbbs.raft.shrinking import SHRINKING_FOLDER
from diegod.raftbbs.store.environment import DATA_FILE, Environment, StoreFailed
from diegod.raftbbs.store.identity import Birth
from diegod.world import Clock

ALARM = "backup"
COPY_FOLDER = "backup"
AFTER_TIMEOUT_S = 600.0
HOUR_S = 3600.0
_RETRY_S_MAX = 300.0
_FILE_WORD = "{file}"

_log = structlog.get_logger("bbs.backup")


class BackupFailed(Exception):  # noqa: N818 - a sentence for the operator
    """No backup, or none that can be relied on. Says why."""


class Backups:
    """Whoever makes the backups of a member; does nothing where no directory is set."""

    def __init__(self, settings: BbsSettings, member: Member, clock: Clock) -> None:
        self._settings = settings.backup
        self._key_files = settings.encryption.keys
        self._member = member
        self._clock = clock
        self._stopping = threading.Event()

    async def run(self) -> None:
        """For as long as the member lives."""
        if not self._settings.directory:
            return
        try:
            await self._keep_making()
        finally:
            self._stopping.set()  # a child that is waited for would hold up the end of the process

    async def _keep_making(self) -> None:
        while True:
            due_in_s = await self._member.apart(self._due_in_s)
            await asyncio.sleep(due_in_s)
            why = await self._member.apart(self._make_one)
            if why:
                self._member.noted_alarms[ALARM] = why
                _log.error("backup.failed", why=why)
                await asyncio.sleep(min(_RETRY_S_MAX, self._every_s))
            else:
                self._member.noted_alarms.pop(ALARM, None)

    @property
    def _every_s(self) -> float:
        return self._settings.every_h * HOUR_S

    def _due_in_s(self) -> float:
        """0 where nothing can be read: then a backup fails, which is told."""
        try:
            verified = [each for each in self._kept() if each.verified]
        except OSError:
            return 0.0
        if not verified:
            return 0.0
        age_s = self._clock.wall() - verified[-1].manifest.taken_at_s
        return max(0.0, self._every_s - max(0.0, age_s))

    def _kept(self) -> Sequence[Kept]:
        birth = self._member.birth
        return kept_in(Path(self._settings.directory), birth.cluster_name, birth.member_id)

    def _make_one(self) -> str:
        """A verified backup more; "" or why there is none."""
        try:
            path = backed_up(
                self._member.environment,
                self._member.birth,
                Path(self._settings.directory),
                self._clock.wall(),
                self._key_files,
                self._stopping.is_set,
            )
            self._prune()
            run_after(self._settings.after, path, self._stopping.is_set)
        except BackupFailed as error:
            return str(error)
        except (OSError, StoreFailed, BackupRefused) as error:
            return f"no backup into {self._settings.directory}: {error}"
        _log.info("backup.made", file=str(path), bytes=path.stat().st_size)
        return ""

    def _prune(self) -> None:
        kept = {each.path.name: each for each in self._kept()}
        summaries = [each.summary() for each in kept.values()]
        keep_for_h = self._settings.keep_for_h
        keep_for_s = keep_for_h * HOUR_S if keep_for_h else None
        for name in to_remove(summaries, self._settings.keep, keep_for_s, self._clock.wall()):
            kept[name].path.unlink(missing_ok=True)
            _log.info("backup.removed", file=name)


def backed_up(
    environment: Environment,
    birth: Birth,
    directory: Path,
    now_s: float,
    key_files: KeyFiles = NO_FILES,
    gives_up: Callable[[], bool] = never,
) -> Path:
    """Take a backup into a directory, and read it back with the keys of these files.

    Raises BackupFailed, BackupRefused, OSError or StoreFailed.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    _sweep(directory, birth)
    copy = environment.path / COPY_FOLDER
    require_room(environment, environment.path)
    require_room(environment, directory)
    try:
        manifest = take(environment, copy, now_s)
        path = directory / name_of(manifest)
        unverified = path.with_name(path.name + UNVERIFIED)
        with (copy / DATA_FILE).open("rb") as data:
            file.write(unverified, file.pieces(manifest, data))
    finally:
        shutil.rmtree(copy, ignore_errors=True)
    problems = problems_of(unverified, key_files, directory, gives_up)
    if problems:
        raise BackupFailed(f"{unverified} can't be relied on: {problems[0]}")
    file.put_in_place(unverified, path)
    return path


def problems_of(
    path: Path,
    key_files: KeyFiles = NO_FILES,
    scratch: Path | None = None,
    gives_up: Callable[[], bool] = never,
) -> list[str]:
    """What is wrong with a backup: its data is extracted, and all of it read in a child process.

    Without the keys that it takes, only its digest can be told.
    """
    with tempfile.TemporaryDirectory(prefix="diegod-verify-", dir=scratch) as folder:
        try:
            manifest = file.extract(path, Path(folder))
        except BackupRefused as error:
            return [str(error)]
        if missing := lacking(manifest.key_names, key_files):
            return [f"every byte is as it was written, but no value can be read: {missing}"]
        return checked_apart(Path(folder), manifest, key_files, gives_up).problems


def sweep_copies(store: Path) -> None:
    """Remove the copies that a member was making when it died: they are as large as its store."""
    for name in (COPY_FOLDER, SAVE_FOLDER, SHRINKING_FOLDER):
        shutil.rmtree(store / name, ignore_errors=True)


def run_after(argv: Sequence[str], path: Path, gives_up: Callable[[], bool] = never) -> None:
    """The operator's own command for a backup that was made. Raises BackupFailed."""
    if not argv:
        return
    command = [word.replace(_FILE_WORD, str(path)) for word in argv]
    try:
        done = finished(command, AFTER_TIMEOUT_S, gives_up)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackupFailed(f"{path} was made, but `after` failed: {error}") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        detail = f": {said[-1]}" if said else ""
        raise BackupFailed(
            f"{path} was made, but `after` ended with status {done.returncode}{detail}"
        )


def _sweep(directory: Path, birth: Birth) -> None:
    """What an earlier life of this member left half written."""
    for path in directory.glob(f"{birth.cluster_name}-{birth.member_id}-*{SUFFIX}*.part"):
        path.unlink(missing_ok=True)
