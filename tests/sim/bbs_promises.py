"""What a bulletin board promises to those who use it, held against what they saw.

`history.History` has what must be so of the entries. Here is the rest: a request takes effect once
however often it is repeated; what was acknowledged is there; a linearizable read has all that was
acknowledged before it began; a list is of one revision; a lease does not end before its holder
thinks so; a watcher hears everything that concerns it, once, and in order.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from diegod.internal.v1.command_pb2 import Batch, Command, Outcome
from diegod.models.errors import Reason
from diegod.raftbbs.replica import AppliedEntry
from diegod.raftbbs.store.state import StateView
from diegod.v1.event_pb2 import WatchReply, WatchRequest
from diegod.v1.record_pb2 import Cell, Change
from tests.sim.history import History, digest

#: kind of row, and its key.
RowKey = tuple[str, str]
_KEY_OF = {
    "task": "task_guid",
    "desired_lrp": "process_guid",
    "actual_lrp": "instance_guid",
    "cell": "cell_id",
    "domain": "domain",
    "lock": "name",
}
#: Whoever spoke has lost the right to: that is looked at before the request is.
_NO_STANDING = (Reason.STALE_INCARNATION, Reason.CELL_MISSING, Reason.LOCK_COLLISION)


@dataclass(frozen=True)
class Version:
    """A row from a revision on; without a digest, it is gone."""

    revision: int
    digest: bytes | None
    change: Change


@dataclass
class BbsHistory(History):
    """The one history, with everything that clients were told about it."""

    now: Callable[[], float] = lambda: 0.0
    count: Callable[[str], None] = lambda what: None
    feed: list[Change] = field(default_factory=list)
    feed_digests: list[bytes] = field(default_factory=list)
    revisions: list[int] = field(default_factory=list)  # of the feed
    versions: dict[RowKey, list["Version"]] = field(default_factory=dict)
    effects: dict[str, int] = field(default_factory=dict)  # request id -> revision
    last_request: dict[RowKey, str] = field(default_factory=dict)
    acknowledged_revision: int = 0
    latest_task: str = ""  # that was acknowledged
    denied: dict[str, None] = field(default_factory=dict)  # request ids: definitely not applied
    index_at: dict[int, int] = field(default_factory=dict)  # revision -> its entry
    acknowledged_index: int = 0
    leases: dict[tuple[str, str, int], float] = field(default_factory=dict)  # held until
    ended_at: dict[RowKey, int] = field(default_factory=dict)  # the revision of a lease's last end
    reads: int = 0
    lists: int = 0

    # What the members apply.

    def applied(self, member_id: str, index: int, payload: bytes, entry: AppliedEntry) -> None:
        super().applied(member_id, index, payload, entry)
        for change in entry.changes:
            self.index_at[change.revision] = index

    def _write_down(self, payload: bytes, entry: AppliedEntry) -> None:
        super()._write_down(payload, entry)
        made: dict[int, list[Change]] = {}
        for change in entry.changes:
            made.setdefault(change.revision, []).append(change)
        commands = Batch.FromString(payload).commands
        for command, outcome in zip(commands, entry.outcomes, strict=True):
            self._check_request(command, outcome)
            self._check_lease(command, outcome)
            for change in made.pop(outcome.revision, ()):  # before the next one of this entry
                key, row = row_of(change)
                self.last_request[key] = row.provenance.request_id
        for change in entry.changes:
            key, row = row_of(change)
            removed = change.verb == Change.REMOVED
            seen = None if removed else digest(row.SerializeToString(deterministic=True))
            version = Version(change.revision, seen, change)
            self.versions.setdefault(key, []).append(version)
            self.feed.append(change)
            self.feed_digests.append(digest(change.SerializeToString(deterministic=True)))
            self.revisions.append(change.revision)
            if change.cell.state == Cell.MISSING or (key[0] == "lock" and not change.lock.owner):
                self.ended_at[key] = change.revision

    def _check_request(self, command: Command, outcome: Outcome) -> None:
        id_ = command.request_id
        if not id_:
            return
        kind = command.WhichOneof("command")
        first = self.effects.get(id_)
        if not outcome.reason and not outcome.unchanged:
            if first is not None and not self._is_taken_anew(command, first):
                self.complain(f"{kind} of request {id_} took effect at {first} and again")
            if id_ in self.denied:
                self.complain(f"{kind} of request {id_} took effect; its client was told: never")
            self.effects[id_] = outcome.revision
        elif first is not None:
            self.count("retries answered")
            standing = outcome.reason in _NO_STANDING
            if outcome.reason and not standing and id_ in self.last_request.values():
                self.complain(f"{kind} of request {id_}, done at {first}, is refused: {outcome}")

    def _is_taken_anew(self, command: Command, first: int) -> bool:
        """A lease that was taken without its holder hearing of it, and has run out since.

        What it held is over. Asked for once more by the same request, it is another one, under a
        number of its own; nothing that was done under the first is done again.
        """
        if command.WhichOneof("command") == "register_cell":
            key = ("cell", command.register_cell.cell.cell_id)
        elif command.WhichOneof("command") == "acquire_lock":
            key = ("lock", command.acquire_lock.name)
        else:
            return False
        return self.ended_at.get(key, 0) > first

    def _check_lease(self, command: Command, outcome: Outcome) -> None:
        if outcome.reason or outcome.unchanged:
            return
        kind = command.WhichOneof("command")
        if kind == "expire_cell":
            lease = ("cell", command.expire_cell.cell_id, command.expire_cell.incarnation)
        elif kind == "expire_lock":
            lease = ("lock", command.expire_lock.name, command.expire_lock.token)
        else:
            return
        self.count("leases run out")
        if self.leases.get(lease, 0.0) > self.now():
            self.complain(f"the lease {lease} ended, its holder has it until {self.leases[lease]}")

    # What clients are told.

    def acknowledge(self, request_id: str, revision: int, effect: bool) -> None:
        """A write was answered with the row at this revision."""
        if revision not in self.changed_at:
            self.complain(f"revision {revision} was acknowledged, and nowhere applied")
        if effect and self.effects.get(request_id) != revision:
            self.complain(
                f"request {request_id} was acknowledged at {revision}, "
                f"it took effect at {self.effects.get(request_id)}"
            )
        self.acknowledged_index = max(self.acknowledged_index, self.index_at.get(revision, 0))
        self.acknowledged_revision = max(self.acknowledged_revision, revision)

    def deny(self, request_id: str, why: str) -> None:
        """A write was refused in words that mean: not applied, neither now nor later."""
        self.denied[request_id] = None
        if request_id in self.effects:
            self.complain(
                f"request {request_id} took effect at {self.effects[request_id]}, "
                f"its client was told: {why}"
            )

    def held_until(self, kind: str, name: str, sequence: int, until: float) -> None:
        key = (kind, name, sequence)
        self.leases[key] = max(until, self.leases.get(key, 0.0))

    def check_read(self, key: RowKey, row: Any, revision: int, floor: int) -> None:
        """One row, or that there is none, as of a revision; `floor` was acknowledged before."""
        self.reads += 1
        if revision < floor:
            self.complain(f"a read of {key} is of {revision}, {floor} was acknowledged before")
        seen = None if row is None else digest(row.SerializeToString(deterministic=True))
        version = self.version(key, revision)
        if seen != (version.digest if version else None):
            self.complain(f"a read of {key} at {revision} is not what the history has there")

    def check_list(self, rows: Mapping[RowKey, bytes], revision: int, floor: int) -> None:
        self.lists += 1
        if revision < floor:
            self.complain(f"a list is of {revision}, {floor} was acknowledged before")
        if self.rows_at(revision, WatchRequest(kinds=["task"])) != rows:
            self.complain(f"a list at {revision} is not what the history has there")

    # What there is at a revision.

    def version(self, key: RowKey, revision: int) -> "Version | None":
        """The row as it was then; None when there was none."""
        versions = self.versions.get(key, [])
        position = bisect_right(versions, revision, key=lambda version: version.revision)
        return versions[position - 1] if position and versions[position - 1].digest else None

    def rows_at(self, revision: int, request: WatchRequest) -> dict[RowKey, bytes]:
        """All rows of a revision that this watcher would see."""
        versions = {key: self.version(key, revision) for key in self.versions}
        return {
            key: version.digest
            for key, version in versions.items()
            if version and version.digest and concerns(request, version.change, is_row=True)
        }

    def check_state(self, who: str, state: StateView) -> None:
        """A member's tables hold what the history has at its revision."""
        tables, transaction = state.tables, state.transaction
        revision = state.counters().revision
        rows: dict[RowKey, bytes] = {}
        for kind in _KEY_OF:
            name = f"{kind}s"
            for found in getattr(tables, name).scan(transaction):
                row = found[1] if isinstance(found, tuple) else found
                key = kind, getattr(row, _KEY_OF[kind])
                rows[key] = digest(row.SerializeToString(deterministic=True))
        expected = self.rows_at(revision, WatchRequest())
        if rows != expected:
            wrong = sorted(
                key for key in rows.keys() | expected.keys() if rows.get(key) != expected.get(key)
            )
            self.complain(f"{who} at revision {revision} has other rows: {wrong[:5]}")


