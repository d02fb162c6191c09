"""What a run says: a table for people, and the same as JSON."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.chaos.nemesis import Event
from tests.checkers.history import Done, Operation, Refused


@dataclass
class Report:
    run: str
    seed: int
    minutes: float
    commit: str
    disks: str
    events: Sequence[Event]
    operations: Sequence[Operation]
    quiet_s: float
    quiet_rate: float
    unknown_share: float
    recovery_s_max: float
    leader_changes: int
    snapshots_taken_over: int
    watcher_breaks: int
    keys: int
    search_steps: int
    changes: int
    seconds: dict[str, float]
    problems: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        body = {name: value for name, value in vars(self).items() if name != "operations"}
        body["events"] = [asdict(event) for event in self.events]
        body["operations"] = dict(results(self.operations))
        body["faults"] = {
            kind: {"injected": injected, "observed": observed, "at_the_leader": leader}
            for kind, injected, observed, leader in fault_rows(self.events)
        }
        return body

    def lines(self) -> list[str]:
        return [
            f"run {self.run}, seed {self.seed}, commit {self.commit}, disks: {self.disks}",
            "",
            f"{'fault':<34} {'injected':>9} {'observed':>9} {'at the leader':>14}",
            *(
                f"{kind:<34} {injected:>9} {observed:>9} {leader:>14}"
                for kind, injected, observed, leader in self._rows_and_sum()
            ),
            "",
            *(f"{result:<34} {count:>9}" for result, count in results(self.operations)),
            f"{'operations':<34} {len(self.operations):>9}",
            f"{'unknown':<34} {self.unknown_share:>9.2%}",
            f"{'answered a second, outside faults':<34} {self.quiet_rate:>9.1f}"
            f"   ({self.quiet_s:.0f} s of them)",
            f"{'faults over, write acknowledged':<34} {self.recovery_s_max:>8.2f}s   (the slowest)",
            f"{'leaders':<34} {self.leader_changes:>9}",
            f"{'copies of the state taken over':<34} {self.snapshots_taken_over:>9}",
            f"{'breaks of watchers':<34} {self.watcher_breaks:>9}",
            f"{'changes in the feed':<34} {self.changes:>9}",
            f"{'keys searched':<34} {self.keys:>9}   ({self.search_steps} steps)",
            *(f"{name:<34} {seconds:>8.2f}s" for name, seconds in self.seconds.items()),
        ]

    def _rows_and_sum(self) -> list[tuple[str, int, int, int]]:
        rows = fault_rows(self.events)
        injected = sum(row[1] for row in rows)
        observed = sum(row[2] for row in rows)
        return [*rows, ("all", injected, observed, sum(row[3] for row in rows))]


def fault_rows(events: Sequence[Event]) -> list[tuple[str, int, int, int]]:
    """By kind: how often injected, how often observed, how many of those hit the leader."""
    rows = []
    for kind in sorted({event.kind for event in events}):
        of_kind = [event for event in events if event.kind == kind]
        observed = [event for event in of_kind if event.seen]
        rows.append((kind, len(of_kind), len(observed), sum(e.led for e in observed)))
    return rows


def results(operations: Sequence[Operation]) -> list[tuple[str, int]]:
    """Verb by verb, what came of it."""
    return sorted(Counter(f"{each.verb}: {_result(each)}" for each in operations).items())


def _result(operation: Operation) -> str:
    outcome = operation.outcome
    if isinstance(outcome, Done):
        return "done"
    return str(outcome.reason) if isinstance(outcome, Refused) else "unknown"
