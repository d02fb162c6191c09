"""What is fresh, and which instances only wait for that."""

import pytest

from diegod.models.domain_freshness import is_fresh, waits_for_freshness
from diegod.v1.definition_pb2 import LrpDefinition
from diegod.v1.record_pb2 import ActualLrp, DesiredLrp, Domain

SECOND = 1_000_000_000


def until(seconds: int, ttl_s: int = 60) -> Domain:
    row = Domain(domain="shop", ttl_s=ttl_s)
    row.fresh_until.seconds = seconds
    return row


@pytest.mark.parametrize(
    ("name", "row", "fresh"),
    [
        ("default", None, True),
        ("default", until(1), True),
        ("shop", None, False),
        ("shop", until(0, ttl_s=0), True),
        ("shop", until(101), True),
        ("shop", until(100), False),
    ],
)
def test_freshness(name: str, row: Domain | None, fresh: bool) -> None:
    assert is_fresh(name, row, 100 * SECOND) == fresh


def lrp(**fields: object) -> DesiredLrp:
    return DesiredLrp(process_guid="web", instances=2, scaled_revision=10, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("desired", "index", "adopted", "waits"),
    [
        (None, 0, 0, True),
        (lrp(), 1, 11, False),
        (lrp(), 2, 11, True),
        (lrp(), 2, 9, False),
        (lrp(), 2, 0, False),
        (lrp(stopped=True), 0, 11, True),
        (lrp(removing=True), 0, 0, False),
        (lrp(mode=LrpDefinition.GLOBAL), 7, 11, False),
        (lrp(mode=LrpDefinition.GLOBAL, stopped=True), 7, 11, True),
    ],
)
def test_only_what_nobody_asked_to_go_waits(
    desired: DesiredLrp | None, index: int, adopted: int, waits: bool
) -> None:
    row = ActualLrp(process_guid="web", index=index, adopted_revision=adopted)
    assert waits_for_freshness(row, desired) == waits
