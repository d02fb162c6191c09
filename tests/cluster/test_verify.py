"""`diegod verify once` as a person runs it, on real parts that are really killed."""

import os
import signal

import pytest

from tests.cluster.dev import ONLY_EXEC, Dev
from tests.cluster.terminal import ended
from tests.cluster.waiting import until

#: 15 s of faults, up to a minute until all has ended, on a busy machine.
LONG_S = 110.0


@pytest.mark.timeout(180)
def test_no_task_is_started_twice_and_every_end_is_known_or_explained(dev: Dev) -> None:
    done = dev.run(
        "verify", "once", "--tasks", "20", "--for", "15s", "--seed", "7", "-o", "json",
        timeout_s=LONG_S,
    ).succeeded()  # fmt: skip
    found = done.record
    assert (found["holds"], found["started_twice"], found["not_ended"]) == (True, {}, [])
    assert found["tasks"] == 20
    assert found["done"] + sum(found["failed"].values()) + len(found["unknown"]) == 20
    assert found["done"] > 0
    assert len(found["faults"]) > 0
    assert {part["ready"] for part in dev.parts().values()} == {True}
    left = dev.run("task", "ls", "-d", "verify", "-o", "json").succeeded().records
    assert all(task["failed"] for task in left)


@ONLY_EXEC
@pytest.mark.timeout(180)
def test_ctrl_c_leaves_no_part_dead_and_no_task_under_way(dev: Dev) -> None:
    process = dev.terminal.start("verify", "once", "--tasks", "200", "--for", "100s")

    def tasks() -> list[dict[str, object]]:
        return dev.run("task", "ls", "-d", "verify", "-o", "json", "--timeout-s", "20").records

    until("tasks are there", lambda: len(tasks()) > 3, 30.0)
    os.kill(process.pid, signal.SIGINT)
    done = ended(process, LONG_S)
    assert done.status == 130, done.shown
    assert "Traceback" not in done.err
    assert {part["ready"] for part in dev.parts().values()} == {True}
    assert {task["state"] for task in tasks()} <= {"COMPLETED"}
    assert not list(dev.directory.glob("*.lines"))
