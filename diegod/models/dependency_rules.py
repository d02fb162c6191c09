"""What a task or an LRP may wait for."""

from collections.abc import Iterator, Sequence

from diegod.models import field_rules as rules
from diegod.models import limits
from diegod.models.errors import Problem
from diegod.v1.definition_pb2 import Dependency

OF_LRPS = (Dependency.DEFAULT, Dependency.HEALTHY)
OF_TASKS = (Dependency.DEFAULT, Dependency.SUCCEEDED, Dependency.COMPLETED)


def dependencies(
    path: str, values: Sequence[Dependency], *, own_lrp: str = "", own_task: str = ""
) -> Iterator[Problem]:
    """`own_lrp` and `own_task`: the guid of what depends on them."""
    if len(values) > limits.DEPENDENCIES_MAX:
        found = f"{len(values)} of them, at most {limits.DEPENDENCIES_MAX} are allowed"
        yield Problem(path, found)
        return
    for number, value in enumerate(values):
        yield from _dependency(f"{path}[{number}]", value, own_lrp, own_task)
    named = [f"lrp {value.lrp}" if value.lrp else f"task {value.task}" for value in values]
    yield from rules.unique(path, named)


def _dependency(path: str, value: Dependency, own_lrp: str, own_task: str) -> Iterator[Problem]:
    if bool(value.lrp) == bool(value.task):
        yield Problem(path, "is required: one of lrp, task")
        return
    name, guid, own = ("lrp", value.lrp, own_lrp) if value.lrp else ("task", value.task, own_task)
    yield from rules.guid(f"{path}.{name}", guid)
    if guid == own:
        yield Problem(f"{path}.{name}", "waits for itself")
    allowed = OF_LRPS if value.lrp else OF_TASKS
    if value.condition not in allowed:
        names = ", ".join(Dependency.Condition.Name(each) for each in allowed[1:])
        what = "an LRP" if value.lrp else "a task"
        yield Problem(f"{path}.condition", f"of {what} it is {names}")


def fill_conditions(values: Sequence[Dependency]) -> None:
    """Write down what a condition means that was left out."""
    for value in values:
        if value.condition == Dependency.DEFAULT:
            value.condition = Dependency.HEALTHY if value.lrp else Dependency.SUCCEEDED
