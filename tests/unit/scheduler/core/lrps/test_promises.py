"""What holds in whatever order things happen: random people, crashes and losses against the real
rules of the BBS.

- The BBS accepts every repair, and a second pass over what they led to finds nothing more.
- No pass takes an index out of service that is in service, where the LRP starts first; where it
  stops first, no more of them than the LRP allows; one that recreates never has two versions.
- Once nothing happens any more it ends with exactly N instances, each index once, all of the
  definition that is wanted.
"""

import os
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diegod.v1.definition_pb2 import CrashPolicy, UpdatePolicy
from diegod.v1.record_pb2 import ActualLrp, Cell, DesiredLrp, Rollout
from tests.unit.scheduler.core.worlds import World

CELLS, INSTANCES_MAX = 5, 4
EVENTS = [
    *["crash", "lose", "lose", "return", "return", "remove-cell", "accept-loss"],
    *["scale", "update", "update", "restart", "rollback", "pause", "resume", "promote", "retire"],
    *["drain", "uncordon", "cordon"],
    *["wait", "wait", "obey", "obey", "obey", "start-some", "unroutable"],
]
EXAMPLES = int(os.environ.get("STORIES", "60"))
STEPS = st.tuples(st.sampled_from(EVENTS), st.integers(0, 5), st.integers(0, 3))
STORIES = st.lists(STEPS, min_size=1, max_size=25)
START_FIRST = UpdatePolicy(min_healthy_ms=5_000, max_in_flight=2, progress_deadline_ms=60_000)
CANARIES = UpdatePolicy(min_healthy_ms=0, canaries=1)
STOP_FIRST = UpdatePolicy(order=UpdatePolicy.STOP_FIRST, min_healthy_ms=1_000)
RECREATE = UpdatePolicy(strategy=UpdatePolicy.RECREATE, min_healthy_ms=0)


