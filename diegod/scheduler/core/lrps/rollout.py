"""Replacing instances of a definition that is not wanted any more, in a way that is gated by the
health of the new ones. Diego leaves that to its clients.

What serves nobody is replaced at once, so that a definition which can start takes the place of one
that can't. Of what serves, as many are replaced at a time as the update allows; each new one that
is not healthy yet counts against that, so an update that does not work stops by itself.
"""

from heapq import nlargest

from diegod.scheduler.core.breaks import Steps, in_portions
from diegod.scheduler.core.lrps.process import Process, Slot
from diegod.scheduler.core.lrps.steps import retirement
from diegod.v1.record_pb2 import ActualLrp, Rollout

_REPLACED = "its definition has been replaced"


def replace_what_serves_nobody(process: Process, slot: Slot) -> None:
    row = slot.ordinary
    if row is None or slot.returning or not process.is_old(row) or process.is_lost(row):
        return
    if process.goes_at_once(row):
        steps = [retirement(row, "its definition was replaced before it ran")]
        if process.may_create(slot):
            steps.append(process.creation(slot, _REPLACED))
        process.unless_held(row, *steps)
    elif row.state == ActualLrp.CLAIMED:
        process.end(row, "its definition was replaced before it ran")
    elif _is_dispensable(process, slot, row) and not process.is_healthy(row):
        process.end(row, "its definition was replaced before it was healthy")


def begin_replacing(process: Process) -> Steps[None]:
    """First what takes no traffic: nobody misses it. Then the last place first: index 0 is what
    every LRP has, and often its first among equals."""
    if not process.is_rolling:
        return
    if process.rules.recreates:
        yield from _end_all_old(process)
        return
    yield from process.count_up()
    old = yield from _old_that_serve(process)
    if not old:
        return
    room = min((yield from _room(process)), _canaries_left(process, len(old)))
    if room <= 0:
        return
    spare = yield from _spare(process)
    turns: list[tuple[bool, int, int]] = []
    for numbered in in_portions(enumerate(old)):
        yield
        turns += ((not process.is_available(row), row.index, -at) for at, row in numbered)
    first = nlargest(room + len(process.slots), turns)
    for portion in in_portions(old[-at] for _, _, at in first):
        yield
        for row in portion:
            is_missed = process.is_available(row) and not process.rules.starts_first
            if room > 0 and not (is_missed and spare <= 0) and _replace(process, row):
                room -= 1
                spare -= is_missed


def is_canary_phase(process: Process) -> bool:
    """Whether only a few new instances are made until a person has looked at them."""
    rollout = process.desired.rollout
    if rollout.state not in (Rollout.ROLLING, Rollout.CANARIES) or rollout.rolled_back:
        return False
    return process.rules.canaries > 0 and not rollout.promoted


def _replace(process: Process, row: ActualLrp) -> bool:
    if not process.rules.starts_first:
        return process.end(row, _REPLACED)
    slot = process.slots.get(row.index) or Slot(row.index, ordinary=row)
    return process.begin_moving(slot, row, _REPLACED)


def _end_all_old(process: Process) -> Steps[None]:
    """A suspect one aside: whether it still runs is not known, and it goes when its replacement
    runs or it is back."""
    in_order = sorted(process.rows(), key=lambda row: (row.index, row.instance_guid))
    for portion in in_portions(in_order):
        yield
        for row in portion:
            if row.presence == ActualLrp.SUSPECT or process.goes_at_once(row):
                continue
            if process.is_old(row):
                process.end(row, f"{_REPLACED}, and all old instances end before new ones are made")


def _old_that_serve(process: Process) -> Steps[list[ActualLrp]]:
    """Where nothing is being replaced already."""
    old: list[ActualLrp] = []
    for slots in in_portions(process.open_slots()):
        yield
        old += (
            slot.ordinary
            for slot in slots
            if slot.ordinary is not None
            and process.stands_alone(slot)
            and process.is_old(slot.ordinary)
            and process.serves(slot.ordinary)
        )
    return [*old, *process.tally.old]


def _room(process: Process) -> Steps[int]:
    """How many more replacements may be under way."""
    unfinished = process.tally.unfinished
    for rows in in_portions(process.tally.old):
        yield
        unfinished += sum(not process.serves(row) for row in rows)
    for slots in in_portions(process.open_slots()):
        yield
        unfinished += sum(not _is_done(process, slot.ordinary) for slot in slots)
    return process.rules.max_in_flight - unfinished - process.begun


def _is_done(process: Process, row: ActualLrp | None) -> bool:
    if row is not None and process.is_old(row):
        return process.serves(row)
    return process.is_healthy(row)


def _spare(process: Process) -> Steps[int]:
    """How many that take traffic may end before others are there: a new one counts as soon as it
    is healthy, an old one while it takes traffic."""
    unavailable = process.tally.unfinished
    for rows in in_portions(process.tally.old):
        yield
        unavailable += sum(not process.is_available(row) for row in rows)
    for slots in in_portions(process.open_slots()):
        yield
        unavailable += sum(_is_missed_at(process, slot) for slot in slots)
    return process.rules.max_unavailable - unavailable - process.begun


def _is_missed_at(process: Process, slot: Slot) -> bool:
    row = slot.ordinary
    is_old = row is not None and process.is_old(row)
    is_there = process.is_available(row) if is_old else process.is_healthy(row)
    return not is_there and not _has_a_stand_in(process, slot)


def _canaries_left(process: Process, old_count: int) -> int:
    if not is_canary_phase(process):
        return old_count
    places = process.tally.count + sum(1 for _ in process.open_slots())
    return process.rules.canaries - (places - old_count)


def _has_a_stand_in(process: Process, slot: Slot) -> bool:
    return any(process.is_available(row) for row in slot.evacuating)


def _is_dispensable(process: Process, slot: Slot, row: ActualLrp) -> bool:
    """Whether the one that it was to replace goes on serving, and as well as it does."""
    if _has_a_stand_in(process, slot):
        return True
    return not process.is_available(row) and any(map(process.serves, slot.evacuating))
