"""A pytest plugin: the tests run against one mutant, and what they noticed is written to a file.

    DIEGOD_MUTANT=NAME DIEGOD_MUTANT_REPORT=FILE pytest -p tests.mutants.plugin NODE…
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.mutants.surgery import Surgery, TargetVanished
from tests.mutants.table import MUTANTS

NAME_VARIABLE = "DIEGOD_MUTANT"
REPORT_VARIABLE = "DIEGOD_MUTANT_REPORT"
VANISHED_STATUS = 40
_SAYS_CHARACTERS = 300


class Witness:
    """What came of each test, and how often the mutant was reached."""

    def __init__(self, surgery: Surgery, report: Path) -> None:
        self._surgery = surgery
        self._report = report
        self._failed: list[dict[str, str]] = []
        self._passed: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        made = yield
        if call.excinfo is not None:
            self._failed.append(
                {
                    "node": item.nodeid,
                    "when": call.when,
                    "at": Path(str(call.excinfo.traceback[-1].path)).name,
                    "kind": type(call.excinfo.value).__name__,
                    "says": str(call.excinfo.value)[:_SAYS_CHARACTERS],
                }
            )
        elif call.when == "call":
            self._passed.append(item.nodeid)
        return made

    def pytest_sessionfinish(self) -> None:
        found = {
            "reached": self._surgery.reached,
            "stumbled": self._surgery.stumbled,
            "failed": self._failed,
            "passed": self._passed,
        }
        self._report.write_text(json.dumps(found), encoding="utf-8")


def pytest_configure(config: pytest.Config) -> None:
    """Before any test is imported: it imports the mutant."""
    surgery = Surgery()
    try:
        MUTANTS[os.environ[NAME_VARIABLE]].install(surgery)
    except TargetVanished as error:
        pytest.exit(str(error), VANISHED_STATUS)
    witness = Witness(surgery, Path(os.environ[REPORT_VARIABLE]))
    config.pluginmanager.register(witness, "mutant-witness")
