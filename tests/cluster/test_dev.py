"""`diegod dev`: what it suggests works, what it starts can be killed, and its end is an end."""

import contextlib
import os
import re
import signal
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from diegod.node.dev import foreground, layout
from tests.cluster.dev import (
    BACKENDS,
    ONLY_EXEC,
    Dev,
    await_ready,
    dev_cluster,
    end_dev,
    remove,
    start_dev,
)
from tests.cluster.leftovers import container_pids, roles, traces
from tests.cluster.terminal import Done, Terminal, ended
from tests.cluster.waiting import is_alive, until

NOBODY = 65534
MACHINE_LOST_S = 16.0  # the lease of 10 s, 2 s to replace, and a busy machine
SLEEPER = "echo $$; trap 'exit 0' TERM; sleep 600 & wait"


def suggestions(dev: Dev) -> list[str]:
    """As the banner shows them."""
    _, _, after = dev.output.partition("In another terminal:\n")
    lines, _, _ = after.partition("Ctrl-C stops")
    return [line.strip() for line in lines.splitlines()]


def instances(dev: Dev, name: str) -> list[dict[str, object]]:
    return dev.run("lrp", "ps", "-o", "json", name).succeeded().records


def keep_two(dev: Dev, name: str) -> None:
    done = dev.run("lrp", "run", name, "-n", "2", "sh", "-c", SLEEPER).succeeded()
    assert f"{name} is running: 2 of 2" in done.err


# -- on a cluster that goes on --------------------------------------------------------------------


