"""A board, the people and cells around it, and the brain's pure half, driven by hand."""

from collections.abc import Iterable

from diegod.internal.v1 import command_pb2 as c
from diegod.scheduler.core.auction import Plan, Rules, hold
from diegod.scheduler.core.batch import waiting
from diegod.scheduler.core.cell_table import CellTable
from diegod.scheduler.core.convergence import all_keys, converge
from diegod.scheduler.core.decision import Decision, RowVersion
from diegod.scheduler.core.filters import BUILTIN
from diegod.scheduler.core.limits import Limits
from diegod.scheduler.core.repairs import Repairs
from diegod.scheduler.core.snapshot import Key, Snapshot
from diegod.scheduler.strategies.spread import Spread
from diegod.v1.record_pb2 import ActualLrp, Rollout
from tests.unit.scheduler.board import LOCK, Board, People

BRAIN = "brain/brain-1"
RULES = Rules({"spread": Spread()}, BUILTIN, "spread")
LIMITS = Limits()


class World:
    def __init__(self) -> None:
        self.board = Board()
        self.people = People(self.board)
        self.token = self.board.do(BRAIN, acquire_lock=c.AcquireLock(name=LOCK)).lock.token
        self._snapshot = Snapshot()
        self._seen = 0
        self.tended_since = 0.0  # when the brain took over
        self.sent: set[RowVersion] = set()  # what it has decided and not seen happen

    def wait(self, seconds: float) -> None:
        self.board.now += seconds

    def snapshot(self) -> Snapshot:
        """Fed by the changes since it was last looked at, as a brain's is."""
        new, self._seen = self.board.history[self._seen :], len(self.board.history)
        self._snapshot.apply_changes(new)
        return self._snapshot

    def repairs(self, keys: Iterable[Key] | None = None, limits: Limits = LIMITS) -> Repairs:
        """Of everything, unless told of what."""
        snapshot = self.snapshot()
        if keys is None:
            keys = all_keys(snapshot)
        now, since = self.board.now, self.tended_since
        return converge(snapshot, keys, now, limits, since, self.sent)

    def converge(self, limits: Limits = LIMITS) -> list[str]:
        """Repairs everything once, and says what that took."""
        return self.carry_out(self.repairs(limits=limits).decisions)

    def auction(self) -> Plan:
        snapshot = self.snapshot()
        lots = waiting(snapshot, self.board.now)
        plan = hold(lots, CellTable.of(snapshot), RULES)
        self.carry_out([placement.decision() for placement in plan.placements])
        self.carry_out([refusal.decision() for refusal in plan.refusals if refusal.is_news])
        return plan

    def carry_out(self, decisions: Iterable[Decision]) -> list[str]:
        """The BBS must accept every one of them."""
        done = []
        for number, decision in enumerate(decisions):
            command = decision.command(f"{self.board.revision}-{number}", LOCK, self.token)
            outcome = self.board.submit(command, BRAIN)
            assert not outcome.reason, f"{decision} was refused: {outcome.message}"
            done.append(described(decision))
        return done

    def settle(self) -> None:
        """Brain and cells take turns until nobody has anything left to do."""
        for _ in range(20):
            revision = self.board.revision
            self.converge()
            self.auction()
            self.people.obey()
            if self.board.revision == revision:
                return
        raise AssertionError("brain and cells never came to rest")

    def settle_in_time(self, steps: int = 200) -> None:
        """The same, and whatever time alone brings about."""
        for _ in range(steps):
            self.settle()
            if (at := self.repairs().next_deadline) is None:
                return
            self.wait(max(0.0, at - self.board.now))
        raise AssertionError("something was due again and again")

    def rollout(self, process_guid: str) -> str:
        """Its state, by name."""
        return Rollout.State.Name(self.board.desired_lrp(process_guid).rollout.state)

    def instance(self, process_guid: str, index: int) -> ActualLrp:
        """The ordinary one."""
        return self._only(process_guid, index, ActualLrp.ORDINARY)

    def evacuating(self, process_guid: str, index: int) -> ActualLrp:
        return self._only(process_guid, index, ActualLrp.EVACUATING)

    def suspect(self, process_guid: str, index: int) -> ActualLrp:
        return self._only(process_guid, index, ActualLrp.SUSPECT)

    def states(self, process_guid: str) -> list[str]:
        """ "0 RUNNING cell-1", one an instance, by index; a suspect one says so."""
        rows = sorted(self.board.instances(process_guid), key=lambda r: (r.index, r.presence))
        return [_state(row) for row in rows]

    def _only(self, process_guid: str, index: int, presence: ActualLrp.Presence) -> ActualLrp:
        (row,) = (
            row
            for row in self.board.instances(process_guid)
            if row.index == index and row.presence == presence
        )
        return row


def described(decision: Decision) -> str:
    """ "RetireInstance web/0" and the like."""
    return f"{decision.about.action} {decision.key.guid}"


def _state(row: ActualLrp) -> str:
    words = [str(row.index), ActualLrp.State.Name(row.state)]
    words += [cell for cell in [row.cell_id or row.placed_cell_id] if cell]
    words += [ActualLrp.Presence.Name(row.presence)] if row.presence else []
    words += ["stopping"] if row.stopping else []
    return " ".join(words)


def a_world(cells: int = 2, instances: int = 2, **lrp: object) -> World:
    """So many cells, and an LRP "web" with all its instances running."""
    world = World()
    for number in range(1, cells + 1):
        world.people.cell(f"cell-{number}", zone=f"z{number}")
    world.people.lrp("web", instances, **lrp)
    world.settle_in_time()
    return world
