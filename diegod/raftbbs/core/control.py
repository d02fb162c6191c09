"""What people do to an LRP that needs no new definition: stop and start, restart, pause, go back.

A restart and a rollback are versions of their own. A rollback has the very definition of the
version that it goes back to, so what still runs of it stays; a restart has a copy, so nothing
stays. Does not belong here: what a rollout's progress does to it (`rollouts`).
"""

from collections.abc import Callable
from typing import NamedTuple

from diegod.internal.v1 import command_pb2 as c
from diegod.models import rollout_lifecycle
from diegod.models.errors import Reason
from diegod.raftbbs.core import versions
from diegod.raftbbs.core.decision import Decision, Refused, Unchanged, changed
from diegod.raftbbs.core.desired import being_removed, unexpected
from diegod.raftbbs.core.guards import not_found
from diegod.raftbbs.core.stamps import stamp
from diegod.raftbbs.core.view import Context, View
from diegod.v1.lrp_pb2 import ControlLrpRequest
from diegod.v1.record_pb2 import DesiredLrp, LrpVersion, Rollout

_Verb = ControlLrpRequest.Verb


class _Asked(NamedTuple):
    view: View
    desired: DesiredLrp
    to_version: int
    context: Context


def control(view: View, command: c.ControlLrp, context: Context) -> Decision:
    desired = view.desired_lrp(command.process_guid)
    if desired is None:
        return not_found("LRP", command.process_guid)
    if refusal := unexpected(desired, command.process_guid, command.expected_revision):
        return refusal
    if refusal := being_removed(desired):
        return refusal
    rule = _RULES.get(command.verb)
    if rule is None:
        return Refused(Reason.INVALID_REQUEST, "no verb that an LRP is controlled by")
    return rule(_Asked(view, desired, command.to_version, context))


def _stop(asked: _Asked) -> Decision:
    return _set_stopped(asked, True)


def _start(asked: _Asked) -> Decision:
    return _set_stopped(asked, False)


def _set_stopped(asked: _Asked, stopped: bool) -> Decision:
    desired = asked.desired
    if desired.stopped == stopped:
        return Unchanged(desired)
    desired.stopped = stopped
    desired.scaled_revision = asked.context.revision
    if not stopped and desired.rollout.state != Rollout.DONE:  # it has its full time again
        desired.rollout.began_at.CopyFrom(stamp(asked.context.at_ns))
    return changed(desired)


def _restart(asked: _Asked) -> Decision:
    desired = asked.desired
    if desired.stopped:
        return _impossible(desired, "is stopped: start it instead")
    definition = asked.view.lrp_definition(desired.process_guid, desired.definition_revision)
    past, stable = versions.history(asked.view, desired), versions.stable_before(desired)
    present = versions.version_of(past, desired.definition_revision)
    desired.definition_revision = asked.context.revision
    versions.begin_rollout(desired, stable, asked.context)
    entries = versions.next_version(
        desired, past, asked.context, copy_of=present.version if present else 0
    )
    return changed(desired, definition, versions=entries)


def _roll_back(asked: _Asked) -> Decision:
    desired, past = asked.desired, versions.history(asked.view, asked.desired)
    target = _target(desired, past, asked.to_version)
    if isinstance(target, Refused):
        return target
    if target.definition_revision == desired.definition_revision:
        return Unchanged(desired)
    stable = versions.stable_before(desired)
    versions.go_back(desired, target)
    versions.begin_rollout(desired, stable, asked.context)
    entries = versions.next_version(desired, past, asked.context, copy_of=target.version)
    return changed(desired, versions=entries)


def _target(desired: DesiredLrp, past: list[LrpVersion], to_version: int) -> LrpVersion | Refused:
    """The version to go back to: the one asked for, or the last other one that was stable."""
    for each in reversed(past):
        if to_version and each.version == to_version:
            return each
        is_other = each.definition_revision != desired.definition_revision
        if not to_version and is_other and each.outcome == LrpVersion.STABLE:
            return each
    if not to_version:
        others = ", ".join(
            str(each.version)
            for each in past
            if each.definition_revision != desired.definition_revision
        )
        way_out = f"; name one: --to {others}" if others else ""
        return _impossible(
            desired, f"has no earlier version that was stable to go back to{way_out}"
        )
    kept = ", ".join(str(each.version) for each in past)
    return Refused(
        Reason.RESOURCE_NOT_FOUND,
        f"version {to_version} of {desired.process_guid} is not kept; there are: {kept}",
    )


def _pause(asked: _Asked) -> Decision:
    rollout = asked.desired.rollout
    if rollout.state == Rollout.PAUSED:
        return Unchanged(asked.desired)
    if refusal := _not_under_way(asked.desired, "PAUSE"):
        return refusal
    rollout.state = Rollout.PAUSED
    rollout.reason = ""
    return changed(asked.desired)


def _resume(asked: _Asked) -> Decision:
    """With its full time to make progress; if it had failed it is given another chance."""
    desired = asked.desired
    if refusal := _not_under_way(desired, "RESUME"):
        return refusal
    if desired.rollout.state == Rollout.ROLLING:
        return Unchanged(desired)
    past = versions.history(asked.view, desired)
    entries = versions.with_outcome(past, desired, LrpVersion.CURRENT)
    _go_on(desired.rollout, asked.context)
    return changed(desired, versions=entries)


def _promote(asked: _Asked) -> Decision:
    desired = asked.desired
    if refusal := _not_under_way(desired, "PROMOTE"):
        return refusal
    if desired.rollout.promoted:
        return Unchanged(desired)
    desired.rollout.promoted = True
    _go_on(desired.rollout, asked.context)
    return changed(desired)


def _go_on(rollout: Rollout, context: Context) -> None:
    rollout.state = Rollout.ROLLING
    rollout.reason = ""
    rollout.began_at.CopyFrom(stamp(context.at_ns))


def _not_under_way(desired: DesiredLrp, verb: str) -> Refused | None:
    state = desired.rollout.state
    if rollout_lifecycle.allows(state, verb):
        return None
    what = {
        Rollout.DONE: "has no update under way",
        Rollout.PAUSED: "is paused: resume its update first",
        Rollout.CANARIES: "waits for its canaries to be promoted",
    }.get(state, "is being updated")
    return _impossible(desired, what)


def _impossible(desired: DesiredLrp, what: str) -> Refused:
    return Refused(Reason.INVALID_STATE_TRANSITION, f"{desired.process_guid} {what}")


_RULES: dict[int, Callable[[_Asked], Decision]] = {
    _Verb.STOP: _stop,
    _Verb.START: _start,
    _Verb.RESTART: _restart,
    _Verb.PAUSE: _pause,
    _Verb.RESUME: _resume,
    _Verb.PROMOTE: _promote,
    _Verb.ROLLBACK: _roll_back,
}
