"""What has become of a rollout: done, waiting for a promotion, or failed."""

from dataclasses import dataclass
from typing import TypeAlias

from diegod.internal.v1.command_pb2 import AwaitPromotion, FailRollout, FinishRollout
from diegod.models.restart import immediate_restarts
from diegod.scheduler.core.breaks import Steps, in_portions
from diegod.scheduler.core.dependencies import gates
from diegod.scheduler.core.lrps.process import Process
from diegod.scheduler.core.lrps.rollout import is_canary_phase
from diegod.scheduler.core.snapshot import seconds
from diegod.v1.record_pb2 import ActualLrp, Rollout


@dataclass(frozen=True)
class Failed:
    reason: str


@dataclass(frozen=True)
class Done:
    """Every instance is of the definition that is wanted, and has been healthy for long enough."""


@dataclass(frozen=True)
class CanariesHealthy:
    count: int


Verdict: TypeAlias = Failed | Done | CanariesHealthy | None


def verdict(process: Process) -> Steps[Verdict]:
    """None: it goes on. A stopped LRP has no instances to judge it by."""
    desired, state = process.desired, process.desired.rollout.state
    if desired.stopped or desired.removing or state not in (Rollout.ROLLING, Rollout.CANARIES):
        return None
    if crashed := _crashed_too_often(process):
        return crashed
    if state != Rollout.ROLLING:
        return None
    yield from process.count_up()
    tally, healthy = process.tally, list[ActualLrp]()
    places = [slot.ordinary for slot in process.open_slots()]
    for portion in in_portions(places):
        yield
        new = (row for row in portion if row and not process.is_old(row))
        healthy += (row for row in new if process.is_healthy(row))
    healthy += tally.healthy
    if len(healthy) == tally.count + len(places):
        return Done()
    old_count = len(tally.old) + sum(1 for row in places if row and process.is_old(row))
    if old_count and is_canary_phase(process) and len(healthy) >= process.rules.canaries:
        return CanariesHealthy(len(healthy))
    return _too_slow(process, healthy)


def pronounce(process: Process, found: Verdict) -> None:
    guid, revision = process.desired.process_guid, process.desired.provenance.revision
    match found:
        case Done():
            done = FinishRollout(process_guid=guid, row_revision=revision)
            process.sheet.decide(process.key, done, "all instances of this version are healthy")
        case CanariesHealthy(count):
            wait = AwaitPromotion(process_guid=guid, row_revision=revision)
            healthy = "1 canary is healthy" if count == 1 else f"{count} canaries are healthy"
            process.sheet.decide(process.key, wait, healthy)
        case Failed(reason):
            fail = FailRollout(process_guid=guid, row_revision=revision, reason=reason)
            process.sheet.decide_unless_held(process.key, [(fail, reason)])


def _crashed_too_often(process: Process) -> Failed | None:
    """A new instance that waits for its restart: its immediate ones did not help."""
    began_at = seconds(process.desired.rollout.began_at)
    allowed = immediate_restarts(process.desired.crash_policy)
    for slot in process.slots.values():
        row = slot.ordinary
        if row is None or row.state != ActualLrp.CRASHED or process.is_old(row):
            continue
        if row.crash_count > allowed and seconds(row.since) >= began_at:
            name = f"{row.process_guid}/{row.index}"
            return Failed(f"{name} crashed {row.crash_count} times: {row.crash_reason}")
    return None


def _too_slow(process: Process, healthy: list[ActualLrp]) -> Failed | None:
    """No new instance became healthy for as long as the update allows. A first version that waits
    for others has no such time: what it waits for is no fault of its own. Nor is it that there was
    no brain: the time begins anew with each that takes over."""
    rollout, rules = process.desired.rollout, process.rules
    if gates(process.desired):
        return None
    latest = max([seconds(row.since) + rules.min_healthy_s for row in healthy], default=0.0)
    since = max(seconds(rollout.began_at), latest, process.sheet.tended_since)
    if not process.sheet.is_due(process.key, since + rules.progress_deadline_s):
        return None
    return Failed(f"no instance became healthy for {rules.progress_deadline_s:g} s")
