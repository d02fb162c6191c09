"""Whatever people, a brain and cells say of an LRP, in whatever order: what always holds.

The machine speaks as a brain that decides at random would, and as cells and people that do what
they like; most of what it says is refused. After each word the rows are looked at.
"""

import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from diegod.internal.v1 import command_pb2 as c
from diegod.raftbbs.store.verification import verify
from diegod.raftbbs.store.versions import VERSIONS_KEPT
from diegod.v1.cell_pb2 import ControlCellRequest
from diegod.v1.definition_pb2 import UpdatePolicy
from diegod.v1.record_pb2 import ActualLrp, LrpVersion, Rollout
from tests.unit.raftbbs.core.board import Board
from tests.unit.raftbbs.core.lrps import Verb, Web

CELLS = ("c1", "c2")
REPAIRS = (
    *("withdraw_instance", "unclaim_instance", "suspect_instance", "unsuspect_instance"),
    *("evacuate_instance", "reinstate_instance", "retire_instance", "retire_instance"),
)
REPORTS = ("claim_instance", "start_instance", "crash_instance", "remove_instance")
OF_ROLLOUTS = ("finish_rollout", "await_promotion", "fail_rollout", "forget_lrp")
UPDATES = (
    UpdatePolicy(),
    UpdatePolicy(on_failure=UpdatePolicy.PAUSE),
    UpdatePolicy(order=UpdatePolicy.STOP_FIRST),
    UpdatePolicy(strategy=UpdatePolicy.RECREATE),
)
INDEXES = st.integers(0, 1)
PICK = st.integers(0, 10**6)


