"""Backend suite: what only isolated containers have: their own host name, network and limits."""

from pathlib import Path

from diegod.contracts.backend import ContainerBackend, Exit, Limits, PortSpec
from diegod.testing.backend_bench import Bench, connected, free_port, output
from diegod.testing.suite_fixtures import SuiteFixtures


class IsolationSuite(SuiteFixtures):
    async def test_host_name(self, bench: Bench, backend: ContainerBackend) -> None:
        assert backend.capabilities.rootfs
        spec = bench.spec("hostname", hostname="web-0")
        await bench.run(backend, spec)
        assert output(spec) == b"web-0\n"

    async def test_a_link_means_what_it_means_to_the_program(
        self, bench: Bench, backend: ContainerBackend, tmp_path: Path
    ) -> None:
        """Links to files and to folders, absolute ones and those that climb beyond the root."""
        (tmp_path / "result").write_bytes(b"of the host")
        script = (
            "mkdir -p /a/b /out; echo own > /a/result; ln -s /a/result /first;"
            "ln -s ../../../../a/b /out/dir; ln -s /proc/1/environ /fake;"
            f"ln -s {tmp_path} /host; ln -s ../../../../../../../..{tmp_path} /climb"
        )
        spec = bench.spec("/bin/sh", "-c", script)
        assert (await bench.run(backend, spec)).exit == Exit(0)
        for path in ("/first", "/out/dir/../result", "/../..//a/./result", "a/result"):
            assert await backend.read_file(spec.handle, path, 100) == b"own\n", path
        for path in ("/host/result", "/climb/result", "/fake", "/first/x", "/", ""):
            assert await backend.read_file(spec.handle, path, 100) is None, path

    async def test_too_much_memory_is_a_kill_that_says_so(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        assert backend.capabilities.limits
        limits = Limits(memory_mb=32, cpu_weight=50, max_pids=64, disk_mb=64)
        spec = bench.spec("tail", "/dev/zero", limits=limits)
        ended = await bench.run(backend, spec)
        assert ended.exit == Exit(128 + 9, oom_killed=True)

    async def test_number_of_processes_is_limited(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        assert backend.capabilities.limits
        limits = Limits(memory_mb=64, cpu_weight=50, max_pids=10, disk_mb=64)
        script = "n=0; while [ $n -lt 40 ]; do sleep 30 & n=$((n+1)); done; echo all"
        spec = bench.spec("/bin/sh", "-c", script, limits=limits)
        await bench.start(backend, spec)
        await bench.until(lambda: b"fork" in output(spec, "stderr"), "a fork was refused")
        assert b"all" not in output(spec)

    async def test_two_containers_with_one_container_port(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        assert backend.capabilities.network_namespace
        addresses = []
        for _ in range(2):
            ports = [PortSpec("web", 8080, free_port())]
            spec = bench.spec(*self.server_argv(8080), ports=ports)
            addresses.append((await bench.start(backend, spec)).address)
        assert len(set(addresses)) == 2
        for address in addresses:
            await bench.in_time(connected(address, 8080))
