"""One run from its first process to its judgement."""

import asyncio
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from diegod.models.errors import DomainError
from tests.chaos import calls, verdict
from tests.chaos.arena import Arena
from tests.chaos.faults import Fault
from tests.chaos.load import Load
from tests.chaos.members import ChaosError, Member
from tests.chaos.nemesis import Nemesis
from tests.chaos.network import Network
from tests.chaos.places import Places
from tests.chaos.report import Report
from tests.chaos.site import Site
from tests.chaos.tower import Tower
from tests.chaos.verdict import Windows
from tests.chaos.watching import State, Watcher, feed_of, state_of
from tests.checkers import lines
from tests.checkers.history import Change, History, Operation, Unknown, Verb

MEMBERS = ("bbs-1", "bbs-2", "bbs-3")
_EVEN_S = 60.0
#: A proposal lives for 5 s, and a call for 6.5 s: then nothing is on its way any more.
_SETTLED_S = 8.0
_LOOK_S = 0.25
#: A run goes on for three times as long as it was to, or for this long, until it has its faults.
_AT_LAST_S = 200.0


@dataclass(frozen=True)
class Plan:
    commit: str
    seed: int
    minutes: float
    faults_min: int
    kinds: Sequence[type[Fault]]
    clients: int
    rate: float
    #: For the disk of each member.
    disk_mb: int
    #: Whether it may be as slow as it likes: for a machine that has much else to do.
    is_unhurried: bool
    #: Where the history and the report are kept.
    keep: Path
    say: Callable[[str], None] = print


@dataclass
class Evidence:
    """What was recorded while the cluster ran."""

    history: History
    watchers: Sequence[Watcher]
    states: dict[str, State]
    feeds: dict[str, list[Change]]


class Run:
    def __init__(self, plan: Plan, places: Places) -> None:
        self._plan = plan
        self._places = places
        self._network = Network(places, MEMBERS)
        self._site = Site(places, self._network.addresses)
        self.complaints: list[str] = []

    def build(self) -> None:
        """All that needs no cluster; afterwards this process is in the hub."""
        self._network.build()
        self._site.found(self._plan.disk_mb)
        self._network.enter_hub()

    async def carry_out(self) -> Report:
        cluster = _Cluster(self._plan, self._places, self._site, self._network, self.complaints)
        watching = asyncio.create_task(cluster.tower.watch())
        try:
            await cluster.start()
            return await cluster.under_load()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await cluster.end()


