"""LRPs from the command line: kept running, scaled, checked, and told why where they don't run."""

import json
import signal
import urllib.request
from typing import Any

import pytest

from tests.cluster import golden
from tests.cluster.dev import ONLY_EXEC, Dev
from tests.cluster.leftovers import container_pids
from tests.cluster.terminal import Done, ended
from tests.cluster.waiting import until

GOES_ON = "trap 'exit 0' TERM; echo up $CF_INSTANCE_INDEX; sleep 600 & wait"

#: Twelve faults of twelve sorts, one a line of the answer.
FAULTY = """\
kind: lrp
process_guid: web shop
instances: "3"
rootfs: docker://x
memroy_mb: 3
cpu_weight: 20
cpu_weight: 30
action:
  run: {path: /bin/web, args: [1.10]}
environment_variables: {DIEGOD_X: "1"}
ports:
  - {name: http, container_port: 8080}
  - {name: admin, container_port: 80800}
check_definition:
  checks:
    - {http_check: {port: 8080}, tcp_check: {port: 8080}}
stop_timeout_ms: -1
placement_tags: public
max_pids:
"""
ITS_FAULTS = [
    (2, "process_guid"),
    (3, "instances"),
    (4, "rootfs"),
    (5, "memroy_mb"),
    (7, "cpu_weight"),
    (9, "action.run.args[0]"),
    (10, "environment_variables.DIEGOD_X"),
    (13, "ports[1].container_port"),
    (16, "check_definition.checks[0].tcp_check"),
    (17, "stop_timeout_ms"),
    (18, "placement_tags"),
    (19, "max_pids"),
]


def ps(dev: Dev, name: str) -> list[dict[str, Any]]:
    return dev.run("lrp", "ps", "-o", "json", name).succeeded().records


def rm(dev: Dev, name: str) -> None:
    dev.run("lrp", "rm", "-y", name).succeeded()
    until(f"no instance of {name}", lambda: not dev.run("lrp", "ps").out.count(f"{name}/"))


def run_lrp(dev: Dev, name: str, *words: str, timeout_s: float = 60.0) -> Done:
    return dev.run("lrp", "run", name, *words, timeout_s=timeout_s)


def web_spec(dev: Dev, name: str, **fields: object) -> str:
    """A web server with everything that a definition may have, and what a test changes."""
    path, *args = dev.host.web
    document: dict[str, object] = {
        "kind": "lrp",
        "process_guid": name,
        "instances": 2,
        "rootfs": "preloaded:busybox",
        "action": {"run": {"path": path, "args": args}},
        "memory_mb": 64,
        "disk_mb": 32,
        "cpu_weight": 20,
        "max_pids": 64,
        "environment_variables": {"COUNTRY": "no", "VERSION": "1.10", "EMPTY": ""},
        "ports": [{"name": "http", "container_port": 8080}],
        "check_definition": {"checks": [{"http_check": {"port": 8080, "path": "/"}}]},
        "start_timeout_ms": 30_000,
        "stop_signal": "TERM",
        "stop_timeout_ms": 1_000,
        "crash_policy": {"immediate_restarts": 2, "backoff_ms": 30_000, "max_restarts": 5},
        "metric_tags": {"team": "shop"},
        "annotation": "owner: shop\n",
    }
    lines = (f"{key}: {json.dumps(value)}" for key, value in (document | fields).items())
    return "\n".join(lines) + "\n"


def test_a_web_server_from_its_start_to_its_end(dev: Dev) -> None:
    file = dev.terminal.home / "web.yaml"
    file.write_text(web_spec(dev, "web"))
    started = dev.run("lrp", "apply", str(file)).succeeded()
    assert started.stdout == b""
    assert "web is running: 2 of 2" in started.err
    rows = ps(dev, "web")
    assert [(row["index"], row["state"], row["routable"]) for row in rows] == [
        (0, "RUNNING", True),
        (1, "RUNNING", True),
    ]
    assert {row["cell_id"] for row in rows} == {"cell-1", "cell-2"}, "spread"
    assert [status_of(row) for row in rows] == [200, 200]
    [listed] = [r for r in dev.run("lrp", "ls", "-o", "json").records if r["process_guid"] == "web"]
    assert listed["counts"]["running"] == 2

    scaled = dev.run("lrp", "scale", "web", "3").succeeded()
    assert "web: 2 → 3" in scaled.err
    until("a third", lambda: [r["state"] for r in ps(dev, "web")] == ["RUNNING"] * 3)
    dev.run("lrp", "scale", "web", "1").succeeded()
    until("one alone", lambda: [r["index"] for r in ps(dev, "web")] == [0])
    assert status_of(ps(dev, "web")[0]) == 200
    assert ps(dev, "web")[0]["instance_guid"] == rows[0]["instance_guid"], "the first one stays"

    assert "web/0" in dev.run("lrp", "show", "web").succeeded().out
    rm(dev, "web")
    gone = dev.run("lrp", "show", "web")
    assert (gone.status, gone.out) == (3, "")
    until("no container", lambda: not container_pids(dev))


