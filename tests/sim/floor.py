"""Never less than what serves: who may end an instance that serves, and when.

An instance serves when its row is RUNNING, routable and not asked to stop. Faults take instances
away, and so do people; the product itself may end a serving one only if that costs nobody anything
that its LRP's policy does not allow. So the number that serves never falls below N less what faults
have taken and what the policy allows: each step down is looked at when it is decided.

Looked at twice: in the rows, whenever a brain retires one; and on the machines, whenever an agent
stops a container: its row must have said so.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from diegod.internal.v1.command_pb2 import Command
from diegod.scheduler.lock import TTL_S
from diegod.v1.definition_pb2 import LrpDefinition, UpdatePolicy
from diegod.v1.record_pb2 import ActualLrp, Cell, Change, DesiredLrp
from tests.sim.rows import Row, rows_of
from tests.sim.witness import Heard

if TYPE_CHECKING:
    from tests.sim.ring import Ring
    from tests.sim.roles import SimCell


#: So old a brain's view may be when it sends a command: it acts by its lease, also while it hears
#: nothing.
JUST_NOW_S = TTL_S
#: A brain counts on from the newest stamp by its own clock; replicated time, whose leaders change,
#: may be that far behind it when the brain's command takes effect.
CLOCK_AHEAD_S = 0.5


class Floor:
    def __init__(self, ring: "Ring") -> None:
        self._ring = ring
        self._rows = ring.history.rows
        #: By request, what its brain knew when it sent it.
        self.sent: dict[str, Heard] = {}
        #: Until when versions of LRPs, instances and cells were the present ones.
        self._until_s: dict[tuple[str, int], float] = {}

    def judge(self, command: Command, before: Row | None, change: Change) -> None:
        """A row is about to be what `change` says."""
        if isinstance(before, DesiredLrp | ActualLrp | Cell):
            self._until_s[_version(before)] = self._rows.at_s
        if command.WhichOneof("command") != "retire_instance" or not isinstance(before, ActualLrp):
            return
        self._ring.counts["instances retired"] += 1
        lrp = self._rows.lrps.get(before.process_guid)
        if lrp is None:
            if not self._rows.is_fresh(before.domain):
                self._ring.complain(f"{_name(before)} went, and {before.domain} is not fresh")
        elif serves(before) and (why := self._objections(command, before, lrp)):
            what = f"{_name(before)} was ended while it served: {why}"
            self._ring.complain(f"{what}; {command.cause}")

    def stopped(self, cell: "SimCell", handle: str) -> None:
        """An agent has asked a running container to end."""
        row = self._rows.instances.get(handle.removeprefix("l-"))
        if row is None or row.cell_id != cell.name or not serves(row):
            return
        registered = self._rows.cells.get(cell.name)
        if registered is not None and registered.incarnation == row.cell_incarnation:
            self._ring.complain(f"{cell.name} stopped {_name(row)}, and nobody had asked for that")

    def _objections(self, command: Command, row: ActualLrp, lrp: DesiredLrp) -> str:
        """By what is, and by what its brain knew when it sent the command: what people change and
        what crashes in between is not the brain's fault, since a retirement names the version of
        one instance alone. What it knew must have been so until just before."""
        guid = row.process_guid
        why = self._objection(row, lrp, self._rows.instances_of(guid), self._rows.cells)
        heard = self.sent.get(command.request_id)
        if not why or heard is None or guid not in heard.lrps:
            return why
        lrp, instances = heard.lrps[guid], heard.instances_of(guid)
        everywhere = lrp.mode == LrpDefinition.GLOBAL
        cells = [cell for id_, cell in heard.cells.items() if everywhere or id_ == row.cell_id]
        known = (lrp, *instances, *cells)
        was_so = all(self._was_so(each, heard.at_s - JUST_NOW_S) for each in known)
        return self._objection(row, lrp, instances, heard.cells) if was_so else why

    def _was_so(self, row: DesiredLrp | ActualLrp | Cell, at_s: float) -> bool:
        return self._until_s.get(_version(row), self._rows.at_s) >= at_s

    def _objection(
        self,
        row: ActualLrp,
        lrp: DesiredLrp,
        instances: list[ActualLrp],
        cells: Mapping[str, Cell],
    ) -> str:
        """Why this serving instance should not be ended now; empty: there is nothing against it."""
        if lrp.removing or lrp.stopped or self._is_on_lost_ground(row, lrp, cells):
            return ""
        is_global = lrp.mode == LrpDefinition.GLOBAL
        if not is_global and row.index >= lrp.instances:
            return ""
        others = [other for other in instances if other.instance_guid != row.instance_guid]
        is_suspect = row.presence == ActualLrp.SUSPECT  # Diego's table: until another one runs
        if any(o.index == row.index and (serves(o) or (is_suspect and _runs(o))) for o in others):
            return ""
        is_old = row.definition_revision != lrp.definition_revision
        if lrp.update.strategy == UpdatePolicy.RECREATE and is_old:
            return ""
        places = _open_cells(cells) if is_global else [*range(lrp.instances)]
        serving = {o.cell_id if is_global else o.index: None for o in others if serves(o)}
        count = sum(place in serving for place in places)
        if count >= len(places) - max_unavailable(lrp):
            return ""
        return f"{count} of {len(places)} others serve ({rows_of(self._rows, lrp)})"

    def _is_on_lost_ground(
        self, row: ActualLrp, lrp: DesiredLrp, cells: Mapping[str, Cell]
    ) -> bool:
        """Its cell is no more, or is left: to a deadline, or by who is on every cell."""
        cell = cells.get(row.cell_id)
        if cell is None:
            return True
        if cell.state == Cell.MISSING and row.presence == ActualLrp.EVACUATING:
            return True  # the fault has taken it; only what is replaced for that is SUSPECT
        if not cell.HasField("drain"):
            return False
        if lrp.mode == LrpDefinition.GLOBAL:
            return True
        return cell.drain.deadline_at.ToNanoseconds() / 1e9 <= self._rows.at_s + CLOCK_AHEAD_S


def _open_cells(cells: Mapping[str, Cell]) -> list[int | str]:
    """Where a GLOBAL LRP is to have an instance."""
    return [
        cell.cell_id
        for cell in cells.values()
        if cell.state == Cell.PRESENT
        and not (cell.cordoned or cell.HasField("drain") or cell.unhealthy_reason)
    ]


def serves(row: ActualLrp) -> bool:
    return row.state == ActualLrp.RUNNING and row.routable and not row.stopping


def _runs(row: ActualLrp) -> bool:
    return row.state == ActualLrp.RUNNING and not row.stopping


def max_unavailable(lrp: DesiredLrp) -> int:
    """How many fewer than desired may serve while they are replaced, by the LRP's own policy."""
    update = lrp.update
    stops_first = (
        update.order == UpdatePolicy.STOP_FIRST
        or update.strategy == UpdatePolicy.RECREATE
        or lrp.mode == LrpDefinition.GLOBAL
    )
    return max(update.max_unavailable, 1 if stops_first else 0)


def _version(row: DesiredLrp | ActualLrp | Cell) -> tuple[str, int]:
    match row:
        case ActualLrp():
            guid = row.instance_guid
        case DesiredLrp():
            guid = row.process_guid
        case _:
            guid = row.cell_id
    return guid, row.provenance.revision


def _name(row: ActualLrp) -> str:
    presence = ActualLrp.Presence.Name(row.presence)
    return f"{row.process_guid}/{row.index} ({presence}, on {row.cell_id})"
