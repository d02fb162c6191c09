"""Numbers of the whole state, in one record that every entry writes anew."""

import struct
from dataclasses import dataclass
from typing import Self

HASH_BYTES = 32
_COUNTERS = struct.Struct(">QqQQQI32sQ")


@dataclass(slots=True)
class Counters:
    """Numbers of the whole state. Equal on all members that have applied the same entries."""

    revision: int = 0
    at_ns: int = 0  # replicated time: the greatest stamp applied
    numbers: int = 0  # the last row number handed out
    changes: int = 0  # how many are kept
    compacted: int = 0  # changes up to this revision are no longer kept
    cluster_format: int = 1  # what every member can read
    state_hash: bytes = bytes(HASH_BYTES)
    """A chain: of the hash before the last entry, and of everything that entry wrote to the state.
    Not part of it: how many changes are kept, which each member may decide for itself."""
    collected_tasks: int = 0  # ended, kept for their retention, and removed

    def packed(self) -> bytes:
        return _COUNTERS.pack(
            self.revision,
            self.at_ns,
            self.numbers,
            self.changes,
            self.compacted,
            self.cluster_format,
            self.state_hash,
            self.collected_tasks,
        )

    @classmethod
    def unpacked(cls, stored: bytes) -> Self:
        return cls(*_COUNTERS.unpack(stored))
