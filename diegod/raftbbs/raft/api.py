"""The replicated log as the rest of the BBS knows it: records, and one protocol.

A step takes what has come in and gives back what may go out. Whoever calls `step` keeps four rules:

* one thread calls it, for the life of the process: the store binds a transaction to its thread;
* all frames that have come in are in `inbox` before time is judged: a pause is not an election;
* the frames of a result go, in order, into the connections that there were when the step was made;
  a frame that can't go ends its connection (`disconnected`), none is left out;
* after an exception the process ends. Nothing of that step was released, nothing is retried. After
  `Replaced` it begins again at once, after `Quarantined` not before a person has seen to it.

Does not belong here: how it is done, and names of the library that does it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from diegod.internal.v1.command_pb2 import Members
from diegod.internal.v1.raft_pb2 import RaftFrame
from diegod.raftbbs.store.environment import ReadTransaction, WriteTransaction

COMMAND_BYTES_MAX = 1 << 20
"""The largest payload of one proposal."""

MembersOf = Callable[[ReadTransaction], Members]
"""The record of members in the state; one with revision 0 as long as there is none."""

ApplyEntry = Callable[[WriteTransaction, int, bytes], object]
"""Applies one committed entry: (transaction, index, payload) -> result. Refusals are results; an
exception ends the process."""


class Fatal(Exception):  # noqa: N818 - it names an event: after it the process ends
    """This member must stop at once: going on could break a promise. Says what was found."""


class Replaced(Exception):  # noqa: N818 - it names an event: after it the process ends
    """This member's store was replaced by a later state: its process must begin again, at once."""


class Quarantined(Exception):  # noqa: N818 - it names an event: after it the process ends
    """This member's state is not what a majority of the members has: it must not go on with it."""

    def __init__(self, index: int, own: bytes, agreed: bytes) -> None:
        super().__init__(
            f"this member's state differs from the majority's at entry {index} "
            f"({own.hex()[:12] or 'unknown'}, not {agreed.hex()[:12]})"
        )
        self.index = index
        self.own = own
        self.agreed = agreed


class Role(StrEnum):
    FOLLOWER = "follower"
    CANDIDATE = "candidate"
    LEADER = "leader"


class AnswerStatus(StrEnum):
    """What became of a proposal."""

    OK = "ok"  # applied; index and result are set
    NOT_LEADER = "not_leader"  # definitely not applied, now or later: ask the leader
    REFUSED = "refused"  # definitely not applied; `detail` says why
    UNKNOWN = "unknown"  # it may or may not be applied, now or later


@dataclass(frozen=True, slots=True)
class Timing:
    """Durations of the protocol. Rates of members' clocks may differ by a few percent."""

    heartbeat_s: float = 0.1
    election_min_s: float = 0.5  # also how long a member that heard a leader votes for nobody else
    election_max_s: float = 1.0  # also how long a leader without a majority stays one
    read_limit_s: float = 2.0  # a read or confirmation that takes longer fails
    answer_limit_s: float = 5.0  # a proposal that takes longer is answered as unknown
    snapshot_kept_s: float = 600.0  # a copy of the state, after it was last asked for
    snapshot_retry_s: float = 5.0  # without a piece for so long, ask again; after a failure, wait


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that no input can pass."""

    log_entries: int = 2_000_000  # while the log has more, proposals are refused
    log_kept_entries: int = 10_000  # applied, and kept for members that are a little behind
    log_cut_entries: int = 512  # what else is applied is cut off in such portions, one a step
    in_flight_bytes: int = 8 << 20  # on their way to one peer, not yet acknowledged
    apply_entries: int = 64  # applied in one step,
    apply_bytes: int = 512 << 10  # and not more than this: about 50 ms
    snapshot_chunk_bytes: int = 256 << 10  # one piece of a copy of the state,
    snapshot_chunks: int = 4  # and how many a member asks for ahead
    learner_lag_entries: int = 1_000  # a learner that lacks no more is made a voter


@dataclass(frozen=True, slots=True)
class Proposal:
    """A payload for the log, and the caller's number for its answer."""

    id: int
    payload: bytes
    changes_members: bool = False
    """It may change the record of members, so no other such proposal may be on its way."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a proposal. Each is answered exactly once."""

    id: int
    status: AnswerStatus
    index: int = 0
    result: object = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Applied:
    """An entry that was applied in this step, on this member."""

    index: int
    result: object


