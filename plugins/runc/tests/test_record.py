"""What is remembered of a container."""

from pathlib import Path

import pytest
from diegod.contracts.backend import BackendError

from diegod_runc.procfs import Process
from diegod_runc.record import Record, Records, bundle_of

RECORD = Record("l-web-0", "preloaded:busybox", "boot-1", "10.1.0.2", {"61001": 8080})


@pytest.fixture
def records(tmp_path: Path) -> Records:
    made = Records(tmp_path / "state")
    made.open()
    directory = tmp_path / "l-web-0"
    bundle_of(directory).mkdir(parents=True)
    made.register("l-web-0", directory)
    return made


def test_round_trip(records: Records) -> None:
    created = RECORD.created(Process(4211, 77), Process(4210, 76))
    records.save(created)
    assert records.load("l-web-0") == created
    assert records.handles() == ["l-web-0"]


def test_a_pid_counts_only_in_its_own_boot() -> None:
    created = RECORD.created(Process(4211, 77), None)
    assert created.process("boot-1") == Process(4211, 77)
    assert created.process("boot-2") is None
    assert created.conmon("boot-1") is None
    assert RECORD.process("boot-1") is None


def test_half_a_file_is_no_record(records: Records, tmp_path: Path) -> None:
    (bundle_of(tmp_path / "l-web-0") / "container.json").write_text('{"handle": "l-w')
    assert records.load("l-web-0") is None


def test_what_was_forgotten_is_not_saved_again(records: Records, tmp_path: Path) -> None:
    records.forget("l-web-0")
    records.forget("l-web-0")
    records.save(RECORD)
    assert records.load("l-web-0") is None
    assert list(bundle_of(tmp_path / "l-web-0").iterdir()) == []


@pytest.mark.parametrize("handle", ["", ".", "..", "...", "a/b", "x" * 129, "a b", "ä"])
def test_a_handle_is_a_file_name(records: Records, tmp_path: Path, handle: str) -> None:
    with pytest.raises(BackendError):
        records.register(handle, tmp_path)
    assert records.directory(handle) is None
