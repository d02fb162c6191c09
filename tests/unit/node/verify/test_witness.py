"""What the witnesses read, from files that real shells and supervisors have written."""

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from diegod.node.dev.layout import Layout, Part
from diegod.node.verify.tally import Start
from diegod.node.verify.witness import InFile, InLogs, Witness, witness_of

RUN = "verify-12ab"


def layout(directory: Path, backend: str) -> Layout:
    parts = (Part("bbs-1", "bbs", 1), Part("cell-1", "cell", 2), Part("cell-2", "cell", 3))
    return Layout("dev", directory, backend, parts, "c-1")


@pytest.fixture
def in_file(tmp_path: Path) -> Iterator[Witness]:
    directory = tmp_path / "it's here"
    directory.mkdir()
    witness = witness_of(layout(directory, "exec"), RUN)
    assert isinstance(witness, InFile)
    yield witness
    witness.close()
    assert list(directory.iterdir()) == []


def run(witness: Witness, number: int) -> bytes:
    env = {"DIEGOD_TASK_GUID": f"{RUN}-{number}", "DIEGOD_ATTEMPT": "7", "DIEGOD_CELL_ID": "cell-1"}
    command = ["sh", "-c", witness.script(0.0)]
    return subprocess.run(
        command, env={**os.environ, **env}, check=True, capture_output=True
    ).stdout


def test_many_at_once_write_whole_lines(in_file: Witness) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: run(in_file, number), range(40)))
    starts = in_file.starts()
    assert sorted(each.guid for each in starts) == sorted(f"{RUN}-{n}" for n in range(40))
    assert {(each.attempt, each.cell) for each in starts} == {("7", "cell-1")}
    assert all(each.at.isdigit() for each in starts)


def test_a_second_start_is_a_second_line(in_file: Witness) -> None:
    run(in_file, 1)
    run(in_file, 1)
    assert [each.guid for each in in_file.starts()] == [f"{RUN}-1", f"{RUN}-1"]


def test_logs_are_read_where_they_are_and_where_they_were_kept(tmp_path: Path) -> None:
    witness = witness_of(layout(tmp_path, "runc"), RUN)
    assert isinstance(witness, InLogs)
    _log(tmp_path, "cell-1", f"containers/t-{RUN}-0001-5/container.log", "0001", "5")
    _log(tmp_path, "cell-1", f"logs/t-{RUN}-0001-5.log", "0001", "5")  # the same file, kept
    _log(tmp_path, "cell-2", f"logs/t-{RUN}-0002-9.log", "0002", "9")
    _log(tmp_path, "cell-2", "logs/t-verify-other-0002-9.log", "0002", "9")
    assert witness.starts() == [
        Start(f"{RUN}-0001", "5", "cell-1", "boot", "1700"),
        Start(f"{RUN}-0002", "9", "cell-2", "boot", "1700"),
    ]


def test_the_same_container_started_twice_has_two_lines_in_its_log(tmp_path: Path) -> None:
    name = f"logs/t-{RUN}-0001-5.log"
    _log(tmp_path, "cell-1", name, "0001", "5")
    _log(tmp_path, "cell-1", name, "0001", "5")
    assert len(InLogs(layout(tmp_path, "runc"), RUN).starts()) == 2


def test_the_program_of_a_container_writes_the_line_to_its_output(tmp_path: Path) -> None:
    line = run(InLogs(layout(tmp_path, "runc"), RUN), 3).decode()
    start = Start.of_line(line)
    assert start is not None
    assert (start.guid, line.count("\n")) == (f"{RUN}-3", 1)


def _log(directory: Path, cell: str, name: str, number: str, attempt: str) -> None:
    path = directory / "parts" / cell / "data" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as log:
        line = f"{RUN}-{number} {attempt} {cell} boot 1700"
        log.write(f"2026-11-22T08:55:14.2+00:00 stdout F {line}\n")
        log.write("2026-11-22T08:55:15.2+00:00 stderr F something else\n")
