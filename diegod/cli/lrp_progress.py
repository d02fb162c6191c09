"""Is an LRP up? What a watcher has seen so far, and what it means for the command. Pure.

Time is handed in. Does not belong here: watching and printing (`lrp_watch.py`).
"""

from dataclasses import dataclass, field

from diegod.cli.errors import DONE, FAILED, NOT_PLACED
from diegod.cli.views import instance_ref, instance_state, port_mappings
from diegod.models.restart import IMMEDIATE_RESTARTS, RestartAt, restart
from diegod.v1.record_pb2 import ActualLrp, Change, DesiredLrp

#: A placement error may be over at the next auction; one that lasts this long is reported.
PLACEMENT_PATIENCE_S = 3.0


@dataclass(frozen=True)
class Verdict:
    """The end of waiting: the command's exit status and what to tell."""

    status: int
    message: str


@dataclass
class Progress:
    """One LRP on its way up. `now` is any clock that does not jump."""

    desired: DesiredLrp
    began_at: float
    removed: bool = False
    rows: dict[str, ActualLrp] = field(default_factory=dict)  # by instance_guid
    refused_since: dict[int, float] = field(default_factory=dict)  # by index: can't be placed
    announced: set[str] = field(default_factory=set)

    def observe(self, change: Change, now: float) -> list[str]:
        """Take note of one change; lines to show for it."""
        if change.HasField("desired_lrp"):
            self.removed = change.verb == Change.REMOVED
            if not self.removed:
                self.desired = change.desired_lrp
            return []
        row = change.actual_lrp
        if change.verb == Change.REMOVED:
            self.rows.pop(row.instance_guid, None)
            return []
        self._forget_earlier(row)
        self.rows[row.instance_guid] = row
        self._note_refusal(row, now)
        return self._lines(row, now)

    def _forget_earlier(self, row: ActualLrp) -> None:
        """An instance that is to be placed again has a new guid and no other row of its own."""
        if row.state != ActualLrp.UNCLAIMED:
            return
        for guid in [g for g, other in self.rows.items() if _replaced_by(other, row)]:
            del self.rows[guid]

    def _note_refusal(self, row: ActualLrp, now: float) -> None:
        if row.state == ActualLrp.UNCLAIMED and row.placement_error and not row.placed_cell_id:
            self.refused_since.setdefault(row.index, now)
        else:
            self.refused_since.pop(row.index, None)

    def _lines(self, row: ActualLrp, now: float) -> list[str]:
        if not self._is_up(row) or row.instance_guid in self.announced:
            return []
        self.announced.add(row.instance_guid)
        words = [
            instance_ref(row),
            row.cell_id,
            instance_state(row),
            f"after {now - self.began_at:.1f} s",
            port_mappings(row),
        ]
        return ["  " + "  ".join(word for word in words if word)]

    def _is_up(self, row: ActualLrp) -> bool:
        """Running, by this definition, and staying."""
        return (
            row.state == ActualLrp.RUNNING
            and row.presence == ActualLrp.ORDINARY
            and row.definition_revision == self.desired.definition_revision
            and row.index < self.desired.instances
            and not row.stopping
        )

    def verdict(self, now: float) -> Verdict | None:
        """What has come of it; None while it may still come up."""
        guid, wanted = self.desired.process_guid, self.desired.instances
        if self.removed:
            return Verdict(FAILED, f"{guid} was removed meanwhile")
        up = {row.index for row in self.rows.values() if self._is_up(row)}
        if len(up) >= wanted:
            return Verdict(DONE, f"{guid} is running: {len(up)} of {wanted}")
        for row in sorted(self.rows.values(), key=lambda row: row.index):
            if self._crashes_repeatedly(row):
                return Verdict(FAILED, self._crash_line(row))
        return self._placement_verdict(now)

    def _crashes_repeatedly(self, row: ActualLrp) -> bool:
        """Whether it is now kept waiting, after the restarts that come at once."""
        policy = self.desired.crash_policy
        given = policy.HasField("immediate_restarts")
        at_once = policy.immediate_restarts if given else IMMEDIATE_RESTARTS
        ours = row.definition_revision == self.desired.definition_revision
        return ours and row.state == ActualLrp.CRASHED and row.crash_count > at_once

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
            if since is not None and now - since >= PLACEMENT_PATIENCE_S:
                guid = self.desired.process_guid
                message = (
                    f"{instance_ref(row)} could not be placed: {row.placement_error}. "
                    f"It will be when a cell has room; or: diegod lrp rm {guid}"
                )
                return Verdict(NOT_PLACED, message)
        return None

    def deadline(self) -> float | None:
        """When the verdict may change although nothing happens."""
        if not self.refused_since:
            return None
        return min(self.refused_since.values()) + PLACEMENT_PATIENCE_S


def _replaced_by(other: ActualLrp, row: ActualLrp) -> bool:
    same_place = (other.process_guid, other.index) == (row.process_guid, row.index)
    return (
        same_place and other.instance_guid != row.instance_guid and other.state == ActualLrp.CRASHED
    )
