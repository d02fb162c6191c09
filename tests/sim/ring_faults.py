"""What goes wrong for the whole system: the strikes of `nemesis`, and those on brains and cells.

A process may be killed between any two awaits of its own; commands of brains and cells may be
delivered twice, and their answers come late.
"""

import functools
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from diegod.v1.record_pb2 import ActualLrp, Cell
from tests.sim import ambush
from tests.sim.ambush import Ambush
from tests.sim.floor import max_unavailable, serves
from tests.sim.nemesis import Nemesis, Weather
from tests.sim.roles import SimBrain, SimCell, SimRole

if TYPE_CHECKING:
    from tests.sim.ring import Ring

KINDS = (
    "messages delayed",
    "commands delivered twice",
    "answers late",
    "one-way stall",
    "partition, one member alone",
    "partition, majority and minority",
    "partition, cells cut off",
    "connections reset",
    "member crash",
    "member crash, open tick lost",
    "member crash, tick unsent",
    "member killed at an await",
    "leader crash",
    "all members crash",
    "brain crash",
    "brain killed at an await",
    "agent crash",
    "agent killed at an await",
    "machine lost",
    "member paused",
    "agent paused",
    "brain paused",
    "wall clock jump",
    *ambush.KINDS,
)

COMMON = Weather(
    {
        "delay": 3,
        "double": 3,
        "late answers": 3,
        "stall": 3,
        "isolate": 3,
        "split": 3,
        "cut cells": 3,
        "reset": 3,
        "crash member": 1,
        "crash before commit": 3,
        "crash after commit": 3,
        "kill member at an await": 2,
        "crash leader": 3,
        "crash all members": 1,
        "crash brain": 2,
        "kill brain at an await": 3,
        "crash agent": 3,
        "kill agent at an await": 5,
        "lose machine": 4,
        "pause member": 2,
        "pause agent": 2,
        "pause brain": 1,
        "jump clock": 2,
        "lie in wait": 8,
    },
    faults_min=10,
)
#: Of how many turns of its coroutines the last one is a process's very last: 10 to the power of.
_TURNS_LEFT = (0.0, 2.3)


#: So long a lost machine is away at most.
AWAY_S = 25.0
_LOOK_EVERY_S = 0.05
#: So many kinds of ambush are laid before anything else happens; and in so many of the seeds a
#: machine is lost early, as soon as something on it would be missed.
AT_FIRST = 3
_EARLY_LOSS, _EARLY_S = 0.6, (3.0, 12.0)
#: A brain works for a while before it is held back.
_NOT_BEFORE_S = (8.0, 25.0)
#: Those that are laid later: a brain that is held back holds up everything else for 10 s.
_LATER = (*ambush.KINDS, *(kind for kind in ambush.KINDS if kind != ambush.BRAIN_HELD))


