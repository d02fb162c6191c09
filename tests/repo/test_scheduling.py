"""One worker has all that needs the machine, whatever pytest and xdist make of each other."""

import re
import subprocess
import sys

from tests.repo import tree
from tests.scheduling import MACHINE_PATHS, needs_the_machine


def test_what_needs_the_machine_runs_in_one_worker() -> None:
    """A real run with two workers, of tests that need nothing."""
    command = [sys.executable, "-m", "pytest", "-n", "2", "-v", "-p", "no:cacheprovider"]
    paths = ["tests/cluster/test_demo.py", "tests/unit/models/test_restart.py"]
    chosen = "steps_are_listed or only_a_step or test_restart"
    run = subprocess.run(
        [*command, "-k", chosen, *paths], cwd=tree.ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    workers = re.findall(r"\[(gw\d)\].* PASSED tests/cluster/", run.stdout)
    assert len(workers) == 2
    assert len(set(workers)) == 1


def test_tests_that_need_the_machine_lie_where_it_is_known() -> None:
    for path in MACHINE_PATHS:
        assert (tree.ROOT / path).exists(), path
    assert needs_the_machine("tests/cluster/test_tasks.py::test_x[runc]")
    assert not needs_the_machine("tests/unit/models/test_restart.py::test_x")
