"""The times of an update policy, as the standing of an LRP and of its instances reads them."""

from collections.abc import Sequence

from diegod.models.standing.facts import seconds
from diegod.v1.record_pb2 import ActualLrp, DesiredLrp

MIN_HEALTHY_MS = 5_000
PROGRESS_DEADLINE_MS = 600_000


def min_healthy_s(lrp: DesiredLrp) -> float:
    given = lrp.update.HasField("min_healthy_ms")
    return (lrp.update.min_healthy_ms if given else MIN_HEALTHY_MS) / 1000


def progress_deadline(lrp: DesiredLrp, instances: Sequence[ActualLrp]) -> float | None:
    """When the rollout fails unless one more becomes healthy before; None: it never does."""
    given = lrp.update.HasField("progress_deadline_ms")
    limit_ms = lrp.update.progress_deadline_ms if given else PROGRESS_DEADLINE_MS
    if not limit_ms:
        return None
    healthy = [seconds(row.since) for row in instances if is_new_and_runs(row, lrp)]
    return max([seconds(lrp.rollout.began_at), *healthy]) + limit_ms / 1000


def is_new_and_runs(row: ActualLrp, lrp: DesiredLrp) -> bool:
    return (
        row.state == ActualLrp.RUNNING
        and row.presence == ActualLrp.ORDINARY
        and row.definition_revision == lrp.definition_revision
    )
