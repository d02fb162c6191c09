"""The format of the cluster: raised by its leader when every member can read the next one.

What a format stands for, each with what it adds to those before it:

    1   the first release
    2   the states of members are compared

What only a later format may hold is refused by a rule before the cluster has it. Does not belong
here: when a leader proposes to raise it (`raftbbs.ticking`), and what a member can read
(`raftbbs.raft.formats`).
"""

from diegod.internal.v1 import command_pb2 as c
from diegod.models.errors import Reason
from diegod.raftbbs.core.decision import Decision, FormatRaised, Refused
from diegod.raftbbs.core.view import Context, View


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
