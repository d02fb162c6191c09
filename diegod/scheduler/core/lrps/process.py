"""The instances of one process, sorted out: which run as they should, and which places need a look.

A place is where an LRP is to have one instance: an index, or a cell if the LRP is GLOBAL. The rules
(`process_repairs`) ask this view, write their steps on its sheet, and leave the rows as they are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import TypeAlias

from diegod.internal.v1.command_pb2 import CreateInstance
from diegod.scheduler.core.breaks import Steps, in_portions
from diegod.scheduler.core.decision import RowVersion, process_key
from diegod.scheduler.core.lrps.steps import Step, evacuation, retirement
from diegod.scheduler.core.lrps.update_rules import UpdateRules
from diegod.scheduler.core.repairs import Sheet
from diegod.scheduler.core.snapshot import Snapshot, seconds
from diegod.v1.definition_pb2 import LrpDefinition
from diegod.v1.record_pb2 import ActualLrp, Cell, DesiredLrp, Rollout

Place: TypeAlias = int | str


@dataclass
class Slot:
    """A place that needs a look: at most one ordinary instance, and those that stand in for it."""

    index: int
    cell_id: str = ""  # of a GLOBAL LRP
    ordinary: ActualLrp | None = None
    evacuating: list[ActualLrp] = field(default_factory=list)
    suspects: list[ActualLrp] = field(default_factory=list)
    #: The one of these that is to be the ordinary one again.
    returning: ActualLrp | None = None

    def add(self, row: ActualLrp) -> None:
        if row.presence == ActualLrp.ORDINARY:
            self.ordinary = row
        elif row.presence == ActualLrp.EVACUATING:
            self.evacuating.append(row)
        else:
            self.suspects.append(row)

    def rows(self) -> Iterator[ActualLrp]:
        if self.ordinary is not None:
            yield self.ordinary
        yield from self.evacuating
        yield from self.suspects


@dataclass(frozen=True)
class Tally:
    count: int
    old: Sequence[ActualLrp]
    healthy: Sequence[ActualLrp]  # of the definition that is wanted

    @property
    def unfinished(self) -> int:
        """How many are of the definition that is wanted, and not healthy yet."""
        return self.count - len(self.old) - len(self.healthy)


class Process:
    """`settled`: the ordinary instances that run where they may stay, whatever their definition;
    `slots`: the places to look at, some of which have a settled instance as well; `extra`: what is
    at no place. Only what is settled nowhere else needs a slot, so that most rows cost little.

    `look_at_all` comes before any rule, `count_up` before whatever asks for the `tally`."""

    def __init__(
        self,
        sheet: Sheet,
        desired: DesiredLrp,
        settled: dict[Place, ActualLrp],
        slots: dict[Place, Slot],
        extra: Sequence[ActualLrp],
    ) -> None:
        self.sheet = sheet
        self.snapshot = sheet.snapshot
        self.desired = desired
        self.key = process_key(desired.process_guid)
        self.rules = UpdateRules.of(desired)
        self.is_global = desired.mode == LrpDefinition.GLOBAL
        self.settled = settled
        self.slots = slots
        self.extra = extra
        #: Instances that were told just now to serve until they are replaced.
        self.begun = 0
        self._tally: Tally | None = None
        self._ended: set[str] = set()
        self._returned: set[str] = set()
        self._unserved: set[Place] = set()
        self._place_of: dict[str, Place] = {}  # where what is ended here may be missed

    def look_at_all(self) -> Steps[None]:
        for portion in in_portions(self.rows()) if self.sheet.sent else ():
            yield
            self.begun += sum(self._is_sent("EvacuateInstance", row) for row in portion)
        for slots in in_portions(self.slots.values()):
            yield
            for slot in slots:
                slot.evacuating.sort(key=_guid)
                slot.suspects.sort(key=_guid)
                slot.returning = self._returning(slot)
        if not self.rules.starts_first:
            yield from self._count_unserved()

    def count_up(self) -> Steps[None]:
        """What `tally` is to say; once."""
        if self._tally is not None:
            return
        wanted, rolls = self.desired.definition_revision, self.desired.rollout.state
        rows = [
            row
            for place, row in self.settled.items()
            if place not in self.slots and self._takes(row.cell_id)
        ]
        yield
        old = [row for row in rows if row.definition_revision != wanted]
        yield
        if not old and rolls == Rollout.DONE:
            self._tally = Tally(len(rows), old, rows)  # nobody asks how healthy they are
            return
        healthy: list[ActualLrp] = []
        for portion in in_portions(rows):
            yield
            new = (row for row in portion if row.definition_revision == wanted)
            healthy += (row for row in new if self.is_healthy(row))
        self._tally = Tally(len(rows), old, healthy)

    # What may be asked of a row.

    def is_old(self, row: ActualLrp) -> bool:
        """Of another definition than the one that is wanted, be it an earlier or a later one."""
        return row.definition_revision != self.desired.definition_revision

    def is_lost(self, row: ActualLrp) -> bool:
        return is_on_cell(row) and not self.snapshot.is_present(row.cell_id)

    def goes_at_once(self, row: ActualLrp) -> bool:
        """Whether retiring it removes the row; otherwise its cell is asked to stop it first."""
        return not is_on_cell(row) or self.is_lost(row)

    def serves(self, row: ActualLrp | None) -> bool:
        """It runs, where it may be reached, and is not about to end."""
        if row is None or row.state != ActualLrp.RUNNING or self._is_ending(row):
            return False
        return row.instance_guid not in self._ended and self.snapshot.is_present(row.cell_id)

    def is_available(self, row: ActualLrp | None) -> bool:
        """It serves and takes traffic: it would be missed."""
        return row is not None and row.routable and self.serves(row)

    def is_healthy(self, row: ActualLrp | None) -> bool:
        """It serves, takes traffic, and has run for long enough; if only that is to come, it is a
        deadline."""
        if row is None or not row.routable or not self.serves(row):
            return False
        return self.sheet.is_due(self.key, seconds(row.since) + self.rules.min_healthy_s)

    def drained_cell(self, row: ActualLrp) -> Cell | None:
        """The cell that it is on or placed on, if everything is moved away from there."""
        cell_id = row.cell_id or row.placed_cell_id
        if not cell_id or cell_id in self.snapshot.steady or not self.snapshot.is_present(cell_id):
            return None
        return self.snapshot.cells[cell_id]

    def is_past_deadline(self, row: ActualLrp) -> bool:
        """Whether its cell is drained and the time for that is over."""
        cell = self.drained_cell(row)
        return cell is not None and self.sheet.is_due(self.key, seconds(cell.drain.deadline_at))

    # What may be asked of the whole.

    @property
    def is_rolling(self) -> bool:
        """Whether old instances are replaced now. Old ones beside a rollout that is done are not of
        its making (adopted after a restore, say); they are replaced all the same."""
        return self.desired.rollout.state in (Rollout.ROLLING, Rollout.DONE)

    @cached_property
    def waits_for_old(self) -> bool:
        """Of an LRP whose versions must never run side by side: whether an old one is left."""
        return self.rules.recreates and any(
            self.is_old(row) and not self.goes_at_once(row)
            for row in chain(self.rows(), self.extra)
        )

    def may_create(self, slot: Slot) -> bool:
        if self.rules.starts_first:
            return True
        if not self._takes(slot.cell_id):
            return False
        if any(not self.goes_at_once(row) for row in slot.evacuating):
            return False
        return not self.waits_for_old

    def rows(self) -> Iterator[ActualLrp]:
        """All that are at their places."""
        for place, row in self.settled.items():
            if place not in self.slots:
                yield row
        for slot in self.slots.values():
            yield from slot.rows()

    @property
    def tally(self) -> Tally:
        """Of the settled instances at places that need no look."""
        assert self._tally is not None
        return self._tally

    def open_slots(self) -> Iterator[Slot]:
        """The slots of places that take an instance now."""
        return (slot for slot in self.slots.values() if self._takes(slot.cell_id))

    def unserved_beside(self, slot: Slot) -> int:
        """Of an LRP that stops first: at how many other places nothing takes traffic."""
        place: Place = slot.cell_id if self.is_global else slot.index
        return len(self._unserved) - (place in self._unserved)

    # What may be done.

    def creation(self, slot: Slot, reason: str) -> Step:
        action = CreateInstance(
            process_guid=self.desired.process_guid,
            index=slot.index,
            desired_revision=self.desired.provenance.revision,
            cell_id=slot.cell_id,
        )
        return action, f"{self.desired.process_guid}/{slot.index}: {reason}"

    def end(self, row: ActualLrp, reason: str) -> bool:
        """Unless its cell has been asked already, or a mass loss holds."""
        if row.instance_guid in self._ended or row.instance_guid in self._returned:
            return False
        if row.stopping and not self.goes_at_once(row):
            return False
        if not self.unless_held(row, retirement(row, reason)):
            return False
        self._ended.add(row.instance_guid)
        if (place := self._place_of.get(row.instance_guid)) is not None:
            self._note_whether_served(place)
        return True

    def stands_alone(self, slot: Slot) -> bool:
        """Whether no other instance stands in for the ordinary one, or lingers after this pass."""
        return all(
            row.instance_guid in self._ended and self.goes_at_once(row)
            for row in slot.evacuating + slot.suspects
        )

    def begin_moving(self, slot: Slot, row: ActualLrp, why: str) -> bool:
        """The instance serves on, and another one is made in its place."""
        if row.instance_guid in self._returned:
            return False
        if not self.unless_held(row, evacuation(row, why), self.creation(slot, why)):
            return False
        self.begun += 1
        slot.evacuating.append(row)
        return True

    def has_returned(self, slot: Slot) -> None:
        """From here on the rules see it as it is about to be; the next step on it needs the row's
        next version."""
        row = slot.returning
        assert row is not None
        slot.evacuating = [each for each in slot.evacuating if each is not row]
        slot.suspects = [each for each in slot.suspects if each is not row]
        slot.ordinary, slot.returning = row, None
        self._returned.add(row.instance_guid)

    def unless_held(self, row: ActualLrp, *steps: Step) -> bool:
        """Steps that end or replace this row."""
        return self.sheet.decide_unless_held(self.key, steps, row.cell_id)

    def _count_unserved(self) -> Steps[None]:
        """Once; then whatever is ended here changes it for its own place only."""
        for places in in_portions(list(dict.fromkeys(chain(self.settled, self.slots)))):
            yield
            for place in places:
                for row in self._rows_at(place):
                    self._place_of[row.instance_guid] = place
                self._note_whether_served(place)

    def _note_whether_served(self, place: Place) -> None:
        slot = self.slots.get(place)
        takes = self._takes(slot.cell_id if slot else self.settled[place].cell_id)
        if takes and not any(map(self.is_available, self._rows_at(place))):
            self._unserved.add(place)
        else:
            self._unserved.discard(place)

    def _rows_at(self, place: Place) -> list[ActualLrp]:
        slot = self.slots.get(place)
        return list(slot.rows()) if slot else [self.settled[place]]

    def _is_ending(self, row: ActualLrp) -> bool:
        """Its cell has been asked to stop it, or is about to be."""
        return row.stopping or self._is_sent("RetireInstance", row)

    def _is_sent(self, action: str, row: ActualLrp) -> bool:
        """Whether this is under way for it, and not to be seen yet."""
        sent = self.sheet.sent
        return bool(sent) and RowVersion(action, row.instance_guid, row.provenance.revision) in sent

    def _takes(self, cell_id: str) -> bool:
        """Whether this cell of a GLOBAL LRP takes a new instance at present."""
        return not self.is_global or takes_more(self.snapshot, cell_id)

    def _returning(self, slot: Slot) -> ActualLrp | None:
        if not self.serves(slot.ordinary):
            for row in slot.suspects:
                if self._is_back(row):
                    return row
        return next((row for row in slot.evacuating if self._is_wanted_back(slot, row)), None)

    def _is_back(self, suspect: ActualLrp) -> bool:
        """On a cell that is drained it stays suspect until its replacement runs, as an evacuating
        one does; at the deadline it is ended as an ordinary one."""
        if self._is_ending(suspect) or not self.snapshot.is_present(suspect.cell_id):
            return False
        return self.drained_cell(suspect) is None or self.is_past_deadline(suspect)

    def _is_wanted_back(self, slot: Slot, row: ActualLrp) -> bool:
        """What the brain moved away for a reason that is gone: a rollout that was taken back, a
        drain that was called off. What a person asked to be replaced is replaced."""
        if self._is_ending(row) or self.is_old(row) or not row.provenance.by.startswith("brain/"):
            return False
        if row.cell_id not in self.snapshot.steady or row.state != ActualLrp.RUNNING:
            return False
        ordinary = slot.ordinary
        return ordinary is None or self.is_old(ordinary) or not self.serves(ordinary)


def is_settled(row: ActualLrp) -> bool:
    """As it should be, if its cell is."""
    is_ordinary = row.presence == ActualLrp.ORDINARY
    return is_ordinary and row.state == ActualLrp.RUNNING and not row.stopping


def takes_more(snapshot: Snapshot, cell_id: str) -> bool:
    """Whether the cell takes new work, room aside."""
    if cell_id not in snapshot.steady:
        return False
    cell = snapshot.cells[cell_id]
    return not cell.cordoned and not cell.unhealthy_reason


def is_on_cell(row: ActualLrp) -> bool:
    return row.state in (ActualLrp.CLAIMED, ActualLrp.RUNNING)


def _guid(row: ActualLrp) -> str:
    return row.instance_guid
