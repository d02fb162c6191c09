"""PySyncObj itself, with everything unsafe cut off. The only module that knows its private names.

The library keeps the rules of elections and of commit; this module takes from it whatever else it
would do: its clock and its chance (they are handed in), its pickle, its dump files and forks, its
change of members, its forwarding, its sockets. `proven` refuses any other version, because another
one may have moved a name that is overridden here.

Engines of several members may live in one process (simulation), each with its own clock: the two
module globals that the library reads are set for the time of one call. One thread at a time.
"""

import _socket
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pysyncobj import syncobj
from pysyncobj.node import Node
from pysyncobj.transport import Transport

from diegod.raftbbs.raft.api import Fatal, Role, Timing
from diegod.raftbbs.raft.journal import Entry, Journal

# Importing the library replaces this function of the whole process by one that only works on
# Windows (pysyncobj/win_inet_pton.py, the last line): whoever prints an address then fails.
socket.inet_ntop = _socket.inet_ntop

SEND_BYTES_MAX = 4 << 20
"""The library closes a batch at this size, so its last entry may stand over. Larger than any entry,
or else the library would cut that entry in pieces and pickle them."""

NOT_APPLIED = frozenset(
    (
        syncobj.FAIL_REASON.QUEUE_FULL,
        syncobj.FAIL_REASON.MISSING_LEADER,
        syncobj.FAIL_REASON.DISCARDED,  # another entry was committed at its index
        syncobj.FAIL_REASON.NOT_LEADER,
        syncobj.FAIL_REASON.REQUEST_DENIED,
    )
)
"""The library's reasons that mean: definitely not applied, now or later."""
DUE = float("-inf")
"""As the time of a heartbeat: with the next tick."""
APPLIED = syncobj.FAIL_REASON.SUCCESS

Message = dict[str, Any]
Outlet = Callable[[str, Message], bool]
Done = Callable[[object, int], None]

_ROLES = (Role.FOLLOWER, Role.CANDIDATE, Role.LEADER)
_NEVER = 10**15  # entries or seconds: compaction is not the library's business, but ours

syncobj.PIPE_NOTIFIER_ENABLED = False  # its pipe is full after 65,536 commands (F12b)


