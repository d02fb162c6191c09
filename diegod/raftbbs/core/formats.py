"""The format of the cluster: raised by its leader when every member can read the next one.

What a format stands for, each with what it adds to those before it:

    1   the first release
    2   the states of members are compared; rows tell their whole life: `since`, why a task failed,
        its result and callback, schedules, stories, guids that are kept for a day

What only a later format may hold is refused by a rule before the cluster has it. Does not belong
here: when a leader proposes to raise it (`raftbbs.ticking`), and what a member can read
(`raftbbs.raft.formats`).
"""

from diegod.internal.v1 import command_pb2 as c
from diegod.models.errors import Reason
from diegod.raftbbs.core.decision import Decision, FormatRaised, Refused
from diegod.raftbbs.core.view import Context, View

_WHOLE_LIFE_FROM = 2


def knows_whole_life(view: View) -> bool:
    """Whether all members write what was added to rows with format 2; else none may."""
    return view.cluster_format() >= _WHOLE_LIFE_FROM


def raise_format(view: View, command: c.RaiseFormat, context: Context) -> Decision:
    """By one step, so that no change that a step brings is passed over."""
    now = view.cluster_format()
    if command.cluster_format != now + 1:
        return Refused(
            Reason.INVALID_REQUEST,
            f"the cluster has format {now}: it is raised to {now + 1}, not to "
            f"{command.cluster_format}",
        )
    return FormatRaised(command.cluster_format)
