"""The whole life of LRPs and tasks from the command line, against real processes."""

import json
from typing import Any

import pytest

from tests.cluster.dev import ONLY_EXEC, Dev
from tests.cluster.leftovers import container_pids
from tests.cluster.terminal import Done
from tests.cluster.waiting import until

GOES_ON = "trap 'exit 0' TERM; echo up $VERSION; sleep 600 & wait"
FAILS = "exit 3"
POLICY = {"max_in_flight": 2, "min_healthy_ms": 300, "progress_deadline_ms": 30_000}


def spec(name: str, version: str, command: str = GOES_ON, **fields: object) -> str:
    """JSON is YAML too."""
    document: dict[str, object] = {
        "kind": "lrp",
        "process_guid": name,
        "instances": 3,
        "rootfs": "preloaded:busybox",
        "memory_mb": 32,
        "action": {"run": {"path": "sh", "args": ["-c", command]}},
        "environment_variables": {"VERSION": version},
        "update": POLICY,
    }
    return json.dumps(document | fields)


def task(guid: str, command: str, **fields: object) -> str:
    document: dict[str, object] = {
        "kind": "task",
        "task_guid": guid,
        "rootfs": "preloaded:busybox",
        "memory_mb": 32,
        "action": {"run": {"path": "sh", "args": ["-c", command]}},
    }
    return json.dumps(document | fields)


def written(dev: Dev, name: str, *documents: str) -> str:
    file = dev.terminal.home / name
    file.write_text("\n".join(documents))
    return str(file)


def ps(dev: Dev, name: str) -> list[dict[str, Any]]:
    return dev.run("lrp", "ps", "-o", "json", name).succeeded().records


def running(dev: Dev, name: str) -> dict[int, dict[str, Any]]:
    """Its instances by index; fails unless each of them runs, alone of its index."""
    rows = ps(dev, name)
    assert [row["state"] for row in rows] == ["RUNNING"] * len(rows)
    assert [row["presence"] for row in rows] == ["ORDINARY"] * len(rows)
    by_index = {row["index"]: row for row in rows}
    assert len(by_index) == len(rows)
    return by_index


def outcomes(dev: Dev, name: str) -> list[tuple[int, str, int]]:
    records = dev.run("lrp", "history", "-o", "json", name).succeeded().records
    return [(each["version"], each["outcome"], each["copy_of"]) for each in records]


def stable(dev: Dev, name: str, version: int) -> None:
    """An up-to-date first version becomes stable a moment after its instances run."""
    until(
        f"version {version} stable", lambda: (version, "STABLE") in _brief(outcomes(dev, name))
    )


def _brief(versions: list[tuple[int, str, int]]) -> list[tuple[int, str]]:
    return [(number, outcome) for number, outcome, _ in versions]


def gone(dev: Dev, *names: str) -> None:
    done = dev.run("lrp", "rm", "-y", *names).succeeded()
    assert all(f"{name} is gone" in done.err for name in names)


@ONLY_EXEC
def test_a_version_rolls_out_and_one_that_fails_goes_back_by_itself(dev: Dev) -> None:
    first = written(dev, "v1.yaml", spec("roll", "1"))
    planned = dev.run("lrp", "plan", "--exit-code", first)
    assert (planned.status, planned.out.splitlines()[0]) == (
        10,
        "roll: create, version 1: 3 instances created",
    )
    assert f"diegod lrp apply {first} --at 0" in planned.err
    dev.run("lrp", "apply", "--at", "0", first).succeeded()
    stable(dev, "roll", 1)
    again = dev.run("lrp", "plan", "--exit-code", first).succeeded()
    assert again.out == "roll: no change\n"
    before = running(dev, "roll")

    second = written(dev, "v2.yaml", spec("roll", "2"))
    plan = dev.run("lrp", "plan", "-o", "json", second).succeeded().record
    assert [each["step"] for each in plan["instances"]] == ["REPLACED_START_FIRST"] * 3
    assert [each["path"] for each in plan["changes"]] == ["environment_variables.VERSION"]
    rolled = dev.run("lrp", "apply", "--at", str(plan["revision"]), second).succeeded()
    assert "roll is running: 3 of 3" in rolled.err
    after = running(dev, "roll")
    assert sorted(after) == [0, 1, 2]
    assert not {row["instance_guid"] for row in before.values()} & {
        row["instance_guid"] for row in after.values()
    }
    assert dev.run("lrp", "logs", "roll/0").succeeded().out == "up 2\n"
    refused = dev.run("lrp", "apply", "--at", str(plan["revision"]), first)
    assert (refused.status, refused.out) == (4, "")

    third = written(dev, "v3.yaml", spec("roll", "3", FAILS))
    failed = dev.run("lrp", "apply", third)
    assert (failed.status, failed.out) == (1, "")
    assert "roll version 3 failed: " in failed.err
    assert "exited with status 3" in failed.err
    assert "It went back: 3 of 3 run" in failed.err
    running(dev, "roll")
    assert outcomes(dev, "roll") == [
        (4, "STABLE", 2),
        (3, "FAILED", 0),
        (2, "STABLE", 0),
        (1, "STABLE", 0),
    ]
    diff = dev.run("lrp", "history", "roll", "--diff", "1", "2").succeeded()
    assert diff.out == "environment_variables.VERSION: (hidden) → (hidden)\n"
    same = dev.run("lrp", "history", "roll", "--diff", "2", "4").succeeded()
    assert same.out == "versions 2 and 4 are the same definition\n"

    dev.run("lrp", "rollback", "roll", "--to", "1").succeeded()
    assert dev.run("lrp", "logs", "roll/0").succeeded().out == "up 1\n"
    assert outcomes(dev, "roll")[0] == (5, "STABLE", 1)
    gone(dev, "roll")
    assert dev.run("lrp", "show", "roll").status == 3


