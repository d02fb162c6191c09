"""What `apply` of a task, a schedule or a domain would do. Pure; LRPs are in `plan.py`."""

from diegod.models.definition_diff import differences
from diegod.models.plan import Action, Plan
from diegod.v1.definition_pb2 import DomainDefinition, TaskDefinition, TaskScheduleDefinition
from diegod.v1.record_pb2 import Domain, Task, TaskSchedule


def plan_task(current: Task | None, new: TaskDefinition) -> Plan:
    """A task is never replaced: its guid stands for one run."""
    guid = new.task_guid
    if current is None:
        changes = tuple(differences(TaskDefinition(), new))
        return Plan(guid, Action.CREATE, 0, changes=changes, kind="task")
    revision = current.provenance.revision
    state = Task.State.Name(current.state)
    if changes := tuple(differences(current.definition, new)):
        why = f"task {guid} exists with another definition ({state}); it is not replaced"
        return Plan(guid, Action.NONE, revision, changes=changes, refusal=why, kind="task")
    notes = (f"it is already there ({state})",)
    return Plan(guid, Action.NONE, revision, notes=notes, kind="task")


def plan_schedule(current: TaskSchedule | None, new: TaskScheduleDefinition) -> Plan:
    """Tasks that it has made before keep the definition that they were made of."""
    if current is None:
        changes = tuple(differences(TaskScheduleDefinition(), new))
        return Plan(new.name, Action.CREATE, 0, changes=changes, kind="task_schedule")
    changes = tuple(differences(current.definition, new))
    action = Action.UPDATE if changes else Action.NONE
    notes = ("it is paused and stays so",) if current.paused else ()
    revision = current.provenance.revision
    return Plan(new.name, action, revision, changes=changes, notes=notes, kind="task_schedule")


def plan_domain(current: Domain | None, new: DomainDefinition) -> Plan:
    """To apply a domain that is not always fresh is to say that it is fresh now."""
    before = DomainDefinition(domain=new.domain, ttl_s=current.ttl_s if current is not None else 0)
    changes = tuple(differences(before, new))
    if current is None:
        return Plan(new.domain, Action.CREATE, 0, changes=changes, kind="domain")
    notes = (f"it is fresh for {new.ttl_s} s from then on",) if new.ttl_s else ()
    action = Action.UPDATE if changes or new.ttl_s else Action.NONE
    revision = current.provenance.revision
    return Plan(new.domain, action, revision, changes=changes, notes=notes, kind="domain")
