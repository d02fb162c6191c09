"""How a desired LRP stands: its removal, its stop, its rollout, its number of instances."""

from diegod.models.standing.facts import Facts, Standing, at_rest, by_brain, in_next_pass
from diegod.models.standing.policy import is_new_and_runs, progress_deadline
from diegod.v1.definition_pb2 import LrpDefinition
from diegod.v1.record_pb2 import ActualLrp, DesiredLrp, Rollout


def of_lrp(lrp: DesiredLrp, facts: Facts, now: float) -> Standing:
    if lrp.removing:
        return _ending(lrp, facts, "it goes as soon as its last instance is gone", now)
    if lrp.stopped:
        return _stopped(lrp, facts, now)
    guid, rollout = lrp.process_guid, lrp.rollout
    if rollout.state == Rollout.CANARIES:
        return at_rest(f"its canaries are healthy; it waits for: diegod lrp promote {guid}")
    if rollout.state == Rollout.PAUSED:
        why = f" ({rollout.reason})" if rollout.reason else ""
        return at_rest(f"its rollout is paused{why}; it waits for: diegod lrp resume {guid}")
    if rollout.state == Rollout.ROLLING:
        return _rolling(lrp, facts, now)
    return _done(lrp, facts, now)


def _stopped(lrp: DesiredLrp, facts: Facts, now: float) -> Standing:
    if facts.instances:
        return _ending(lrp, facts, "it is stopped", now)
    return at_rest(f"it is stopped; it waits for: diegod lrp start {lrp.process_guid}")


def _ending(lrp: DesiredLrp, facts: Facts, reason: str, now: float) -> Standing:
    left = len(facts.instances or ())
    count = f"; {left} {'is' if left == 1 else 'are'} left" if left else ""
    return in_next_pass(facts, reason + count, now)


def _rolling(lrp: DesiredLrp, facts: Facts, now: float) -> Standing:
    rows = facts.instances or ()
    done = sum(is_new_and_runs(row, lrp) for row in rows)
    what = "rolls back to" if lrp.rollout.rolled_back else "rolls out"
    of = "" if lrp.mode == LrpDefinition.GLOBAL else f" of {lrp.instances}"
    reason = f"{what} version {lrp.version}: {done}{of} run"
    if lrp.rollout.rolled_back and lrp.rollout.reason:
        reason += f" ({lrp.rollout.reason})"
    at = progress_deadline(lrp, rows)
    if at is None:
        return in_next_pass(facts, reason, now)
    return by_brain(facts, reason, at, now)


def _done(lrp: DesiredLrp, facts: Facts, now: float) -> Standing:
    if lrp.mode != LrpDefinition.GLOBAL and facts.instances is not None:
        there = {row.index for row in facts.instances if row.presence == ActualLrp.ORDINARY}
        lacking = sum(index not in there for index in range(lrp.instances))
        if lacking:
            verb = "is" if lacking == 1 else "are"
            reason = f"{lacking} of {lrp.instances} instances {verb} to be created"
            return in_next_pass(facts, reason, now, held=True)
    return at_rest(f"version {lrp.version} is rolled out" if lrp.version else "as desired")
