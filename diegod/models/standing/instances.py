"""How an instance stands: its presence first, then whether it is wanted at all, then its state."""

from collections.abc import Sequence
from dataclasses import replace

from diegod.models.restart import NeverAgain, RestartAt, backoff_s, restart
from diegod.models.standing.facts import (
    Facts,
    Standing,
    at_rest,
    by_brain,
    has_place,
    in_next_pass,
    moving,
    seconds,
)
from diegod.models.standing.policy import min_healthy_s, progress_deadline
from diegod.v1.definition_pb2 import LrpDefinition
from diegod.v1.record_pb2 import ActualLrp, DesiredLrp, Rollout

_WAITS_FOR_A_PERSON = (Rollout.PAUSED, Rollout.CANARIES)


def of_instance(row: ActualLrp, facts: Facts, now: float) -> Standing:
    if row.stopping:
        return _stopping(row, facts, now)
    if row.presence == ActualLrp.SUSPECT:
        return _suspect(row, facts, now)
    if unwanted := _unwanted(row, facts, now):
        return unwanted
    if row.presence == ActualLrp.EVACUATING:
        return _evacuating(row, facts, now)
    if row.state in (ActualLrp.CLAIMED, ActualLrp.RUNNING) and not facts.is_present(row.cell_id):
        reason = f"its cell {row.cell_id} is missing: it becomes SUSPECT"
        return in_next_pass(facts, reason, now, held=True)
    if outdated := _outdated(row, facts, now):
        return outdated
    return _in_its_state(row, facts, now)


def _stopping(row: ActualLrp, facts: Facts, now: float) -> Standing:
    if not facts.is_present(row.cell_id):
        reason = f"was to stop, and its cell {row.cell_id} is missing: its row goes"
        return in_next_pass(facts, reason, now, held=True)
    return moving(f"{row.cell_id} was asked to stop it", now + facts.stop_timeout_s)


def _unwanted(row: ActualLrp, facts: Facts, now: float) -> Standing | None:
    """Whether it is one too many, and who ends it."""
    lrp = facts.lrp
    if lrp is None:
        return _not_desired(row, facts, now, "nobody desires it")
    if lrp.removing or lrp.stopped:
        reason = "its LRP is being removed" if lrp.removing else "its LRP is stopped"
        return in_next_pass(facts, f"{reason}: it is ended", now)
    if lrp.mode != LrpDefinition.GLOBAL and row.index >= lrp.instances:
        reason = f"only {lrp.instances} instances are desired"
        if row.adopted_revision > lrp.scaled_revision:
            return _not_desired(row, facts, now, reason)
        return in_next_pass(facts, f"{reason}: it is ended", now)
    return None


def _not_desired(row: ActualLrp, facts: Facts, now: float, why: str) -> Standing:
    if facts.domain_fresh:
        return in_next_pass(facts, f"{why}: it is ended", now)
    return at_rest(f'{why}; kept until domain "{row.domain}" is fresh: diegod domain set')


def _outdated(row: ActualLrp, facts: Facts, now: float) -> Standing | None:
    """Of an older definition: it waits its turn in the rollout, if it runs."""
    lrp = facts.lrp
    if lrp is None or row.definition_revision == lrp.definition_revision:
        return None
    state = lrp.rollout.state
    if state in _WAITS_FOR_A_PERSON:
        going_on = "promoted" if state == Rollout.CANARIES else "resumed"
        if row.state == ActualLrp.RUNNING:
            return at_rest(f"of an older version; replaced when the rollout is {going_on}")
        return None
    if row.state != ActualLrp.RUNNING or state == Rollout.DONE:
        return in_next_pass(facts, "of an older version: it is replaced", now)
    reason = f"of an older version; version {lrp.version} replaces it in its turn"
    return _by_rollout(lrp, facts, reason, now)


def _by_rollout(lrp: DesiredLrp, facts: Facts, reason: str, now: float) -> Standing:
    at = progress_deadline(lrp, facts.instances or ())
    if at is None:
        return in_next_pass(facts, reason, now, held=True)
    return by_brain(facts, reason, at, now, held=True)


