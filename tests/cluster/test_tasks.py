"""Tasks from the command line, through every process of a cluster and back."""

import asyncio
import json
import random
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from diegod.client import Client
from diegod.v1.record_pb2 import Task
from diegod.v1.stream_pb2 import LogChunk
from tests.cluster import golden
from tests.cluster.dev import ONLY_EXEC, Dev
from tests.cluster.terminal import Done, ended
from tests.cluster.waiting import is_alive, until, whole_lines

THOUSAND = "".join(f"{number}\n" for number in range(1, 1001)).encode()
IMAGE_SEED = 20_261_122
LONG_LINE_BYTES = 1_000_000
#: Goes on until it is asked to end. (The first process of a pid namespace hears no SIGTERM that it
#: has no handler for.)
GOES_ON = "trap 'exit 0' TERM; sleep 600 & wait"


@pytest.fixture(scope="module")
def image(dev: Dev) -> Path:
    """A root file system with busybox and with a file that no text tool would leave as it is."""
    root = dev.terminal.home / "image"
    for folder in ("bin", "dev", "etc", "proc", "sys", "tmp"):
        (root / folder).mkdir(parents=True)
    if busybox := shutil.which("busybox"):
        shutil.copy(busybox, root / "bin" / "busybox")
        for applet in ("sh", "cat"):
            (root / "bin" / applet).symlink_to("busybox")
    noise = random.Random(IMAGE_SEED).randbytes(200_000)
    long_line = b"x" * LONG_LINE_BYTES
    (root / "data").write_bytes(noise + b"\r\n\0\n\n" + long_line + b"\nno newline at the end")
    return root


def inside(dev: Dev, image: Path, name: str) -> str:
    """How a program of the image finds one of its files: exec isolates nothing."""
    return str(image / name) if dev.backend == "exec" else f"/{name}"


def run_task(dev: Dev, *arguments: str, timeout_s: float = 60.0) -> Done:
    return dev.run("task", "run", *arguments, timeout_s=timeout_s)


def spec(guid: str, script: str, **fields: object) -> str:
    """A spec file's document; each value as JSON, which YAML reads."""
    action = {"run": {"path": "/bin/sh", "args": ["-c", script]}}
    document = {"kind": "task", "task_guid": guid, "rootfs": "preloaded:busybox", "action": action}
    lines = (f"{name}: {json.dumps(value)}" for name, value in (document | fields).items())
    return "\n".join(lines) + "\n"


def test_output_and_exit_status_are_the_programs(dev: Dev) -> None:
    done = run_task(dev, "--rootfs", "preloaded:busybox", "sh", "-c", "echo hello; exit 3")
    assert (done.status, done.stdout, done.stderr) == (3, b"hello\n", b"")


@pytest.mark.parametrize("dashes", [[], ["--"]])
def test_options_of_the_program_are_its_own(dev: Dev, dashes: list[str]) -> None:
    done = run_task(dev, *dashes, "sh", "-c", "echo out; echo err >&2")
    assert (done.status, done.stdout, done.stderr) == (0, b"out\n", b"err\n")


@ONLY_EXEC  # the first process of a pid namespace can't be killed from within
def test_a_signal_is_128_and_its_number(dev: Dev) -> None:
    assert run_task(dev, "sh", "-c", "kill -KILL $$").status == 128 + signal.SIGKILL


def test_a_hundred_short_programs_lose_no_line(dev: Dev) -> None:
    """Ten typed, a few at a time; ninety through the client, which reads as `task run` does."""
    with ThreadPoolExecutor(4) as pool:
        typed = list(pool.map(lambda _: run_task(dev, "--", "seq", "1000"), range(10)))
    assert [(done.status, done.stdout == THOUSAND, done.err) for done in typed] == (
        [(0, True, "")] * 10
    )
    assert asyncio.run(_outputs(dev, 90)) == [THOUSAND] * 90


async def _outputs(dev: Dev, count: int) -> list[bytes]:
    turn = asyncio.Semaphore(8)

    async def output(client: Client) -> bytes:
        async with turn:
            task = await client.tasks.run(rootfs="preloaded:busybox", argv=["seq", "1000"])
            assert task.exit_status == 0, task
            return await client.logs(task, follow=True).bytes()

    async with dev.client() as client:
        return list(await asyncio.gather(*(output(client) for _ in range(count))))


