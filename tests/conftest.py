"""What the whole run keeps to, on each machine.

- A test marked `root` is skipped where it can't run, with the reason.
- What needs the machine for itself runs one test after the other: under `-n 2` one worker has all
  of it (`scheduling.py`).
- The run ends with one line that counts what was skipped, by reason. On CI, as root, a skipped test
  fails the run: there nothing may be missing.
- The run fails if it leaves something behind on the machine.
- Ctrl-C works, also where the run was started in the background by a shell that ignores it there,
  and with it every program that is started.
"""

import os
import signal
from collections import Counter

import pytest

from tests import leaks, needs, skips
from tests.scheduling import MachineScheduling

_BEFORE = pytest.StashKey[frozenset[str]]()
_OTHERS = pytest.StashKey[list[str]]()
_COMPLAINTS = pytest.StashKey[list[str]]()


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> MachineScheduling:
    return MachineScheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        is_root = item.get_closest_marker("root") is not None
        if is_root and (reason := needs.lacking()):
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_sessionstart(session: pytest.Session) -> None:
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if _is_worker(session.config):
        return
    os.environ[leaks.RUN_VARIABLE] = str(os.getpid())  # inherited by workers and all they start
    session.config.stash[_BEFORE] = leaks.snapshot(str(os.getpid()))


@pytest.hookimpl(trylast=True)  # after xdist has ended its workers
def pytest_sessionfinish(session: pytest.Session) -> None:
    if _is_worker(session.config) or _BEFORE not in session.config.stash:
        return
    session.config.stash[_OTHERS] = list(leaks.others(str(os.getpid())))[:1]
    complaints = [
        *(f"left behind: {thing}" for thing in _left_behind(session.config)),
        *(f"skipped on CI: {count} × {why}" for why, count in _forbidden_skips(session.config)),
    ]
    session.config.stash[_COMPLAINTS] = complaints
    if complaints and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    skipped = _skipped(config)
    if skipped:
        passed = len(terminalreporter.getreports("passed"))
        terminalreporter.write_line(skips.line(passed, skipped))
    for other in config.stash.get(_OTHERS, []):
        terminalreporter.write_line(f"links, mounts and the like not checked, because of {other}")
    for complaint in config.stash.get(_COMPLAINTS, []):
        terminalreporter.write_line(complaint, red=True)


def _left_behind(config: pytest.Config) -> list[str]:
    return leaks.left_behind(str(os.getpid()), config.stash[_BEFORE])


def _forbidden_skips(config: pytest.Config) -> list[tuple[str, int]]:
    is_strict = os.environ.get("CI") == "true" and os.geteuid() == 0
    return sorted(_skipped(config).items()) if is_strict else []


def _skipped(config: pytest.Config) -> Counter[str]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return skips.reasons(reporter.getreports("skipped")) if reporter else Counter()


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")