def test_what_the_banner_suggests_works(dev: Dev, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", dev.terminal.environ["XDG_STATE_HOME"])
    made = layout.load(dev.directory)
    assert made is not None
    assert suggestions(dev) == foreground.suggestions(made)
    task, lrp, ps, kill, start = suggestions(dev)
    assert dev.terminal.shell(task).succeeded().stdout == b"hello\n"
    assert "web is running: 3 of 3" in dev.terminal.shell(lrp).succeeded().err
    assert dev.terminal.shell(ps).succeeded().out.count("RUNNING") == 3
    before = instances(dev, "web")
    assert [answer(port) for port in host_ports(before)] == [200] * 3
    assert "killed. diegod dev start" in dev.terminal.shell(kill).succeeded().err
    assert dev.parts()["cell-2"]["pid"] == 0
    assert [answer(port) for port in host_ports(before)] == [200] * 3
    assert "cell-2 is ready" in dev.terminal.shell(start).succeeded().err
    guids = [row["instance_guid"] for row in before]
    assert [row["instance_guid"] for row in instances(dev, "web")] == guids
    dev.run("lrp", "rm", "-y", "web").succeeded()


def host_ports(rows: list[dict[str, object]]) -> list[int]:
    return [port["host_port"] for row in rows for port in row["net_info"]["ports"]]  # type: ignore[index]


def answer(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as reply:
        status: int = reply.status
        return status


def test_an_agent_that_was_killed_finds_the_same_processes(dev: Dev) -> None:
    keep_two(dev, "same")
    before = container_pids(dev)
    assert len(before) >= 2
    dev.run("dev", "kill", "cell-1").succeeded()
    dev.run("dev", "kill", "cell-2").succeeded()
    assert all(is_alive(pid) for pid in before.values())
    starting = [dev.terminal.start("dev", "start", cell) for cell in ("cell-1", "cell-2")]
    assert [ended(each).status for each in starting] == [0, 0]
    assert container_pids(dev) == before
    assert [row["crash_count"] for row in instances(dev, "same")] == [0, 0]
    dev.run("lrp", "rm", "-y", "same").succeeded()
    until("no container", lambda: not container_pids(dev))


@ONLY_EXEC
def test_without_its_only_member_the_cluster_does_not_answer(dev: Dev) -> None:
    dev.run("dev", "kill", "bbs-1").succeeded()
    assert dev.run("dev", "ls").succeeded().out.count("killed") == 1
    silent = dev.run("task", "ls", "--timeout-s", "1")  # the cells' leases last for ten
    assert (silent.status, silent.out, len(silent.err.splitlines())) == (5, "", 1)
    dev.run("dev", "start", "bbs-1").succeeded()
    assert dev.run("task", "run", "echo", "again").succeeded().out == "again\n"


@ONLY_EXEC
def test_a_part_is_paused_and_goes_on(dev: Dev) -> None:
    dev.run("dev", "pause", "brain-1").succeeded()
    pid = dev.parts()["brain-1"]["pid"]
    assert process_state(pid) == "T"
    dev.run("dev", "start", "brain-1").succeeded()
    assert process_state(pid) in "SR"
    assert dev.run("task", "run", "true").status == 0


def process_state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]


@ONLY_EXEC
def test_a_part_that_ends_by_itself_is_started_again(dev: Dev) -> None:
    before = dev.parts()["brain-1"]
    os.kill(before["pid"], signal.SIGKILL)

    def is_back() -> bool:
        brain = dev.parts()["brain-1"]
        return bool(brain["ready"]) and brain["restarts"] == before["restarts"] + 1

    until("another brain", is_back)
    assert dev.parts()["brain-1"]["pid"] != before["pid"]


@ONLY_EXEC
def test_unknown_parts(dev: Dev) -> None:
    killed = dev.run("dev", "kill", "cell-9")
    assert (killed.status, killed.out) == (1, "")
    assert killed.err == (
        'diegod: there is no part "cell-9": leader, bbs-1, brain-1, cell-1, cell-2\n'
    )
    logs = dev.run("dev", "logs", "cell-9")
    assert (logs.status, logs.out, len(logs.err.splitlines())) == (1, "", 1)
    assert '"cell.started"' in dev.run("dev", "logs", "cell-1").succeeded().out


@ONLY_EXEC
def test_a_second_start_says_that_it_runs_and_how_to_use_it(dev: Dev) -> None:
    done = dev.run("dev", "--backend", dev.backend)
    assert (done.status, done.out) == (1, "")
    assert re.fullmatch(
        r'diegod: a dev cluster "dev" is already running here '
        rf"\(pid {dev.process.pid}, \d+ min\)\. "
        r'Use it: context "dev"\. Another beside it: diegod dev --name two\.\n',
        done.err,
    )


@ONLY_EXEC
def test_it_can_not_be_removed_while_it_runs(dev: Dev) -> None:
    done = dev.run("dev", "rm")
    assert (done.status, done.out) == (1, "")
    assert f"in use by pid {dev.process.pid}" in done.err


@ONLY_EXEC
def test_three_members_beside_another_cluster(dev: Dev) -> None:
    """Of the same user: the newer one is current, and the older one stays what it is."""
    terminal, options = dev.terminal, ["--members", "3", "--cells", "1"]
    try:
        with dev_cluster(terminal, "exec", *options, name="two") as two:
            killed = terminal.run("dev", "kill", "leader", "--name", "two").succeeded()
            member = killed.err.partition(" ")[0]
            assert member in ("bbs-1", "bbs-2", "bbs-3")
            ran = terminal.run("task", "run", "--guid", "after", "echo", "there")
            assert (ran.status, ran.out) == (0, "there\n")
            terminal.run("dev", "start", member, "--name", "two").succeeded()
            assert "after" not in terminal.run("task", "ls", "--context", "dev").succeeded().out
            assert "after" in terminal.run("task", "ls", "--context", "two").succeeded().out
            assert set(dev.parts()) == {"bbs-1", "brain-1", "cell-1", "cell-2"}
            assert set(two.parts()) == {"bbs-1", "bbs-2", "bbs-3", "brain-1", "cell-1"}
    finally:
        terminal.run("context", "use", "dev").succeeded()


@ONLY_EXEC
def test_a_lost_machine_is_replaced(dev: Dev) -> None:
    keep_two(dev, "moved")
    assert {row["cell_id"] for row in instances(dev, "moved")} == {"cell-1", "cell-2"}
    began = time.monotonic()
    dev.run("dev", "kill", "cell-2", "--machine").succeeded()
    assert len(container_pids(dev)) == 1

    def is_replaced() -> bool:
        """A suspect row may still stand beside its replacement."""
        rows = [row for row in instances(dev, "moved") if row["presence"] == "ORDINARY"]
        return [(row["cell_id"], row["state"]) for row in rows] == [("cell-1", "RUNNING")] * 2

    until("two instances on the other cell", is_replaced, MACHINE_LOST_S)
    assert time.monotonic() - began > 6, "while its lease ran it might have come back"
    assert len(container_pids(dev)) == 2
    dev.run("dev", "start", "cell-2").succeeded()
    dev.run("lrp", "rm", "-y", "moved").succeeded()
    until("no container", lambda: not container_pids(dev))


# -- beginnings and ends --------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_killed_taken_up_begun_anew_and_stopped(terminal: Terminal, backend: str) -> None:
    """One cluster through its life: SIGKILL, a second start, --fresh, Ctrl-C, a last start."""
    first = start_dev(terminal, backend)
    with ended_at_last(first) as runs:
        await_ready(first)
        keep_two(first, "stays")
        pids = container_pids(first)
        assert len(pids) == 2
        kill_all_but_containers(first)
        assert all(is_alive(pid) for pid in pids.values())

        second = start_dev(terminal, backend)
        runs.append(second)
        await_ready(second)
        assert "was here before: its data and containers are taken up" in second.output
        assert container_pids(second) == pids
        assert {row["state"] for row in instances(second, "stays")} == {"RUNNING"}
        kill_all_but_containers(second)

        fresh = start_dev(terminal, backend, "--fresh")
        runs.append(fresh)
        await_ready(fresh)
        assert "taken up" not in fresh.output
        assert not any(is_alive(pid) for pid in pids.values())
        assert fresh.run("lrp", "ls", "-o", "name").succeeded().out == ""
        keep_two(fresh, "kept")
        pids = container_pids(fresh)
        assert traces(fresh)
        assert fresh.interrupt() == 130
        assert "Traceback" not in fresh.output
        assert traces(fresh) == []
        assert not any(is_alive(pid) for pid in pids.values())

        last = start_dev(terminal, backend)
        runs.append(last)
        await_ready(last)
        assert last.run("lrp", "ls", "-o", "name").succeeded().out == "kept\n"
        until("the instances again", lambda: len(container_pids(last)) == 2)
    assert not last.directory.exists()
    assert terminal.run("task", "ls").status == 2, "its context went with it"


def kill_all_but_containers(dev: Dev) -> None:
    """SIGKILL for the supervisor: its roles end with it, and what they run goes on."""
    dev.process.kill()
    dev.process.wait()
    until("the end of its roles", lambda: not roles(dev))


@contextlib.contextmanager
def ended_at_last(first: Dev) -> Iterator[list[Dev]]:
    """The same cluster, started several times: whichever start is the last one is ended."""
    runs = [first]
    try:
        yield runs
    finally:
        end_dev(runs[-1])


def test_detached_it_is_used_stopped_and_removed(terminal: Terminal) -> None:
    try:
        done = terminal.run("dev", "--detach", "--backend", "exec").succeeded()
        assert "`diegod dev stop` stops the cluster" in done.out
        assert terminal.run("task", "run", "echo", "hello").out == "hello\n"
        terminal.run("dev", "stop").succeeded()
        anew = terminal.run("dev", "--detach", "--fresh", "--backend", "exec").succeeded()
        assert "`diegod dev stop` stops the cluster" in anew.out
        assert terminal.run("task", "ls", "-o", "name").succeeded().out == ""
        terminal.run("dev", "stop").succeeded()
        gone = terminal.run("dev", "ls")
        assert (gone.status, gone.out) == (1, "")
        assert "Start one: diegod dev" in gone.err
        terminal.run("dev", "rm").succeeded()
        again = terminal.run("dev", "rm")
        assert (again.status, again.out, len(again.err.splitlines())) == (1, "", 1)
    finally:
        remove(terminal)


def test_ctrl_c_while_it_starts(terminal: Terminal) -> None:
    dev = start_dev(terminal, "exec")
    try:
        until("its parts", lambda: list(dev.directory.glob("parts/cell-*/log")))
        assert dev.interrupt() == 130
        assert "Traceback" not in dev.output
        assert traces(dev) == []
    finally:
        end_dev(dev)


def test_a_home_that_can_not_be_written_to(terminal: Terminal, tmp_path: Path) -> None:
    """The context goes to --data, and the banner says how to use it."""
    data = tmp_path / "data"
    homeless = terminal.with_environ(HOME="/proc/home", XDG_CONFIG_HOME="", XDG_STATE_HOME="")
    with homeless_dev(homeless, data) as said:
        assert f"export XDG_CONFIG_HOME={data}/config" in said
        used = homeless.with_environ(XDG_CONFIG_HOME=f"{data}/config")
        assert used.run("task", "run", "echo", "hello").succeeded().out == "hello\n"


@contextlib.contextmanager
def homeless_dev(terminal: Terminal, data: Path) -> Iterator[str]:
    try:
        started = ["dev", "--detach", "--backend", "exec", "--cells", "1", "--data", str(data)]
        yield terminal.run(*started).succeeded().out
    finally:
        terminal.run("dev", "stop", "--data", str(data))
        terminal.run("dev", "rm", "--data", str(data)).succeeded()


@pytest.mark.root
def test_somebody_without_root_gets_plain_processes_and_is_told_why(terminal: Terminal) -> None:
    nobody = Unprivileged(terminal.home)
    try:
        started = nobody.run("dev", "--detach", "--cells", "1").succeeded()
        assert "exec: plain processes, NO isolation" in started.out
        assert "without containers: not root. See diegod doctor" in started.out
        assert nobody.run("task", "run", "id", "-u").out == f"{NOBODY}\n"
    finally:
        nobody.run("dev", "stop")
        nobody.run("dev", "rm").succeeded()


class Unprivileged(Terminal):
    """The same home for somebody who has no right that its owner has not: no uid, no capability.

    A user namespace without a mapping, since another user might not even find our interpreter.
    """

    def _done(self, command: Sequence[str], given: bytes, timeout_s: float) -> Done:
        return super()._done(["unshare", "--user", *command], given, timeout_s)
