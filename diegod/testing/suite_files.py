"""Backend suite: reading a file that the program has left, whatever it has put in its place."""

import asyncio
from pathlib import Path

import pytest

from diegod.contracts.backend import BackendError, ContainerBackend, ContainerSpec
from diegod.testing.backend_bench import Bench
from diegod.testing.suite_fixtures import SuiteFixtures

BYTES_MAX = 10 * 1024
_SECRET = b"of the host"


class FileSuite(SuiteFixtures):
    def file_of(self, spec: ContainerSpec) -> str:
        """A path in the container that no other container uses, also without file systems of
        their own."""
        return f"/tmp/{'-'.join(spec.directory.parts[1:])}"  # noqa: S108

    async def _left(
        self, bench: Bench, backend: ContainerBackend, script: str, *, bytes_max: int = BYTES_MAX
    ) -> bytes | None:
        """Run a script that leaves something at $F, and read that after its end."""
        spec = bench.spec("/bin/sh", "-c", script)
        path = self.file_of(spec)
        spec = bench.again(spec, env={"F": path})
        try:
            assert (await bench.run(backend, spec)).exit is not None
            return await bench.in_time(backend.read_file(spec.handle, path, bytes_max))
        finally:
            _remove(path, backend)

    async def test_what_the_program_has_written(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        assert await self._left(bench, backend, "echo 42 > $F") == b"42\n"

    async def test_also_when_it_has_failed(self, bench: Bench, backend: ContainerBackend) -> None:
        assert await self._left(bench, backend, "echo why > $F; exit 3") == b"why\n"

    async def test_an_empty_file_is_not_a_missing_one(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        assert await self._left(bench, backend, ": > $F") == b""
        assert await self._left(bench, backend, ":") is None

    async def test_no_more_than_was_asked_for(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        script = "head -c 3000000 /dev/zero | tr '\\000' x > $F"
        assert await self._left(bench, backend, script) == b"x" * BYTES_MAX
        assert await self._left(bench, backend, "printf abcdef > $F", bytes_max=4) == b"abcd"

    @pytest.mark.parametrize(
        "script", ["mkfifo $F", "mkdir $F", "ln -s $F $F", "ln -s /dev/zero $F", "mkdir $F.d"]
    )
    async def test_what_is_no_regular_file_is_nothing_and_waits_for_nothing(
        self, bench: Bench, backend: ContainerBackend, script: str
    ) -> None:
        assert await self._left(bench, backend, script) is None

    @pytest.mark.parametrize("target", ["{secret}", "../../../../../../../../..{secret}"])
    async def test_no_link_leads_to_a_file_of_the_host(
        self, bench: Bench, backend: ContainerBackend, tmp_path: Path, target: str
    ) -> None:
        secret = tmp_path / "secret"
        secret.write_bytes(_SECRET)
        target = target.format(secret=secret)
        assert await self._left(bench, backend, f"ln -s {target} $F") is None

    async def test_the_hosts_passwords_are_not_a_result(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        found = await self._left(bench, backend, "ln -s /etc/passwd $F")
        assert found != Path("/etc/passwd").read_bytes()[:BYTES_MAX]

    async def test_while_it_runs_and_by_the_next_agent(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        spec = bench.spec("/bin/sh", "-c", "echo half > $F; echo up; sleep 0.5; echo whole > $F")
        path = self.file_of(spec)
        spec = bench.again(spec, env={"F": path})
        try:
            await bench.start(backend, spec)
            await bench.said(spec, b"up")
            assert await backend.read_file(spec.handle, path, BYTES_MAX) == b"half\n"
            await bench.in_time(backend.wait(spec.handle))
            heir = await bench.agent()
            assert await heir.read_file(spec.handle, path, BYTES_MAX) == b"whole\n"
        finally:
            _remove(path, backend)

    async def test_not_of_a_container_that_is_not_there(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        spec = bench.spec("/bin/sh", "-c", ":")
        await bench.run(backend, spec)
        await bench.in_time(backend.destroy(spec.handle))
        for handle in (spec.handle, "t-never-was-1"):
            with pytest.raises(BackendError):
                await asyncio.wait_for(backend.read_file(handle, "/etc/hosts", 10), 5)


def _remove(path: str, backend: ContainerBackend) -> None:
    """What a program without a file system of its own has left on the host."""
    if backend.capabilities.rootfs:
        return
    for left in (Path(path), Path(f"{path}.d")):
        if left.is_dir() and not left.is_symlink():
            left.rmdir()
        else:
            left.unlink(missing_ok=True)
