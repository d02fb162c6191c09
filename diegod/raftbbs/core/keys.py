"""Which names may become keys of the store, checked before a rule opens a row.

LMDB's longest key has 511 bytes; a longer one must never get as far as a write. The limit here is
Diego's, and leaves room for what a table adds to a name.
"""

from functools import cache
from typing import Any

from diegod.models.errors import Reason
from diegod.raftbbs.core.decision import Refused

KEY_BYTES_MAX = 128

#: Every field of a command, or of the row in it, that ends up in a key.
_KEY_FIELDS = ("task_guid", "process_guid", "instance_guid", "cell_id", "domain", "name")
#: Where a command may leave one of them empty.
_OPTIONAL = {("CreateInstance", "cell_id")}
#: Of a row that comes with a command: its identity and its domain; the rest is not set yet.
_ROW_FIELDS = {
    "task": ("task_guid", "domain"),
    "desired_lrp": ("process_guid", "domain"),
    "schedule": ("name", "domain"),
    "cell": ("cell_id",),
    "instance": ("process_guid", "instance_guid"),
}


def illegal_keys(body: Any) -> Refused | None:
    """The refusal of the first name that can't be a key; None when all can."""
    own, of_rows = _fields_of(body.DESCRIPTOR)
    refusal = _illegal(body, own)
    for row, fields in of_rows:
        refusal = refusal or _illegal(getattr(body, row), fields)
    return refusal


def _illegal(message: Any, fields: tuple[str, ...]) -> Refused | None:
    for field in fields:
        name = getattr(message, field)
        size = len(name.encode())
        if size == 0 and (message.DESCRIPTOR.name, field) in _OPTIONAL:
            continue
        if not 0 < size <= KEY_BYTES_MAX:
            return Refused(
                Reason.INVALID_REQUEST, f"{field} has {size} bytes; 1 to {KEY_BYTES_MAX} are legal"
            )
        if "\0" in name:
            return Refused(Reason.INVALID_REQUEST, f"{field} contains a NUL")
    return None


@cache
def _fields_of(descriptor: Any) -> tuple[tuple[str, ...], tuple[tuple[str, tuple[str, ...]], ...]]:
    """The key fields of a command, and those of each row in it."""
    fields = descriptor.fields_by_name
    own = tuple(field for field in _KEY_FIELDS if field in fields)
    return own, tuple((row, names) for row, names in _ROW_FIELDS.items() if row in fields)
