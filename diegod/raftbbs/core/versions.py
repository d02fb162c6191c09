"""The history of an LRP: what becomes of its versions when a new one begins, is done, or fails.

A version is one entry of the history: an apply, a restart or a rollback. Two versions with the same
definition revision have the same definition. The entries lie beside the row (`store.versions`); a
rule hands the new and the changed ones to the store with the row.
"""

from collections.abc import Sequence

from diegod.raftbbs.core.stamps import stamp
from diegod.raftbbs.core.view import Context, View
from diegod.v1.record_pb2 import DesiredLrp, LrpVersion, Rollout


def history(view: View, desired: DesiredLrp) -> list[LrpVersion]:
    """The oldest first. What was there before there were versions is the first, and was stable."""
    kept = view.lrp_versions(desired.process_guid)
    if kept or desired.version:
        return list(kept)
    first = LrpVersion(
        version=1, definition_revision=desired.definition_revision, outcome=LrpVersion.STABLE
    )
    first.at.CopyFrom(desired.created_at)
    return [first]


def next_version(
    desired: DesiredLrp, past: Sequence[LrpVersion], context: Context, copy_of: int = 0
) -> tuple[LrpVersion, ...]:
    """`desired`, with its definition as it is to be, begins a version: the entries to write."""
    ended = [each for each in past if each.outcome == LrpVersion.CURRENT]
    for each in ended:
        each.outcome = LrpVersion.SUPERSEDED
    is_first_record = desired.version == 0  # what `history` made up has to be written, too
    desired.version = (past[-1].version if past else 0) + 1
    return (*(past if is_first_record else ended), _begun(desired, context, copy_of))


def _begun(desired: DesiredLrp, context: Context, copy_of: int) -> LrpVersion:
    begun = LrpVersion(
        version=desired.version,
        definition_revision=desired.definition_revision,
        by=context.by,
        cause=context.cause,
        outcome=LrpVersion.CURRENT,
        copy_of=copy_of,
    )
    begun.at.CopyFrom(stamp(context.at_ns))
    return begun


def version_of(past: Sequence[LrpVersion], definition_revision: int) -> int:
    """The latest that had this definition; 0: it is not kept any more."""
    found = [e.version for e in past if e.definition_revision == definition_revision]
    return found[-1] if found else 0


def stable_before(desired: DesiredLrp) -> int:
    """The definition revision that an update of this row can go back to; 0: none."""
    if desired.rollout.state == Rollout.DONE:
        return desired.definition_revision
    return desired.rollout.stable_definition_revision


def begin_rollout(desired: DesiredLrp, stable: int, context: Context) -> None:
    desired.rollout.Clear()
    desired.rollout.state = Rollout.ROLLING
    desired.rollout.began_at.CopyFrom(stamp(context.at_ns))
    desired.rollout.stable_definition_revision = stable


def with_outcome(
    past: Sequence[LrpVersion],
    desired: DesiredLrp,
    outcome: LrpVersion.Outcome.ValueType,
    reason: str = "",
) -> tuple[LrpVersion, ...]:
    """The entry of the present version, with what came of it."""
    for each in past:
        if each.version == desired.version:
            each.outcome, each.reason = outcome, reason
            return (each,)
    return ()
