"""What `lrp plan` lists is what `apply` then does: no instance more, none less, in that manner.

The plan is a pure function of rows; what happens is told by the BBS's own rules and the brain's own
convergence, over a history of every change.
"""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from diegod.internal.v1 import command_pb2 as c
from diegod.models import admission
from diegod.models.plan import InstanceStep, Plan, Step, plan
from diegod.v1.definition_pb2 import Action, LrpDefinition, RunAction, UpdatePolicy
from diegod.v1.record_pb2 import ActualLrp, Change, DesiredLrp
from tests.unit.scheduler.core.worlds import World

POLICIES = (
    UpdatePolicy(max_in_flight=1),
    UpdatePolicy(max_in_flight=3),
    UpdatePolicy(order=UpdatePolicy.STOP_FIRST, max_in_flight=2, max_unavailable=2),
    UpdatePolicy(strategy=UpdatePolicy.RECREATE),
)


class Site:
    """Three cells, people who desire definitions, and what happened since they last did."""

    def __init__(self) -> None:
        self.world = World()
        self._since = 0
        for number in range(3):
            self.world.people.cell(f"cell-{number}", zone="z1")

    def apply(self, definition: LrpDefinition) -> None:
        self._since = len(self.world.board.history)
        closed = LrpDefinition()
        closed.CopyFrom(definition)
        closed.ClearField("instances")  # the number belongs to the row alone
        desire = c.DesireLrp(
            desired_lrp=admission.lrp_row(definition),
            definition=closed.SerializeToString(deterministic=True),
        )
        self.world.board.do("user/alice", desire_lrp=desire)
        self.world.settle_in_time()

    def plan(self, new: LrpDefinition) -> Plan:
        current = DesiredLrp()
        current.CopyFrom(self.world.board.desired_lrp("web"))
        closed = self.world.board.lrp_definition("web", current.definition_revision)
        current.definition.CopyFrom(LrpDefinition.FromString(closed or b""))
        return plan(current, self.rows(), new)

    def rows(self) -> Sequence[ActualLrp]:
        return self.world.board.instances("web")

    def what_happened(self, before: Sequence[ActualLrp]) -> set[tuple[int, Step]]:
        """To each index, by its history: who was there, whether it evacuated, and who came."""
        history = self.world.board.history[self._since :]
        changes = [change for change in history if change.HasField("actual_lrp")]
        after = {row.index: row.instance_guid for row in self.rows()}
        old = {row.index: row for row in before}
        found = set()
        for index in sorted({*old, *after}):
            if index not in old:
                found.add((index, Step.CREATED))
            elif index not in after:
                found.add((index, Step.STOPPED))
            elif after[index] != old[index].instance_guid:
                found.add((index, _how(old[index], after[index], changes)))
        return found


def _how(old: ActualLrp, new_guid: str, changes: Sequence[Change]) -> Step:
    if old.state != ActualLrp.RUNNING:
        return Step.REPLACED_AT_ONCE
    runs = [
        number
        for number, change in enumerate(changes)
        if change.actual_lrp.instance_guid == new_guid
        and change.actual_lrp.state == ActualLrp.RUNNING
    ]
    ends = [
        number
        for number, change in enumerate(changes)
        if change.actual_lrp.instance_guid == old.instance_guid and change.actual_lrp.stopping
    ]
    return Step.REPLACED_START_FIRST if runs[0] < ends[0] else Step.REPLACED_STOP_FIRST


def a_definition(version: int, instances: int, policy: UpdatePolicy) -> LrpDefinition:
    definition = LrpDefinition(
        process_guid="web",
        rootfs="preloaded:busybox",
        instances=instances,
        action=Action(run=RunAction(path="/bin/web", args=[f"v{version}"])),
        update=policy,
    )
    definition.update.min_healthy_ms = 0
    assert admission.problems(definition) == []
    admission.fill_defaults(definition)
    return definition


def listed(steps: Sequence[InstanceStep]) -> set[tuple[int, Step]]:
    return {(step.index, step.step) for step in steps}


@settings(max_examples=60, deadline=None)
@given(
    before=st.integers(0, 4),
    after=st.integers(0, 4),
    same=st.booleans(),
    policy=st.sampled_from(POLICIES),
    crashed=st.integers(0, 4),
)
def test_a_plan_lists_exactly_what_apply_does(
    before: int, after: int, same: bool, policy: UpdatePolicy, crashed: int
) -> None:
    site = Site()
    site.apply(a_definition(1, before, policy))
    for row in [row for row in site.rows() if row.index == crashed]:
        for _ in range(3):  # its immediate restarts are used up: it waits for its back-off
            (present,) = [r for r in site.rows() if r.index == row.index]
            site.world.people.crash(present)
            site.world.settle()
    rows = site.rows()
    new = a_definition(1 if same else 2, after, policy)
    planned = site.plan(new)
    site.apply(new)
    happened = site.what_happened(rows)
    if same:  # the crashed one comes back by itself, plan or no plan
        happened -= {(crashed, Step.REPLACED_AT_ONCE)}
    assert listed(planned.steps) == happened
    assert planned.changes_something == (not same or before != after)
    assert site.plan(new).changes_something is False
    assert site.plan(new).steps == ()