@ONLY_EXEC
def test_what_show_prints_is_no_change_while_it_is_updated_by_flags(dev: Dev) -> None:
    dev.run("lrp", "apply", written(dev, "flags.yaml", spec("flags", "1"))).succeeded()
    stable(dev, "flags", 1)
    words = ["-e", "VERSION=2", "-m", "48", "--max-in-flight", "3", "--order", "stop-first"]
    dev.run("lrp", "update", "flags", *words).succeeded()
    shown = dev.run("lrp", "show", "-o", "yaml", "flags").succeeded()
    plan = dev.run("lrp", "plan", "--exit-code", "-", given=shown.stdout).succeeded()
    assert plan.out == "flags: no change\n"
    assert "memory_mb: 48\n" in shown.out
    assert "  order: STOP_FIRST\n" in shown.out
    dev.run("lrp", "scale", "flags", "1").succeeded()
    shown = dev.run("lrp", "show", "-o", "yaml", "flags").succeeded()
    plan = dev.run("lrp", "plan", "--exit-code", "-", given=shown.stdout).succeeded()
    gone(dev, "flags")


@ONLY_EXEC
def test_canaries_wait_for_a_person(dev: Dev) -> None:
    dev.run("lrp", "apply", written(dev, "c1.yaml", spec("canary", "1"))).succeeded()
    stable(dev, "canary", 1)
    waits = dev.run("lrp", "update", "canary", "-e", "VERSION=2", "--canaries", "1").succeeded()
    assert "diegod lrp promote canary" in waits.err
    rows = ps(dev, "canary")
    assert len({row["definition_revision"] for row in rows}) == 2
    assert "CANARIES" in dev.run("lrp", "show", "canary").succeeded().out
    dev.run("lrp", "promote", "canary").succeeded()
    assert len({row["definition_revision"] for row in running(dev, "canary").values()}) == 1
    assert dev.run("lrp", "pause", "canary").status == 4
    gone(dev, "canary")


@ONLY_EXEC
def test_retire_stop_start_and_restart(dev: Dev) -> None:
    dev.run("lrp", "apply", written(dev, "life.yaml", spec("life", "1", instances=2))).succeeded()
    stable(dev, "life", 1)
    before = running(dev, "life")
    retired = dev.run("lrp", "retire", "life/1").succeeded()
    assert "life/1 is being replaced" in retired.err
    after = running(dev, "life")
    assert before[0]["instance_guid"] == after[0]["instance_guid"]
    assert before[1]["instance_guid"] != after[1]["instance_guid"]

    dev.run("lrp", "stop", "life").succeeded()
    assert ps(dev, "life") == []
    until("no container", lambda: not container_pids(dev))
    assert "state" in dev.run("lrp", "show", "life").succeeded().out
    dev.run("lrp", "start", "life").succeeded()
    started = running(dev, "life")
    assert sorted(started) == [0, 1]

    dev.run("lrp", "restart", "life").succeeded()
    restarted = running(dev, "life")
    assert not {row["instance_guid"] for row in started.values()} & {
        row["instance_guid"] for row in restarted.values()
    }
    dev.run("lrp", "wait", "life").succeeded()
    gone(dev, "life")
    dev.run("lrp", "wait", "life", "--for", "gone").succeeded()