def row_of(change: Change) -> tuple[RowKey, Any]:
    kind = change.WhichOneof("row") or ""
    row = getattr(change, kind)
    return (kind, getattr(row, _KEY_OF[kind])), row


def concerns(request: WatchRequest, change: Change, is_row: bool = False) -> bool:
    """Whether a watcher is to hear of a change, or to see its row; not in the product's words."""
    (kind, key), row = row_of(change)
    if request.kinds and kind not in request.kinds:
        return False
    if request.domain and getattr(row, "domain", request.domain) != request.domain:
        return False
    if request.guid and request.guid not in (key, getattr(row, "process_guid", "")):
        return False
    if request.guid and kind not in ("task", "desired_lrp", "actual_lrp"):
        return False
    if not request.cell_id:
        return True
    cells = [] if is_row else [change.left_cell_id]
    if kind in ("task", "actual_lrp", "cell"):
        cells += [row.cell_id, getattr(row, "placed_cell_id", "")]
    return request.cell_id in cells


class WatchChecks:
    """One watcher's streams, end to end: they are one sequence."""

    def __init__(self, history: BbsHistory, name: str, request: WatchRequest) -> None:
        self._history = history
        self._name = name
        self._request = request
        self._rows: dict[RowKey, bytes] = {}
        self._position = 0  # in the feed
        self.revision = 0
        self.heard = 0

    def begin(self) -> None:
        """From the beginning: rows come first."""
        self._rows = {}

    def has_heard(self, revision: int) -> bool:
        """Whether everything that concerns it, up to a revision, was told."""
        history = self._history
        end = bisect_right(history.revisions, revision)
        return not any(
            concerns(self._request, history.feed[position])
            for position in range(self._position, end)
        )

    def take(self, reply: WatchReply) -> None:
        for change in reply.rows:
            key, row = row_of(change)
            self._rows[key] = digest(row.SerializeToString(deterministic=True))
        if reply.rows_end:
            self._end_beginning(reply.revision)
            return
        for change in reply.changes:
            self._hear(change)
        if reply.revision:
            self._progress(reply.revision)

    def _end_beginning(self, revision: int) -> None:
        history = self._history
        if self._rows != history.rows_at(revision, self._request):
            history.complain(f"{self._name} begins at {revision} with other rows than there are")
        if revision < self.revision:
            history.complain(f"{self._name} begins at {revision}, it was at {self.revision}")
        self.revision = revision
        self._position = bisect_right(history.revisions, revision)

    def _hear(self, change: Change) -> None:
        history, heard = self._history, digest(change.SerializeToString(deterministic=True))
        self.heard += 1
        for position in range(self._position, len(history.feed)):
            if concerns(self._request, history.feed[position]):
                self._position = position + 1
                if history.feed_digests[position] != heard:
                    history.complain(
                        f"{self._name} hears of {change.revision}, "
                        f"{history.revisions[position]} is next"
                    )
                return
        history.complain(f"{self._name} hears of {change.revision}, which is not in the history")

    def _progress(self, revision: int) -> None:
        history = self._history
        if revision < self.revision:
            history.complain(f"{self._name} goes back from {self.revision} to {revision}")
        self.revision = max(revision, self.revision)
        end = bisect_right(history.revisions, revision)
        for position in range(self._position, end):
            if concerns(self._request, history.feed[position]):
                history.complain(
                    f"{self._name} is at {revision}, and was not told of "
                    f"{history.revisions[position]}"
                )
                break
        self._position = max(self._position, end)
