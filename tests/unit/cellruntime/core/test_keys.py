"""Handles: unique, short enough, and readable backwards."""

from diegod.cellruntime.core.keys import (
    InstanceKey,
    StrayKey,
    TaskKey,
    key_of_handle,
    task_handle_prefix,
)


def test_handles() -> None:
    assert TaskKey("nightly-report", 7).handle == "t-nightly-report-7"
    assert InstanceKey("web", 2, "i1f").handle == "l-i1f"


def test_the_longest_guid_still_makes_a_handle_that_backends_take() -> None:
    key = TaskKey("g" * 128, 2**64 - 1)
    assert len(key.handle) <= 128
    assert key.handle != TaskKey("g" * 128, 2**64 - 2).handle
    assert key.handle.startswith(task_handle_prefix("g" * 128))


def test_a_handle_tells_its_key() -> None:
    assert key_of_handle("t-nightly-report-7") == TaskKey("nightly-report", 7)
    assert key_of_handle("l-i1f") == InstanceKey("", 0, "i1f")
    for handle in ("trial-9", "t-x", "t--7", "l-", ""):
        assert key_of_handle(handle) == StrayKey(handle)
