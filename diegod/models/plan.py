"""What `apply` of a definition would do, before it is done: fields, instances, and how.

The same rules as those by which the BBS stores a definition and the brain follows it, as a list
for a person. Pure; does not belong here: asking the cluster (`diegod.cli.lrp.planning`), wording
for a terminal (`diegod.cli.definition.plans`), documents without instances (`plan_others.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from diegod.models.definition_diff import FieldChange, differences
from diegod.v1.definition_pb2 import LrpDefinition, UpdatePolicy
from diegod.v1.record_pb2 import ActualLrp, DesiredLrp, Rollout


class Action(StrEnum):
    CREATE = "create"
    UPDATE = "update"  # another definition: a rollout
    SCALE = "scale"  # another number of instances, and nothing else
    NONE = "none"


class Step(StrEnum):
    """What becomes of one instance."""

    CREATED = "created"
    REPLACED_START_FIRST = "replaced, the new one first"
    REPLACED_STOP_FIRST = "replaced, the old one ends first"
    REPLACED_AT_ONCE = "replaced at once"  # it does not run
    STOPPED = "stopped"


@dataclass(frozen=True)
class InstanceStep:
    index: int
    step: Step
    state: str = ""  # of the instance that is there now
    cell_id: str = ""


@dataclass(frozen=True)
class Plan:
    """`revision` is that of the row which was looked at; 0: there was none."""

    name: str
    action: Action
    revision: int
    version: int = 0  # that an LRP has afterwards
    changes: tuple[FieldChange, ...] = ()
    steps: tuple[InstanceStep, ...] = ()
    notes: tuple[str, ...] = ()  # how it goes on, one sentence each
    refusal: str = ""  # why apply would be refused; then nothing else holds
    kind: str = "lrp"

    @property
    def changes_something(self) -> bool:
        return self.action is not Action.NONE


def plan(
    current: DesiredLrp | None, instances: Sequence[ActualLrp], new: LrpDefinition
) -> Plan:
    """`current` has its definition; `new` was admitted and has its defaults filled in."""
    if current is None:
        return _creation(new)
    if current.domain != new.domain:
        return _refused(current, new)
    changes = tuple(differences(_as_scaled(current), new))
    of_definition = [change for change in changes if change.path != "instances"]
    if not changes and not current.removing:
        return _nothing(current, instances)
    action = Action.UPDATE if of_definition or current.removing else Action.SCALE
    return Plan(
        name=new.process_guid,
        action=action,
        revision=current.provenance.revision,
        version=current.version + (action is Action.UPDATE),
        changes=changes,
        steps=() if _stays_stopped(current) else tuple(_steps(instances, new, bool(of_definition))),
        notes=tuple(_notes(current, new, action)),
    )


def _creation(new: LrpDefinition) -> Plan:
    steps = tuple(InstanceStep(index, Step.CREATED) for index in range(_wanted(new)))
    return Plan(
        name=new.process_guid,
        action=Action.CREATE,
        revision=0,
        version=1,
        changes=tuple(differences(LrpDefinition(), new)),
        steps=steps,
        notes=_GLOBAL_NOTES if new.mode == LrpDefinition.GLOBAL else (),
    )


def _refused(current: DesiredLrp, new: LrpDefinition) -> Plan:
    why = f"{current.process_guid} is in domain {current.domain}; an LRP can't change its domain"
    revision = current.provenance.revision
    return Plan(new.process_guid, Action.NONE, revision, current.version, refusal=why)


def _nothing(current: DesiredLrp, instances: Sequence[ActualLrp]) -> Plan:
    notes = []
    if current.stopped:
        notes.append(_STOPPED.format(current.process_guid))
    if current.rollout.state != Rollout.DONE:
        ours = current.definition_revision
        new = sum(r.definition_revision == ours and _stays(r) for r in instances)
        state = Rollout.State.Name(current.rollout.state)
        notes.append(f"its rollout is under way ({state}): {new} of {current.instances} are new")
    revision = current.provenance.revision
    guid = current.process_guid
    return Plan(guid, Action.NONE, revision, current.version, notes=tuple(notes))


def _as_scaled(current: DesiredLrp) -> LrpDefinition:
    """The stored definition; the number of instances belongs to the row."""
    definition = LrpDefinition()
    definition.CopyFrom(current.definition)
    definition.instances = current.instances
    return definition


def _wanted(new: LrpDefinition) -> int:
    """Indexes that are to have an instance; of a GLOBAL LRP the brain alone knows them."""
    return 0 if new.mode == LrpDefinition.GLOBAL else new.instances


def _stays_stopped(current: DesiredLrp) -> bool:
    """What is being removed and taken up again begins anew."""
    return current.stopped and not current.removing


def _steps(
    instances: Sequence[ActualLrp], new: LrpDefinition, is_another: bool
) -> list[InstanceStep]:
    """`is_another`: another definition than that of the instances which are there."""
    rows = {row.index: row for row in instances if _stays(row)}
    is_global = new.mode == LrpDefinition.GLOBAL
    steps = []
    for index in sorted({*rows, *range(_wanted(new))}):
        row = rows.get(index)
        if row is None:
            steps.append(InstanceStep(index, Step.CREATED))
        elif not is_global and index >= new.instances:
            steps.append(_step(row, Step.STOPPED))
        elif is_another:
            steps.append(_step(row, _replacement(row, new.update)))
    return steps


def _stays(row: ActualLrp) -> bool:
    """Whether it is the instance of its index, and not one on its way out."""
    return row.presence != ActualLrp.EVACUATING and not row.stopping


def _step(row: ActualLrp, step: Step) -> InstanceStep:
    state = ActualLrp.State.Name(row.state)
    return InstanceStep(row.index, step, state, row.cell_id or row.placed_cell_id)


def _replacement(row: ActualLrp, policy: UpdatePolicy) -> Step:
    if row.state in (ActualLrp.UNCLAIMED, ActualLrp.CRASHED):
        return Step.REPLACED_AT_ONCE
    start_first = policy.strategy == UpdatePolicy.ROLLING and policy.order == (
        UpdatePolicy.START_FIRST
    )
    return Step.REPLACED_START_FIRST if start_first else Step.REPLACED_STOP_FIRST


_STOPPED = "it is stopped and stays so: diegod lrp start {}"
_GLOBAL_NOTES = ("one instance on each cell that may run it",)


def _notes(current: DesiredLrp, new: LrpDefinition, action: Action) -> list[str]:
    notes = list(_GLOBAL_NOTES) if new.mode == LrpDefinition.GLOBAL else []
    if current.removing:
        notes.append("it is being removed, and is taken up again as a new LRP")
    if _stays_stopped(current):
        return [*notes, _STOPPED.format(current.process_guid)]
    if action is not Action.UPDATE:
        return notes
    if current.rollout.state != Rollout.DONE and not current.removing:
        notes.append(f"the rollout of version {current.version} is given up for it")
    return [*notes, *_manner(new), _on_failure(current, new.update)]


def _manner(new: LrpDefinition) -> list[str]:
    policy = new.update
    if policy.strategy == UpdatePolicy.RECREATE:
        return ["all old ones end before the first new one starts"]
    healthy = f"healthy for {policy.min_healthy_ms / 1000:g} s"
    if policy.order == UpdatePolicy.START_FIRST:
        how = f"each new one is {healthy} before its old one ends"
    else:
        fewer = policy.max_unavailable
        how = f"each old one ends before its new one starts; at most {fewer} are missing at a time"
    notes = [f"{policy.max_in_flight} at a time: {how}"]
    if policy.canaries:
        what = "canary" if policy.canaries == 1 else "canaries"
        go_on = f"diegod lrp promote {new.process_guid}"
        notes.append(f"{policy.canaries} {what} first; when {healthy}, it waits for: {go_on}")
    return notes


def _on_failure(current: DesiredLrp, policy: UpdatePolicy) -> str:
    """What the brain does when no new one becomes healthy in time, or one crashes repeatedly."""
    deadline = f"nothing healthy for {policy.progress_deadline_ms / 1000:g} s, or crashes"
    is_stable = current.rollout.state == Rollout.DONE
    is_or_was = is_stable or current.rollout.stable_definition_revision != 0
    back = is_or_was and not current.removing
    if policy.on_failure == UpdatePolicy.ROLLBACK and back:
        return f"{deadline}: rolled back by itself"
    return f"{deadline}: it is paused"
