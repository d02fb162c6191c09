"""The backend suite on the fake, as far as it needs no shell: what simulations rest on is true."""

import re
from collections.abc import AsyncIterator, Sequence

import pytest_asyncio

from diegod.contracts.backend import ContainerSpec, ExecResult
from diegod.testing.backend_bench import WITNESS, BackendFactory
from diegod.testing.fake_backend import FakeBackend, FakeHost, Script
from diegod.testing.suite_agent_loss import AgentLossSuite
from diegod.testing.suite_life import LifeSuite
from diegod.testing.suite_ownership import OwnershipSuite


def script_for(spec: ContainerSpec) -> Script:
    """What the programs of the suite do, as scripts of the fake."""
    program = " ".join(spec.argv)
    if tuple(spec.argv) == WITNESS:
        return Script(says=b"started\n", says_again=b"alive\n", answers=answer)
    if "trap 'echo bye; exit 9' TERM" in program:
        return Script(says=b"up\n", says_at_term=b"bye\n", term_status=9)
    if "trap '' TERM" in program:
        return Script(says=b"up\n", says_again=b"child\n", term_status=None)
    if "no-such-program" in program:
        return Script(refuse_start=f"can't run {program}")
    words = re.search(r"echo (\w+)", program)
    sleep = re.search(r"sleep ([\d.]+)", program)
    return Script(
        runs_s=float(sleep[1]) if sleep else 0.01,
        status=status_of(program),
        says=b"%s\n" % words[1].encode() if words else b"",
    )


def status_of(program: str) -> int:
    match = re.search(r"exit (\d+)", program)
    return int(match[1]) if match else 0


def answer(argv: Sequence[str]) -> ExecResult:
    return ExecResult(status_of(" ".join(argv)), b"")


class TestFakeBackend(LifeSuite, OwnershipSuite, AgentLossSuite):
    @pytest_asyncio.fixture
    async def backend_factory(self) -> AsyncIterator[BackendFactory]:
        host = FakeHost(script_for)
        yield lambda owner: FakeBackend(owner, host)
        await host.close()