class Library:
    """One member of the library's cluster. Every call is made inside `moment`."""

    def __init__(
        self,
        member: str,
        voters: Sequence[str],
        learners: Sequence[str],
        journal: Journal,
        timing: Timing,
        apply: Callable[[int, bytes], object],
        outlet: Outlet,
    ) -> None:
        self._nodes: dict[str, Node] = {}
        core = _construct(member, journal, timing, outlet)
        core.apply = apply
        core._poller = _NoSockets()
        core._SyncObj__serializer = _NoSnapshots()
        core._SyncObj__raftLastApplied = journal.state.applied_index
        self._core = core
        self.set_peers(voters, learners)

    def set_peers(
        self, voters: Sequence[str], learners: Sequence[str], same: Sequence[str] = ()
    ) -> None:
        """Go by these members from now on: count voters, and send to all.

        Only of those in `same` is kept what is known: whoever else came under an id that there was
        before has another store. A learner that becomes a voter keeps what it has acknowledged.
        """
        for peer in [each for each in self._nodes if each not in same]:
            self._forget(self._nodes.pop(peer))
        for peer in (*voters, *learners):
            if peer not in self._nodes:
                self._meet(peer)
        core = self._core
        core._SyncObj__otherNodes = {self._nodes[peer] for peer in voters}
        core._SyncObj__readonlyNodes = {self._nodes[peer] for peer in learners}

    def _meet(self, peer: str) -> None:
        """A leader begins with its next entry, and gives the peer time for its first answer."""
        core, node = self._core, Node(peer)
        self._nodes[peer] = node
        core._SyncObj__raftNextIndex[node] = core._SyncObj__raftLog[-1][1] + 1
        core._SyncObj__raftMatchIndex[node] = 0
        core._SyncObj__lastResponseTime[node] = syncobj.monotonicTime()

    def _forget(self, node: Node) -> None:
        core = self._core
        core._SyncObj__connectedNodes.discard(node)
        for known in ("raftNextIndex", "raftMatchIndex", "lastResponseTime"):
            getattr(core, f"_SyncObj__{known}").pop(node, None)

    # What it knows.

    @property
    def role(self) -> Role:
        return _ROLES[self._core._SyncObj__raftState]

    @property
    def leads(self) -> bool:
        return bool(self._core._SyncObj__raftState == syncobj._RAFT_STATE.LEADER)

    @property
    def term(self) -> int:
        return int(self._core._SyncObj__raftCurrentTerm)

    @property
    def leader_id(self) -> str:
        leader = self._core._SyncObj__raftLeader
        return "" if leader is None else str(leader.id)

    @property
    def commit_index(self) -> int:
        return int(self._core._SyncObj__raftCommitIndex)

    @property
    def applied_index(self) -> int:
        return int(self._core._SyncObj__raftLastApplied)

    @property
    def noop_index(self) -> int:
        """The entry that a leader begins its term with; means something only while it leads."""
        return int(self._core._SyncObj__noopIDx or 0)

    def next_index(self, peer: str) -> int:
        """The first entry that a leader has not sent to a peer."""
        return int(self._core._SyncObj__raftNextIndex[self._nodes[peer]])

    def set_next_index(self, peer: str, index: int) -> None:
        self._core._SyncObj__raftNextIndex[self._nodes[peer]] = index

    def begin_log_at(self, index: int) -> None:
        """Entries up to this one are no longer sent: to whoever lacks them they'd be of no use."""
        for peer, node in self._nodes.items():
            if self._core._SyncObj__raftNextIndex.get(node, index + 1) <= index:
                self.set_next_index(peer, index + 1)

    def match_index(self, peer: str) -> int:
        """The last entry that a peer is known to have, in the eyes of a leader."""
        return int(self._core._SyncObj__raftMatchIndex[self._nodes[peer]])

    # When it acts.

    @property
    def election_deadline(self) -> float:
        return float(self._core._SyncObj__raftElectionDeadline)

    @election_deadline.setter
    def election_deadline(self, at: float) -> None:
        self._core._SyncObj__raftElectionDeadline = at

    @property
    def heartbeat_at(self) -> float:
        """A leader's next round of heartbeats; it comes with the first tick after that time."""
        return float(self._core._SyncObj__newAppendEntriesTime)

    @heartbeat_at.setter
    def heartbeat_at(self, at: float) -> None:
        self._core._SyncObj__newAppendEntriesTime = at

    def new_election_timeout(self) -> float:
        """A random duration between the bounds of an election."""
        return float(self._core._SyncObj__generateRaftTimeout())

    # What happens to it.

    def connect(self, peer: str) -> None:
        """Send to this peer from now on."""
        self._core._SyncObj__connectedNodes.add(self._nodes[peer])

    def disconnect(self, peer: str) -> None:
        self._core._SyncObj__connectedNodes.discard(Node(peer))

    def is_connected(self, peer: str) -> bool:
        return Node(peer) in self._core._SyncObj__connectedNodes

    def deliver(self, peer: str, message: Message) -> None:
        """Hand it a message that was checked."""
        self._core._SyncObj__onMessageReceived(self._nodes.get(peer) or Node(peer), message)

    def propose(self, command: bytes, done: Done) -> None:
        """Append a command with the next tick, if this member leads; `done` says what became."""
        self._core._applyCommand(command, done)

    def tick(self) -> None:
        """Elections, commit, apply, heartbeats, proposals: whatever is due."""
        self._core.doTick(0.0)

    def enter_term(self, term: int) -> None:
        """Follow in a later term: by a vote request that nobody could grant."""
        self.deliver(
            "", {"type": "request_vote", "term": term, "last_log_term": -1, "last_log_index": 0}
        )

    def resign(self) -> None:
        """Stop leading. The term goes on without a leader until somebody campaigns."""
        core = self._core
        core._SyncObj__setState(syncobj._RAFT_STATE.FOLLOWER)
        core._SyncObj__raftLeader = None


class _Core(syncobj.SyncObj):  # type: ignore[misc]  # the library has no types
    """The library with its dangerous methods replaced, by their mangled names."""

    apply: Callable[[int, bytes], object]

    def _SyncObj__doApplyCommand(self, command: bytes) -> object:  # noqa: N802
        """Instead of a pickled call: our entry, with its index."""
        return self.apply(self._SyncObj__raftLastApplied + 1, command)

    def _SyncObj__parseChangeClusterRequest(self, command: bytes) -> None:  # noqa: N802
        """Members don't change through the library (F5)."""

    def _SyncObj__loadDumpFile(self, clearJournal: bool) -> None:  # noqa: N802, N803
        """The library would go on after a failure, and acknowledge (F6)."""
        raise Fatal("the library wants to load a snapshot: it has none")


