"""`make demo`, as people use it: to its end, broken by hand, stopped by Ctrl-C, killed."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.demo import leftovers, processes, snapshot
from tests.demo.places import ROOT, Places
from tests.demo.snapshot import Mine
from tests.demo.steps import STEPS

PLACES = Places()
COMMAND = [sys.executable, "-m", "tests.demo"]
ALL_S = 90.0
SOON_S = 60.0


class Demo:
    """One run of it, with what it prints."""

    def __init__(self, printed: Path, **variables: str) -> None:
        self._printed = printed
        with printed.open("wb") as output:
            self.process = subprocess.Popen(
                COMMAND,
                cwd=ROOT,
                env=without_breaks(os.environ) | variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self._printed.read_text()

    def until(self, text: str) -> None:
        give_up = time.monotonic() + SOON_S
        while text not in self.output:
            assert self.process.poll() is None, self.output
            assert time.monotonic() < give_up, self.output
            time.sleep(0.05)

    def status(self, timeout_s: float = SOON_S) -> int:
        return self.process.wait(timeout_s)


def without_breaks(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name != "DIEGOD_DEMO_BREAK"}


@pytest.fixture
def demos(tmp_path: Path) -> Iterator["Demos"]:
    started = Demos(tmp_path)
    try:
        yield started
    finally:
        started.end()


class Demos:
    """Starts demos; at the end none is left, and nothing of any."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[Demo] = []

    def start(self, **variables: str) -> Demo:
        printed = self._folder / f"{len(self._started)}.out"
        self._started.append(Demo(printed, **variables))
        return self._started[-1]

    def end(self) -> None:
        for demo in self._started:
            demo.process.kill()
            demo.process.wait()
        asyncio.run(leftovers.remove(PLACES))


def require_nothing_left() -> None:
    """By what names the demo's folder; the rest is checked once for the whole run."""
    assert [one.command for one in processes.about(PLACES.folder)] == []
    now = snapshot.take(Mine(PLACES.folder))
    assert [mount for mount in now["mounts"] if str(PLACES.folder) in mount] == []
    assert not PLACES.cluster.exists()


@pytest.mark.root
@pytest.mark.timeout(2 * ALL_S)
def test_all_is_seen(demos: Demos) -> None:
    began = time.monotonic()
    demo = demos.start()
    assert demo.status(2 * ALL_S) == 0, demo.output
    assert time.monotonic() - began < ALL_S
    require_nothing_left()
    told = json.loads(PLACES.json_file.read_text())
    assert told["passed"] is True
    assert [step["step"] for step in told["steps"]] == [step.name for step in STEPS]
    assert all(step["seen"] and step["failure"] is None for step in told["steps"])
    count = sum(len(step["seen"]) for step in told["steps"])
    assert f"{count} of {count} seen in " in demo.output
    assert "\x1b" not in demo.output  # nobody watches on a terminal


@pytest.mark.root
def test_a_stranger_with_a_certificate_is_noticed(demos: Demos) -> None:
    demo = demos.start(DIEGOD_DEMO_BREAK="cluster")
    assert demo.status() == 1
    assert failed_at() == "cluster", demo.output
    assert "a client with one of another CA: let in by bbs-1" in demo.output
    require_nothing_left()


@pytest.mark.root
@pytest.mark.timeout(2 * SOON_S)
def test_after_a_kill_the_next_one_removes_what_is_left_and_still_notices_a_second_start(
    demos: Demos,
) -> None:
    killed = demos.start()
    killed.until("web/0 on ")
    killed.process.kill()
    killed.process.wait()
    assert processes.about(PLACES.cluster) != []
    demo = demos.start(DIEGOD_DEMO_BREAK="task")
    assert demo.status() == 1
    assert "what an earlier demo left was ended and removed" in demo.output
    assert failed_at() == "task", demo.output
    assert "greeting was started 2 times" in demo.output
    require_nothing_left()


@pytest.mark.root
@pytest.mark.timeout(2 * SOON_S)
def test_ctrl_c_cleans_up(demos: Demos) -> None:
    demo = demos.start()
    demo.until("web/0 on ")
    second = demos.start()
    assert second.status() == 1
    assert f"demo: a demo of this clone runs already (pid {demo.process.pid})" in second.output
    os.killpg(demo.process.pid, signal.SIGINT)
    assert demo.status() == 130, demo.output
    assert "nothing is left behind" in demo.output
    assert "Traceback" not in demo.output
    require_nothing_left()


def failed_at() -> str:
    """The step that failed, by demo.json; only the last one that was begun can have."""
    told = json.loads(PLACES.json_file.read_text())
    assert told["passed"] is False
    assert all(step["failure"] is None for step in told["steps"][:-1])
    assert told["steps"][-1]["failure"]
    return str(told["steps"][-1]["step"])


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = without_breaks(os.environ) | variables
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_steps_are_listed() -> None:
    listed = run("--steps")
    assert listed.returncode == 0
    assert [f"DIEGOD_DEMO_BREAK={step.name}: " in listed.stdout for step in STEPS] == [True] * 9


def test_only_a_step_can_be_broken() -> None:
    said = run(DIEGOD_DEMO_BREAK="everything")
    assert said.returncode == 2
    assert said.stderr.count("\n") == 1
    assert "everything is no step; steps are cluster, task, web" in said.stderr


def test_without_runc_there_is_no_demo(tmp_path: Path) -> None:
    said = run(PATH=str(tmp_path))
    assert said.returncode == 1
    assert said.stdout == ""
    assert said.stderr.startswith("demo: the demo needs ")
    assert said.stderr.count("\n") == 1
