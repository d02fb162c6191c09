"""The run's last line about skipped tests, and what CI makes of them."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests import needs, skips

ROOT = Path(__file__).parents[2]


def test_the_line_counts_by_reason() -> None:
    skipped = Counter({"needs root": 51, "needs dockerd": 7})
    assert skips.line(612, skipped) == "612 passed, 58 skipped: 51 need root, 7 need dockerd"


def test_one_needs_and_other_reasons_stand_as_they_are() -> None:
    skipped = Counter({"needs root": 1, "not on this file system": 1})
    assert skips.line(3, skipped) == "3 passed, 2 skipped: 1 needs root, 1 not on this file system"


def run_a_test(folder: Path, source: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Our conftest on a test file of its own."""
    (folder / "test_one.py").write_text(source)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tests.conftest",
        "-p",
        "no:cacheprovider",
        ".",
    ]
    kept = {key: os.environ[key] for key in os.environ if key not in {"CI", "PYTEST_XDIST_WORKER"}}
    return subprocess.run(
        command, cwd=folder, env=kept | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


SKIPPED = "import pytest\ndef test_a(): pytest.skip('needs dockerd')\ndef test_b(): pass\n"
LEAKING = "import subprocess\ndef test_a(): subprocess.Popen(['sleep', '60'])\n"


def test_a_run_says_what_it_skipped(tmp_path: Path) -> None:
    done = run_a_test(tmp_path, SKIPPED)
    assert done.returncode == 0
    assert "1 passed, 1 skipped: 1 needs dockerd" in done.stdout.splitlines()


@pytest.mark.root
def test_on_ci_a_skipped_test_fails_the_run(tmp_path: Path) -> None:
    done = run_a_test(tmp_path, SKIPPED, CI="true")
    assert done.returncode == 1
    assert "skipped on CI: 1 × needs dockerd" in done.stdout.splitlines()


def test_a_run_that_leaves_a_process_fails_and_names_it(tmp_path: Path) -> None:
    done = run_a_test(tmp_path, LEAKING)
    [line] = [line for line in done.stdout.splitlines() if line.startswith("left behind: process")]
    os.kill(int(line.split()[3].rstrip(":")), 9)
    assert done.returncode == 1
    assert "sleep 60" in line
    assert "test_one.py::test_a" in line


def test_root_tests_are_not_skipped_for_nothing() -> None:
    reason = needs.lacking()
    assert reason is None or reason.startswith("needs ")
    assert os.geteuid() == 0 or reason == "needs root"
