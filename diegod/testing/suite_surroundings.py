"""Backend suite: environment, working directory, user, ports."""

import pytest

from diegod.contracts.backend import (
    BackendError,
    ContainerBackend,
    ContainerState,
    Exit,
    PortSpec,
)
from diegod.testing.backend_bench import Bench, connected, free_port, output
from diegod.testing.suite_fixtures import SuiteFixtures


class SurroundingsSuite(SuiteFixtures):
    async def test_arguments_and_environment_are_passed_exactly(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        script = 'printf "%s|" "$GREETING" "$EMPTY" "$LINES2" "$@"'
        spec = bench.spec(
            *("/bin/sh", "-c", script, "name", "two words", "", "*", "ünï"),
            env={"GREETING": "hello  world", "EMPTY": "", "LINES2": "a\nb"},
        )
        await bench.run(backend, spec)
        assert output(spec).decode() == "hello  world||a\nb|two words||*|ünï|"

    async def test_the_agents_environment_is_not_passed(
        self, bench: Bench, backend: ContainerBackend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SECRET_OF_THE_AGENT", "1234")
        spec = bench.spec("env", env={"MINE": "yes"})
        assert (await bench.run(await bench.agent(), spec)).exit == Exit(0)
        assert b"MINE=yes\n" in output(spec)
        assert b"SECRET_OF_THE_AGENT" not in output(spec)

    async def test_a_bare_name_is_looked_up_in_path(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        spec = bench.spec("sh", "-c", "seq 1")
        assert (await bench.run(backend, spec)).exit == Exit(0)
        assert output(spec) == b"1\n"

    async def test_working_directory(self, bench: Bench, backend: ContainerBackend) -> None:
        spec = bench.spec("/bin/sh", "-c", "pwd", working_dir="/tmp")  # noqa: S108
        await bench.run(backend, spec)
        assert output(spec).rstrip().endswith(b"/tmp")

    async def test_user_by_number(self, bench: Bench, backend: ContainerBackend) -> None:
        if not self.can_switch_user:
            pytest.skip("needs root")
        spec = bench.spec("/bin/sh", "-c", "echo $(id -u):$(id -g):$(id -G)", user="1234:1235")
        assert (await bench.run(backend, spec)).exit == Exit(0)
        assert output(spec) == b"1234:1235:1235\n"

    async def test_user_by_name(self, bench: Bench, backend: ContainerBackend) -> None:
        if not self.can_switch_user:
            pytest.skip("needs root")
        spec = bench.spec("id", "-u", user="root")
        await bench.run(backend, spec)
        assert output(spec) == b"0\n"

    async def test_an_unknown_user_is_refused(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        spec = bench.spec("/bin/sh", "-c", "exit 0", user="no-such-user")
        with pytest.raises(BackendError, match="no-such-user"):
            await bench.start(backend, spec)

    async def test_standard_input_is_empty(self, bench: Bench, backend: ContainerBackend) -> None:
        spec = bench.spec("/bin/sh", "-c", "cat; echo end")
        await bench.run(backend, spec)
        assert output(spec) == b"end\n"

    async def test_ports_can_be_reached(self, bench: Bench, backend: ContainerBackend) -> None:
        """At the container's own address, and at the host port."""
        own_network = backend.capabilities.network_namespace
        host_port = free_port()
        port = 8080 if own_network else host_port
        spec = bench.spec(
            *self.server_argv(port),
            env={"PORT": str(port)},
            ports=[PortSpec("web", 8080, host_port)],
        )
        started = await bench.start(backend, spec)
        assert started.state is ContainerState.RUNNING
        assert started.address
        for address, number in ((started.address, port), ("127.0.0.1", host_port)):
            await bench.in_time(connected(address, number))
