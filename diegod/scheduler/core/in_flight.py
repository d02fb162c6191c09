"""What the brain has decided but not yet seen happen.

Until the watch shows it, the same thing is not decided again, and its room is not given away.
That saves work: a decision on an old version of a row is refused by the BBS anyway. But one on
another row is not, so convergence asks here which instances are about to end.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from diegod.internal.v1.command_pb2 import CreateInstance, Outcome
from diegod.scheduler.core.auction import Placement
from diegod.scheduler.core.breaks import Steps, in_one_go, in_portions
from diegod.scheduler.core.cell_table import CellTable
from diegod.scheduler.core.decision import (
    Decision,
    OnInstance,
    OnLrp,
    OnSchedule,
    OnTask,
    RowVersion,
)
from diegod.scheduler.core.snapshot import Key, Snapshot
from diegod.v1.record_pb2 import ActualLrp, DesiredLrp, Task, TaskSchedule

_BOOKED_AT_ONCE = 10


@dataclass
class _Flight:
    decision: Decision
    placement: Placement | None
    until: float
    revision: int | None = None  # of its change, once answered; None: not known to have happened
    given_up: bool = False  # it did not happen


class InFlight:
    def __init__(self, patience_s: float = 10.0, retry_s: float = 1.0) -> None:
        self._patience_s = patience_s  # for a change that should come; it may never have happened
        self._retry_s = retry_s  # for one that was refused or was certainly not made
        self._flights: dict[RowVersion, _Flight] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def __iter__(self) -> Iterator[RowVersion]:
        """What may happen yet, or has happened unseen."""
        return (about for about, flight in self._flights.items() if not flight.given_up)

    def __contains__(self, about: object) -> bool:
        flight = self._flights.get(about)  # type: ignore[call-overload]
        return flight is not None and not flight.given_up

    def new(self, decisions: Iterable[Decision]) -> list[Decision]:
        return [decision for decision in decisions if decision.about not in self._flights]

    def rows(self) -> frozenset[str]:
        """The guids of all rows that something is under way for."""
        return frozenset(about.guid for about in self._flights)

    def sent(self, decision: Decision, placement: Placement | None, now: float) -> None:
        self._flights[decision.about] = _Flight(decision, placement, now + self._patience_s)

    def answered(self, decision: Decision, outcome: Outcome, now: float) -> None:
        """Done: until the watch shows that revision. Refused: what it was decided on is no more,
        and the watch will say what is; until then it would only be refused again."""
        flight = self._flights.get(decision.about)
        if flight is None:  # the watch was faster than the answer
            return
        if outcome.reason:
            self._give_up(flight, now)
        else:
            flight.revision = outcome.revision

    def not_made(self, decision: Decision, now: float) -> None:
        """Certainly not applied: to be decided anew soon."""
        if flight := self._flights.get(decision.about):
            self._give_up(flight, now)

    def land(self, snapshot: Snapshot, now: float) -> list[Key]:
        """Forgets what the snapshot shows, and what there is no use in waiting for any longer;
        returns the keys of the latter, since no change will bring them up again."""
        return in_one_go(self.landing(snapshot, now))

    def landing(self, snapshot: Snapshot, now: float) -> Steps[list[Key]]:
        """The same, step by step."""
        overdue: dict[Key, None] = {}
        for portion in in_portions(list(self._flights.items())):
            yield
            for about, flight in portion:
                if _is_seen(snapshot, flight):
                    del self._flights[about]
                elif now >= flight.until:
                    del self._flights[about]
                    overdue[flight.decision.key] = None
        return sorted(overdue)

    def next_at(self) -> float | None:
        return min((flight.until for flight in self._flights.values()), default=None)

    def book_into(self, cells: CellTable) -> None:
        """What is on its way to a cell takes room there already."""
        in_one_go(self.booking_into(cells))

    def booking_into(self, cells: CellTable) -> Steps[None]:
        """The same, step by step: a process is looked at on all cells first."""
        placements = [each.placement for each in self._flights.values() if each.placement]
        for portion in in_portions(placements, _BOOKED_AT_ONCE):
            yield
            for placement in portion:
                if (row := cells.row_of.get(placement.cell_id)) is not None:
                    cells.book(row, placement.lot.work)

    def _give_up(self, flight: _Flight, now: float) -> None:
        flight.placement, flight.given_up = None, True
        flight.until = now + self._retry_s


def _is_seen(snapshot: Snapshot, flight: _Flight) -> bool:
    """The change itself, or another one after which this decision means nothing any more."""
    if flight.revision is not None and snapshot.revision >= flight.revision:
        return True
    action = flight.decision.action
    if isinstance(action, CreateInstance):
        desired = snapshot.desired.get(action.process_guid)
        return desired is None or desired.provenance.revision != action.desired_revision
    if snapshot.revision < action.row_revision:  # the watch is still behind
        return False
    row = _row(snapshot, action)
    return row is None or row.provenance.revision != action.row_revision


def _row(
    snapshot: Snapshot, action: OnTask | OnInstance | OnLrp | OnSchedule
) -> Task | ActualLrp | DesiredLrp | TaskSchedule | None:
    if isinstance(action, OnTask):
        return snapshot.tasks.get(action.task_guid)
    if isinstance(action, OnSchedule):
        return snapshot.schedules.get(action.name)
    if isinstance(action, OnLrp):
        return snapshot.desired.get(action.process_guid)
    return snapshot.instances.get(action.instance_guid)
