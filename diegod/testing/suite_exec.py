"""Backend suite: running another process in a container that runs."""

import asyncio

import pytest

from diegod.contracts.backend import BackendError, ContainerBackend, ContainerState, ExecResult
from diegod.testing.backend_bench import WITNESS, Bench
from diegod.testing.suite_fixtures import SuiteFixtures

OUTPUT_MAX = 64 * 1024


class ExecSuite(SuiteFixtures):
    async def test_status_and_output(self, bench: Bench, backend: ContainerBackend) -> None:
        spec = bench.spec(*WITNESS)
        await bench.start(backend, spec)
        argv = ("/bin/sh", "-c", "echo to stdout; echo to stderr >&2; exit 3")
        result = await backend.exec(spec.handle, argv, {}, 10)
        assert result.status == 3
        assert sorted(result.output.splitlines()) == [b"to stderr", b"to stdout"]

    async def test_environment_is_the_containers_and_the_calls(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        spec = bench.spec(*WITNESS, env={"MINE": "container"})
        await bench.start(backend, spec)
        argv = ("sh", "-c", 'echo "$MINE $EXTRA"')
        result = await backend.exec(spec.handle, argv, {"EXTRA": "call"}, 10)
        assert result == ExecResult(0, b"container call\n")

    async def test_output_is_cut_at_64_kib(self, bench: Bench, backend: ContainerBackend) -> None:
        spec = bench.spec(*WITNESS)
        await bench.start(backend, spec)
        argv = ("/bin/sh", "-c", "head -c 300000 /dev/zero | tr '\\000' x")
        result = await backend.exec(spec.handle, argv, {}, 10)
        assert result == ExecResult(0, b"x" * OUTPUT_MAX)

    async def test_timeout_kills_the_process(self, bench: Bench, backend: ContainerBackend) -> None:
        spec = bench.spec(*WITNESS)
        await bench.start(backend, spec)
        mark = spec.directory.name
        argv = ("/bin/sh", "-c", f"while :; do sleep 0.1; done; : {mark}")
        with pytest.raises(TimeoutError):
            await bench.in_time(backend.exec(spec.handle, argv, {}, 0.5))
        status = await backend.inspect(spec.handle)
        assert status is not None
        assert status.state is ContainerState.RUNNING
        assert (await backend.exec(spec.handle, ("/bin/sh", "-c", "exit 0"), {}, 10)).status == 0

    async def test_several_at_once(self, bench: Bench, backend: ContainerBackend) -> None:
        spec = bench.spec(*WITNESS)
        await bench.start(backend, spec)
        calls = (
            backend.exec(spec.handle, ("/bin/sh", "-c", f"sleep 0.2; exit {n}"), {}, 10)
            for n in range(4)
        )
        results = await bench.in_time(asyncio.gather(*calls))
        assert [result.status for result in results] == [0, 1, 2, 3]

    async def test_a_missing_program_does_not_look_healthy(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        spec = bench.spec(*WITNESS)
        await bench.start(backend, spec)
        try:
            status = (await backend.exec(spec.handle, ("/bin/no-such-program",), {}, 10)).status
        except BackendError:
            status = 127
        assert status != 0

    async def test_only_in_a_container_that_runs(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        spec = bench.spec("/bin/sh", "-c", "exit 0")
        await bench.run(backend, spec)
        for handle in (spec.handle, "t-never-was-1"):
            with pytest.raises(BackendError):
                await backend.exec(handle, ("/bin/sh", "-c", "exit 0"), {}, 10)