class Story:
    def __init__(self, update: UpdatePolicy) -> None:
        self.world, self.update = World(), update
        self.people = self.world.people
        self.came_back: set[str] = set()
        for number in range(CELLS):
            self.people.cell(f"cell-{number}", zone=f"z{number % 2}")
        self._desire("v0", 3)
        self.world.settle_in_time()

    @property
    def desired(self) -> DesiredLrp:
        return self.world.board.desired_lrp("web")

    def tell(self, event: str, number: int, passes: int) -> None:
        self._happen(event, number)
        self._one_ordinary_an_index()
        for _ in range(passes):
            self._converge()
            self.world.auction()
            self._one_ordinary_an_index()

    def end_well(self) -> None:
        """Everybody comes back, nothing is drained, and people want one more version."""
        for number in range(CELLS):
            cell = self.world.board.cell(f"cell-{number}")
            if cell is None or cell.state != Cell.PRESENT:
                self.people.cell(f"cell-{number}", zone=f"z{number % 2}")
            self.people.cell_is("UNCORDON", f"cell-{number}")
        self._desire("the last one", 3)
        self.world.settle_in_time()
        if self.desired.rollout.state == Rollout.CANARIES:
            self.people.control("web", "PROMOTE")
            self.world.settle_in_time()
        rows = self.world.board.instances("web")
        assert [(row.index, row.state, row.presence) for row in rows] == [
            (index, ActualLrp.RUNNING, ActualLrp.ORDINARY) for index in range(3)
        ]
        assert {row.definition_revision for row in rows} == {self.desired.definition_revision}
        assert self.desired.rollout.state == Rollout.DONE

    def _converge(self) -> None:
        before, past = self._served(), self._past_deadline()
        idle = before - {row.index for row in self._running() if row.routable}
        done = self.world.converge()
        self._keeps_serving(before - past, self._served(), idle)
        if self.update == RECREATE:
            self._one_version()
        passes = 0
        while done := self._that_leads_on(done):
            passes += 1
            assert passes < 3
            done = self.world.converge()
        assert self.world.converge() == []

    def _that_leads_on(self, done: list[str]) -> list[str]:
        """What makes rows anew that are decided on then: a way back, an instance that returned."""
        leads = ("FailRollout web", "UnsuspectInstance web", "ReinstateInstance web")
        return [each for each in done if each in leads]

    def _keeps_serving(self, before: set[int], after: set[int], idle: set[int]) -> None:
        """`idle`: what ran before and took no traffic; who stops first may stop that anyway."""
        wanted = range(self.desired.instances)
        lost = [index for index in wanted if index in before - after]
        if self.update in (START_FIRST, CANARIES):
            assert not lost, f"the brain took {lost} out of service"
        elif self.update == STOP_FIRST and not idle.issuperset(lost):
            unserved = [index for index in wanted if index not in after]
            assert len(unserved) <= max(1, self.desired.update.max_unavailable)

    def _one_version(self) -> None:
        """Of what runs on cells that are there. What was on a cell that was lost is not waited for,
        so it may come back beside a newer one."""
        rows = [row for row in self._running() if self._is_present(row.cell_id)]
        made = {r.definition_revision for r in rows if r.instance_guid not in self.came_back}
        newest = self.desired.definition_revision
        assert newest not in made or len(made) == 1 or self._was_taken_back()

    def _was_taken_back(self) -> bool:
        return self.desired.rollout.rolled_back

    def _one_ordinary_an_index(self) -> None:
        rows = self.world.board.instances("web")
        indexes = [row.index for row in rows if row.presence == ActualLrp.ORDINARY]
        assert len(indexes) == len(set(indexes))

    def _served(self) -> set[int]:
        rows = self._running()
        return {row.index for row in rows if not row.stopping and self._is_present(row.cell_id)}

    def _running(self) -> list[ActualLrp]:
        rows = self.world.board.instances("web")
        return [row for row in rows if row.state == ActualLrp.RUNNING]

    def _past_deadline(self) -> set[int]:
        """What runs on cells that were to be empty by now."""
        over = {
            cell.cell_id
            for cell in self.world.board.all(Cell)
            if cell.HasField("drain") and cell.drain.deadline_at.seconds <= self.world.board.now
        }
        return {row.index for row in self._running() if row.cell_id in over}

    def _is_present(self, cell_id: str) -> bool:
        cell = self.world.board.cell(cell_id)
        return cell is not None and cell.state == Cell.PRESENT

    def _desire(self, definition: str, instances: int) -> None:
        self.people.lrp(
            "web",
            instances,
            definition=definition,
            update=self.update,
            crash_policy=CrashPolicy(backoff_ms=1000, max_backoff_ms=4000),
        )

    def _happen(self, event: str, number: int) -> None:
        cell_id = f"cell-{number % CELLS}"
        cell = self.world.board.cell(cell_id)
        rollout, running = self.desired.rollout.state, self._living()
        is_missing = cell is not None and cell.state == Cell.MISSING
        match event:
            case "crash" if running:
                self.people.crash(running[number % len(running)])
            case "lose" if cell is not None and not is_missing:
                self.people.lose(cell_id)
            case "return":
                rows = self.world.board.instances("web")
                self.came_back |= {r.instance_guid for r in rows if r.cell_id == cell_id}
                self.people.cell(cell_id, zone=f"z{number % 2}")
            case "remove-cell" if is_missing:
                self.people.cell_is("REMOVE", cell_id)
            case "accept-loss" if is_missing:
                self.people.cell_is("ACCEPT_LOSS", cell_id)
            case "drain" if cell is not None:
                self.people.cell_is("DRAIN", cell_id, deadline_s=20.0 * (number + 1))
            case "uncordon" | "cordon" if cell is not None:
                self.people.cell_is(event.upper(), cell_id)
            case "scale":
                self.people.scale("web", 1 + number % INSTANCES_MAX)
            case "update":
                self._desire(f"v{number}", self.desired.instances)
            case "restart":
                self.people.control("web", "RESTART")
            case "rollback" if self._has_stable_before():
                self.people.control("web", "ROLLBACK")
            case "pause" if rollout in (Rollout.ROLLING, Rollout.CANARIES):
                self.people.control("web", "PAUSE")
            case "resume" if rollout == Rollout.PAUSED:
                self.people.control("web", "RESUME")
            case "promote" if rollout == Rollout.CANARIES:
                self.people.control("web", "PROMOTE")
            case "retire" if running:
                row = running[number % len(running)]
                if row.presence == ActualLrp.ORDINARY:
                    self.people.retire("web", row.index)
            case "wait":
                self.world.wait(number * 3)
            case "obey":
                self.people.obey()
            case "start-some":
                self._claim(range(number))
            case "unroutable" if running:
                row = running[number % len(running)]
                if row.presence == ActualLrp.ORDINARY:
                    self.people.run_again(row, routable=bool(number % 2))

    def _living(self) -> list[ActualLrp]:
        rows = self.world.board.instances("web")
        on_cells = (ActualLrp.CLAIMED, ActualLrp.RUNNING)
        return [r for r in rows if r.state in on_cells and self._is_present(r.cell_id)]

    def _has_stable_before(self) -> bool:
        past = self.world.board.lrp_versions("web")
        present = self.desired.definition_revision
        return any(v.outcome == v.STABLE and v.definition_revision != present for v in past)

    def _claim(self, indexes: Iterable[int]) -> None:
        for row in self.world.board.instances("web"):
            placed = row.state == ActualLrp.UNCLAIMED and self._is_present(row.placed_cell_id)
            if placed and row.index in indexes:
                self.people.claim(row)


@pytest.mark.parametrize(
    "update",
    [START_FIRST, CANARIES, STOP_FIRST, RECREATE],
    ids=["start first", "canaries", "stop first", "recreate"],
)
def test_whatever_happens(update: UpdatePolicy) -> None:
    @settings(max_examples=EXAMPLES, deadline=None)
    @given(STORIES)
    def told(events: list[tuple[str, int, int]]) -> None:
        story = Story(update)
        for event in events:
            story.tell(*event)
        story.end_well()

    told()
