"""A member's store is opened to be served: only when it is its own, whole, and not quarantined.

In this order, so that nothing is trusted before it was checked: the mark of a quarantine, the pages
of the file, and only then LMDB; whose store it is; the rows. All of it before the member says a
word. Reads in the order of the file, in this process: what is checked first can't crash it.
"""

from pathlib import Path

from diegod.raftbbs.store import identity, quarantine, structure, verification
from diegod.raftbbs.store.environment import DATA_FILE, Environment, StoreFailed
from diegod.raftbbs.store.identity import Birth, StoreRefused
from diegod.raftbbs.store.pages import PagesDamaged
from diegod.raftbbs.store.verification import RowsDamaged
from diegod.security.at_rest import NO_KEYS, Keyring


def open_verified(
    folder: Path, *, member_id: str | None = None, keyring: Keyring = NO_KEYS
) -> tuple[Environment, Birth]:
    """Open a store that may be served. Raises StoreRefused, or StoreFailed."""
    quarantine.refuse_marked(folder)
    tables = _checked_pages(folder)
    try:
        environment, birth = identity.load(folder, member_id=member_id, keyring=keyring)
    except StoreFailed as error:
        raise StoreRefused(
            f"{error}. It needs room, and files that are this user's to read and write; lock.mdb "
            "may be removed while nobody uses the store"
        ) from None
    try:
        _verify(environment, tables)
    except BaseException:
        environment.close()
        raise
    return environment, birth


def _verify(environment: Environment, tables: tuple[str, ...]) -> None:
    try:
        verification.verify(environment, tables)
    except RowsDamaged as error:
        raise damaged(environment.path, str(error)) from None


def damaged(folder: Path, what: str) -> StoreRefused:
    """The refusal of a store that is not whole: what was found, and the way out."""
    return StoreRefused(
        f"the store in {folder} is damaged ({what}). It is not served: move {folder} away and "
        "replace this member with `diegod bbs join ADDRESS --replace`; a cluster of one member is "
        "restored from a backup"
    )


def _checked_pages(folder: Path) -> tuple[str, ...]:
    """The tables of the file; none where there is no file."""
    if not (folder / DATA_FILE).exists():
        return ()  # said in other words when it is loaded
    try:
        return tuple(structure.check(folder).entries)
    except PagesDamaged as error:
        raise damaged(folder, str(error)) from None
    except OSError as error:
        raise StoreRefused(
            f"{folder / DATA_FILE} can't be read ({error.strerror}): make it readable, or look to "
            "its disk"
        ) from None
