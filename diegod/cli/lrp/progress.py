"""Is an LRP up? What a watcher has seen so far, and what it means for the command. Pure.

Time is handed in. Does not belong here: watching and printing (`watch.py`).

A first version is up when its instances have run for a moment: each program, also one that fails
at once, runs if nothing checks it. A version that takes another's place is up when the brain says
so: only it knows how long they have to be healthy, and whether it goes back.
"""

from dataclasses import dataclass, field

from diegod.cli.record.views import instance_ref, instance_state, port_mappings
from diegod.cli.terminal.errors import DONE, FAILED, NOT_PLACED
from diegod.cli.terminal.verdict import Verdict
from diegod.models.restart import IMMEDIATE_RESTARTS, RestartAt, restart
from diegod.v1.definition_pb2 import LrpDefinition
from diegod.v1.record_pb2 import ActualLrp, Change, DesiredLrp, Rollout

#: A placement error may be over at the next auction; one that lasts this long is reported.
PLACEMENT_PATIENCE_S = 3.0
#: A first version has to run for so long. A program that fails as it starts has used up its
#: immediate restarts by then, or is seen between two of them.
SETTLING_S = 1.0


@dataclass
class Progress:
    """One LRP on its way up. `now` is any clock that does not jump."""

    desired: DesiredLrp
    began_at: float
    must_go: frozenset[str] = frozenset()  # instances that are being replaced
    removed: bool = False
    rows: dict[str, ActualLrp] = field(default_factory=dict)  # by instance_guid
    refused_since: dict[int, float] = field(default_factory=dict)  # by index: can't be placed
    announced: set[tuple[str, int]] = field(default_factory=set)  # up, or crashed so many times
    up_since: dict[str, float] = field(default_factory=dict)  # by instance_guid, as seen here
    version: int = field(init=False)  # that is watched

    def __post_init__(self) -> None:
        self.version = self.desired.version

    def observe(self, change: Change, now: float) -> list[str]:
        """Take note of one change; lines to show for it."""
        if change.HasField("desired_lrp"):
            return self._observe_desired(change)
        row = change.actual_lrp
        if change.verb == Change.REMOVED:
            self.rows.pop(row.instance_guid, None)
            self.up_since.pop(row.instance_guid, None)
            return []
        self._forget_earlier(row)
        self.rows[row.instance_guid] = row
        self._note_up(row, now)
        self._note_refusal(row, now)
        return self._lines(row, now)

    def _observe_desired(self, change: Change) -> list[str]:
        self.removed = change.verb == Change.REMOVED
        if self.removed:
            return []
        before, self.desired = self.desired, change.desired_lrp
        if self.desired.version > before.version and self._is_rolled_back():
            return [f"  version {before.version} failed: {self._reason()}; it goes back by itself"]
        return []

    def _forget_earlier(self, row: ActualLrp) -> None:
        """An instance that is to be placed again has a new guid and no other row of its own."""
        if row.state != ActualLrp.UNCLAIMED:
            return
        for guid in [g for g, other in self.rows.items() if _replaced_by(other, row)]:
            del self.rows[guid]

    def _note_up(self, row: ActualLrp, now: float) -> None:
        if self._is_up(row):
            self.up_since.setdefault(row.instance_guid, now)
        else:
            self.up_since.pop(row.instance_guid, None)

    def _note_refusal(self, row: ActualLrp, now: float) -> None:
        if _is_refused(row):
            self.refused_since.setdefault(row.index, now)
        else:
            self.refused_since.pop(row.index, None)

    def _lines(self, row: ActualLrp, now: float) -> list[str]:
        is_crash = row.state == ActualLrp.CRASHED and self._is_ours(row) and self._is_rolling()
        key = (row.instance_guid, row.crash_count if is_crash else 0)
        if key in self.announced or not (is_crash or self._is_up(row)):
            return []
        self.announced.add(key)
        words = [
            instance_ref(row),
            row.cell_id,
            instance_state(row),
            f"after {now - self.began_at:.1f} s",
            row.crash_reason if is_crash else port_mappings(row),
        ]
        return ["  " + "  ".join(word for word in words if word)]

    def _is_ours(self, row: ActualLrp) -> bool:
        return row.definition_revision == self.desired.definition_revision

    def _is_up(self, row: ActualLrp) -> bool:
        """Running, by this definition, and staying."""
        return (
            row.state == ActualLrp.RUNNING
            and row.presence == ActualLrp.ORDINARY
            and self._is_ours(row)
            and (self._is_global() or row.index < self.desired.instances)
            and not row.stopping
            and row.instance_guid not in self.must_go
        )

    def _is_global(self) -> bool:
        return self.desired.mode == LrpDefinition.GLOBAL

    def _is_rolling(self) -> bool:
        """Whether the brain leads from one version to another, and decides how that ends."""
        rollout = self.desired.rollout
        has_before = rollout.stable_definition_revision != 0 or self.desired.version > 1
        return rollout.state != Rollout.DONE and has_before

    def _is_rolled_back(self) -> bool:
        return self.desired.rollout.rolled_back and self.desired.version > self.version

    def _reason(self) -> str:
        return self.desired.rollout.reason or "no reason is given"

    def verdict(self, now: float) -> Verdict | None:
        """What has come of it; None while it may still come up."""
        guid = self.desired.process_guid
        if self.removed or self.desired.removing:
            return Verdict(FAILED, f"{guid} was removed meanwhile")
        if self.desired.stopped:
            return Verdict(DONE, f"{guid} is stopped. diegod lrp start {guid}")
        if self.desired.version > self.version and not self.desired.rollout.rolled_back:
            later, by = self.desired.version, self.desired.provenance.by
            return Verdict(FAILED, f"{guid} became version {later} meanwhile, by {by}")
        return self._rollout_verdict() or self._up_verdict(now) or self._trouble_verdict(now)

    def _rollout_verdict(self) -> Verdict | None:
        """A rollout that waits for a person."""
        guid, rollout = self.desired.process_guid, self.desired.rollout
        if rollout.state == Rollout.PAUSED:
            why = f": {rollout.reason}" if rollout.reason else ""
            what = f"version {self.desired.version} is paused{why}"
            return Verdict(
                FAILED, f"{guid} {what}. diegod lrp resume {guid}{self._or_back()}"
            )
        if rollout.state == Rollout.CANARIES:
            what = f"{guid} waits with healthy canaries of version {self.desired.version}"
            return Verdict(DONE, f"{what}. diegod lrp promote {guid}{self._or_back()}")
        return None

    def _or_back(self) -> str:
        """By itself `rollback` goes to a stable version; others have to be named."""
        guid, version = self.desired.process_guid, self.desired.version
        if self.desired.rollout.stable_definition_revision:
            return f", or diegod lrp rollback {guid}"
        if version > 1:
            return f", or diegod lrp rollback {guid} --to {version - 1}"
        return f", or diegod lrp rm {guid}"

    def _up_verdict(self, now: float) -> Verdict | None:
        up = {row.index for row in self.rows.values() if self._is_up(row)}
        wanted = self._wanted()
        if len(up) < wanted or self.must_go & self.rows.keys() or not self._brain_is_done():
            return None
        if now < self._settled_at():
            return None
        guid = self.desired.process_guid
        if self._is_rolled_back():
            what = f"{guid} version {self.version} failed: {self._reason()}"
            back = f"It went back: {len(up)} of {wanted} run. diegod lrp history {guid}"
            return Verdict(FAILED, f"{what}. {back}")
        return Verdict(DONE, f"{guid} is running: {len(up)} of {wanted}", runs=True)

    def _settled_at(self) -> float:
        """When what runs has run for long enough; what the brain has waited for has."""
        if self.desired.rollout.state == Rollout.DONE:
            return self.began_at
        return max(self.up_since.values(), default=self.began_at) + SETTLING_S

    def _wanted(self) -> int:
        if not self._is_global():
            return self.desired.instances
        return len({r.index for r in self.rows.values() if r.presence == ActualLrp.ORDINARY})

    def _brain_is_done(self) -> bool:
        """Only the brain knows which cells a GLOBAL one is for."""
        if self._is_global():
            return self.desired.rollout.state == Rollout.DONE
        return not self._is_rolling()

    def _trouble_verdict(self, now: float) -> Verdict | None:
        if not self._is_rolling():
            for row in sorted(self.rows.values(), key=lambda row: row.index):
                if self._crashes_repeatedly(row):
                    return Verdict(FAILED, self._crash_line(row))
        return self._placement_verdict(now)

    def _crashes_repeatedly(self, row: ActualLrp) -> bool:
        """Whether it is now kept waiting, after the restarts that come at once."""
        policy = self.desired.crash_policy
        given = policy.HasField("immediate_restarts")
        at_once = policy.immediate_restarts if given else IMMEDIATE_RESTARTS
        return (
            self._is_ours(row) and row.state == ActualLrp.CRASHED and row.crash_count > at_once
        )

    def _crash_line(self, row: ActualLrp) -> str:
        next_try = restart(self.desired.crash_policy, row.crash_count, crashed_at=0.0, now=-1.0)
        wait = (
            f"next try in {next_try.at:g} s" if isinstance(next_try, RestartAt) else "no more tries"
        )
        times = "once" if row.crash_count == 1 else f"{row.crash_count} times"
        return f"{instance_ref(row)} crashed {times}, {wait}: {row.crash_reason}"

    def _placement_verdict(self, now: float) -> Verdict | None:
        for row in sorted(self.rows.values(), key=lambda row: row.index):
            since = self.refused_since.get(row.index)
            if not _is_refused(row):
                continue  # it shares its index with one that is
            if since is not None and now - since >= PLACEMENT_PATIENCE_S:
                ref, guid = instance_ref(row), self.desired.process_guid
                message = (
                    f"{ref} could not be placed: {row.placement_error}. It will be when a cell "
                    f"has room: diegod explain {ref}; or: diegod lrp rm {guid}"
                )
                return Verdict(NOT_PLACED, message)
        return None

    def deadline(self, now: float) -> float | None:
        """When the verdict may change although nothing happens."""
        moments = [since + PLACEMENT_PATIENCE_S for since in self.refused_since.values()]
        moments += [since + SETTLING_S for since in self.up_since.values()]
        return min((each for each in moments if each > now), default=None)


def _is_refused(row: ActualLrp) -> bool:
    """Whether the brain found no place for it."""
    is_waiting = row.state == ActualLrp.UNCLAIMED and not row.placed_cell_id
    return is_waiting and bool(row.placement_error)


def _replaced_by(other: ActualLrp, row: ActualLrp) -> bool:
    same_place = (other.process_guid, other.index) == (row.process_guid, row.index)
    return (
        same_place and other.instance_guid != row.instance_guid and other.state == ActualLrp.CRASHED
    )
