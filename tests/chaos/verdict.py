"""The judgement of a run: its history by both checkers, its watchers, its members' states."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.chaos.nemesis import Event
from tests.chaos.watching import State, Watcher
from tests.checkers import linearizable, replay
from tests.checkers.history import Change, Done, History, Operation, Unknown
from tests.checkers.search import Verdict

#: A write is acknowledged that long after the last fault, at the latest.
RECOVERY_S = 10.0
UNKNOWN_SHARE = 0.05
OPERATIONS_A_SECOND = 50.0


@dataclass
class Checked:
    """How long each check took, and everything that is wrong."""

    problems: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    keys: int = 0
    steps: int = 0
    versions: int = 0


def judge(history: History) -> Checked:
    """By replay, and by a search for each key."""
    checked = Checked()
    began = time.monotonic()
    checked.problems += [f"replay: {each}" for each in replay.violations(history)]
    checked.seconds["replay in revision order"] = time.monotonic() - began
    began = time.monotonic()
    judgements = linearizable.judge(history)
    checked.problems += [
        f"search, {each.key}: {each.verdict.value}. {each.explanation}"
        for each in judgements
        if each.verdict is not Verdict.LINEARIZABLE
    ]
    checked.seconds["search by key"] = time.monotonic() - began
    checked.keys, checked.steps = len(judgements), sum(each.steps for each in judgements)
    checked.versions = len(history.changes)
    return checked


def of_watchers(watchers: Sequence[Watcher], feed: Sequence[Change]) -> list[str]:
    """Each has seen every change after the base once, in order."""
    expected = [(change.revision, change.key) for change in feed]
    return [
        f"the watcher of {each.member} {_first_difference(each.changes, expected)}"
        for each in watchers
        if each.changes != expected
    ]


def of_states(states: Mapping[str, State], feeds: Mapping[str, Sequence[Change]]) -> list[str]:
    """All members have the same rows, of the same revision, and tell the same history."""
    (first, state), *others = states.items()
    problems = []
    for member, other in others:
        if (other.revision, other.digest) != (state.revision, state.digest):
            problems.append(f"{first} and {member} differ: {_difference(state, other)}")
        if list(feeds[member]) != list(feeds[first]):
            problems.append(f"{first} and {member} tell different histories")
    return problems


def _first_difference(
    seen: Sequence[tuple[int, str]], expected: Sequence[tuple[int, str]]
) -> str:
    for position, (one, other) in enumerate(zip(seen, expected, strict=False)):
        if one != other:
            return f"saw {one} as its change number {position + 1}, {other} was to be seen"
    return f"saw {len(seen)} changes, {len(expected)} were to be seen"


def _difference(one: State, other: State) -> str:
    keys = sorted({*one.rows, *other.rows})
    different = [key for key in keys if one.rows.get(key) != other.rows.get(key)]
    return f"revisions {one.revision} and {other.revision}, rows {different[:5]}"


# Rates.


@dataclass(frozen=True)
class Windows:
    """When no fault was there, between the beginning of the load and its end."""

    quiet: Sequence[tuple[float, float]]

    @classmethod
    def between(cls, began_s: float, ended_s: float, events: Sequence[Event]) -> "Windows":
        edges = sorted((event.began_s, event.ended_s) for event in events)
        quiet, free_from = [], began_s
        for begin, end in edges:
            if begin > free_from:
                quiet.append((free_from, begin))
            free_from = max(free_from, end)
        if ended_s > free_from:
            quiet.append((free_from, ended_s))
        return cls(quiet)

    @property
    def seconds(self) -> float:
        return sum(end - begin for begin, end in self.quiet)

    def rate(self, operations: Sequence[Operation]) -> float:
        """Operations a second that were answered, and told something of a row, in quiet."""
        at = [each.returned_ns / 1e9 for each in operations if each.tells_of_row]
        inside = sum(any(begin <= time_s < end for begin, end in self.quiet) for time_s in at)
        return inside / self.seconds if self.seconds else 0.0


def unknown_share(operations: Sequence[Operation]) -> float:
    unknown = sum(isinstance(each.outcome, Unknown) for each in operations)
    return unknown / len(operations) if operations else 0.0


def recoveries_s(operations: Sequence[Operation], events: Sequence[Event]) -> list[float]:
    """How long after each time the faults were over a write was acknowledged that began then.

    Where the next fault began, or the load ended, before that, nothing is known.
    """
    windows = Windows.between(0.0, float("inf"), events).quiet[1:]
    writes = [each for each in operations if each.is_write and isinstance(each.outcome, Done)]
    found = []
    for begin, end in windows:
        within = (
            each.returned_ns / 1e9
            for each in writes
            if begin <= each.invoked_ns / 1e9 and each.returned_ns / 1e9 < end
        )
        first = min(within, default=None)
        if first is not None:
            found.append(first - begin)
        elif end - begin > RECOVERY_S and end != float("inf"):
            found.append(end - begin)
    return found
