"""The guids of tasks that were deleted, each kept until its time: by guid, and by that time.

The rules refuse a task of a kept guid (`core.tasks`). What was kept long enough is removed when
another task is deleted, a few at a time, so that no entry of the log has much to do for it.
"""

import struct
from itertools import islice

from diegod.raftbbs.store.environment import ReadTransaction, WriteTransaction
from diegod.raftbbs.store.tables import Tables

_END = struct.Struct(">Q")
#: Each time that one is added: more than one, so that they become fewer.
PRUNED_AT_ONCE = 8


def read(tables: Tables, transaction: ReadTransaction, guid: str) -> int | None:
    """Until when it is kept; None: it is not."""
    stored = transaction.get(tables.tombstones, guid.encode()) if guid else None
    return None if stored is None else int(_END.unpack(stored)[0])


def write(tables: Tables, transaction: WriteTransaction, guid: str, end_ns: int) -> None:
    remove(tables, transaction, guid)
    transaction.put(tables.tombstones, guid.encode(), _END.pack(end_ns))
    transaction.put(tables.tombstones_by_end, key_by_end(end_ns, guid.encode()), b"\0")


def remove(tables: Tables, transaction: WriteTransaction, guid: str) -> bool:
    """Whether there was one."""
    end_ns = read(tables, transaction, guid)
    if end_ns is None:
        return False
    transaction.delete(tables.tombstones, guid.encode())
    transaction.delete(tables.tombstones_by_end, key_by_end(end_ns, guid.encode()))
    return True


def prune(tables: Tables, transaction: WriteTransaction, now_ns: int) -> list[str]:
    """Remove some of those whose time is over; their guids."""
    over = transaction.scan(tables.tombstones_by_end, stop=_END.pack(now_ns + 1))
    guids = [key[_END.size :].decode() for key, _ in islice(over, PRUNED_AT_ONCE)]
    for guid in guids:
        remove(tables, transaction, guid)
    return guids


def key_by_end(end_ns: int, guid: bytes) -> bytes:
    return _END.pack(end_ns) + guid