@dataclass(frozen=True, slots=True)
class ReadAnswer:
    """`ok`: this member's state, as of now, has all that was acknowledged before the read began."""

    id: int
    ok: bool
    index: int = 0


@dataclass(frozen=True, slots=True)
class Confirmation:
    """`ok`: this member was the leader at a moment after the request."""

    id: int
    ok: bool


@dataclass(frozen=True, slots=True)
class TransferAnswer:
    """What became of a transfer of the leadership. `ok`: this member no longer leads."""

    id: int
    ok: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A frame that was not taken. The caller logs it and closes the connection."""

    peer: str
    reason: str


@dataclass(frozen=True, slots=True)
class Leadership:
    """What this member knows of the cluster at the end of a step."""

    role: Role
    leader_id: str  # "" when it knows none
    term: int
    commit_index: int
    applied_index: int
    log_first: int
    log_last: int
    noop_applied: bool  # it leads, and has applied all that earlier leaders committed
    round: int  # heartbeat rounds sent so far,
    confirmed_round: int  # and the last one that a majority answered in this term
    matches: Mapping[str, int] = field(default_factory=dict)  # of a leader: what each peer has
    ready_learners: tuple[str, ...] = ()  # of a leader: who may be made a voter now
    transfers_to: str = ""  # of a leader: whom it is about to give the leadership to
    cluster_format: int = 1  # what every member could read when that was last raised,
    readable_format: int = 0  # and what all of them can read now; 0: not all are heard
    alarms: tuple[str, ...] = ()  # what an operator should know: one sentence each

    @property
    def leads(self) -> bool:
        return self.role is Role.LEADER


@dataclass(slots=True)
class StepResult:
    """What may go out after a step. All of it was made durable before."""

    leadership: Leadership
    outbox: list[tuple[str, RaftFrame]] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    applied: list[Applied] = field(default_factory=list)
    reads: list[ReadAnswer] = field(default_factory=list)
    confirmations: list[Confirmation] = field(default_factory=list)
    transfers: list[TransferAnswer] = field(default_factory=list)
    members: Members | None = None  # the record that this member goes by, if it is another now
    refused: list[Refusal] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)  # for the operator's log


class ReplicatedLog(Protocol):
    """A member of the replicated log."""

    def step(
        self,
        inbox: Sequence[tuple[str, RaftFrame]],
        proposals: Sequence[Proposal],
        reads: Sequence[int],
        now: float,
    ) -> StepResult:
        """Take what has come in, decide, make it durable, and say what may go out.

        `inbox` pairs each frame with the peer that its connection was authenticated as. Each
        proposal becomes one entry: a caller that has many commands puts them into one.
        """

    def connected(self, peer: str) -> None:
        """Frames to this peer arrive, in order, from now on."""

    def disconnected(self, peer: str) -> None:
        """Frames to this peer may have been lost, and no more arrive."""

    def request_confirmation(self, id: int) -> None:  # noqa: A002 - it is the caller's id
        """Ask with the next step whether this member leads; answered in `confirmations`."""

    def request_transfer(self, id: int, peer: str) -> None:  # noqa: A002 - it is the caller's id
        """Give the leadership to a voter, or with "" to the one that is furthest.

        Begins with the next step; answered in `transfers`. Until then no proposal is taken.
        """

    @property
    def members(self) -> Members:
        """The record of members that this member goes by."""
    def request_shrinking(self) -> None:
        """Replace the store by a compact copy of itself at the beginning of the next step, which
        then raises `Replaced`; where that fails, a notice says why."""

    def next_deadline(self) -> float:
        """When the next step is due if nothing comes in; the last `now` when one is due at once."""

    def leadership(self) -> Leadership:
        """What the last step ended with."""
