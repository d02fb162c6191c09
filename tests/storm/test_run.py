"""A short storm with real processes and containers, which leaves nothing behind."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos import places

pytestmark = [pytest.mark.root, pytest.mark.timeout(400)]

ROOT = Path(__file__).parents[2]
TASKS = 60


def test_a_short_storm_is_clean_and_leaves_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.storm", f"--tasks={TASKS}", "--rate=3", "--seed=3"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [run] = re.findall(r"^run ([0-9a-f]{6}), seed 3: ", done.stdout, re.MULTILINE)
    assert places.traces(run) == []
    [report] = (ROOT / ".cache" / "storm").glob(f"{run}-seed-3/report.json")
    told = json.loads(report.read_text())
    assert told["problems"] == []
    assert told["as_wished"] > TASKS * 0.9
    assert len(told["events"]) >= 2