def test_output_is_byte_for_byte_and_streams_stay_apart(dev: Dev, image: Path) -> None:
    rootfs = f"dir:{image}"
    data = (image / "data").read_bytes()
    file = inside(dev, image, "data")
    out = run_task(dev, "--rootfs", rootfs, "cat", file)
    assert (out.status, out.stderr) == (0, b"")
    assert out.stdout == data
    guid = "both-streams"
    script = f"cat {file} >&2; echo -n end"
    both = run_task(dev, "--rootfs", rootfs, "--guid", guid, "sh", "-c", script)
    assert (both.status, both.stdout) == (0, b"end")
    assert both.stderr == data
    later = dev.run("task", "logs", guid).succeeded()
    assert (later.stdout, later.stderr) == (b"end", data)


def test_a_program_that_is_not_there(dev: Dev) -> None:
    done = run_task(dev, "--guid", "no-program", "/no/such/program")
    assert (done.status, done.stdout) == (127, b"")
    [line] = done.err.splitlines()
    assert line.startswith("diegod: task no-program could not be run: ")
    assert "/no/such/program" in line


def test_a_program_that_can_not_be_executed(dev: Dev) -> None:
    done = run_task(dev, "/etc")
    assert (done.status, done.stdout) == (126, b"")
    assert len(done.err.splitlines()) == 1


@ONLY_EXEC
def test_wrong_usage_is_not_the_programs_status(dev: Dev) -> None:
    done = run_task(dev, "--nonsense", "true")
    assert (done.status, done.stdout) == (125, b"")
    assert done.err.startswith("diegod: no such option: --nonsense")


def test_a_timeout_ends_the_program(dev: Dev) -> None:
    done = run_task(dev, "--guid", "slow", "--timeout-s", "1", "sh", "-c", f"echo $$; {GOES_ON}")
    assert done.status == 124, done.shown
    assert done.err == "diegod: task slow timed out after 1 s\n"
    if dev.backend == "exec":
        assert not is_alive(int(done.stdout))


