"""The rule of the record of members: one member differs, and at least one voter stays.

A member is its id with its store. It becomes a member as a learner, votes when it is promoted, and
one that comes back with another store is a learner again. A voter that keeps its store is removed,
never demoted. When a change takes effect, and that no two are on their way at once, is the log's
(`raftbbs/raft/membership.py`).
"""

from collections.abc import Container, Iterable, Iterator

from diegod.internal.v1 import command_pb2 as c
from diegod.models.errors import Reason
from diegod.raftbbs.core.decision import Decision, NewMembers, Refused
from diegod.raftbbs.core.keys import KEY_BYTES_MAX
from diegod.raftbbs.core.view import Context, View

ADDRESS_BYTES_MAX = 512
MEMBERS_MAX = 32
#: The first format of the cluster that has a record of members.
RECORDED_FROM_FORMAT = 2


def can_change_members(view: View) -> bool:
    """Whether every member of the cluster can read a record of members."""
    return view.cluster_format() >= RECORDED_FROM_FORMAT


def change_members(view: View, command: c.ChangeMembers, context: Context) -> Decision:
    """A compare-and-set on the record, all of it at once."""
    before = view.members()
    if before.revision != command.expected_revision:
        return Refused(
            Reason.RESOURCE_CONFLICT,
            f"the members are at revision {before.revision}, not {command.expected_revision}",
        )
    # The first record follows the birth records, which are no part of the state.
    known = before.members if before.revision else command.members
    if why := illegal(command.members) or not_one_change(known, command.members):
        return Refused(Reason.INVALID_REQUEST, why)
    return NewMembers(c.Members(members=command.members, revision=context.revision))


def promotion(members: c.Members, learner: str) -> c.ChangeMembers:
    """The change that makes a learner a voter."""
    return replaced(members, learner, _voting(members, learner))


def replaced(members: c.Members, member_id: str, by: c.Member | None) -> c.ChangeMembers:
    """The change that puts a member in the place of the one with this id; None removes it."""
    listed = [each for each in members.members if each.member_id != member_id]
    if by is not None:
        listed.append(by)
    listed.sort(key=lambda each: each.member_id)
    return c.ChangeMembers(members=listed, expected_revision=members.revision)


def leads_now(member_id: str) -> Refused:
    """Of a member that is asked to go, for a while or for good: others would wait for an election.
    """
    return Refused(
        Reason.INVALID_STATE_TRANSITION,
        f"{member_id} leads the others now: first give the leadership away, with "
        "diegod bbs transfer",
    )


def find(members: c.Members, member_id: str) -> c.Member | None:
    return next((each for each in members.members if each.member_id == member_id), None)


def admitted(
    members: c.Members, wanted: c.Member, known_store: str, *, replace: bool
) -> c.ChangeMembers | Refused | None:
    """The change by which a node becomes a member with this store; None when it is one already.

    `known_store` is the one that the present member of this id is known with.
    """
    present = find(members, wanted.member_id)
    new = c.Member()
    new.CopyFrom(wanted)
    new.learner = True
    if present is not None and wanted.store_id == known_store:
        new.store_id, new.learner = present.store_id, present.learner
        return None if new == present else replaced(members, new.member_id, new)
    if present is not None and not present.learner and not replace:
        return Refused(
            Reason.INVALID_STATE_TRANSITION,
            f"{wanted.member_id} is a voter, with another store. If that store is lost for ever: "
            "diegod bbs join ADDRESS --replace",
        )
    return replaced(members, new.member_id, new)


def voters(members: c.Members) -> list[str]:
    return [each.member_id for each in members.members if not each.learner]


def too_few(members: c.Members, without: str, connected: Container[str]) -> Refused | None:
    """The refusal to take a voter away when the others could decide nothing without it."""
    if without not in voters(members):
        return None
    rest = [each for each in voters(members) if each != without]
    there = [each for each in rest if each in connected]
    if 2 * len(there) > len(rest):
        return None
    said = f"only {len(there)} of the other {len(rest)} voters are connected" if rest else (
        "there is no other voter"
    )
    return Refused(
        Reason.INVALID_STATE_TRANSITION,
        f"without {without} nothing could be decided any more: {said}",
    )


def _voting(members: c.Members, learner: str) -> c.Member:
    member = c.Member(member_id=learner)
    if (known := find(members, learner)) is not None:
        member.CopyFrom(known)
    member.learner = False
    return member


def illegal(members: Iterable[c.Member]) -> str:
    """What is wrong with a record by itself; "" when nothing is."""
    listed = list(members)
    ids = [member.member_id for member in listed]
    if ids != sorted(set(ids)):
        return "the members are not in the order of their ids, each once"
    if len(ids) > MEMBERS_MAX:
        return f"{len(ids)} members; at most {MEMBERS_MAX} are legal"
    if all(member.learner for member in listed):
        return "no voter would be left"
    return next((why for member in listed for why in _illegal_words(member)), "")


def not_one_change(before: Iterable[c.Member], after: Iterable[c.Member]) -> str:
    """Why this is more than one step from the other; "" when it is one, or none."""
    old = {member.member_id: member for member in before}
    new = {member.member_id: member for member in after}
    ids = sorted(old.keys() | new.keys())
    differing = [each for each in ids if old.get(each) != new.get(each)]
    if len(differing) > 1:
        return f"only one member may change at a time, not {', '.join(differing)}"
    for each in differing:
        if why := _illegal_step(old.get(each), new.get(each)):
            return f"{each} {why}"
    return ""


def _illegal_step(old: c.Member | None, new: c.Member | None) -> str:
    if new is None:
        return ""
    if old is None:
        return "" if new.learner else "can only be added as a learner"
    if new.store_id != old.store_id:
        return "" if new.learner else "can vote with another store only after it was a learner"
    if new.learner and not old.learner:
        return "can't be made a learner with the store that it votes with"
    return ""


def _illegal_words(member: c.Member) -> Iterator[str]:
    size = len(member.member_id.encode())
    if not 0 < size <= KEY_BYTES_MAX or "\0" in member.member_id:
        yield f"a member's id has {size} bytes, or a NUL; 1 to {KEY_BYTES_MAX} are legal"
    for field in ("address", "raft_address", "store_id"):
        size = len(getattr(member, field).encode())
        if size > ADDRESS_BYTES_MAX:
            yield f"{field} has {size} bytes; at most {ADDRESS_BYTES_MAX} are legal"
