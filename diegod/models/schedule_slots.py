"""Which slot of a schedule comes next: the same answer for the brain and for whoever looks.

Pure. Does not belong here: how an expression is read (`cron`), what becomes of a slot
(`diegod.scheduler.core.schedules`).
"""

from collections.abc import Iterator
from functools import lru_cache

from diegod.models.cron import problems, slots_between
from diegod.models.standing.facts import seconds
from diegod.v1.record_pb2 import TaskSchedule

_DAY_S = 86_400.0
#: How far ahead or back a slot is looked for, step by step: 29 February may be 8 years away.
_WINDOWS_S = (3600.0, _DAY_S, 32 * _DAY_S, 367 * _DAY_S, 9 * 366 * _DAY_S)


def done_until(schedule: TaskSchedule) -> float:
    """Every slot up to here has had its turn, or was before there was a schedule."""
    return max(seconds(schedule.last_slot), seconds(schedule.created_at))


def next_slot(schedule: TaskSchedule) -> float | None:
    """The first slot that is not done, in seconds; None: there is none for years, or no clock."""
    if not schedule.cron or unreadable(schedule.cron, schedule.time_zone):
        return None
    return _first_slot(schedule.cron, schedule.time_zone, done_until(schedule))


@lru_cache(maxsize=10_000)
def _first_slot(cron: str, zone: str, after: float) -> float | None:
    """Kept, since a brain asks for it again at each pass until that slot has come."""
    for window_s in _WINDOWS_S:
        for slot in slots(cron, zone, after, after + window_s):
            return slot
    return None


def last_slot(cron: str, zone: str, after: float, until: float) -> float | None:
    """The last slot from behind `after` to `until` and with it."""
    for window_s in _WINDOWS_S:
        last = None
        for last in slots(cron, zone, max(after, until - window_s), until):  # noqa: B007
            pass
        if last is not None or until - window_s <= after:
            return last
    return None


def slots(cron: str, zone: str, after: float, until: float) -> Iterator[float]:
    """Those from behind `after` to `until` and with it, in order; none where that is no time."""
    return iter(slots_between(cron, zone, after, until)) if until > after else iter(())


@lru_cache(maxsize=10_000)
def unreadable(cron: str, zone: str) -> str:
    """It was read when it was admitted; but this machine may not know every time zone."""
    return "; ".join(f"{each.path}: {each.message}" for each in problems(cron, zone))
