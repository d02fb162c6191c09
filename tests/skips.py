"""The line about skipped tests: `612 passed, 58 skipped: 51 need root, 7 need dockerd`."""

from collections import Counter
from collections.abc import Sequence

import pytest


def reasons(reports: Sequence[pytest.TestReport | pytest.CollectReport]) -> Counter[str]:
    """How often each reason was given."""
    return Counter(_reason(report) for report in reports)


def line(passed: int, skipped: Counter[str]) -> str:
    said = ", ".join(_phrase(reason, count) for reason, count in skipped.most_common())
    return f"{passed} passed, {skipped.total()} skipped: {said}"


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """A skipped report carries (file, line, "Skipped: why")."""
    why = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return why.removeprefix("Skipped: ")


def _phrase(reason: str, count: int) -> str:
    if reason.startswith("needs "):
        verb = "needs" if count == 1 else "need"
        return f"{count} {verb} {reason.removeprefix('needs ')}"
    return f"{count} {reason}"
