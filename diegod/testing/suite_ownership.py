"""Backend suite: a backend sees and removes only what is its owner's."""

from diegod.contracts.backend import ContainerBackend, ContainerState
from diegod.testing.backend_bench import NEIGHBOUR, WITNESS, Bench
from diegod.testing.suite_fixtures import SuiteFixtures


class OwnershipSuite(SuiteFixtures):
    async def test_handles_are_the_owners_own(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        neighbour = await bench.agent(NEIGHBOUR)
        mine, theirs = bench.spec(*WITNESS), bench.spec(*WITNESS, owner=NEIGHBOUR)
        await bench.start(backend, mine)
        await bench.start(neighbour, theirs)
        assert list(await backend.handles()) == [mine.handle]
        assert list(await neighbour.handles()) == [theirs.handle]

    async def test_destroy_of_a_neighbours_handle_does_nothing(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        neighbour = await bench.agent(NEIGHBOUR)
        theirs = bench.spec(*WITNESS, owner=NEIGHBOUR)
        started = await bench.start(neighbour, theirs)
        await backend.destroy(theirs.handle)
        assert await neighbour.inspect(theirs.handle) == started

    async def test_sweep_removes_everything_of_the_owner_and_nothing_else(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        neighbour = await bench.agent(NEIGHBOUR)
        theirs = bench.spec(*WITNESS, owner=NEIGHBOUR)
        started = await bench.start(neighbour, theirs)
        running, ended, prepared = bench.spec(*WITNESS), bench.spec("/bin/true"), bench.spec("x")
        await bench.start(backend, running)
        await bench.run(backend, ended)
        await backend.prepare(prepared)
        await bench.in_time(backend.sweep())
        assert list(await backend.handles()) == []
        for spec in (running, ended, prepared):
            assert await backend.inspect(spec.handle) is None
        assert await neighbour.inspect(theirs.handle) == started
        assert started.state is ContainerState.RUNNING

    async def test_work_goes_on_after_a_sweep(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        await bench.start(backend, bench.spec(*WITNESS))
        await bench.in_time(backend.sweep())
        await bench.in_time(backend.sweep())
        again = await bench.agent()
        assert (await bench.start(again, bench.spec(*WITNESS))).state is ContainerState.RUNNING

    async def test_a_handle_is_listed_from_prepare_to_destroy(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        spec = bench.spec("/bin/true")
        await backend.prepare(spec)
        assert list(await backend.handles()) == [spec.handle]
        await backend.create(spec)
        await backend.start(spec.handle)
        await bench.in_time(backend.wait(spec.handle))
        assert list(await (await bench.agent()).handles()) == [spec.handle]
        await backend.destroy(spec.handle)
        assert list(await backend.handles()) == []
