"""When a cron expression is due: the one door to the library that reads such expressions.

Five fields (minute, hour, day of the month, month, day of the week) or a word like @daily. What
Debian's cron does when clocks change holds here: a job of fixed hours runs once, in spring at the
first minute that there is; a job of every hour or minute goes by elapsed time. Nothing here reads a
clock. Does not belong here: what becomes of a slot (`diegod.raftbbs.core.schedules`).
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from diegod.models.did_you_mean import closest
from diegod.models.errors import Problem
from diegod.models.limits import CRON_BYTES_MAX

_WORDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FIELDS = 5
#: Where the search for a first slot begins, so that the answer is the same on every day.
_ANY_DAY = datetime(2024, 1, 1, tzinfo=UTC)


def problems(expression: str, zone: str) -> list[Problem]:
    """What is wrong with them, under the names that their fields have in a definition."""
    found = [Problem("cron", message) for message in _wrong_expression(expression)]
    if zone and _zone(zone) is None:
        near = closest(zone, sorted(available_timezones()))
        hint = f"; did you mean {near}?" if near else ""
        found.append(Problem("time_zone", f'"{zone[:60]}" is no time zone{hint}'))
    return found


def slots_between(expression: str, zone: str, after: float, until: float) -> Iterator[float]:
    """The moments it is due at, from behind `after` to `until` and with it, each once, in order.

    The expression and the zone have been admitted; an empty zone is UTC.
    """
    there = _zone(zone)
    if there is None:
        raise ValueError(f"there is no time zone {zone!r}")
    last = after
    for due in CronSim(_spelled_out(expression), datetime.fromtimestamp(after, there)):
        at = due.timestamp()
        if at > until:
            return
        if at > last:  # when clocks are put back, the wall clock shows what has been
            yield at
            last = at


def _wrong_expression(expression: str) -> Iterator[str]:
    size = len(expression.encode())
    if size > CRON_BYTES_MAX:
        yield f"is {size} bytes long, at most {CRON_BYTES_MAX} are allowed"
    elif expression.startswith("@"):
        if expression not in _WORDS:
            yield f'"{expression}" is none of {", ".join(_WORDS)}'
    elif len(expression.split()) != _FIELDS:
        yield f'"{expression}" has not five fields: minute hour day-of-month month day-of-week'
    else:
        yield from _unreadable(expression)


def _unreadable(expression: str) -> Iterator[str]:
    try:
        due = CronSim(expression, _ANY_DAY)
    except CronSimError as error:
        yield f'"{expression}": {str(error).lower()}'
        return
    if next(due, None) is None:
        yield f'"{expression}" names a day that never comes'


def _spelled_out(expression: str) -> str:
    return _WORDS.get(expression, expression)


@cache
def _zone(name: str) -> ZoneInfo | None:
    """None where the database has no such zone; a folder of it is none."""
    try:
        return ZoneInfo(name or "UTC")
    except (KeyError, ValueError, OSError):
        return None
