"""Crash-point records on disk."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from diegod.cellruntime.core.crash_points import Phase, Record, StopRule, Verb, Verdict
from diegod.cellruntime.core.keys import InstanceKey, TaskKey
from diegod.cellruntime.records import FileRecords, decode, encode
from diegod.contracts.backend import PortSpec
from diegod.v1.record_pb2 import Task

T = TypeVar("T")

TASK = Record(
    "t-job-7",
    TaskKey("job", 7),
    Phase.ENDING,
    row_revision=9,
    fencing_token=8,
    memory_mb=64,
    disk_mb=10,
    started_boottime_s=12.5,
    result_file="/tmp/result.json",
    verdict=Verdict(
        Verb.COMPLETE,
        "timed out",
        failed=True,
        exit_status=None,
        failure=Task.TIMED_OUT,
        result="42",
    ),
)
INSTANCE = Record(
    "l-i9",
    InstanceKey("web", 2, "i9"),
    Phase.STARTED,
    ports=(PortSpec("http", 8080, 61000),),
    address="10.9.0.3",
    stop=StopRule("INT", 3.0),
)


async def at_once(function: Callable[[], T]) -> T:
    return function()


def records(folder: Path) -> FileRecords:
    return FileRecords(folder, at_once)


@pytest.mark.parametrize("record", [TASK, INSTANCE])
def test_what_is_written_is_read(record: Record) -> None:
    assert decode(encode(record)) == record


def test_a_record_of_an_agent_that_knew_no_results_is_read() -> None:
    envelope = json.loads(encode(TASK))
    del envelope["record"]["result_file"]
    for field in ("failure", "result"):
        del envelope["record"]["verdict"][field]
    record = decode(json.dumps(envelope).encode())
    assert (record.handle, record.phase, record.result_file) == ("t-job-7", Phase.ENDING, "")
    assert record.verdict == Verdict(Verb.COMPLETE, "timed out", failed=True)


async def test_the_last_record_of_each_container_is_loaded(tmp_path: Path) -> None:
    disk = records(tmp_path / "records")
    assert await disk.load() == []
    await disk.write(TASK)
    await disk.write(INSTANCE)
    later = Record("l-i9", INSTANCE.key, Phase.ENDING, verdict=Verdict(Verb.CRASH, "gone"))
    await disk.write(later)
    assert await records(tmp_path / "records").load() == [later, TASK]
    await disk.remove("l-i9")
    await disk.remove("l-i9")
    assert await disk.load() == [TASK]


async def test_a_write_that_was_cut_off_leaves_the_old_record(tmp_path: Path) -> None:
    disk = records(tmp_path)
    await disk.write(TASK)
    (tmp_path / "t-job-7.json.new").write_bytes(b'{"format": 1, "rec')
    assert await disk.load() == [TASK]
    assert [path.name for path in tmp_path.iterdir()] == ["t-job-7.json"]


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00\xff", b"[]", b'{"format": 2, "record": {}}', b'{"format": 1, "record": {}}'],
)
async def test_a_record_that_can_not_be_read_counts_as_started(
    tmp_path: Path, content: bytes
) -> None:
    """So that whatever it was about is adopted or given up, and never started."""
    (tmp_path / "t-job-7.json").write_bytes(content)
    assert await records(tmp_path).load() == [Record("t-job-7", TaskKey("job", 7), Phase.STARTED)]


async def test_a_full_disk_is_an_error_and_keeps_the_old_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = records(tmp_path)
    await disk.write(TASK)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        await disk.write(Record("t-job-7", TASK.key, Phase.STARTED))
    assert await disk.load() == [TASK]


async def test_file_and_folder_are_synced_before_it_is_said_to_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    synced: list[str] = []
    monkeypatch.setattr(
        "os.fsync", lambda fd: synced.append(os.path.basename(os.readlink(f"/proc/self/fd/{fd}")))
    )
    await records(tmp_path).write(TASK)
    assert synced == ["t-job-7.json.new", tmp_path.name]


def test_no_secret_is_in_a_record() -> None:
    """Definitions, and with them environments, never reach this disk."""
    fields = json.loads(encode(INSTANCE))["record"]
    assert not {"definition", "env", "environment_variables"} & set(fields)
