"""Changes of members: a record in the state that every member follows when it has applied it.

The rules that make it safe, one change of one member at a time:

* A leader proposes a change only when it has applied its own first entry, and so all that earlier
  leaders left, and every change that it proposed itself. So whoever has a change in its log knows
  that the one before is committed: the commit index came with it.
* Whoever campaigns has applied all that it knows to be committed (`elections`). So two members that
  count votes or acknowledgements are at most one change apart where it matters, and any two of
  their majorities have a member in common.
* A leader that finds itself no voter any more stops leading.

Does not belong here: which changes make sense (`raftbbs/core/membership.py`).
"""

from collections.abc import Callable

from diegod.internal.v1.command_pb2 import Members
from diegod.raftbbs.raft.api import Limits
from diegod.raftbbs.raft.guarded import Library
from diegod.raftbbs.raft.journal import Journal
from diegod.raftbbs.raft.peers import Peers

_NEVER = 1 << 62


class Membership:
    """Follows the record, and lets no two changes be on their way."""

    def __init__(
        self,
        members: Members,
        peers: Peers,
        library: Library,
        journal: Journal,
        limits: Limits,
        record: Callable[[], Members],
    ) -> None:
        self.members = members
        self._peers = peers
        self._library = library
        self._journal = journal
        self._limits = limits
        self._record = record
        self._followed_index = library.applied_index
        self._proposed = 0, 0  # in which term the last change was proposed, and up to which index

    def another(self) -> Members | None:
        """The record that is applied, if it is another than the one that was followed."""
        if self._library.applied_index == self._followed_index:
            return None
        self._followed_index = self._library.applied_index
        members = self._record()
        if members == self.members:
            return None
        self.members = members
        return members

    def resign_if_removed(self) -> None:
        if self._library.leads and not self._peers.votes:
            self._library.resign()

    def refusal(self) -> str:
        """Why no change may be proposed now; "" when one may, or when this member can't anyway."""
        if not self._library.leads or self._is_settled():
            return ""
        return "another change of members is on its way, or this member has just begun to lead"

    def proposes(self) -> None:
        """A change goes into the log with this step."""
        self._proposed = self._library.term, _NEVER

    def end_step(self) -> None:
        """What was proposed in this step ends, at the latest, with the log."""
        term, index = self._proposed
        if index == _NEVER:
            self._proposed = term, self._journal.last_index

    def ready_learners(self) -> tuple[str, ...]:
        """Learners that have all of earlier terms and lack little of this one."""
        if not self._peers.learners or not self._library.leads or not self._is_settled():
            return ()
        return tuple(each for each in self._peers.learners if self._has_caught_up(each))

    def _is_settled(self) -> bool:
        """Whether this leader has applied every change there is in its log."""
        library, (term, index) = self._library, self._proposed
        applied = library.applied_index
        return applied >= library.noop_index and (term != library.term or applied >= index)

    def _has_caught_up(self, learner: str) -> bool:
        library, match = self._library, self._library.match_index(learner)
        lag = self._journal.last_index - match
        return (
            library.is_connected(learner)
            and match >= library.noop_index
            and lag <= self._limits.learner_lag_entries
        )