@ONLY_EXEC
def test_a_drained_cell_is_empty_and_nothing_was_down(dev: Dev) -> None:
    dev.run("lrp", "apply", written(dev, "moved.yaml", spec("moved", "1"))).succeeded()
    stable(dev, "moved", 1)
    assert {row["cell_id"] for row in ps(dev, "moved")} == {"cell-1", "cell-2"}
    drained = dev.run("cell", "drain", "cell-2").succeeded()
    assert "cell-2 is empty" in drained.err
    assert {row["cell_id"] for row in running(dev, "moved").values()} == {"cell-1"}
    assert dev.run("lrp", "ps", "--cell", "cell-2", "-o", "json").succeeded().records == []
    [line] = dev.run("cell", "ls").succeeded().out.splitlines()[2:]
    assert line.split()[0] == "cell-2"
    assert line.split()[-1] == "drained"
    dev.run("cell", "uncordon", "cell-2").succeeded()
    dev.run("lrp", "scale", "moved", "6").succeeded()
    until(
        "work on cell-2 again",
        lambda: any(row["cell_id"] == "cell-2" for row in ps(dev, "moved")),
    )
    gone(dev, "moved")


@ONLY_EXEC
def test_a_drain_ends_at_its_deadline_and_says_what_was_left(dev: Dev) -> None:
    run_on(dev, "stays", "cell-2", "sleep 600")
    drained = dev.run("cell", "drain", "cell-2", "--deadline-s", "2")
    assert (drained.status, drained.out) == (1, "")
    assert "cell-2 was not empty at its deadline; stopped: task stays" in drained.err
    ended = dev.run("task", "wait", "stays", "-o", "json")
    assert (ended.status, ended.record["failure"]) == (1, "DRAINED")
    dev.run("cell", "uncordon", "cell-2").succeeded()
    refused = dev.run("cell", "rm", "-y", "cell-2")
    assert (refused.status, refused.out) == (4, "")


def run_on(dev: Dev, guid: str, cell: str, command: str) -> Done:
    words = ["--detach", "--guid", guid, "--on", cell, "sh", "-c", command]
    done = dev.run("task", "run", *words).succeeded()
    until(
        f"{guid} runs",
        lambda: dev.run("task", "show", "-o", "json", guid).record["state"] == "RUNNING",
    )
    assert dev.run("task", "show", "-o", "json", guid).record["cell_id"] == cell
    return done


@ONLY_EXEC
def test_submit_of_many_and_wait_for_each(dev: Dev) -> None:
    good = [task(f"many-{number}", f"echo {number}") for number in range(20)]
    submitted = dev.run("task", "submit", "--wait", written(dev, "many.yaml", *good)).succeeded()
    assert submitted.out.count("exit status 0") == 20
    again = dev.run("task", "submit", written(dev, "many.yaml", *good)).succeeded()
    assert again.err.count("is already there (COMPLETED)") == 20
    other = task("many-0", "echo other")
    mixed = dev.run("task", "submit", written(dev, "mixed.yaml", other, task("fresh", "exit 3")))
    assert (mixed.status, mixed.out) == (4, "fresh\n")
    assert "1 of 2 tasks were refused" in mixed.err
    failed = dev.run("task", "wait", "fresh", "many-1", "-o", "json")
    assert failed.status == 1
    assert [each["exit_status"] for each in failed.records] == [3, 0]
    rerun = dev.run("task", "rerun", "--wait", "-o", "json", "many-1").succeeded().record
    assert rerun["task_guid"].startswith("many-1-rerun-")
    dev.run("task", "rm", "many-1").succeeded()
    tombstone = dev.run("task", "submit", written(dev, "late.yaml", task("many-1", "echo 1")))
    assert (tombstone.status, tombstone.out) == (4, "")
    assert "many-1 was deleted" in tombstone.err


@ONLY_EXEC
def test_a_result_comes_back(dev: Dev) -> None:
    done = dev.run(
        "task", "run", "--guid", "result", "--result-file", "/tmp/lifecycle-result",
        "sh", "-c", "printf '42 rows' > /tmp/lifecycle-result",
    )  # fmt: skip
    done.succeeded()
    assert dev.run("task", "show", "-o", "json", "result").record["result"] == "42 rows"
    assert "42 rows" in dev.run("task", "show", "result").out


@ONLY_EXEC
def test_cancel_of_a_whole_domain(dev: Dev) -> None:
    going = [task(f"going-{n}", "sleep 600", domain="shop") for n in range(3)]
    other = task("other", "sleep 600")
    dev.run("task", "submit", written(dev, "going.yaml", *going, other)).succeeded()
    cancelled = dev.run("task", "cancel", "-d", "shop").succeeded()
    assert cancelled.err == "3 tasks of domain shop cancelled\n"
    states = dev.run("task", "ls", "-d", "shop", "-o", "json").records
    assert {(each["state"], each["failure"]) for each in states} == {("COMPLETED", "CANCELLED")}
    assert dev.run("task", "show", "-o", "json", "other").record["state"] != "COMPLETED"
    dev.run("task", "cancel", "other").succeeded()
    until("no container", lambda: not container_pids(dev))


