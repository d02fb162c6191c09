"""Has an LRP ended? What a watcher has seen of its instances going. Pure."""

from dataclasses import dataclass, field

from diegod.cli.record.views import instance_ref
from diegod.cli.terminal.errors import DONE, FAILED
from diegod.cli.terminal.verdict import Verdict
from diegod.v1.record_pb2 import ActualLrp, Change, DesiredLrp


@dataclass
class Ending:
    """One LRP on its way out; `removed`: its own row is to go too. `now` does not jump."""

    desired: DesiredLrp
    began_at: float
    removed: bool
    is_removed: bool = True  # until its row is seen
    rows: dict[str, ActualLrp] = field(default_factory=dict)  # by instance_guid

    def observe(self, change: Change, now: float) -> list[str]:
        """Take note of one change; lines to show for it."""
        if change.HasField("desired_lrp"):
            self.is_removed = change.verb == Change.REMOVED
            self.desired = change.desired_lrp
            return []
        row = change.actual_lrp
        if change.verb != Change.REMOVED:
            self.rows[row.instance_guid] = row
            return []
        self.rows.pop(row.instance_guid, None)
        where = row.cell_id or row.placed_cell_id
        words = [instance_ref(row), where, f"ended after {now - self.began_at:.1f} s"]
        return ["  " + "  ".join(word for word in words if word)]

    def verdict(self, now: float) -> Verdict | None:
        """What has come of it; None while something is left."""
        guid = self.desired.process_guid
        if not self.is_removed and self._is_wanted_again():
            return Verdict(FAILED, f"{guid} is wanted again: {self.desired.provenance.cause}")
        if self.rows or (self.removed and not self.is_removed):
            return None
        return Verdict(DONE, f"{guid} is gone" if self.removed else f"{guid} has no instance left")

    def _is_wanted_again(self) -> bool:
        """Somebody has started or applied it meanwhile. Whoever only waits for its end waits on."""
        return not self.removed and not self.desired.stopped

    def deadline(self, now: float) -> float | None:
        """Nothing changes by time alone."""
        return None
