"""What the standing of a row is told of the rest of the cluster, and the answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from google.protobuf.timestamp_pb2 import Timestamp

from diegod.v1.record_pb2 import ActualLrp, BrainSettings, Cell, DesiredLrp

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Standing:
    """A row that is not at rest always has a reason and a deadline."""

    at_rest: bool  # nothing happens to it by itself, or only its planned end
    reason: str
    deadline: float | None = None  # by then at the latest; in the past: it is due


@dataclass(frozen=True)
class Facts:
    """Plain values. Times are in seconds, of the cluster's own replicated time."""

    brain_id: str = ""  # that holds the lock; empty: none is active
    take_up_s: float = 10.0
    lease_ttl_s: float = 10.0
    full_pass_s: float = 30.0
    hold_until: float | None = None  # of a mass loss that is in force
    cells: Mapping[str, Cell] = field(default_factory=dict)  # those that the row is on
    lrp: DesiredLrp | None = None  # of an instance: what desires it
    domain_fresh: bool = True
    #: Of an instance: all of its index, itself too; of an LRP: all. None: not known.
    instances: Sequence[ActualLrp] | None = None
    start_timeout_s: float = START_TIMEOUT_S  # 0: no limit
    stop_timeout_s: float = STOP_TIMEOUT_S
    occupants: int | None = None  # of a cell: tasks and instances on it; None: not known
    next_slot: float | None = None  # of a schedule: the first that is not done; None: there is none

    def is_present(self, cell_id: str) -> bool:
        cell = self.cells.get(cell_id)
        return cell is not None and cell.state == Cell.PRESENT

    def drain_deadline(self, cell_id: str) -> float | None:
        """None: the cell is not being drained."""
        cell = self.cells.get(cell_id)
        if cell is None or not cell.HasField("drain"):
            return None
        return seconds(cell.drain.deadline_at)


def facts_of_brain(brain_id: str, settings: BrainSettings) -> Facts:
    """By what the brain that holds the lock says it goes by; the rest has its default."""
    facts = Facts(brain_id=brain_id)
    said = {
        name: float(getattr(settings, name))
        for name in ("take_up_s", "lease_ttl_s", "full_pass_s")
        if getattr(settings, name)
    }
    return replace(facts, **said)  # type: ignore[arg-type]


def at_rest(reason: str, deadline: float | None = None) -> Standing:
    return Standing(True, reason, deadline)


def moving(reason: str, deadline: float) -> Standing:
    """Something else than the brain does the next thing: a cell, or the clock."""
    return Standing(False, reason, deadline)


def by_brain(facts: Facts, reason: str, at: float, now: float, *, held: bool = False) -> Standing:
    """The brain does the next thing, at `at`. `held`: not while a mass loss is in force."""
    if held and facts.hold_until is not None:
        reason = f"{reason}; held, since many cells were lost at once"
        at = max(at, facts.hold_until)
    if not facts.brain_id:
        return Standing(False, f"{reason}; no brain is active", max(at, now + facts.lease_ttl_s))
    return Standing(False, reason, at)


def in_next_pass(facts: Facts, reason: str, now: float, *, held: bool = False) -> Standing:
    """At once as a rule; the pass over everything is what nothing slips through."""
    return by_brain(facts, reason, now + facts.full_pass_s, now, held=held)


def seconds(moment: Timestamp) -> float:
    return moment.ToNanoseconds() / 1e9


def has_place(facts: Facts, cell_id: str, placed_at: Timestamp, now: float) -> Standing:
    """Of a placement that its cell has not taken up."""
    if not facts.is_present(cell_id):
        return in_next_pass(facts, f"placed on {cell_id}, which is missing: placed anew", now)
    reason = f"placed on {cell_id}, which has not taken it up yet"
    return by_brain(facts, reason, seconds(placed_at) + facts.take_up_s, now)
