"""Which names may become keys of the store, checked before a rule opens a row.

LMDB's longest key has 511 bytes; a longer one must never get as far as a write. The limit here is
Diego's, and leaves room for what a table adds to a name.
"""

from collections.abc import Iterator
from typing import Any

from diegod.models.errors import Reason
from diegod.raftbbs.core.decision import Refused

KEY_BYTES_MAX = 128

#: Every field of a command, or of the row in it, that ends up in a key.
_KEY_FIELDS = ("task_guid", "process_guid", "instance_guid", "cell_id", "domain", "name")
#: Of a row that comes with a command: what of it ends up in a key.
_OWN = {
    "task": ("task_guid", "domain"),
    "desired_lrp": ("process_guid", "domain"),
    "cell": ("cell_id",),
    "instance": ("process_guid", "instance_guid"),
}


def illegal_keys(body: Any) -> Refused | None:
    """The refusal of the first name that can't be a key; None when all can."""
    for field, name in _names(body):
        size = len(name.encode())
        if not 0 < size <= KEY_BYTES_MAX:
            return Refused(
                Reason.INVALID_REQUEST, f"{field} has {size} bytes; 1 to {KEY_BYTES_MAX} are legal"
            )
        if "\0" in name:
            return Refused(Reason.INVALID_REQUEST, f"{field} contains a NUL")
    return None


def _names(message: Any) -> Iterator[tuple[str, str]]:
    fields = message.DESCRIPTOR.fields_by_name
    for field in _KEY_FIELDS:
        if field in fields:
            yield field, getattr(message, field)
    for row in _OWN:
        if row in fields:
            yield from _own_names(row, getattr(message, row))


def _own_names(kind: str, row: Any) -> Iterator[tuple[str, str]]:
    """Of a row that comes with a command: its identity and its domain; the rest is not set yet."""
    for own in _OWN[kind]:
        yield own, getattr(row, own)
