"""Which automatic backups are kept: the newest so many, none older than so long, and always one.

The newest that was verified is never removed, whatever its age and number: the last thing that a
cluster that fails to make backups may lose is the one that it could be restored from.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Backup:
    """One that is there: how to speak of it, when it was taken, and whether it was read back."""

    name: str
    taken_at_s: float
    verified: bool


def to_remove(
    backups: Sequence[Backup], keep: int, keep_for_s: float | None, now: float
) -> tuple[str, ...]:
    """The names of those that go, the oldest first. `keep_for_s` None: whatever their age."""
    newest_first = sorted(backups, key=lambda each: (each.taken_at_s, each.name), reverse=True)
    last_verified = next((each.name for each in newest_first if each.verified), None)
    kept = 0
    going: list[str] = []
    for each in newest_first:
        is_late = keep_for_s is not None and now - each.taken_at_s > keep_for_s
        if each.name == last_verified or not (is_late or kept >= keep):
            kept += 1
        else:
            going.append(each.name)
    return tuple(reversed(going))
