"""What work may wait for: the rules of `depends_on`, the same for tasks and LRPs.

Does not belong here: whether what is waited for has come (the brain decides that).
"""

from collections.abc import Iterator, Sequence

from diegod.models import field_rules as rules
from diegod.models import limits
from diegod.models.errors import Problem
from diegod.v1.definition_pb2 import Dependency

_OF_LRPS = (Dependency.DEFAULT, Dependency.HEALTHY)
_OF_TASKS = (Dependency.DEFAULT, Dependency.SUCCEEDED, Dependency.COMPLETED)


def dependencies(
    path: str, deps: Sequence[Dependency], own: tuple[str, str]
) -> Iterator[Problem]:
    """`own` says what waits: ("lrp", "web") or ("task", "report")."""
    if len(deps) > limits.DEPENDENCIES_MAX:
        yield Problem(path, f"{len(deps)} of them, at most {limits.DEPENDENCIES_MAX} are allowed")
        return
    for number, dep in enumerate(deps):
        yield from _dependency(f"{path}[{number}]", dep, own)
    yield from rules.unique(path, [_named(dep) for dep in deps])


def _dependency(path: str, dep: Dependency, own: tuple[str, str]) -> Iterator[Problem]:
    if bool(dep.lrp) == bool(dep.task):
        yield Problem(path, "exactly one of lrp and task is required")
        return
    kind = "lrp" if dep.lrp else "task"
    yield from rules.guid(f"{path}.{kind}", getattr(dep, kind))
    if (kind, getattr(dep, kind)) == own:
        yield Problem(f"{path}.{kind}", f"{own[1]} can't wait for itself")
    allowed = _OF_LRPS if dep.lrp else _OF_TASKS
    if dep.condition not in allowed:
        names = ", ".join(Dependency.Condition.Name(each) for each in allowed if each)
        found = _name(dep.condition)
        yield Problem(f"{path}.condition", f"{found} is not what a {kind} can be; {names} is")


def _name(condition: int) -> str:
    known = condition in Dependency.Condition.values()
    return Dependency.Condition.Name(condition) if known else str(condition)  # type: ignore[arg-type]


def _named(dep: Dependency) -> str:
    return f"lrp {dep.lrp}" if dep.lrp else f"task {dep.task}"
