"""The demo from beginning to end: what it needs, its steps in order, what is left at the end."""

import asyncio
import os
import platform
import re
import shutil
import signal
import sys
from contextlib import suppress

from diegod.contracts.backend import BackendError
from diegod.models.errors import DomainError
from diegod.node.dev.control import NotRunningError
from diegod.telemetry import logs
from tests import needs
from tests.demo import leftovers, sabotage, snapshot
from tests.demo.cluster import output
from tests.demo.leftovers import DemoError
from tests.demo.places import Places
from tests.demo.report import NotSeen, Report
from tests.demo.snapshot import Mine
from tests.demo.stage import Stage
from tests.demo.steps import STEPS

_INTERRUPTED = 128 + signal.SIGINT


async def run(broken: str) -> int:
    """The exit status: 0 if all was seen, 1 if not, 130 after Ctrl-C. DemoError: it can't begin."""
    logs.configure("console", "error")
    places = Places()
    _require_runc(places)
    with leftovers.only_one(places):
        places.make()
        for old in (places.strangers, places.failed_logs):
            shutil.rmtree(old, ignore_errors=True)
        report = Report(sys.stdout)
        about = await _about()
        report.say(f"diegod demo · {' · '.join(about.values())}")
        if await leftovers.remove(places):
            report.say("what an earlier demo left was ended and removed")
        before = await asyncio.to_thread(snapshot.take, Mine(places.folder))
        steps = {step.name: step.sabotage for step in STEPS}
        return await _shown(Stage(places, report, before, broken, steps), about)


def _require_runc(places: Places) -> None:
    """Real containers or nothing: a demo that fell back to plain processes would show nothing."""
    if why := needs.lacking():
        raise DemoError(f"the demo {why}: it shows real containers, and nothing in their place")
    if places.are_too_deep:
        raise DemoError(f"{places.cluster} is too long for sockets; put the clone higher up")


async def _about() -> dict[str, str]:
    """What this runs on: the first line of the demo."""
    system = platform.freedesktop_os_release()
    runc, conmon = [await output(tool, "--version") for tool in ("runc", "conmon")]
    return {
        "host": f"{system['NAME'].split(' ')[0]} {system.get('VERSION_ID', '')}, "
        f"{os.cpu_count()} cores",
        "tools": f"runc {_version(runc)}, conmon {_version(conmon)}",
    }


def _version(told: str) -> str:
    found = re.search(r"\d+(\.\d+)+", told)
    return found[0] if found else "?"


async def _shown(stage: Stage, about: dict[str, str]) -> int:
    """The steps, the end, the last line. The first Ctrl-C ends it well, the second at once."""
    steps = asyncio.create_task(_steps(stage))
    came = _on_signals(steps)
    failed = True
    try:
        failed = not await steps
    except asyncio.CancelledError:
        stage.report.say("interrupted: stopping the cluster, removing its containers")
    finally:
        is_clean = await _end(stage)
    passed = not failed and not came and is_clean
    stage.report.write(stage.places.json_file, passed, about)
    stage.report.say(_last_line(stage, passed, bool(came), is_clean))
    return 0 if passed else _INTERRUPTED if came else 1


def _on_signals(steps: "asyncio.Task[bool]") -> list[int]:
    came: list[int] = []

    def handle(number: int) -> None:
        came.append(number)
        if len(came) > 1:
            print("demo: left at once; the next `make demo` removes what stays", file=sys.stderr)
            os._exit(128 + number)
        steps.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, handle, number)
    return came


async def _steps(stage: Stage) -> bool:
    """Whether all was seen; the first step that was not is the last."""
    for step in STEPS:
        stage.begin(step.name)
        try:
            await step.run(stage)
        except NotSeen as unseen:
            stage.report.not_seen(str(unseen))
            return False
        except (BackendError, DomainError, NotRunningError, OSError) as error:
            stage.report.not_seen(f"{type(error).__name__}: {error}")
            return False
        finally:
            stage.report.end()
    return True


async def _end(stage: Stage) -> bool:
    """Whether nothing is left, also when the steps did not get that far."""
    mine = stage.mine
    sabotage.undo(stage)
    with suppress(NotSeen):
        await stage.close()
    await stage.cluster.stop()
    if stage.report.steps and stage.report.steps[-1].failure:
        _keep_logs(stage.places)
    await leftovers.remove(stage.places)
    left = await snapshot.differences(stage.before, mine, alone=stage.alone)
    for thing in left:
        stage.report.say(f"demo: {thing}")
    return not left


def _keep_logs(places: Places) -> None:
    """What the parts have logged, for whoever wants to know why; the rest is removed."""
    places.failed_logs.mkdir(exist_ok=True)
    for log in places.cluster.glob("parts/*/log"):
        shutil.copy(log, places.failed_logs / f"{log.parent.name}.log")


def _last_line(stage: Stage, passed: bool, interrupted: bool, is_clean: bool) -> str:
    report = stage.report
    if passed:
        return (
            f"{report.count} of {report.count} seen in {report.seconds:.0f} s.  "
            "Now try:  . .venv/bin/activate && diegod dev"
        )
    rest = "nothing is left behind" if is_clean else "not all could be removed"
    if interrupted:
        return f"interrupted after {report.seconds:.0f} s; {rest}"
    return (
        f"failed at step {report.steps[-1].name} after {report.seconds:.0f} s; {rest}. "
        f"Logs of the parts: {stage.places.failed_logs}"
    )