def _suspect(row: ActualLrp, facts: Facts, now: float) -> Standing:
    if facts.is_present(row.cell_id):
        return in_next_pass(facts, f"{row.cell_id} is back: it stays, or its replacement does", now)
    lrp = facts.lrp
    if lrp is None or lrp.removing or lrp.stopped:
        return _unwanted(row, facts, now) or in_next_pass(facts, "it is ended", now)
    if lrp.mode == LrpDefinition.GLOBAL:
        return at_rest(f"{row.cell_id} is missing: until it registers again, or diegod cell rm")
    reason = f"{row.cell_id} is missing: it counts until its replacement runs"
    return _until_replaced(row, facts, reason, now, extra_s=0.0)


def _evacuating(row: ActualLrp, facts: Facts, now: float) -> Standing:
    if row.cell_id and not facts.is_present(row.cell_id):
        reason = f"was being replaced, and its cell {row.cell_id} is missing: its row goes"
        return in_next_pass(facts, reason, now, held=True)
    extra_s = min_healthy_s(facts.lrp) if facts.lrp is not None else 0.0
    standing = _until_replaced(row, facts, "serves until its replacement is healthy", now, extra_s)
    limit = facts.drain_deadline(row.cell_id)
    if limit is None:
        return standing
    reason = f"{standing.reason}; {row.cell_id} is being drained"
    known = [at for at in (limit, standing.deadline) if at is not None]
    return moving(reason, min(known))


def _until_replaced(
    row: ActualLrp, facts: Facts, reason: str, now: float, extra_s: float
) -> Standing:
    """As the one that replaces it stands."""
    other = _replacement(row, facts.instances or ())
    if other is None:
        return in_next_pass(facts, f"{reason}, which is to be created", now, held=True)
    if other.state == ActualLrp.RUNNING and facts.is_present(other.cell_id):
        at = max(seconds(other.since) + extra_s, now)
        return by_brain(facts, reason, at, now, held=True)
    theirs = of_instance(other, facts, now)
    return replace(theirs, reason=f"{reason}. The replacement: {theirs.reason}")


def _replacement(row: ActualLrp, instances: Sequence[ActualLrp]) -> ActualLrp | None:
    return next(
        (
            other
            for other in instances
            if other.index == row.index
            and other.presence == ActualLrp.ORDINARY
            and other.instance_guid != row.instance_guid
        ),
        None,
    )


def _in_its_state(row: ActualLrp, facts: Facts, now: float) -> Standing:
    if row.state == ActualLrp.UNCLAIMED:
        return _unclaimed(row, facts, now)
    if row.state == ActualLrp.CLAIMED:
        return _claimed(row, facts)
    if row.state == ActualLrp.CRASHED:
        return _crashed(row, facts, now)
    return _running(row, facts)


def _unclaimed(row: ActualLrp, facts: Facts, now: float) -> Standing:
    if row.placed_cell_id:
        return has_place(facts, row.placed_cell_id, row.placed_at, now)
    replaces_suspect = any(
        other.index == row.index and other.presence == ActualLrp.SUSPECT
        for other in facts.instances or ()
    )
    reason = row.placement_error or "waits for the next auction"
    return in_next_pass(facts, reason, now, held=replaces_suspect)


def _claimed(row: ActualLrp, facts: Facts) -> Standing:
    reason = f"is being started on {row.cell_id}"
    if not facts.start_timeout_s:
        return at_rest(f"{reason}, without a time limit")
    return moving(reason, seconds(row.since) + facts.start_timeout_s)


def _running(row: ActualLrp, facts: Facts) -> Standing:
    limit = facts.drain_deadline(row.cell_id)
    if limit is not None:
        return moving(f"runs; {row.cell_id} is being drained, so it moves", limit)
    return at_rest(f"runs on {row.cell_id}" + ("" if row.routable else ", not routable"))


def _crashed(row: ActualLrp, facts: Facts, now: float) -> Standing:
    assert facts.lrp is not None, "without an LRP it is unwanted"
    policy, at = facts.lrp.crash_policy, seconds(row.since)
    crashes = f"{row.crash_count} {'crash' if row.crash_count == 1 else 'crashes'}"
    why = f" ({row.crash_reason})" if row.crash_reason else ""
    match restart(policy, row.crash_count, at, now):
        case NeverAgain():
            return at_rest(f"given up after {crashes}{why}: diegod lrp restart {row.process_guid}")
        case RestartAt(due):
            return by_brain(facts, f"restarts after {crashes}{why}", due, now)
    due = at + backoff_s(policy, row.crash_count)
    return by_brain(facts, f"restarts after {crashes}{why}", due, now)