class RingNemesis(Nemesis):
    def __init__(self, ring: "Ring") -> None:
        super().__init__(ring)
        self._ambush = Ambush(self, ring)
        for kind in self._chance.sample(ambush.KINDS, AT_FIRST):
            at_s = self._chance.uniform(*_NOT_BEFORE_S) if kind == ambush.BRAIN_HELD else 0.0
            self._later(at_s, functools.partial(self._ambush.arm, kind))
        self._strikes |= {
            "lie in wait": lambda: self._ambush.arm(self._chance.choice(_LATER)),
            "double": self._double,
            "late answers": self._late_answers,
            "cut cells": self._cut_cells,
            "crash brain": self._crash_brain,
            "crash agent": self._crash_agent,
            "lose machine": self._lose_machine,
            "pause agent": self._pause_agent,
            "pause brain": self._pause_brain,
            "kill member at an await": lambda: self._kill_at_await(self._member(), "member"),
            "kill brain at an await": lambda: self._kill_at_await(self._brain(), "brain"),
            "kill agent at an await": lambda: self._kill_at_await(self._busy_cell(), "agent"),
        }

    # Messages.

    def _double(self) -> None:
        """For a while commands of brains and cells may come a second time, up to 3 s later."""
        network = self._ring.network
        before = network.counts["commands delivered twice"]
        network.doubling += 1

        def end() -> None:
            network.doubling = max(0, network.doubling - 1)
            took_place = network.counts["commands delivered twice"] > before
            self._count("commands delivered twice", took_place)

        self._later(self._chance.uniform(*self.delay_s), end)

    def _late_answers(self) -> None:
        """For a while what becomes of a command may be told only seconds later."""
        network = self._ring.network
        before = network.counts["answers late"]
        network.late += 1

        def end() -> None:
            network.late = max(0, network.late - 1)
            self._count("answers late", network.counts["answers late"] > before)

        self._later(self._chance.uniform(*self.delay_s), end)

    def _cut_cells(self) -> None:
        cells = [cell.name for cell in self._ring.cells]
        some = self._chance.sample(cells, self._chance.choice((1, 1, 1, 2, 3)))
        members = [member.name for member in self._ring.members]
        self._cut_both_ways("partition, cells cut off", some, members)

    def cut_cell(self, name: str, seconds: float) -> None:
        members = [member.name for member in self._ring.members]
        pairs = [pair for member in members for pair in ((name, member), (member, name))]
        self._cut("partition, cells cut off", pairs, seconds)

    def took_place(self, kind: str) -> None:
        """An ambush was sprung."""
        self._count(kind, took_place=True)

    async def strike_until(self, end_s: float, weather: Weather) -> None:
        if self._chance.random() < _EARLY_LOSS:
            early_s = self._chance.uniform(*_EARLY_S)
            self._later(early_s, lambda: self.when(self._missed, AWAY_S, self._lose_machine))
        await super().strike_until(end_s, weather)
        self._ambush.disarm()

    # Brains and cells.

    def _crash_brain(self) -> None:
        self._crash(self._brain(), "brain crash")

    def _brain(self) -> SimBrain:
        """The one that works, if one does."""
        active = [brain for brain in self._ring.brains if brain.is_active]
        found: SimBrain = active[0] if active else self._ring.brains[0]
        return found

    def _crash_agent(self) -> None:
        self._crash(self._busy_cell(), "agent crash")

    def _busy_cell(self) -> SimCell:
        """More often than not the one on which most runs."""
        if self._chance.random() < 0.6:
            busiest: SimCell = max(self._ring.cells, key=lambda cell: len(cell.host.specs()))
        else:
            busiest = self._chance.choice(self._ring.cells)
        return busiest

    def _missed(self) -> Counter[str]:
        """By cell, what nobody is to be without: the instances of LRPs that start first."""
        rows = self._ring.history.rows
        return Counter(
            row.cell_id
            for row in rows.instances.values()
            if row.presence == ActualLrp.ORDINARY
            and serves(row)
            and (lrp := rows.lrps.get(row.process_guid)) is not None
            and not (lrp.stopped or lrp.removing or max_unavailable(lrp))
        )

    def _serving_cell(self) -> SimCell:
        """More often than not the one whose instances would be missed most."""
        serving = self._missed()
        if serving and self._chance.random() < 0.7:
            found: SimCell = max(self._ring.cells, key=lambda cell: serving[cell.name])
        else:
            found = self._busy_cell()
        return found

    def _lose_machine(self) -> None:
        """Agent and containers, at once. It comes back later, empty."""
        cell = self._serving_cell()
        if cell.is_up:
            self._count("machine lost", True)
            self._ring.note(f"lose {cell.name}")
            cell.lose_machine()
            away_s = self._chance.uniform(1.0, AWAY_S)
            if self._chance.random() < 0.4:
                self._ring.revive_later(cell, away_s)
            else:
                self._revive_when_missed(cell, away_s / 4)

    def _revive_when_missed(self, cell: SimCell, seconds: float) -> None:
        """So long after its lease was seen to have ended."""

        def then() -> None:
            self._ring.revive_later(cell, seconds)

        self.when(lambda: self._is_missed(cell), AWAY_S, then)

    def _is_missed(self, cell: SimCell) -> bool:
        row = self._ring.history.rows.cells.get(cell.name)
        return row is not None and row.state == Cell.MISSING

    def when(
        self, moment: Callable[[], object], seconds: float, action: Callable[[], None]
    ) -> None:
        """When the moment has come; at the latest after so many seconds, or with the end of all
        faults."""
        end_s, round_ = self._ring.loop.time() + seconds, self._ring.round

        def look() -> None:
            is_over = self._ring.loop.time() >= end_s or self._ring.round != round_
            if moment() or is_over:
                action()
            else:
                self._later(_LOOK_EVERY_S, look)

        self._later(_LOOK_EVERY_S, look)

    def _kill_at_await(self, role: SimRole, kind: str) -> None:
        """It dies between two steps of its own, wherever they are."""
        process = role.process
        if process is None:
            return

        def die() -> None:
            self._count(f"{kind} killed at an await", took_place=True)
            role.kill()
            # Often at once: then what it had begun is still under way.
            soon = self._chance.random() < 0.5
            self._ring.revive_later(role, self._chance.uniform(0.0, 0.1) if soon else None)

        process.die_after(int(10 ** self._chance.uniform(*_TURNS_LEFT)), die)

    def _pause_agent(self) -> None:
        self._pause(self._busy_cell(), "agent paused")

    def _pause_brain(self) -> None:
        self._pause(self._brain(), "brain paused")
