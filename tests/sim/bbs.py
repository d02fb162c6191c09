"""A bulletin board and its clients on virtual time: one seed, one history.

Three or five members, made of the product's classes from the LMDB file to the handlers of the API,
and whoever uses them through the product's clients (`bbs_people`, `bbs_speakers`), on a network and
machines that fail for 15 seconds and more (`bbs_faults`). Then a majority chosen by chance is
healed, and the rest stays dead: it must take writes, answer reads, and tell its watchers. Then all
are revived and must agree. `Report.violations` is empty when every promise held (`bbs_promises`).
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

from diegod.models.errors import DomainError, Reason
from diegod.raftbbs.raft.api import Limits, Timing
from diegod.rpc.dialer import Dialer
from diegod.security.identity import Principal, Role
from diegod.v1.event_pb2 import WatchRequest
from tests.sim import checkers
from tests.sim.bbs_faults import WEATHER, BbsNemesis
from tests.sim.bbs_member import BbsMember
from tests.sim.bbs_people import CountingDialer, Person, Reader
from tests.sim.bbs_promises import BbsHistory, WatchChecks
from tests.sim.bbs_speakers import SimpleBrain, SimpleCell, Watching
from tests.sim.host import Machine, Process
from tests.sim.loop import VirtualLoop
from tests.sim.nemesis import Weather
from tests.sim.roles import Build, SimRole, voter
from tests.sim.stage import Report, Stage, one_story, told

FAULTS_S = (15.0, 15.5)
WRITE_WITHIN_S = 10.0
AGREE_WITHIN_S = 15.0
_COMPARE_EVERY_S = 2.0
LEASE_TTL_S = 2.0

#: In so many of the seeds there are five members;
_FIVE = 0.15
#: in so many they keep production's heartbeats;
_PRODUCTION_TIMING = 0.15
#: in so many whoever is away for a moment needs the state of another, in pieces, some of them lost;
_STORM = 0.4
#: and in so many little history is kept, so that watchers must begin anew.
_SHORT_HISTORY = 0.3

SLOWER = Timing(heartbeat_s=0.2, election_min_s=0.7, election_max_s=1.4, snapshot_retry_s=1.0)
FEW_KEPT = Limits(log_kept_entries=20, log_cut_entries=8, snapshot_chunk_bytes=32 << 10)
STORM = Limits(
    log_kept_entries=5, log_cut_entries=3, snapshot_chunk_bytes=4 << 10, snapshot_chunks=2
)

#: What must have happened in every hundred seeds, beside every kind of fault.
COUNTS = (
    "leader changes",
    "ticks lost",
    "conflicts truncated",
    "snapshots",
    "transfers resumed",
    "copies refused",
    "ambiguous answers",
    "redirected to the leader",
    "requests repeated",
    "retries answered",
    "writes acknowledged",
    "reads",
    "lists",
    "watches resumed",
    "watches begun anew",
    "changes heard",
    "leases renewed",
    "leases run out",
    "messages lost",
)


def chosen_build(chance: random.Random, build: Build) -> Build:
    """The settings of one seed's members."""
    timing, limits, history_changes = SLOWER, FEW_KEPT, build.history_changes
    if chance.random() < _PRODUCTION_TIMING:
        timing = replace(Timing(), snapshot_retry_s=1.0)
    if chance.random() < _STORM:
        limits, timing = STORM, replace(timing, snapshot_kept_s=1.0, snapshot_retry_s=0.3)
    if chance.random() < _SHORT_HISTORY:
        history_changes = 8
    return replace(
        build,
        timing=timing,
        limits=limits,
        history_changes=history_changes,
        lease_ttl_s=LEASE_TTL_S,
    )


