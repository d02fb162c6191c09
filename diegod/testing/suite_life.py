"""Backend suite: the life of one container, its exit status, signals, destruction, refusals."""

import asyncio

import pytest

from diegod.contracts.backend import (
    BackendError,
    ContainerBackend,
    ContainerSpec,
    ContainerState,
    Exit,
    RootfsNotFound,
)
from diegod.testing.backend_bench import WITNESS, Bench, output, starts
from diegod.testing.suite_fixtures import SuiteFixtures


class LifeSuite(SuiteFixtures):
    async def test_life_from_prepare_to_destroy(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        spec = bench.spec("/bin/sh", "-c", "echo up; sleep 0.3; exit 3")
        assert await backend.inspect(spec.handle) is None
        await backend.prepare(spec)
        await backend.create(spec)
        created = await backend.inspect(spec.handle)
        assert created is not None
        assert (created.state, created.pid, created.exit) == (ContainerState.PREPARED, 0, None)
        started = await backend.start(spec.handle)
        assert started.handle == spec.handle
        assert started.state in (ContainerState.RUNNING, ContainerState.EXITED)
        ended = await bench.in_time(backend.wait(spec.handle))
        assert (ended.state, ended.exit, ended.pid) == (ContainerState.EXITED, Exit(3), 0)
        assert await backend.inspect(spec.handle) == ended
        await backend.destroy(spec.handle)
        assert await backend.inspect(spec.handle) is None
        assert spec.handle not in await backend.handles()

    async def test_running_container_has_a_pid(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        spec = bench.spec(*WITNESS)
        started = await bench.start(backend, spec)
        assert started.state is ContainerState.RUNNING
        assert started.pid > 1
        assert await backend.inspect(spec.handle) == started

    @pytest.mark.parametrize("status", [0, 1, 7, 126, 200, 255])
    async def test_exit_status(self, bench: Bench, backend: ContainerBackend, status: int) -> None:
        ended = await bench.run(backend, bench.spec("/bin/sh", "-c", f"exit {status}"))
        assert ended.exit == Exit(status)

    async def test_created_is_not_started(self, bench: Bench, backend: ContainerBackend) -> None:
        spec = bench.spec(*WITNESS)
        await backend.prepare(spec)
        await backend.create(spec)
        await asyncio.sleep(0.3)
        assert starts(spec) == 0

    async def test_prepare_and_create_may_be_repeated(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        spec = bench.spec("/bin/sh", "-c", "echo once")
        await backend.prepare(spec)
        await backend.prepare(spec)
        await backend.create(spec)
        await backend.create(spec)
        await backend.start(spec.handle)
        assert (await bench.in_time(backend.wait(spec.handle))).exit == Exit(0)
        assert output(spec) == b"once\n"

    async def test_a_second_start_never_runs_the_program_again(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        spec = bench.spec(*WITNESS)
        await bench.start(backend, spec)
        await bench.said(spec, b"alive")
        with pytest.raises(BackendError):
            await backend.start(spec.handle)
        await asyncio.sleep(0.3)
        assert starts(spec) == 1

    async def test_many_may_wait(self, bench: Bench, backend: ContainerBackend) -> None:
        spec = bench.spec("/bin/sh", "-c", "sleep 0.5; exit 4")
        await bench.start(backend, spec)
        waits = [asyncio.ensure_future(backend.wait(spec.handle)) for _ in range(5)]
        waits[0].cancel()  # one who gives up takes nothing from the others
        seen = await bench.in_time(asyncio.gather(*waits[1:]))
        assert [status.exit for status in seen] == [Exit(4)] * 4
        assert (await bench.in_time(backend.wait(spec.handle))).exit == Exit(4)

    async def test_program_can_answer_term(self, bench: Bench, backend: ContainerBackend) -> None:
        spec = bench.spec(
            "/bin/sh", "-c", "trap 'echo bye; exit 9' TERM; echo up; while :; do sleep 0.05; done"
        )
        await bench.start(backend, spec)
        await bench.said(spec, b"up")
        await backend.signal(spec.handle, "TERM")
        assert (await bench.in_time(backend.wait(spec.handle))).exit == Exit(9)
        assert output(spec) == b"up\nbye\n"

    async def test_death_by_signal_is_128_plus_n(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        spec = bench.spec(*WITNESS)
        await bench.start(backend, spec)
        await backend.signal(spec.handle, "KILL")
        ended = await bench.in_time(backend.wait(spec.handle))
        assert (ended.state, ended.exit) == (ContainerState.EXITED, Exit(128 + 9))

    async def test_signal_after_the_end_does_nothing(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        spec = bench.spec("/bin/sh", "-c", "exit 5")
        await bench.run(backend, spec)
        await backend.signal(spec.handle, "TERM")
        status = await backend.inspect(spec.handle)
        assert status is not None
        assert status.exit == Exit(5)

    async def test_destroy_ends_what_runs(self, bench: Bench, backend: ContainerBackend) -> None:
        """Also what ignores TERM, and what the program has started in the background."""
        script = "trap '' TERM; (while :; do sleep 0.1; echo child; done) & echo up; wait; sleep 99"
        spec = bench.spec("/bin/sh", "-c", script)
        await bench.start(backend, spec)
        await bench.said(spec, b"child")
        await bench.in_time(backend.destroy(spec.handle))
        before = output(spec)
        await asyncio.sleep(0.4)
        assert output(spec) == before
        assert await backend.inspect(spec.handle) is None

    async def test_destroy_may_be_repeated(self, bench: Bench, backend: ContainerBackend) -> None:
        spec = bench.spec(*WITNESS)
        await bench.start(backend, spec)
        await bench.in_time(backend.destroy(spec.handle))
        await bench.in_time(backend.destroy(spec.handle))
        assert list(await backend.handles()) == []

    async def test_destroy_of_an_unknown_handle_does_nothing(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        await bench.in_time(backend.destroy("t-never-was-1"))
        assert await backend.inspect("t-never-was-1") is None

    async def test_destroy_of_what_was_only_prepared(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        prepared, created = bench.spec(*WITNESS), bench.spec(*WITNESS)
        await backend.prepare(prepared)
        await backend.prepare(created)
        await backend.create(created)
        assert sorted(await backend.handles()) == sorted([prepared.handle, created.handle])
        await bench.in_time(backend.destroy(prepared.handle))
        await bench.in_time(backend.destroy(created.handle))
        assert list(await backend.handles()) == []

    async def test_nothing_starts_after_destroy(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        spec = bench.spec(*WITNESS)
        await backend.prepare(spec)
        await backend.create(spec)
        await backend.destroy(spec.handle)
        with pytest.raises(BackendError):
            await backend.start(spec.handle)
        await asyncio.sleep(0.2)
        assert starts(spec) == 0

    async def test_waiting_while_destroyed_comes_to_an_end(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        spec = bench.spec(*WITNESS)
        await bench.start(backend, spec)
        waiting = asyncio.ensure_future(backend.wait(spec.handle))
        await asyncio.sleep(0.1)
        await bench.in_time(backend.destroy(spec.handle))
        status = await bench.in_time(waiting)
        assert status.state in (ContainerState.EXITED, ContainerState.LOST)

    async def test_a_missing_program_is_refused(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        """By `create` or by `start`; never as an exit status, which a program could also return."""
        spec = bench.spec("/bin/no-such-program")
        await backend.prepare(spec)
        with pytest.raises(BackendError, match="no-such-program") as refusal:
            await _create_and_start(backend, spec)
        assert "\n" not in str(refusal.value)
        await backend.destroy(spec.handle)
        assert spec.handle not in await backend.handles()

    async def test_a_missing_rootfs_is_refused_by_prepare(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        spec = bench.spec("/bin/sh", rootfs=self.missing_rootfs)
        with pytest.raises(RootfsNotFound, match="no-such-rootfs"):
            await backend.prepare(spec)
        await backend.destroy(spec.handle)
        assert spec.handle not in await backend.handles()

    async def test_rootfs_providers_name_the_rootfs(self, backend: ContainerBackend) -> None:
        assert self.rootfs in await backend.rootfs_providers()


async def _create_and_start(backend: ContainerBackend, spec: ContainerSpec) -> None:
    await backend.create(spec)
    await backend.start(spec.handle)
