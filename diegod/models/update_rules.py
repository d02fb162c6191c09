"""What an update policy may be: the rules of `update`.

A policy that could never make progress is refused here, with all else that is wrong with it. Does
not belong here: how an update goes by it (the brain decides that).
"""

from collections.abc import Iterator

from diegod.models import field_rules as rules
from diegod.models import limits
from diegod.models.defaults import max_unavailable_default
from diegod.models.errors import Problem
from diegod.v1.definition_pb2 import UpdatePolicy

_ENUMS = (
    ("strategy", UpdatePolicy.Strategy),
    ("order", UpdatePolicy.Order),
    ("on_failure", UpdatePolicy.OnFailure),
)


def update_policy(path: str, update: UpdatePolicy) -> Iterator[Problem]:
    for name, enum in _ENUMS:
        value = getattr(update, name)
        if value not in enum.values():
            yield Problem(f"{path}.{name}", f"{value} is none of {', '.join(enum.keys())}")
    if update.HasField("max_in_flight"):
        most = limits.INSTANCES_MAX
        yield from rules.between(f"{path}.max_in_flight", update.max_in_flight, 1, most)
    yield from _unavailable(f"{path}.max_unavailable", update)
    yield from _canaries(f"{path}.canaries", update)
    longest = limits.MIN_HEALTHY_MS_MAX
    yield from rules.between(f"{path}.min_healthy_ms", update.min_healthy_ms, 0, longest)
    yield from _progress_deadline(path, update)


def _unavailable(path: str, update: UpdatePolicy) -> Iterator[Problem]:
    if not update.HasField("max_unavailable"):
        return
    yield from rules.between(path, update.max_unavailable, 0, limits.INSTANCES_MAX)
    is_needed = max_unavailable_default(update) > 0
    if is_needed and update.max_unavailable == 0:
        yield Problem(path, "0 with order STOP_FIRST: no instance could ever be replaced")


def _canaries(path: str, update: UpdatePolicy) -> Iterator[Problem]:
    """More than there are instances means all of them: scaling down must not make it illegal."""
    if update.canaries and update.strategy == UpdatePolicy.RECREATE:
        yield Problem(path, "there are none with strategy RECREATE: all instances end first")
    yield from rules.between(path, update.canaries, 0, limits.INSTANCES_MAX)


def _progress_deadline(path: str, update: UpdatePolicy) -> Iterator[Problem]:
    """It must leave room for an instance to be healthy for as long as it has to be."""
    if not update.HasField("progress_deadline_ms"):
        return
    lowest = max(limits.PROGRESS_DEADLINE_MS_MIN, min(update.min_healthy_ms, _LONGEST))
    value = update.progress_deadline_ms
    yield from rules.between(f"{path}.progress_deadline_ms", value, lowest, _LONGEST)


_LONGEST = limits.PROGRESS_DEADLINE_MS_MAX