def status_of(row: dict[str, Any]) -> int:
    """What the instance answers through its mapped port."""
    [port] = row["net_info"]["ports"]
    url = f"http://{row['net_info']['address']}:{port['host_port']}/"
    with urllib.request.urlopen(url, timeout=5) as reply:
        status: int = reply.status
        return status


def test_a_spec_is_what_show_prints(dev: Dev) -> None:
    file = dev.terminal.home / "round.yaml"
    file.write_text(web_spec(dev, "round"))
    dev.run("lrp", "apply", str(file)).succeeded()
    shown = dev.run("lrp", "show", "-o", "yaml", "round").succeeded()
    before = until("a stable first version", lambda: rolled_out(dev, "round"))
    again = dev.run("lrp", "apply", "-", given=shown.stdout).succeeded()
    assert "round: no change" in again.err
    after = dev.run("lrp", "show", "-o", "json", "round").record
    assert after["desired_lrp"]["provenance"] == before["desired_lrp"]["provenance"]
    assert dev.run("lrp", "show", "-o", "yaml", "round").stdout == shown.stdout
    dev.run("lrp", "scale", "round", "1").succeeded()
    scaled = dev.run("lrp", "show", "-o", "yaml", "round").succeeded()
    assert "\ninstances: 1\n" in scaled.out
    assert "no change" in dev.run("lrp", "apply", "-", given=scaled.stdout).succeeded().err
    rm(dev, "round")


def rolled_out(dev: Dev, name: str) -> dict[str, Any] | None:
    """The LRP once its rollout is over; until then the brain changes its row."""
    shown = dev.run("lrp", "show", "-o", "json", name).record
    return shown if shown["desired_lrp"]["rollout"]["state"] == "DONE" else None


@ONLY_EXEC
def test_another_definition_replaces_every_instance(dev: Dev) -> None:
    run_lrp(dev, "newer", "-n", "2", "sh", "-c", GOES_ON).succeeded()
    before = {row["instance_guid"] for row in ps(dev, "newer")}
    changed = run_lrp(dev, "newer", "-n", "2", "sh", "-c", f"true; {GOES_ON}").succeeded()
    assert "newer is running: 2 of 2" in changed.err

    def is_replaced() -> bool:
        rows = ps(dev, "newer")
        return len(rows) == 2 and not before & {row["instance_guid"] for row in rows}

    until("two new ones", is_replaced, 30.0)
    rm(dev, "newer")


@ONLY_EXEC
def test_somebody_elses_change_is_not_overwritten(dev: Dev) -> None:
    run_lrp(dev, "shared", "--detach", "sh", "-c", GOES_ON).succeeded()
    shown = dev.run("lrp", "show", "-o", "json", "shared").record
    revision = shown["desired_lrp"]["provenance"]["revision"]
    file = dev.terminal.home / "shared.yaml"
    file.write_bytes(dev.run("lrp", "show", "-o", "yaml", "shared").stdout + b"annotation: mine\n")
    dev.run("lrp", "scale", "shared", "2").succeeded()
    refused = dev.run("lrp", "apply", "--at", str(revision), str(file))
    assert (refused.status, refused.out) == (4, "")
    assert "shared" in refused.err
    rm(dev, "shared")


def test_output_of_each_instance(dev: Dev) -> None:
    run_lrp(dev, "talk", "-n", "2", "sh", "-c", GOES_ON).succeeded()
    for index in (0, 1):
        expected = f"up {index}\n"
        until(expected, lambda: dev.run("lrp", "logs", f"talk/{index}").out == expected)  # noqa: B023
    both = dev.run("lrp", "logs", "talk").succeeded().out
    assert sorted(line.split() for line in both.splitlines()) == [
        ["talk/0", "up", "0"],
        ["talk/1", "up", "1"],
    ]
    assert dev.run("lrp", "logs", "talk/7").status == 3
    rm(dev, "talk")


def test_what_crashes_again_and_again_says_why(dev: Dev) -> None:
    run_lrp(dev, "oops", "--detach", "sh", "-c", "echo last words; exit 7").succeeded()

    def waits() -> dict[str, Any] | None:
        """After the restarts that come at once it is kept waiting."""
        [row] = ps(dev, "oops")
        return row if (row["state"], row["crash_count"]) == ("CRASHED", 3) else None

    row = until("three crashes", waits)
    assert row is not None
    assert row["crash_reason"] == "exited with status 7"
    shown = dev.run("lrp", "ps", "oops").succeeded().out
    assert "CRASHED" in shown
    assert "exited with status 7" in shown
    assert dev.run("lrp", "logs", "oops/0").stdout == b"last words\n"
    rm(dev, "oops")


def test_a_program_that_is_not_there_is_named(dev: Dev) -> None:
    done = run_lrp(dev, "nope", "/no/such/program")
    assert (done.status, done.out) == (1, "")
    last = done.err.splitlines()[-1]
    assert last.startswith("diegod: nope/0 crashed 3 times, next try in 30 s: ")
    assert "/no/such/program" in last
    assert [row["state"] for row in ps(dev, "nope")] == ["CRASHED"]
    rm(dev, "nope")


