"""How a rollout goes, said by the brain on the version of the LRP that it was decided on."""

from typing import TypeAlias

from diegod.internal.v1 import command_pb2 as c
from diegod.models import rollout_lifecycle
from diegod.models.errors import Reason
from diegod.raftbbs.core import versions
from diegod.raftbbs.core.decision import Decision, Refused, changed
from diegod.raftbbs.core.desired import being_removed
from diegod.raftbbs.core.guards import not_found, stale_row
from diegod.raftbbs.core.view import Context, View
from diegod.v1.definition_pb2 import UpdatePolicy
from diegod.v1.record_pb2 import DesiredLrp, LrpVersion, Rollout

_STATE_NAME = Rollout.State.Name
_REASON_BYTES_MAX = 1024

_OfBrain: TypeAlias = c.FinishRollout | c.AwaitPromotion | c.FailRollout


def finish(view: View, command: c.FinishRollout, context: Context) -> Decision:
    """All instances are of the present definition and were healthy: from now on it is stable."""
    desired, refusal = _moved(view, command, "finish_rollout")
    if desired is None or refusal:
        return refusal or not_found("LRP", command.process_guid)
    past = versions.history(view, desired)
    desired.rollout.state = Rollout.DONE
    desired.rollout.stable_definition_revision = desired.definition_revision
    return changed(desired, versions=versions.with_outcome(past, desired, LrpVersion.STABLE))


def await_promotion(view: View, command: c.AwaitPromotion, context: Context) -> Decision:
    desired, refusal = _moved(view, command, "await_promotion")
    if desired is None or refusal:
        return refusal or not_found("LRP", command.process_guid)
    if desired.rollout.promoted:
        return Refused(
            Reason.INVALID_STATE_TRANSITION, f"{desired.process_guid} has been promoted"
        )
    desired.rollout.state = Rollout.CANARIES
    return changed(desired)


def fail(view: View, command: c.FailRollout, context: Context) -> Decision:
    """Back to what was stable, once; where there is no way back it stops and waits for a person."""
    desired, refusal = _moved(view, command, "fail_rollout")
    if desired is None or refusal:
        return refusal or not_found("LRP", command.process_guid)
    reason = command.reason.encode()[:_REASON_BYTES_MAX].decode(errors="ignore")
    past = versions.history(view, desired)
    failed = versions.with_outcome(past, desired, LrpVersion.FAILED, reason)
    if not _has_way_back(view, desired):
        desired.rollout.state = Rollout.PAUSED
        desired.rollout.reason = reason
        return changed(desired, versions=failed)
    stable = desired.rollout.stable_definition_revision
    desired.definition_revision = stable
    versions.begin_rollout(desired, stable, context)
    desired.rollout.rolled_back = True
    desired.rollout.reason = reason
    copy_of = versions.version_of(past, stable)
    entries = versions.next_version(desired, past, context, copy_of)
    return changed(desired, versions=(*failed, *entries))


def _has_way_back(view: View, desired: DesiredLrp) -> bool:
    rollout, stable = desired.rollout, desired.rollout.stable_definition_revision
    if rollout.rolled_back or desired.update.on_failure != UpdatePolicy.ROLLBACK:
        return False
    if stable in (0, desired.definition_revision):
        return False
    return view.lrp_definition(desired.process_guid, stable) is not None


def _moved(
    view: View, command: _OfBrain, kind: str
) -> tuple[DesiredLrp | None, Refused | None]:
    desired = view.desired_lrp(command.process_guid)
    if desired is None:
        return None, None
    revision = desired.provenance.revision
    stale = stale_row("LRP", desired.process_guid, command.row_revision, revision)
    return desired, stale or being_removed(desired) or _illegal(desired, kind)


def _illegal(desired: DesiredLrp, kind: str) -> Refused | None:
    state = desired.rollout.state
    if rollout_lifecycle.allows(state, kind):
        return None
    return Refused(
        Reason.INVALID_STATE_TRANSITION,
        f"the rollout of {desired.process_guid} is {_STATE_NAME(state)}: {kind} is not possible",
    )