@ONLY_EXEC
def test_a_schedule_is_dispatched_with_parameters(dev: Dev) -> None:
    document: dict[str, object] = {
        "kind": "task_schedule",
        "task": {
            "rootfs": "preloaded:busybox",
            "action": {"run": {"path": "sh", "args": ["-c", "echo $REGION $VERSION"]}},
            "environment_variables": {"VERSION": "1"},
        },
    }
    parameters = [{"name": "REGION", "required": True}]
    by_hand = written(dev, "by-hand.yaml", json.dumps(document | {"parameters": parameters}))
    assert "diegod task dispatch by-hand" in dev.run(
        "task", "schedule", "by-hand", by_hand
    ).succeeded().err
    missing = dev.run("task", "dispatch", "by-hand")
    assert (missing.status, missing.out) == (2, "")
    assert "REGION" in missing.err
    done = dev.run("task", "dispatch", "by-hand", "-p", "REGION=eu", "--wait", "-o", "json")
    [ended] = done.succeeded().records
    assert ended["task_guid"].startswith("by-hand-dispatched-")
    assert dev.run("task", "logs", ended["task_guid"]).out == "eu 1\n"


@ONLY_EXEC
def test_a_schedule_is_made_shown_paused_and_removed(dev: Dev) -> None:
    file = written(dev, "nightly.yaml", task("unused", "true"))
    made = dev.run("task", "schedule", "nightly", "--cron", "0 3 1 1 *", "--tz", "UTC", file)
    assert "schedule nightly: stored: 0 3 1 1 * (UTC)" in made.succeeded().err
    assert "no change" in dev.run(
        "task", "schedule", "nightly", "--cron", "0 3 1 1 *", "--tz", "UTC", file
    ).err
    dev.run("task", "schedule", "pause", "nightly").succeeded()
    listed = dev.run("task", "schedule", "ls", "-o", "json").succeeded().records
    assert ("nightly", True) in [(each["name"], each["paused"]) for each in listed]
    shown = dev.run("task", "schedule", "show", "-o", "yaml", "nightly").succeeded()
    planned = dev.run("plan", "--exit-code", "-", given=shown.stdout).succeeded()
    assert planned.out.splitlines()[0] == "nightly: no change"
    dev.run("task", "schedule", "resume", "nightly").succeeded()
    dev.run("task", "schedule", "rm", "nightly").succeeded()
    assert dev.run("task", "schedule", "show", "nightly").status == 3


@ONLY_EXEC
def test_domains(dev: Dev) -> None:
    dev.run("domain", "set", "shop", "--ttl-s", "60").succeeded()
    fresh = {each["domain"]["domain"]: each["fresh"] for each in domains(dev)}
    assert fresh["shop"] is True
    dev.run("domain", "rm", "shop").succeeded()
    assert dev.run("domain", "show", "no-such").status == 3


def domains(dev: Dev) -> list[dict[str, Any]]:
    return dev.run("domain", "ls", "-o", "json").succeeded().records


@ONLY_EXEC
def test_documents_of_any_kind_in_the_order_of_what_they_wait_for(dev: Dev) -> None:
    web = spec("front", "1", instances=1, depends_on=[{"lrp": "db"}, {"task": "schema"}])
    schema = task("schema", "true", depends_on=[{"lrp": "db"}])
    db = spec("db", "1", instances=1)
    file = written(dev, "all.yaml", web, schema, db)
    planned = dev.run("plan", file).succeeded()
    heads = [line.split(":")[0] for line in planned.out.splitlines() if not line.startswith(" ")]
    assert heads == ["db", "schema", "front"]
    applied = dev.run("apply", file).succeeded()
    assert "front is running: 1 of 1" in applied.err
    ended = dev.run("task", "show", "-o", "json", "schema").record
    assert ended["state"] == "COMPLETED", "the front waits for it"
    again = dev.run("plan", "--exit-code", file).succeeded()
    assert [line for line in again.out.splitlines() if "no change" not in line] == [
        "  it is already there (COMPLETED)"
    ]
    circle = written(
        dev, "circle.yaml", spec("a", "1", depends_on=[{"lrp": "b"}]),
        spec("b", "1", depends_on=[{"lrp": "a"}]),
    )  # fmt: skip
    refused = dev.run("apply", circle)
    assert (refused.status, refused.out) == (2, "")
    assert "lrp a → lrp b → lrp a" in refused.err
    gone(dev, "front", "db")


@ONLY_EXEC
@pytest.mark.parametrize(
    "words",
    [
        ["lrp", "restart", "nothing"],
        ["lrp", "history", "nothing"],
        ["lrp", "retire", "nothing/0"],
        ["task", "rerun", "nothing"],
        ["cell", "drain", "nothing"],
    ],
    ids=" ".join,
)
def test_what_is_not_there_is_3(dev: Dev, words: list[str]) -> None:
    done = dev.run(*words)
    assert (done.status, done.out) == (3, "")
    assert len(done.err.splitlines()) == 1