def test_an_instance_that_was_killed_is_back(dev: Dev) -> None:
    run_lrp(dev, "back", "sh", "-c", GOES_ON).succeeded()
    [pid] = container_pids(dev).values()
    dev.terminal.shell(f"kill -9 {pid}").succeeded()
    until("another process", lambda: [p for p in container_pids(dev).values() if p != pid])
    until("it runs", lambda: [row["state"] for row in ps(dev, "back")] == ["RUNNING"])
    assert [row["crash_count"] for row in ps(dev, "back")] == [1]
    rm(dev, "back")


def test_a_404_is_unhealthy(dev: Dev) -> None:
    file = dev.terminal.home / "lost.yaml"
    checks = {"checks": [{"http_check": {"port": 8080, "path": "/no-such-page"}}]}
    once = {"immediate_restarts": 0, "backoff_ms": 30_000}
    file.write_text(
        web_spec(
            dev,
            "lost",
            instances=1,
            check_definition=checks,
            start_timeout_ms=1_500,
            crash_policy=once,
        )
    )
    done = dev.run("lrp", "apply", str(file))
    assert done.status == 1, done.shown
    assert "404" in done.err.splitlines()[-1]
    [row] = ps(dev, "lost")
    assert (row["state"], row["routable"]) == ("CRASHED", False)
    assert "404" in row["crash_reason"]
    rm(dev, "lost")


@ONLY_EXEC
def test_what_can_not_be_placed_says_why(dev: Dev) -> None:
    done = run_lrp(dev, "big", "-m", "8000000", "true")
    assert (done.status, done.out) == (6, "")
    assert "big/0 could not be placed: " in done.err
    assert "memory" in done.err
    assert "diegod lrp rm big" in done.err
    rm(dev, "big")


@ONLY_EXEC
def test_ctrl_c_stops_watching_and_nothing_else(dev: Dev) -> None:
    process = dev.terminal.start("lrp", "run", "far", "-n", "3", "-m", "8000000", "true")
    until("the LRP", lambda: "far" in dev.run("lrp", "ls", "-o", "name").out)
    process.send_signal(signal.SIGINT)
    done = ended(process)
    assert done.status == 130, done.shown
    assert "far goes on without us" in done.err
    assert "Traceback" not in done.err
    assert dev.run("lrp", "show", "far").status == 0
    rm(dev, "far")


@ONLY_EXEC
def test_every_fault_of_a_spec_is_told_at_once_and_nothing_is_stored(dev: Dev) -> None:
    file = dev.terminal.home / "web.yaml"
    file.write_text(FAULTY)
    before = dev.run("bbs", "status", "-o", "json").record["revision"]
    done = dev.run("lrp", "apply", str(file))
    assert (done.status, done.out) == (2, "")
    *lines, last = done.err.splitlines()
    assert last == "diegod: nothing was stored"
    assert [line.partition(": ")[0] for line in lines] == [
        f"{file}:{line} {path}" for line, path in ITS_FAULTS
    ]
    assert dev.run("lrp", "ls").succeeded().out.count("web") == 0
    assert dev.run("bbs", "status", "-o", "json").record["revision"] == before


@ONLY_EXEC
def test_one_bad_file_stops_the_good_one_beside_it(dev: Dev) -> None:
    good, bad = dev.terminal.home / "good.yaml", dev.terminal.home / "bad.yaml"
    good.write_text(web_spec(dev, "good"))
    bad.write_text(web_spec(dev, "bad", cpu_weight=0))
    done = dev.run("lrp", "apply", str(good), str(bad))
    assert (done.status, done.out) == (2, "")
    assert f"{bad}:" in done.err
    assert dev.run("lrp", "show", "good").status == 3


@pytest.fixture(scope="module")
def kept(dev: Dev) -> str:
    run_lrp(dev, "kept", "--port", "8080", "sh", "-c", GOES_ON).succeeded()
    return "kept"


@ONLY_EXEC
@pytest.mark.parametrize(
    ("command", "file"),
    [
        (["lrp", "ls"], "lrp-ls"),
        (["lrp", "ps", "kept"], "lrp-ps"),
        (["lrp", "show", "kept"], "lrp-show"),
        (["lrp", "scale", "kept", "1"], "lrp-scale"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.usefixtures("kept")
def test_json_has_the_keys_of_the_golden_file(dev: Dev, command: list[str], file: str) -> None:
    done = dev.run(*command, "-o", "json").succeeded()
    assert done.records
    assert set.intersection(*(golden.missing(record, file) for record in done.records)) == set()


@ONLY_EXEC
def test_removing_asks_nobody_where_there_is_no_terminal(dev: Dev) -> None:
    run_lrp(dev, "asked", "--detach", "sh", "-c", GOES_ON).succeeded()
    assert "asked is removed" in dev.run("lrp", "rm", "asked").succeeded().err
    assert dev.run("lrp", "rm", "asked").status == 3
