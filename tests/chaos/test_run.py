"""A short run with real processes, and runs that are ended: by a signal, by a kill."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos import places
from tests.cluster.waiting import until

pytestmark = [pytest.mark.root, pytest.mark.timeout(400)]

ROOT = Path(__file__).parents[2]
KINDS = "SIGKILL of one,full partition,failpoint after_commit"


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tests.chaos", *arguments]


def start(output: Path) -> "subprocess.Popen[bytes]":
    """A run that would take long."""
    with output.open("wb") as file:
        return subprocess.Popen(
            command("--minutes", "5", "--kinds", "SIGSTOP"),
            cwd=ROOT,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def run_of(process: "subprocess.Popen[bytes]", output: Path) -> str:
    """Its id, once its members run and the first fault has been there."""

    def struck() -> bool:
        assert process.poll() is None, output.read_text()
        return " s  " in output.read_text()

    until("a first fault", struck, within_s=120.0)
    found = re.search(r"^run ([0-9a-f]{6}), ", output.read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def test_a_short_run_is_clean_and_leaves_nothing() -> None:
    done = subprocess.run(
        command("--minutes", "0.3", "--seed=3", "--faults", "4", "--kinds", KINDS, "--unhurried"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [run] = re.findall(r"^run ([0-9a-f]{6}), seed 3: ", done.stdout, re.MULTILINE)
    assert places.traces(run) == []
    [report] = (ROOT / ".cache" / "chaos").glob(f"{run}-seed-3/report.json")
    told = json.loads(report.read_text())
    assert told["problems"] == []
    assert {kind: row["observed"] > 0 for kind, row in told["faults"].items()} == {
        "SIGKILL of one": True,
        "full partition of one": True,
        "failpoint after_commit": True,
    }
    assert told["keys"] > 5
    assert told["changes"] > 100


def test_a_run_that_is_told_to_end_leaves_nothing(tmp_path: Path) -> None:
    process = start(tmp_path / "output")
    try:
        run = run_of(process, tmp_path / "output")
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(60.0) == 128 + signal.SIGTERM
    finally:
        process.kill()
        process.wait()
    assert places.traces(run) == []


def test_what_a_killed_run_leaves_is_removed_by_the_next(tmp_path: Path) -> None:
    process = start(tmp_path / "output")
    try:
        run = run_of(process, tmp_path / "output")
    finally:
        process.kill()
        process.wait()
    left = places.traces(run)
    assert any(trace.startswith("network namespace") for trace in left)
    assert any(trace.startswith("mount") for trace in left)
    assert run in places.remove_dead_runs()
    until(f"nothing of {run} is left", lambda: not places.traces(run))