class Bbs(Stage):
    think_s = 0.3
    read_every_s = 0.4

    def __init__(
        self, seed: int | str, folder: Path, loop: VirtualLoop, verbose: bool, build: Build
    ) -> None:
        super().__init__(seed, loop, verbose)
        chance = self.chance("times")
        self.faults_end_s = chance.uniform(*FAULTS_S)
        self.build = chosen_build(chance, build)
        self.is_over = False
        self.history: BbsHistory = BbsHistory(self.complain, now=loop.time, count=self._count)
        names = [f"bbs-{letter}" for letter in ("abcde" if chance.random() < _FIVE else "abc")]
        self.voters = [voter(name) for name in names]
        self.members = [BbsMember(self, name, folder / name, self.build) for name in names]
        self.roles = [*self.members]
        self.machines: dict[str, Machine] = {}
        self.watches: list[WatchChecks] = []
        self.people = [Person(self, name, self._client(name)) for name in ("ann", "ben")]
        self.reader = Reader(self, "reader", self._client("reader"))
        self.cells = [
            SimpleCell(self, name, self._client(name, Role.CELL)) for name in ("cell-a", "cell-b")
        ]
        self.brains = [
            SimpleBrain(self, name, self._client(name, Role.BRAIN))
            for name in ("brain-a", "brain-b")
        ]
        self.watchers = [
            Watching(self, f"watcher-{number}", self._client(f"watcher-{number}"), request)
            for number, request in enumerate(self._interests())
        ]

    def _interests(self) -> list[WatchRequest]:
        """One watches everything; another one something."""
        some = (
            WatchRequest(kinds=["task"]),
            WatchRequest(kinds=["desired_lrp", "lock"]),
            WatchRequest(guid="ann-web"),
            WatchRequest(guid="ben-2"),
            WatchRequest(cell_id="cell-b"),
            WatchRequest(kinds=["cell"]),
        )
        return [WatchRequest(), self.chance("interests").choice(some)]

    # What its parts ask of it.

    def _count(self, what: str) -> None:
        self.counts[what] += 1

    def _client(self, name: str, role: Role = Role.USER) -> Any:
        machine = Machine(name, self.loop, self.chance("clocks").uniform(1000, 5000))
        self.machines[name] = machine
        return self.client(name, machine, role)

    def dialer(self, process: Process, principal: Principal) -> Dialer:
        return CountingDialer(self, super().dialer(process, principal))

    def machine_names(self) -> list[str]:
        return [*super().machine_names(), *self.machines]

    def watching(self, name: str, request: WatchRequest) -> WatchChecks:
        checks = WatchChecks(self.history, name, request)
        self.watches.append(checks)
        return checks

    def refused(self, error: DomainError) -> None:
        self.counts[f"refused: {error.reason}"] += 1
        if error.reason in (Reason.INVALID_REQUEST, Reason.PERMISSION_DENIED):
            self.complain(f"a client was told {error.reason}: {error}")

    def revive_later(self, role: SimRole, seconds: float | None = None) -> None:
        if seconds is None:
            seconds = self.chance("revivals").uniform(0.05, 2.0)
        super().revive_later(role, seconds)

    # The story.

    async def tell(self, weather: Weather = WEATHER) -> float:
        for member in self.members:
            member.start()
        self._begin_clients()
        self._compare_again()
        await BbsNemesis(self).strike_until(self.faults_end_s, weather)
        healed_at = self.loop.time()
        self._heal_majority()
        await self._must_serve()
        served_after_s = self.loop.time() - healed_at
        self.is_over = True
        self._heal(lambda member: True)
        await self._must_agree()
        self._check_end()
        return served_after_s

    def _begin_clients(self) -> None:
        for person in self.people:
            self.clients[person.name].spawn(person.run())
        self.clients["reader"].spawn(self.reader.run())
        speakers: tuple[SimpleCell | SimpleBrain, ...] = (*self.cells, *self.brains)
        for speaker in speakers:
            self.clients[speaker.name].spawn(speaker.run())
            self.clients[speaker.name].spawn(speaker.work())
        for watcher in self.watchers:
            self.clients[watcher.name].spawn(watcher.run())

    def _heal_majority(self) -> None:
        needed = len(self.members) // 2 + 1
        chosen = self.chance("healing").sample(range(len(self.members)), needed)
        self._heal(lambda member: self.members.index(member) in chosen)

    def _heal(self, lives: Callable[[BbsMember], bool]) -> None:
        """All faults end; these members live, the rest is dead."""
        self.round += 1
        self.network.heal()
        for client in self.clients.values():
            client.resume()
        for member in self.members:
            member.dies_before_commit = member.dies_after_commit = 0
            member.may_live = lives(member)
            if not member.may_live or member.is_disk_full:
                member.kill()
            elif member.is_paused and member.process is not None:
                member.process.resume()
            member.start()
        self.note(f"healed: {[member.name for member in self.members if member.may_live]}")

    async def _must_serve(self) -> None:
        """Writes, reads on every living member, watchers that keep up: each within its time."""
        ann, history = self.people[0], self.history
        process = self.clients["ann"]
        before = self.counts["writes acknowledged"]
        writing = process.spawn(self._write_until_done(ann))
        await asyncio.wait([writing], timeout=WRITE_WITHIN_S)
        if not writing.done() or not writing.result():
            self.complain(f"no write succeeded within {WRITE_WITHIN_S:g} s: {self._views()}")
            return
        self.counts["writes after healing"] += self.counts["writes acknowledged"] - before
        reading = process.spawn(ann.read_task(ann.tasks[-1]))
        revision = history.acknowledged_revision
        await asyncio.wait([reading], timeout=WRITE_WITHIN_S)
        if not await self.until(lambda: self._watched(revision), WRITE_WITHIN_S, 0.05):
            self.complain(f"watchers are not at {revision}: {self._positions()}")

    async def _write_until_done(self, person: Person) -> bool:
        while not await person.desire_task():
            await asyncio.sleep(0.1)
        return True

    def _watched(self, revision: int) -> bool:
        return all(watch.has_heard(revision) for watch in self.watches)

    def _positions(self) -> list[int]:
        return [watch.revision for watch in self.watches]

    async def _must_agree(self) -> None:
        """All members come to the same state, and nothing more happens."""

        def agree() -> bool:
            logs = [member.log for member in self.members]
            if not all(logs):
                return False
            views = [log.leadership() for log in logs if log is not None]
            return (
                len({view.log_last for view in views}) == 1
                and all(view.applied_index == view.log_last for view in views)
                and any(view.noop_applied for view in views)
                and len({astuple(each.member.counters()) for each in self.members if each.member})
                == 1
            )

        if not await self.until(agree, AGREE_WITHIN_S, 0.05):
            self.complain(f"no agreement: {self._views()}")
            return
        revision = self.history.revision
        if not await self.until(lambda: self._watched(revision), WRITE_WITHIN_S, 0.05):
            self.complain(f"watchers are not at {revision}: {self._positions()}")

    def _views(self) -> str:
        return "; ".join(
            f"{member.name} {member.log.leadership()}" for member in self.members if member.log
        )

    def _check_end(self) -> None:
        checkers.compare_replicas(self)
        for member in self.members:
            if member.is_up:
                state = member.state()
                with state.transaction:
                    self.history.check_state(member.name, state)
        self.violations.extend(self.network.complaints)

    def _compare_again(self) -> None:
        checkers.compare_replicas(self)
        self.network.at(_COMPARE_EVERY_S, self._compare_again)

    def report(self, converged_after_s: float) -> Report:
        counts, history = self.counts, self.history
        counts["leader changes"] = max(0, len(history.leaders) - 1)
        counts["log entries"] = len(history.payloads)
        counts["reads"], counts["lists"] = history.reads, history.lists
        counts["changes heard"] = sum(watch.heard for watch in self.watches)
        counts["messages lost"] = self.network.counts["messages lost"]
        return super().report(converged_after_s)


def simulate(
    seed: int | str,
    *,
    verbose: bool = False,
    build: Build | None = None,
    weather: Weather = WEATHER,
) -> Report:
    """Tell the story of one seed; with a build of mutants, theirs."""
    with one_story() as place:
        return _told(seed, *place, verbose, build or Build(), weather)


def _told(
    seed: int | str, loop: VirtualLoop, folder: Path, verbose: bool, build: Build, weather: Weather
) -> Report:
    bbs = Bbs(seed, folder, loop, verbose, build)
    return told(bbs, bbs.tell(weather))
