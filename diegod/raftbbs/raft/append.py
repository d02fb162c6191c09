"""What a follower may take from an append: a pure function of its log and the message.

The library cuts its log behind the previous entry of every message, even where the two logs agree,
and counts its own end as a match (F3). So it is handed a message in which nothing is left to cut
but a real conflict, and what it then claims is corrected to what the message proved.

The beginning of a log may be cut off. What was cut was applied, hence committed, hence is in every
later leader's log: it agrees, without being looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from diegod.internal.v1.raft_pb2 import AppendEntries, LogEntry
from diegod.raftbbs.raft.api import Fatal


class LogView(Protocol):
    @property
    def first_index(self) -> int: ...

    @property
    def last_index(self) -> int: ...

    def term_at(self, index: int) -> int: ...


@dataclass(frozen=True, slots=True)
class Take:
    """The logs agree up to `match` once `entries` are appended behind `previous_index`."""

    previous_index: int
    previous_term: int
    entries: Sequence[LogEntry]
    match: int
    commit_index: int


@dataclass(frozen=True, slots=True)
class Retry:
    """The logs don't agree at the previous entry; `next_index` is where to try next."""

    next_index: int


def reconcile(log: LogView, commit_index: int, message: AppendEntries) -> Take | Retry:
    """Decide what to take. The message's own order and ranges were checked before."""
    previous = message.previous_index
    if previous > log.last_index:
        return Retry(log.last_index + 1)
    is_cut = previous < log.first_index
    if not is_cut and log.term_at(previous) != message.previous_term:
        if previous <= commit_index:
            raise Fatal(f"a leader disagrees with the committed entry {previous}")
        return Retry(_start_of_term(log, previous, commit_index))
    return _take(log, commit_index, message)


def _take(log: LogView, commit_index: int, message: AppendEntries) -> Take:
    entries = message.entries
    known = _known(log, entries)
    if known < len(entries) and entries[known].index <= commit_index:
        raise Fatal(f"a leader would replace the committed entry {entries[known].index}")
    match = max(entries[-1].index if entries else message.previous_index, log.first_index)
    behind = entries[known - 1] if known else None
    previous, term = (
        (behind.index, behind.term) if behind else (message.previous_index, message.previous_term)
    )
    if known == len(entries) and previous < log.last_index:
        previous, term = log.last_index, log.term_at(log.last_index)  # keep what follows
    return Take(previous, term, entries[known:], match, min(message.commit_index, match))


def _known(log: LogView, entries: Sequence[LogEntry]) -> int:
    """How many of the entries, from the first, are in the log already."""
    known = 0
    for entry in entries:
        is_cut = entry.index < log.first_index
        if entry.index > log.last_index or not (is_cut or log.term_at(entry.index) == entry.term):
            break
        known += 1
    return known


def _start_of_term(log: LogView, index: int, commit_index: int) -> int:
    """The first entry of the term that conflicts at `index`: one step back a term, not an entry."""
    term = log.term_at(index)
    while index - 1 > commit_index and log.term_at(index - 1) == term:
        index -= 1
    return index