class _Port(Transport):  # type: ignore[misc]  # the library has no types
    """Where the library sends. It receives by `Library.deliver`."""

    def __init__(self, outlet: Outlet) -> None:
        super().__init__(None, None, None)
        self.outlet = outlet
        self.core: Any = None

    def send(self, node: Any, message: Message) -> bool:
        if message["type"] == "apply_command":
            self._refuse_forwarding(message)
            return False
        return self.outlet(node.id, message)

    def _refuse_forwarding(self, message: Message) -> None:
        """A proposal is not passed on to the leader: a lost answer would hang for ever (F7)."""
        done: Done = self.core._SyncObj__commandsWaitingReply.pop(message["request_id"])
        done(None, syncobj.FAIL_REASON.NOT_LEADER)


class _LibraryJournal:
    """Our journal under the names that the library calls."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.add = journal.add
        self.setCurrentTerm = journal.set_term
        self.setRaftCommitIndex = journal.set_commit_index

    def __len__(self) -> int:
        return len(self._journal)

    def __getitem__(self, item: int | slice) -> Entry | list[Entry]:
        return self._journal[item]

    def deleteEntriesFrom(self, position: int) -> None:  # noqa: N802
        self._journal.cut_from(self._journal.first_index + position)

    def deleteEntriesTo(self, position: int) -> None:  # noqa: N802
        raise Fatal("the library wants to cut the beginning of the log: that is ours to do")

    def clear(self) -> None:
        raise Fatal("the library wants to clear the log")

    def getCurrentTerm(self) -> int:  # noqa: N802
        return self._journal.state.term

    def getVotedForNodeId(self) -> str | None:  # noqa: N802
        return self._journal.state.voted_for

    def getRaftCommitIndex(self) -> int:  # noqa: N802
        return self._journal.state.commit_index

    def onOneSecondTimer(self) -> None:  # noqa: N802
        """Nothing is due: each step saves."""


class _NoSockets:
    """The library's poller: there is nothing to poll, and a step never waits."""

    def poll(self, timeout: float) -> None:
        """Return at once."""


class _NoSnapshots:
    """The library's serializer. It never needs one: what it is to send next is always in the log.
    Compaction and copies of the state are ours (`snapshot`)."""

    def checkSerializing(self) -> tuple[int, None]:  # noqa: N802
        return syncobj.SERIALIZER_STATE.NOT_SERIALIZING, None

    def cancelTransmisstion(self, node: object) -> None:  # noqa: N802 - the library's spelling
        """There is nothing to cancel."""

    def getTransmissionData(self, node: object) -> None:  # noqa: N802
        raise Fatal(f"the library wants to send a snapshot to {node}: it has none")

    def setTransmissionData(self, data: object) -> bool:  # noqa: N802
        raise Fatal("the library wants to take a snapshot: it has none")

    def serialize(self, data: object, id_: int) -> None:
        raise Fatal("the library wants to make a snapshot: it has none")


class _Chance:
    """The library's `random` module: chance that was handed in."""

    def __init__(self, uniform: Callable[[float, float], float]) -> None:
        self._uniform = uniform

    def random(self) -> float:
        return self._uniform(0.0, 1.0)


@contextmanager
def moment(now: float, uniform: Callable[[float, float], float]) -> Iterator[None]:
    """Let the library see this time and this chance; time stands still inside."""
    before = syncobj.monotonicTime, syncobj.random
    syncobj.monotonicTime, syncobj.random = (lambda: now), _Chance(uniform)
    try:
        yield
    finally:
        syncobj.monotonicTime, syncobj.random = before


def _construct(member: str, journal: Journal, timing: Timing, outlet: Outlet) -> Any:
    """The library's object, with our journal in place of the one it would make; alone so far."""
    port = _Port(outlet)
    make_journal = syncobj.createJournal
    syncobj.createJournal = lambda name: _LibraryJournal(journal)
    try:
        port.core = _Core(Node(member), [], _conf(timing), nodeClass=Node, transport=port)
    finally:
        syncobj.createJournal = make_journal
    return port.core


def _conf(timing: Timing) -> Any:
    return syncobj.SyncObjConf(
        autoTick=False,
        useFork=False,
        commandsWaitLeader=False,
        dynamicMembershipChange=False,
        appendEntriesUseBatch=False,  # send as it appends, and again as it applies (F18)
        appendEntriesPeriod=timing.heartbeat_s,
        appendEntriesBatchSizeBytes=SEND_BYTES_MAX,
        raftMinTimeout=timing.election_min_s,
        raftMaxTimeout=timing.election_max_s,
        connectionTimeout=timing.election_max_s,
        leaderFallbackTimeout=timing.election_max_s,  # a leader without a majority steps down (F8)
        logCompactionMinEntries=_NEVER,
        logCompactionMinTime=_NEVER,
        fullDumpFile=None,
        journalFile=None,
    )
