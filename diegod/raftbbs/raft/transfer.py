"""A leader gives its leadership to another voter, so that nobody waits for an election.

It takes no proposals from then on, waits until the other has its whole log, and tells it to
campaign. If it still leads after the longest time that an election takes, it goes on leading.
"""

from collections.abc import Callable
from dataclasses import dataclass

from diegod.internal.v1.raft_pb2 import RaftFrame
from diegod.raftbbs.raft import frames
from diegod.raftbbs.raft.api import Timing, TransferAnswer
from diegod.raftbbs.raft.guarded import Library
from diegod.raftbbs.raft.journal import Journal
from diegod.raftbbs.raft.peers import Peers

Send = Callable[[str, RaftFrame], bool]


@dataclass(slots=True)
class _Going:
    """The transfer that is going on: to whom, in which term, and for how long it may take."""

    id: int
    to: str
    term: int
    until: float
    told: bool = False


class Transfer:
    """At most one transfer at a time."""

    def __init__(
        self, library: Library, journal: Journal, peers: Peers, timing: Timing, send: Send
    ) -> None:
        self._library = library
        self._journal = journal
        self._peers = peers
        self._timing = timing
        self._send = send
        self._going: _Going | None = None
        self.answers: list[TransferAnswer] = []

    @property
    def to(self) -> str:
        """To whom the leadership is about to go; "" to nobody."""
        return "" if self._going is None else self._going.to

    def begin(self, id_: int, to: str, refusal: str, now: float) -> None:
        """Take a request, unless it must be refused."""
        to = to or self._furthest()
        if refusal := refusal or self._refusal(to):
            self.answers.append(TransferAnswer(id_, False, refusal))
            return
        until = now + self._timing.election_max_s
        self._going = _Going(id_, to, self._library.term, until)

    def go_on(self, now: float) -> None:
        """Once a step, when the library has acted."""
        going, library = self._going, self._library
        if going is None:
            return
        if not library.leads or library.term != going.term:
            self._end(True, "")
        elif now >= going.until or going.to not in self._peers.voters:
            self._end(False, f"{going.to} did not take the leadership over: this member leads on")
        elif not going.told and library.match_index(going.to) == self._journal.last_index:
            going.told = self._send(going.to, frames.timeout_now(going.term))

    def _end(self, ok: bool, detail: str) -> None:
        assert self._going is not None
        self.answers.append(TransferAnswer(self._going.id, ok, detail))
        self._going = None

    def _furthest(self) -> str:
        """The connected voter with the longest log, by id among equals."""
        library = self._library
        voters = [each for each in self._peers.voters if library.is_connected(each)]
        if not library.leads or not voters:
            return ""
        return max(voters, key=library.match_index)

    def _refusal(self, to: str) -> str:
        if not self._library.leads:
            return "this member does not lead"
        if self._going is not None:
            return f"the leadership is being given to {self._going.to}"
        if not to:
            return "no other voter is connected"
        if to not in self._peers.voters:
            return f"{to} is no other voter of this cluster"
        return "" if self._library.is_connected(to) else f"{to} is not connected"
