"""A member's store from a backup, or out of a cluster that has lost its quorum: offline, locked.

Both make the new store beside, whole and durable, before it gets its name; so a crash leaves what
was there. What a new epoch means is `diegod.raftbbs.core.epochs`.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from diegod.config.schema import Settings
from diegod.models.epochs import EPOCH_MAX
from diegod.node import folder
from diegod.node.bbs import STORE_FOLDER
from diegod.node.birth import voter
from diegod.node.check_store import checked_apart
from diegod.node.kept import kept_in
from diegod.node.keys import keyring_of, lacking
from diegod.node.statuses import FAILED, NOT_CURABLE, StartError
from diegod.raftbbs.backup import file
from diegod.raftbbs.backup.file import BackupRefused, Manifest
from diegod.raftbbs.backup.rebirth import Reborn, begin_epoch, sole_voter
from diegod.raftbbs.core.epochs import RECOVERED, RESTORED
from diegod.raftbbs.raft.api import Fatal
from diegod.raftbbs.store import identity
from diegod.raftbbs.store.copies import opened_copy
from diegod.raftbbs.store.durable import flush_names
from diegod.raftbbs.store.envelope import EnvelopeError
from diegod.raftbbs.store.environment import DATA_FILE, Environment, StoreFailed, StoreMissing
from diegod.raftbbs.store.identity import StoreRefused
from diegod.raftbbs.store.key_registry import KeysRefused
from diegod.security.at_rest import Keyring
from diegod.world import Clock, Ids

ASIDE_FOLDER = "store.new"
BEFORE_FOLDER = "store.before-epoch-{}"
NS = 1_000_000_000
_REFUSALS = (
    BackupRefused,
    StoreRefused,
    StoreFailed,
    StoreMissing,
    EnvelopeError,
    Fatal,
    ValueError,
    KeysRefused,
    FileExistsError,
    FileNotFoundError,
)


def restore(
    settings: Settings,
    backup: Path,
    clock: Clock,
    ids: Ids,
    *,
    epoch: int = 0,
    new_cluster: bool = False,
) -> Reborn:
    """Make this node, whose folder has no store, the only member of a cluster from a backup."""

    def prepare(data: Path, keyring: Keyring) -> Callable[[Environment], Reborn]:
        store, aside = data / STORE_FOLDER, data / ASIDE_FOLDER
        if store.exists() and any(store.iterdir()):
            raise StartError(
                f"there is a store in {store}. A backup is restored only where there is none: "
                "move that folder away first.",
                NOT_CURABLE,
            )
        manifest = file.extract(backup, aside)
        _require_cluster(manifest.cluster_name, settings, f"{backup} is of")
        if missing := lacking(manifest.key_names, settings.bbs.encryption.keys):
            raise StartError(f"{backup} can't be restored: {missing}", NOT_CURABLE)
        _require_whole(aside, manifest, settings)
        opened = epoch or _next_epoch(manifest, data, settings)
        cluster_id = ids.new_id() if new_cluster else ""
        return lambda copy: _begin(
            copy, settings, ids, clock, RESTORED, opened, cluster_id, finish_log=False
        )

    return _reborn(settings, prepare)


def recover(
    settings: Settings,
    clock: Clock,
    ids: Ids,
    *,
    epoch: int = 0,
) -> Reborn:
    """Make this member, stopped, the only one of its cluster. Its old store stays beside."""

    def prepare(data: Path, keyring: Keyring) -> Callable[[Environment], Reborn]:
        store, aside = data / STORE_FOLDER, data / ASIDE_FOLDER
        _undo_half_a_recovery(data)
        before = _copy_checked(store, aside, settings, keyring)
        opened = epoch or before + 1
        return lambda copy: _begin(
            copy, settings, ids, clock, RECOVERED, opened, "", finish_log=True
        )

    return _reborn(settings, prepare)


def _reborn(
    settings: Settings,
    prepare: Callable[[Path, Keyring], Callable[[Environment], Reborn]],
) -> Reborn:
    """A copy is put aside, begins its epoch there, and becomes the store. The folder is ours."""
    keyring = keyring_of(settings)
    held = folder.hold(Path(settings.node.data_dir))
    aside = held.path / ASIDE_FOLDER
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(mode=0o700)
        begin = prepare(held.path, keyring)
        with opened_copy(aside, keyring, to_write=True) as copy:
            reborn = begin(copy)
        _put_in_place(held.path, reborn)
        return reborn
    except _REFUSALS as error:
        raise StartError(str(error), FAILED) from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        held.release()


def _begin(
    copy: Environment,
    settings: Settings,
    ids: Ids,
    clock: Clock,
    cause: str,
    epoch: int,
    cluster_id: str,
    *,
    finish_log: bool,
) -> Reborn:
    before = identity.read(copy)
    if not before.epoch < epoch <= EPOCH_MAX:
        raise StartError(
            f"--epoch {epoch}: the state is of epoch {before.epoch}, so a later one is needed "
            f"(at most {EPOCH_MAX})"
        )
    birth = sole_voter(before, voter(settings), ids.new_id(), epoch, cluster_id)
    return begin_epoch(copy, birth, cause, int(clock.wall() * NS), finish_log=finish_log)


def _put_in_place(data: Path, reborn: Reborn) -> None:
    store, aside = data / STORE_FOLDER, data / ASIDE_FOLDER
    flush_names((aside,))
    if store.exists() and any(store.iterdir()):
        store.rename(data / BEFORE_FOLDER.format(reborn.birth.epoch))
    aside.rename(store)  # also over an empty folder
    flush_names((data,))


def _undo_half_a_recovery(data: Path) -> None:
    """A recovery that crashed between its two renames is begun again from the old store."""
    store = data / STORE_FOLDER
    if store.exists():
        return
    before = sorted(data.glob(BEFORE_FOLDER.format("*")), key=_epoch_of_folder)
    if before:
        before[-1].rename(store)


def _epoch_of_folder(path: Path) -> int:
    digits = path.name.rpartition("-")[2]
    return int(digits) if digits.isdecimal() else 0


def _copy_checked(store: Path, aside: Path, settings: Settings, keyring: Keyring) -> int:
    """Copy a store, once it is known to be whole and ours; the epoch that it is of."""
    if not (store / DATA_FILE).exists():
        raise StartError(f"there is no store in {store}: recover one that has it", NOT_CURABLE)
    _require_whole(store, None, settings)
    environment, birth = identity.load(store, member_id=settings.node.id, keyring=keyring)
    try:
        _require_cluster(birth.cluster_name, settings, f"the store in {store} is of")
        environment.copy(aside)
    finally:
        environment.close()
    return birth.epoch


def _require_cluster(name: str, settings: Settings, what: str) -> None:
    if name != settings.cluster.name:
        raise StartError(
            f'{what} the cluster "{name}", and this node is of "{settings.cluster.name}"',
            NOT_CURABLE,
        )


def _require_whole(store: Path, manifest: Manifest | None, settings: Settings) -> None:
    problems = checked_apart(store, manifest, settings.bbs.encryption.keys).problems
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise StartError(f"it can't be used: {problems[0]}{more}")


def _next_epoch(manifest: Manifest, data: Path, settings: Settings) -> int:
    """After every epoch that can be seen from here: a backup may be restored more than once."""
    epochs = [manifest.epoch]
    if settings.bbs.backup.directory:
        kept = kept_in(Path(settings.bbs.backup.directory), settings.cluster.name)
        epochs += [each.manifest.epoch for each in kept]
    epochs += [_epoch_of_folder(path) for path in data.glob(BEFORE_FOLDER.format("*"))]
    return max(epochs) + 1
