"""The roles on their simulated machines, assembled from the product's own classes.

Each starts a new process from what is on its disk, as often as it is asked. How a member is put
together follows `diegod.node.bbs`, a brain `diegod.node.brain`, a cell `diegod.node.cell`.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diegod.cellruntime.agent import Agent
from diegod.cellruntime.checks.command import make_command_check
from diegod.contracts.backend import Owner
from diegod.node.bbs import end_silent_watches, handlers
from diegod.raftbbs.core.leases import LeaseTable
from diegod.raftbbs.driver import LoopDriver
from diegod.raftbbs.links import EXCHANGE, LinkEvents, Links
from diegod.raftbbs.member import Member
from diegod.raftbbs.raft.api import Fatal, Limits, Replaced, Timing
from diegod.raftbbs.raft.engine import Engine
from diegod.raftbbs.raft.snapshot import Background, inline
from diegod.raftbbs.replica import HISTORY_CHANGES, AppliedEntry, Replica
from diegod.raftbbs.store import identity as birth_record
from diegod.raftbbs.store.environment import Environment, StoreFailed, WriteTransaction
from diegod.raftbbs.store.identity import Birth, Voter
from diegod.raftbbs.store.state import StateView
from diegod.raftbbs.store.tables import Tables
from diegod.raftbbs.ticking import Inbox, Ticking, TickResult
from diegod.rpc.client import ClusterClient
from diegod.rpc.ring import RingClient
from diegod.scheduler.brain import Brain
from diegod.scheduler.core.filters import BUILTIN
from diegod.scheduler.strategies.spread import Spread
from diegod.security.identity import Principal, Role
from diegod.v1.record_pb2 import Cell, Resources
from diegod.world.ids import SeededIds
from tests.sim.containers import CellHost, SimBackend
from tests.sim.dialer import SimDialer
from tests.sim.disk import CellDisk, DiskDirectories, DiskRecords
from tests.sim.host import Killed, Machine, Process
from tests.sim.terrain import CellPlan
from tests.sim.witness import Witness

if TYPE_CHECKING:
    from tests.sim.ring import Ring
    from tests.sim.stage import Stage

CLUSTER = "sim"
MAP_SIZE = 64 << 20
LEASE_TTL_S = 10.0
#: Slower than production's by a factor of three: half of the simulation would be heartbeats.
SLOW = Timing(heartbeat_s=0.3, election_min_s=1.0, election_max_s=2.0)
#: Who was away for a while needs the state of another, in several pieces.
SMALL = Limits(log_kept_entries=20, log_cut_entries=8, snapshot_chunk_bytes=32 << 10)


@dataclass(frozen=True)
class Build:
    """What a member is made of: the product's classes and settings, or a mutant's."""

    engine_class: type[Engine] = Engine
    replica_class: type[Replica] = Replica
    ticking_class: type[Ticking] = Ticking
    timing: Timing = SLOW
    limits: Limits = SMALL
    history_changes: int = HISTORY_CHANGES
    lease_ttl_s: float = LEASE_TTL_S


class ObservedTicking:
    """A tick that may be the last one, and that is looked at."""

    before: Callable[[], None]
    after: Callable[[TickResult], None]
    died: Callable[[], None]
    replaced: Callable[[], None]
    failed: Callable[[StoreFailed | Fatal], None]

    def __init__(self, ticking: Ticking) -> None:
        self._ticking = ticking
        self.next_deadline = ticking.next_deadline

    def tick(self, inbox: Inbox, monotonic_s: float, wall_s: float) -> TickResult:
        try:
            self.before()
            result = self._ticking.tick(inbox, monotonic_s, wall_s)
            self.after(result)
        except Killed:
            self.died()
            raise
        except Replaced:
            self.replaced()
            raise Killed from None
        except (StoreFailed, Fatal) as error:
            self.failed(error)
            raise Killed from None
        return result


class SimRole:
    """Something that runs as one process at a time on one machine."""

    def __init__(self, ring: "Stage", name: str) -> None:
        self.ring = ring
        self.name = name
        offset_s = ring.chance("clocks").uniform(1000, 5000)
        self.machine = Machine(name, ring.loop, offset_s, wall_error_s=ring.begins_s)
        self.process: Process | None = None
        self.lives = 0
        self.may_live = True

    @property
    def is_up(self) -> bool:
        return self.process is not None

    @property
    def is_paused(self) -> bool:
        return self.process is not None and self.process.is_paused

    def start(self) -> None:
        """Begin another life, unless one goes on."""
        if self.process is None and self.may_live:
            self.lives += 1
            process = Process(self.name, self.machine, self.ring.loop, self.ring.process_ended)
            self.process = process
            self.ring.processes.append(process)
            self.ring.note(f"start {self.name}")
            process.run(lambda: self.begin(process))

    def begin(self, process: Process) -> None:
        """Put the role together and run it; called as that process."""
        raise NotImplementedError  # each role does

    def kill(self, silently: bool = False) -> None:
        process, self.process = self.process, None
        if process is not None:
            self.ring.note(f"kill {self.name}")
            process.kill()
            self.ring.network.process_died(process, silently)

    def ids(self) -> SeededIds:
        return SeededIds(f"{self.ring.seed} {self.name} {self.lives}")

    def dialer(self, process: Process, role: Role) -> SimDialer:
        return SimDialer(self.ring.network, process, Principal(CLUSTER, role, self.name))

    def client(self, process: Process, role: Role) -> ClusterClient:
        addresses = [voter.api_address for voter in self.ring.voters]
        turn = self.ring.chance("addresses").randrange(len(addresses))
        return ClusterClient(
            self.dialer(process, role),
            addresses[turn:] + addresses[:turn],
            self.machine,
            self.ids(),
        )


def voter(member_id: str) -> Voter:
    return Voter(member_id, f"{member_id}:8889", f"{member_id}:8892")


class SimMember(SimRole):
    def __init__(self, ring: "Stage", name: str, folder: Path, build: Build) -> None:
        super().__init__(ring, name)
        self.build = build
        self.folder = folder
        self.environment: Environment | None = None
        self.log: Engine | None = None
        self.member: Member | None = None
        self.tables: Tables | None = None
        #: Which commit, or end of a tick, from now on is this life's last; 0: none.
        self.dies_before_commit = 0
        self.dies_after_commit = 0
        self.dies_soon = False  # with the next tick
        birth = Birth("sim-cluster", CLUSTER, name, f"store-{name}", tuple(ring.voters))
        birth_record.create(folder, birth, durable=False)

    @property
    def leads(self) -> bool:
        return self.is_up and self.member is not None and self.member.leadership.leads

    def begin(self, process: Process) -> None:
        try:
            self._assemble(process)
        except Killed:
            self._died()
        except Fatal as error:
            self.ring.complain(f"{self.name} can't start: {error}")
            self.may_live = False
            self._died()

    def _assemble(self, process: Process) -> None:
        clock = self.machine
        self.ring.history.restarted(self.name)
        environment, birth = birth_record.load(
            self.folder, member_id=self.name, durable=False, map_size=MAP_SIZE
        )
        environment.before_commit = self._before_commit
        self.environment = environment
        self.tables = tables = Tables.open(environment)
        replica = self.build.replica_class(tables, self.build.history_changes)

        def apply(transaction: WriteTransaction, index: int, payload: bytes) -> AppliedEntry:
            entry = replica.apply_entry(transaction, index, payload)
            self.ring.history.applied(self.name, index, payload, entry)
            state = StateView(tables, transaction).counters()
            self.ring.history.hashed(self.name, index, state.state_hash)
            return entry

        self.log = log = self.build.engine_class(
            environment,
            birth,
            apply,
            self.ids(),
            clock.monotonic(),
            members_of=replica.members_of,
            timing=self.build.timing,
            limits=self.build.limits,
            state=replica,
            background=self.background(process),
        )
        leases = LeaseTable(self.build.lease_ttl_s)
        ticking = ObservedTicking(
            self.build.ticking_class(birth.member_id, log, environment, tables, leases)
        )
        ticking.before, ticking.after, ticking.died = self._before, self._after, self._died
        ticking.replaced, ticking.failed = self._replaced, self.failed
        driver = self.driver(ticking)
        member = Member(birth, environment, tables, log.leadership(), driver.wake)
        dialer = self.dialer(process, Role.BBS)
        links = Links(
            self.name,
            {each.id: each.raft_address for each in birth.voters if each.id != self.name},
            dialer,
            LinkEvents(member.received, member.connected, member.disconnected),
        )
        member.send, member.refuse = links.send, self._refused(links)
        self.member = member
        listen = self.ring.network.listen
        own = voter(self.name)
        listen(own.api_address, process, handlers(member, dialer, links.up, leases.ttl_s))
        listen(own.raft_address, process, {EXCHANGE: links.exchange})
        process.main(_all(driver.run(member), links.run(), end_silent_watches(member, clock)))

    def driver(self, ticking: Any) -> Any:
        """Who ticks it: a tick takes no time."""
        return LoopDriver(ticking, self.machine)

    def background(self, process: Process) -> Background:
        """Work beside the ticks takes no time either."""
        return inline

    def failed(self, error: StoreFailed | Fatal) -> None:
        """Store or log gave up, which nobody has arranged here."""
        raise error

    def kill(self, silently: bool = False) -> None:
        environment, self.environment, self.member = self.environment, None, None
        log, self.log = self.log, None
        self.tables = None
        self.dies_before_commit = self.dies_after_commit = 0
        self.dies_soon = False
        super().kill(silently)
        if log is not None:
            log.close()
        if environment is not None:
            environment.close()

    def state(self) -> StateView:
        """What this member has on disk now. End the transaction soon."""
        assert self.environment is not None
        assert self.tables is not None
        return StateView(self.tables, self.environment.begin_read())

    def _refused(self, links: Links) -> Callable[[str, str], None]:
        def refuse(peer: str, reason: str) -> None:
            self.ring.complain(f"{self.name} refused a frame of {peer}: {reason}")
            links.refuse(peer, reason)

        return refuse

    def _before(self) -> None:
        self.ring.counts["ticks"] += 1
        if self.dies_soon:
            raise Killed

    def _before_commit(self) -> None:
        if self.dies_before_commit:
            self.dies_before_commit -= 1
            if self.dies_before_commit == 0:
                self.ring.faults["member crash, open tick lost"] += 1
                raise Killed

    def _after(self, result: TickResult) -> None:
        history = self.ring.history
        history.committed(self.name)
        history.leads(self.name, result.leadership)
        if self.dies_after_commit and (result.frames or result.outcomes):
            self.dies_after_commit -= 1
            if self.dies_after_commit == 0:
                self.ring.faults["member crash, tick unsent"] += 1
                raise Killed

    def _died(self) -> None:
        """In the middle of its own tick: nothing of it runs on; its disk is closed soon."""
        process = self.process
        if process is not None:
            process.kill()
            self.ring.network.at(0.0, self._close_after_death)

    def _replaced(self) -> None:
        """Its store is another's state now: its supervisor starts it again."""
        self.ring.counts["snapshots"] += 1
        self.ring.note(f"{self.name} took over the state of another")
        self._died()

    def _close_after_death(self) -> None:
        self.kill()
        self.ring.revive_later(self)


