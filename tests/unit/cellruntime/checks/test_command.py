"""The command check: exit status 0, and a reason for everything else."""

import asyncio
from collections.abc import Sequence

import pytest

from diegod.cellruntime.checks.command import make_command_check
from diegod.contracts.backend import BackendError, ExecResult
from diegod.contracts.check import RunInContainer, Target, Unhealthy
from diegod.v1.definition_pb2 import Check, CommandCheck

CHECK = make_command_check(Check(command_check=CommandCheck(path="/bin/ready", args=["-q", "db"])))


async def probe(run: RunInContainer, timeout_s: float = 5) -> Unhealthy | None:
    return await CHECK.probe(Target("127.0.0.1", {}, run), timeout_s)


def exits(status: int, output: bytes = b"") -> RunInContainer:
    async def run(argv: Sequence[str], timeout_s: float) -> ExecResult:
        assert argv == ("/bin/ready", "-q", "db")
        assert timeout_s == 5
        return ExecResult(status, output)

    return run


async def test_zero_is_healthy() -> None:
    assert await probe(exits(0, b"all is well\n")) is None


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (b"", "/bin/ready exited with status 3"),
        (b"trying\nno database\n\n", "/bin/ready exited with status 3: no database"),
        (b"\xff\xfe", "/bin/ready exited with status 3: \ufffd\ufffd"),
        (b"x" * 500, "/bin/ready exited with status 3: " + "x" * 200),
    ],
)
async def test_a_failure_repeats_the_last_words(output: bytes, reason: str) -> None:
    assert await probe(exits(3, output)) == Unhealthy(reason)


async def test_a_command_that_cannot_be_run() -> None:
    async def run(argv: Sequence[str], timeout_s: float) -> ExecResult:
        raise BackendError("can't run /bin/ready: No such file or directory")

    assert await probe(run) == Unhealthy("can't run /bin/ready: No such file or directory")


async def test_too_long_whoever_notices_it() -> None:
    """The backend raises when it has killed the command; a backend that hangs is not waited for."""

    async def killed(argv: Sequence[str], timeout_s: float) -> ExecResult:
        raise TimeoutError

    async def hangs(argv: Sequence[str], timeout_s: float) -> ExecResult:
        await asyncio.sleep(60)
        raise AssertionError

    assert await probe(killed, 0.1) == Unhealthy("/bin/ready took longer than 0.1 s")
    assert await probe(hangs, 0.1) == Unhealthy("/bin/ready took longer than 0.1 s")