def test_ctrl_c_cancels_the_task(dev: Dev) -> None:
    process = dev.terminal.start(
        "task", "run", "--guid", "interrupted", "sh", "-c", f"echo up; {GOES_ON}"
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    process.send_signal(signal.SIGINT)
    done = ended(process)
    assert done.status == 130, done.shown
    assert "Traceback" not in done.err
    task = dev.run("task", "show", "-o", "json", "interrupted").succeeded().record
    assert (task["state"], task["failed"]) == ("COMPLETED", True)
    assert "cancel" in task["failure_reason"]


@ONLY_EXEC
def test_the_life_of_a_submitted_task(dev: Dev) -> None:
    file = dev.terminal.home / "tasks.yaml"
    file.write_text(f"{spec('life-a', 'echo a')}---\n{spec('life-b', 'echo b >&2; exit 4')}")
    stored = dev.run("task", "submit", str(file)).succeeded()
    assert stored.out == "life-a\nlife-b\n"
    assert dev.run("task", "wait", "life-a").succeeded().out.count("\n") == 2
    assert dev.run("task", "wait", "life-a", "life-b").status == 1
    again = dev.run("task", "submit", str(file)).succeeded()
    assert again.err.splitlines() == [
        "task life-a is already there (COMPLETED)",
        "task life-b is already there (COMPLETED)",
    ]
    listed = {task["task_guid"]: task for task in dev.run("task", "ls", "-o", "json").records}
    assert (listed["life-a"]["exit_status"], listed["life-b"]["exit_status"]) == (0, 4)
    assert dev.run("task", "logs", "life-a").stdout == b"a\n"
    assert dev.run("task", "logs", "life-b").stderr == b"b\n"
    assert "life-a" in dev.run("task", "show", "life-a").succeeded().out
    dev.run("task", "rm", "life-a", "life-b").succeeded()
    gone = dev.run("task", "show", "life-a")
    assert (gone.status, gone.out) == (3, "")


@ONLY_EXEC
def test_the_same_guid_with_another_definition_is_refused(dev: Dev) -> None:
    file = dev.terminal.home / "one.yaml"
    file.write_text(spec("taken", "true"))
    dev.run("task", "submit", "--wait", str(file)).succeeded()
    file.write_text(spec("taken", "false"))
    refused = dev.run("task", "submit", str(file))
    assert (refused.status, refused.out) == (4, "")
    assert "taken" in refused.err


@ONLY_EXEC
def test_a_spec_is_what_show_prints(dev: Dev) -> None:
    fields = {"environment_variables": {"COUNTRY": "no", "VERSION": "1.10"}, "memory_mb": 32}
    file = dev.terminal.home / "full.yaml"
    file.write_text(spec("round", "echo $COUNTRY $VERSION", **fields))
    dev.run("task", "submit", "--wait", str(file)).succeeded()
    assert dev.run("task", "logs", "round").stdout == b"no 1.10\n"
    shown = dev.run("task", "show", "-o", "yaml", "round").succeeded()
    again = dev.run("task", "submit", "-", given=shown.stdout).succeeded()
    assert again.err == "task round is already there (COMPLETED)\n"


def test_cancel_stops_what_runs(dev: Dev) -> None:
    detached = dev.run("task", "run", "--detach", "sh", "-c", f"echo up; {GOES_ON}").succeeded()
    guid = detached.out.strip()
    until("its first line", lambda: dev.run("task", "logs", guid).stdout == b"up\n")
    dev.run("task", "cancel", guid).succeeded()
    assert dev.run("task", "wait", guid).status == 1
    task = dev.run("task", "show", "-o", "json", guid).record
    assert (task["state"], task["failed"], task["outcome_unknown"]) == ("COMPLETED", True, False)


def test_logs_are_followed_to_the_end(dev: Dev) -> None:
    guid = "talker"
    run = ["task", "run", "--detach", "--guid", guid]
    dev.run(*run, "sh", "-c", "echo first; sleep 1; echo last").succeeded()
    until("a cell", lambda: dev.run("task", "show", "-o", "json", guid).record["cell_id"])
    assert dev.run("task", "logs", "-f", guid).succeeded().stdout == b"first\nlast\n"
    assert dev.run("task", "logs", "--tail", "1", guid).stdout == b"last\n"


@ONLY_EXEC
def test_rm_at_the_end_leaves_no_record(dev: Dev) -> None:
    assert run_task(dev, "--rm", "--guid", "short-lived", "true").status == 0
    assert dev.run("task", "show", "short-lived").status == 3


@ONLY_EXEC
def test_each_task_starts_once(dev: Dev) -> None:
    """Its file has one line for each start, whatever the records say."""
    starts = dev.terminal.home / "starts"
    guids = [f"once-{number}" for number in range(10)]
    documents = [spec(guid, f"echo {guid} >> {starts}") for guid in guids]
    given = "---\n".join(documents).encode()
    dev.run("task", "submit", "--wait", "-", given=given).succeeded()
    assert sorted(whole_lines(starts)) == sorted(guids)


@pytest.fixture(scope="module")
def finished_task(dev: Dev) -> str:
    assert run_task(dev, "--guid", "keys", "-e", "A=b", "true").status == 0
    return "keys"


@ONLY_EXEC
@pytest.mark.parametrize(
    ("command", "file"),
    [
        (["task", "ls"], "task-ls"),
        (["task", "show", "keys"], "task-show"),
        (["task", "wait", "keys"], "task-wait"),
        (["task", "cancel", "keys"], "task-cancel"),
        (["cell", "ls"], "cell-ls"),
        (["cell", "show", "cell-1"], "cell-show"),
        (["bbs", "status"], "bbs-status"),
        (["version"], "version"),
        (["events", "--from", "1"], "events"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.usefixtures("finished_task")
def test_json_has_the_keys_of_the_golden_file(dev: Dev, command: list[str], file: str) -> None:
    done = dev.run(*command, "-o", "json").succeeded()
    assert done.records
    absent = set.intersection(*(golden.missing(record, file) for record in done.records))
    assert absent == set()


@ONLY_EXEC
def test_what_the_client_reads_is_what_was_written(dev: Dev) -> None:
    async def read() -> tuple[Task, list[tuple[int, bytes]]]:
        async with dev.client() as client:
            task = await client.tasks.run(
                rootfs="preloaded:busybox", argv=["sh", "-c", "echo out; sleep 0.2; echo err >&2"]
            )
            return task, [(chunk.stream, chunk.data) async for chunk in client.logs(task)]

    task, chunks = asyncio.run(read())
    assert (task.state, task.exit_status_known, task.exit_status) == (Task.COMPLETED, True, 0)
    assert chunks == [(LogChunk.STDOUT, b"out\n"), (LogChunk.STDERR, b"err\n")]


@ONLY_EXEC
def test_a_reader_that_leaves_early_does_no_harm(dev: Dev) -> None:
    done = dev.terminal.shell("diegod task run seq 100000 | head -n 1")
    assert (done.stdout, "Traceback" in done.err) == (b"1\n", False)
