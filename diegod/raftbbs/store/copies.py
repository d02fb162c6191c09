"""A copy of a store, opened for the time of a block: the only way in which anybody opens one.

A copy has the keys' names of the store that it was made of, and maybe its earlier format.
Does not belong here: a member's own store (`opening`), and what is done with a copy.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from diegod.raftbbs.store import migration
from diegod.raftbbs.store.environment import MAP_SIZE_BYTES, Environment
from diegod.raftbbs.store.key_registry import open_to_read, unlock
from diegod.security.at_rest import NO_KEYS, Keyring


@contextmanager
def opened_copy(
    folder: Path,
    keyring: Keyring = NO_KEYS,
    *,
    to_write: bool = False,
    durable: bool = True,
    map_size: int = MAP_SIZE_BYTES,
) -> Iterator[Environment]:
    """`to_write`: it becomes one of this format, and what is written is under the active key.

    Raises KeysRefused, StoreFailed, StoreMissing, or ValueError where it can't be migrated.
    """
    environment = Environment.open(folder, durable=durable, map_size=map_size)
    try:
        if to_write:
            if migration.is_previous(environment):
                migration.migrate(environment)
            unlock(environment, keyring)
        else:
            open_to_read(environment, keyring)
        yield environment
    finally:
        environment.close()


def opened_like(folder: Path, like: Environment) -> AbstractContextManager[Environment]:
    """A copy that becomes what another store is: with its keys, and as safely flushed."""
    return opened_copy(
        folder, like.keyring, to_write=True, durable=like.durable, map_size=like.map_size
    )