class LrpLife(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="lrp-life-"))
        self.board = Board.open(self.folder).with_brain()
        for cell_id in CELLS:
            self.board.with_cell(cell_id)
        self.web = Web(self.board)
        self.web.desire(b"v0")
        self.incarnations: dict[str, int] = {}

    def teardown(self) -> None:
        if hasattr(self, "board"):
            self._every_row_fits()
            self._a_removal_ends()
            self.board.environment.close()
            shutil.rmtree(self.folder)

    # What is said.

    @rule(
        number=st.integers(0, 9), instances=st.integers(1, 2), update=st.sampled_from(UPDATES)
    )
    def desire(self, number: int, instances: int, update: UpdatePolicy) -> None:
        self.web.desire(b"v%d" % number, instances=instances, update=update)

    @rule()
    def desire_many(self) -> None:
        """More than are kept, now and then."""
        for number in range(VERSIONS_KEPT):
            self.web.desire(b"many %d" % number)

    @rule(verb=st.sampled_from(Verb.values()), to_version=st.integers(0, 12))
    def control(self, verb: Verb.ValueType, to_version: int) -> None:
        self.web.control(verb, to_version)

    @rule(instances=st.integers(0, 3))
    def scale(self, instances: int) -> None:
        self.web.scale(instances)

    @rule(seed=PICK)
    def remove(self, seed: int) -> None:
        if seed % 8 == 0:  # rarely: most of a life is before its end
            self.web.remove()

    @rule(index=INDEXES)
    def retire_index(self, index: int) -> None:
        self.web.retire_index(index)

    @rule(kind=st.sampled_from(OF_ROLLOUTS))
    def roll(self, kind: str) -> None:
        if not self.web.is_gone():
            self.web.brain(kind)

    @rule(index=INDEXES)
    def create(self, index: int) -> None:
        if self.web.is_gone():
            return
        revision = self.web.row().provenance.revision
        create = c.CreateInstance(process_guid="web", index=index, desired_revision=revision)
        self.board.say("brain/b1", create_instance=create)

    @rule(seed=PICK, kind=st.sampled_from(REPAIRS))
    def repair(self, seed: int, kind: str) -> None:
        if (row := self._row(seed)) is not None:
            self.web.repair(kind, row)

    @rule(index=INDEXES, cell_id=st.sampled_from(CELLS))
    def fill(self, index: int, cell_id: str) -> None:
        """What a brain does where an index has no ordinary instance."""
        self.create(index)
        row = self.web.instances(index).get("ORDINARY")
        if row is not None and self.board.state().cell(cell_id) is not None:
            self.web.place(row, cell_id)
            self.web.cell("claim_instance", row, cell_id)
            self.web.cell("start_instance", row, cell_id)

    @rule(index=INDEXES, kind=st.sampled_from(REPAIRS))
    def repair_what_runs(self, index: int, kind: str) -> None:
        """Of all presences that run there; what one of them is told may be about another."""
        for row in self.web.instances(index).values():
            if row.state == ActualLrp.RUNNING:
                self.web.repair(kind, row)

    @rule(cell_id=st.sampled_from(CELLS))
    def lose_and_suspect(self, cell_id: str) -> None:
        self.lose(cell_id)
        for row in self._rows():
            self.web.repair("suspect_instance", row)

    @rule(seed=PICK, kind=st.sampled_from(REPORTS), cell_id=st.sampled_from(CELLS))
    def report(self, seed: int, kind: str, cell_id: str) -> None:
        if (row := self._row(seed)) is not None:
            self.web.cell(kind, row, row.cell_id or row.placed_cell_id or cell_id)

    @rule(cell_id=st.sampled_from(CELLS), verb=st.sampled_from(ControlCellRequest.Verb.values()))
    def operate(self, cell_id: str, verb: ControlCellRequest.Verb.ValueType) -> None:
        control = c.ControlCell(cell_id=cell_id, verb=verb, deadline_ms=1000)
        self.board.say("user/ann", control_cell=control)

    @rule(cell_id=st.sampled_from(CELLS))
    def lose(self, cell_id: str) -> None:
        if self.board.state().cell(cell_id) is not None:
            self.web.lose(cell_id)

    @rule(cell_id=st.sampled_from(CELLS))
    def register(self, cell_id: str) -> None:
        self.board.with_cell(cell_id)
        cell = self.board.state().cell(cell_id)
        assert cell is not None
        assert cell.incarnation > self.incarnations.get(cell_id, 0)
        self.incarnations[cell_id] = cell.incarnation

    @rule(seconds=st.sampled_from([0.5, 2, 400]))
    def wait(self, seconds: float) -> None:
        self.board.later(seconds)

    # What holds.

    @invariant()
    def each_index_has_one_of_each_presence(self) -> None:
        rows = self._rows()
        ordinary = Counter(r.index for r in rows if r.presence == ActualLrp.ORDINARY)
        suspect = Counter(r.index for r in rows if r.presence == ActualLrp.SUSPECT)
        evacuating = Counter(
            r.index for r in rows if r.presence == ActualLrp.EVACUATING and not r.stopping
        )
        for counted in (ordinary, suspect, evacuating):
            assert all(number == 1 for number in counted.values()), (ordinary, suspect, evacuating)

    @invariant()
    def each_instance_has_its_definition(self) -> None:
        for row in self._rows():
            assert self.web.definition(row.definition_revision) is not None

    @invariant()
    def each_instance_belongs_to_an_lrp(self) -> None:
        assert not self._rows() or not self.web.is_gone()

    @invariant()
    def presences_have_their_states(self) -> None:
        for row in self._rows():
            if row.presence == ActualLrp.EVACUATING:
                assert row.state == ActualLrp.RUNNING
            if row.presence == ActualLrp.SUSPECT:
                assert row.state in (ActualLrp.CLAIMED, ActualLrp.RUNNING)
            assert bool(row.cell_id) == (row.state in (ActualLrp.CLAIMED, ActualLrp.RUNNING))

    @invariant()
    def the_history_is_whole(self) -> None:
        if not hasattr(self, "web") or self.web.is_gone():
            return
        row, versions = self.web.row(), self.web.versions()
        assert len(versions) <= VERSIONS_KEPT
        numbers = [each.version for each in versions]
        assert numbers == list(range(numbers[0], row.version + 1))
        assert versions[-1].definition_revision == row.definition_revision
        current = [each for each in versions if each.outcome == LrpVersion.CURRENT]
        assert current in ([], [versions[-1]])
        is_done = row.rollout.state == Rollout.DONE
        assert is_done == (versions[-1].outcome == LrpVersion.STABLE)
        assert all(self.web.definition(each.definition_revision) for each in versions)

    # At the end.

    def _every_row_fits(self) -> None:
        """As a member finds it when it starts: nothing is left over, and nothing lacks."""
        assert verify(self.board.environment) > 0

    def _a_removal_ends(self) -> None:
        """By what a brain and cells that do their duty then say."""
        if self.web.is_gone() or (not self.web.remove() and self.web.is_gone()):
            return
        for row in self._rows():
            self.web.repair("retire_instance", row)
        for row in self._rows():
            assert row.stopping, row
            assert not self.web.cell("remove_instance", row)
        assert not self.web.brain("forget_lrp")
        assert self.web.is_gone()
        with self.board.environment.begin_read() as transaction:
            tables = self.board.tables
            for table in (tables.lrp_versions, tables.lrp_definitions, tables.actual_lrps.rows):
                assert transaction.count(table) == 0

    def _rows(self) -> list[ActualLrp]:
        return list(self.board.state().instances("web")) if hasattr(self, "board") else []

    def _row(self, seed: int) -> Any:
        rows = self._rows()
        return rows[seed % len(rows)] if rows else None


LrpLife.TestCase.settings = settings(max_examples=40, stateful_step_count=80, deadline=None)
TestLrpLife = LrpLife.TestCase


