"""The scheduling part that is made of a definition."""

import pytest

from diegod.models.admission import fill_defaults, lrp_row, task_row
from diegod.models.rows import rootfs_provider
from diegod.v1.record_pb2 import PlacementNeeds, Resources, Task
from tests.unit.models.definitions import a_full_lrp, a_full_task, a_task


def test_a_task_row_has_what_the_brain_reads_and_not_the_definition() -> None:
    row = task_row(a_full_task())
    assert (row.task_guid, row.domain, row.state) == ("nightly-report", "shop", Task.PENDING)
    assert row.needs == PlacementNeeds(
        resources=Resources(memory_mb=64, disk_mb=0, containers=1),
        rootfs_provider="dir",
        placement_tags=["batch", "null"],
        strategy="binpack",
        cell_id="c7",
    )
    assert (row.start_deadline_ms, row.execution_timeout_ms) == (1000, 5000)
    assert (row.retention_ms, row.max_placement_attempts) == (0, 1)
    assert not row.HasField("definition")


def test_an_lrp_row_carries_the_crash_policy() -> None:
    definition = a_full_lrp()
    row = lrp_row(definition)
    assert (row.process_guid, row.domain, row.instances) == ("web", "shop", 0)
    assert row.crash_policy == definition.crash_policy
    assert (row.mode, row.update) == (definition.mode, definition.update)
    assert list(row.depends_on) == list(definition.depends_on)
    assert row.needs.cell_id == "c1"
    assert not row.HasField("definition")


def test_the_order_of_tags_in_the_file_does_not_show() -> None:
    one, other = a_task(placement_tags=["b", "a"]), a_task(placement_tags=["a", "b"])
    for definition in (one, other):
        fill_defaults(definition)
    assert task_row(one) == task_row(other)


@pytest.mark.parametrize(
    ("rootfs", "provider"),
    [("preloaded:busybox", "preloaded:busybox"), ("dir:/srv/rootfs", "dir")],
)
def test_what_a_cell_must_offer(rootfs: str, provider: str) -> None:
    assert rootfs_provider(rootfs) == provider