class SimBrain(SimRole):
    ring: "Ring"
    brain: Brain | None = None

    def begin(self, process: Process) -> None:
        rows = self.ring.history.rows
        bbs = Witness(self.client(process, Role.BRAIN), self.ring.floor.sent, lambda: rows.at_s)
        self.brain = Brain(
            bbs,
            self.machine,
            self.ids(),
            self.name,
            {"spread": Spread()},
            dict(BUILTIN),
            "spread",
            sender=self.ring.sink,
        )
        process.main(self.brain.run())

    @property
    def is_active(self) -> bool:
        return self.is_up and self.brain is not None and self.brain.status().active


class SimCell(SimRole):
    """A machine with containers, and the agent on it."""

    ring: "Ring"

    def __init__(self, ring: "Ring", plan: CellPlan) -> None:
        super().__init__(ring, plan.name)
        self.plan = plan
        self.owner = Owner("sim-cluster", plan.name)
        self.agent: Agent | None = None
        self.hosts: list[CellHost] = []
        self.boot()

    @property
    def host(self) -> CellHost:
        return self.hosts[-1]

    def boot(self) -> None:
        """The machine begins with an empty disk and without containers."""
        number = len(self.hosts)
        self.os = Process(f"{self.name}-os", self.machine, self.ring.loop, self.ring.process_ended)
        self.ring.processes.append(self.os)
        self.disk = CellDisk()
        self.hosts.append(
            CellHost(
                f"{self.ring.seed} {self.name} {number}",
                self.os,
                self.ring.faults_end_s,
                lambda handle: self.ring.starts.started(self, handle),
                lambda handle: self.ring.floor.stopped(self, handle),
                lambda handle: self.ring.on_starting(self, handle),
            )
        )

    def lose_machine(self) -> None:
        """Agent, containers and disk are gone, and nobody is told."""
        self.kill(silently=True)
        self.os.kill()
        self.boot()

    def begin(self, process: Process) -> None:
        bbs = RingClient(self.client(process, Role.CELL))
        cell = Cell(
            cell_id=self.name,
            zone=self.plan.zone,
            address=f"{self.name}:1801",
            capacity=Resources(
                memory_mb=self.plan.memory_mb, disk_mb=100_000, containers=self.plan.containers
            ),
            optional_placement_tags=self.plan.tags,
            backend="fake",
        )
        checks = {"command": make_command_check}
        self.agent = Agent(
            cell,
            self.owner,
            bbs,
            SimBackend(self.owner, self.host),
            checks,
            DiskRecords(self.disk, self.ring.chance("disks")),
            self.machine,
            self.ids(),
            DiskDirectories(self.disk),
            range(20_000, 20_100),
        )
        process.main(self.agent.run())


async def _all(*works: Any) -> None:
    await asyncio.gather(*works)