class _Cluster:
    """The members that run, and what is done to them."""

    def __init__(
        self,
        plan: Plan,
        places: Places,
        site: Site,
        network: Network,
        complaints: list[str],
    ) -> None:
        self.plan = plan
        self.places = places
        self.site = site
        self.network = network
        self.complaints = complaints
        self.tower = Tower(site, complaints.append)
        self.members = {
            node.id: Member(node, network, places.run, complaints.append)
            for node in site.nodes.values()
        }

    async def start(self) -> None:
        for member in self.members.values():
            await member.start()
        for member in self.members.values():
            await member.ready()

    async def end(self) -> None:
        for member in self.members.values():
            await member.end()
        await self.tower.close()

    async def under_load(self) -> Report:
        base = await self._first_state()
        load = Load(self.site, self.plan.seed, self.plan.clients, self.plan.rate)
        nemesis = self._nemesis()
        dialer = self.site.dialer()
        watchers = [Watcher(each, self.site.api(each), base.revision) for each in MEMBERS]
        tasks = [asyncio.create_task(watcher.run(dialer)) for watcher in watchers]
        try:
            began = time.monotonic()
            await self._strike(load, nemesis, began)
            windows = Windows.between(began, time.monotonic(), nemesis.events)
            evidence = await self._collect(load, base, watchers)
        except ChaosError:
            so_far = History(base.revision, load.operations, [], base.revision, base.rows)
            self._keep(so_far, "unfinished.jsonl")
            raise
        finally:
            for task in tasks:
                task.cancel()
            self._complain_of(await asyncio.gather(*tasks, return_exceptions=True))
            await dialer.close()
        return self._judged(evidence, load, nemesis, windows)

    def _nemesis(self) -> Nemesis:
        chance = random.Random(f"{self.plan.seed}/nemesis")
        arena = Arena(
            self.site,
            self.network,
            self.members,
            self.tower,
            self.complaints,
            chance,
            self.plan.seed,
        )
        return Nemesis(arena, self.plan.kinds)

    async def _first_state(self) -> State:
        """One row, so that there is a revision to begin from."""
        call = Operation(
            request_id="first",
            client=0,
            key=calls.task_key("first"),
            verb=Verb.DESIRE_TASK,
            invoked_ns=0,
            returned_ns=0,
            outcome=Unknown(),
            value=str(calls.TASK_MEMORY_MB[0]),
        )
        row, request = calls.request_of(call)
        dialer = self.site.dialer()
        give_up = time.monotonic() + _EVEN_S
        try:
            while True:
                api = self.site.api(self.tower.leader() or MEMBERS[0])
                try:
                    await dialer.call(api, row, request, 10.0)
                    break
                except DomainError as error:
                    if time.monotonic() > give_up:
                        raise ChaosError(f"there is no first write: {error}") from None
                await asyncio.sleep(_LOOK_S)
            await self._even()
            return await state_of(dialer, api)
        finally:
            await dialer.close()

    async def _strike(self, load: Load, nemesis: Nemesis, began: float) -> None:
        """Faults until time is up, then until there were enough; but not for ever."""
        loading = asyncio.create_task(load.run())
        due = self.plan.minutes * 60
        at_last = max(3 * due, _AT_LAST_S)
        try:
            while not loading.done():
                took = time.monotonic() - began
                enough = nemesis.observed >= self.plan.faults_min
                if (took >= due and enough) or took >= at_last:
                    break
                before = len(nemesis.events)
                await nemesis.strike()
                for event in nemesis.events[before:]:
                    self.plan.say(
                        f"{event.began_s - began:7.1f} s  {event.kind} of {event.target} for "
                        f"{event.ended_s - event.began_s:.1f} s: {event.seen or 'not observed'}"
                    )
        finally:
            load.stop()
            await loading

    async def _even(self) -> int:
        """Wait until all members are caught up and nothing changes; the revision."""
        give_up = time.monotonic() + _EVEN_S
        seen, since = 0, time.monotonic()
        while True:
            revision = await self.tower.same_revision(MEMBERS)
            if revision != seen or not revision:
                seen, since = revision, time.monotonic()
            if revision and time.monotonic() - since > 1.0:
                return revision
            if time.monotonic() > give_up:
                raise ChaosError(f"the members are not even {_EVEN_S:g} s after the last fault")
            await asyncio.sleep(_LOOK_S)

    async def _collect(self, load: Load, base: State, watchers: Sequence[Watcher]) -> Evidence:
        await asyncio.sleep(_SETTLED_S)
        final = await self._even()
        dialer = self.site.dialer()
        states, feeds = {}, {}
        try:
            for member in MEMBERS:
                states[member] = await state_of(dialer, self.site.api(member))
                api = self.site.api(member)
                feeds[member] = await feed_of(dialer, api, base.revision, final)
        except (DomainError, TimeoutError) as error:
            raise ChaosError(f"the end could not be read: {error!r}") from error
        finally:
            await dialer.close()
        await self._watchers_at(final, watchers)
        history = History(
            base_revision=base.revision,
            operations=load.operations,
            changes=feeds[MEMBERS[0]],
            final_revision=final,
            initial=base.rows,
            final=states[MEMBERS[0]].rows,
        )
        return Evidence(history, watchers, states, feeds)

    async def _watchers_at(self, revision: int, watchers: Sequence[Watcher]) -> None:
        give_up = time.monotonic() + _EVEN_S
        while any(each.revision < revision for each in watchers):
            if time.monotonic() > give_up:
                behind = [each.member for each in watchers if each.revision < revision]
                self.complaints.append(f"the watchers of {behind} never got to {revision}")
                return
            await asyncio.sleep(_LOOK_S)

    def _complain_of(self, ended: Sequence[BaseException | None]) -> None:
        for error in ended:
            if isinstance(error, Exception):
                self.complaints.append(f"a watcher ended: {error!r}")

    def _judged(
        self, evidence: Evidence, load: Load, nemesis: Nemesis, windows: Windows
    ) -> Report:
        history = evidence.history
        self._keep(history, "history.jsonl")
        checked = verdict.judge(history)
        recoveries = verdict.recoveries_s(load.operations, nemesis.events)
        problems = [
            *self.complaints,
            *checked.problems,
            *verdict.of_states(evidence.states, evidence.feeds),
            *verdict.of_watchers(evidence.watchers, history.changes),
        ]
        report = Report(
            run=self.places.run,
            seed=self.plan.seed,
            minutes=self.plan.minutes,
            commit=self.plan.commit,
            disks=next(iter(self.site.disks.values())).kind,
            events=nemesis.events,
            operations=load.operations,
            quiet_s=windows.seconds,
            quiet_rate=windows.rate(load.operations),
            unknown_share=verdict.unknown_share(load.operations),
            recovery_s_max=max(recoveries, default=0.0),
            leader_changes=len(self.tower.leaders),
            snapshots_taken_over=sum(member.replaced for member in self.members.values()),
            watcher_breaks=sum(watcher.breaks for watcher in evidence.watchers),
            keys=checked.keys,
            search_steps=checked.steps,
            changes=checked.versions,
            seconds=checked.seconds,
            problems=problems,
        )
        report.problems += self._short_of(report, nemesis)
        (self.plan.keep / "report.json").write_text(json.dumps(report.as_json(), indent=1))
        return report

    def _short_of(self, report: Report, nemesis: Nemesis) -> list[str]:
        """What the run was to be, and was not."""
        short = []
        if nemesis.observed < self.plan.faults_min:
            short.append(f"{nemesis.observed} faults were observed, {self.plan.faults_min} must be")
        if report.unknown_share >= verdict.UNKNOWN_SHARE:
            short.append(f"{report.unknown_share:.2%} of the operations are of unknown outcome")
        return short if self.plan.is_unhurried else [*short, *_slow(report)]

    def _keep(self, history: History, name: str) -> None:
        with (self.plan.keep / name).open("w") as file:
            file.writelines(f"{line}\n" for line in lines.written(history))


def _slow(report: Report) -> list[str]:
    slow = []
    if report.quiet_rate < verdict.OPERATIONS_A_SECOND:
        slow.append(f"only {report.quiet_rate:.1f} operations a second outside faults")
    if report.recovery_s_max > verdict.RECOVERY_S:
        waited = f"{report.recovery_s_max:.1f} s"
        slow.append(f"no write was acknowledged for {waited} after faults were over")
    return slow
