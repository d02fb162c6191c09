"""Backend suite: what containers write arrives in the CRI log, byte for byte."""

import pytest

from diegod.contracts.backend import ContainerBackend, Exit
from diegod.contracts.log_format import LOG_FILE
from diegod.testing.backend_bench import Bench, output, records
from diegod.testing.suite_fixtures import SuiteFixtures

ALL_BYTES = bytes(range(256))
PRINT_ALL_BYTES = "printf '" + "".join(f"\\{byte:03o}" for byte in ALL_BYTES) + "'"


class OutputSuite(SuiteFixtures):
    @pytest.mark.parametrize(
        ("script", "said"),
        [
            pytest.param("true", b"", id="nothing"),
            pytest.param("echo hello", b"hello\n", id="a line"),
            pytest.param("printf 'no newline'", b"no newline", id="no trailing newline"),
            pytest.param("printf '\\n\\n a \\n'", b"\n\n a \n", id="empty lines and blanks"),
            pytest.param("printf 'a'; sleep 0.2; printf 'b\\n'", b"ab\n", id="a line in two parts"),
            pytest.param("printf 'a\\r\\nb\\r'", b"a\r\nb\r", id="carriage returns"),
            pytest.param(PRINT_ALL_BYTES, ALL_BYTES, id="every byte"),
            pytest.param("seq 1000", b"".join(b"%d\n" % n for n in range(1, 1001)), id="seq 1000"),
        ],
    )
    async def test_output_is_byte_for_byte(
        self, bench: Bench, backend: ContainerBackend, script: str, said: bytes
    ) -> None:
        spec = bench.spec("/bin/sh", "-c", script)
        assert (await bench.run(backend, spec)).exit == Exit(0)
        assert output(spec) == said

    async def test_a_line_of_a_megabyte(self, bench: Bench, backend: ContainerBackend) -> None:
        script = "head -c 1048576 /dev/zero | tr '\\000' x; echo; echo after"
        spec = bench.spec("/bin/sh", "-c", script)
        await bench.run(backend, spec)
        assert output(spec) == b"x" * 1048576 + b"\nafter\n"

    async def test_two_streams(self, bench: Bench, backend: ContainerBackend) -> None:
        """Each stream keeps its own order; a pause keeps the order between the two as well."""
        script = "echo one; sleep 0.2; echo two >&2; sleep 0.2; echo three; echo four >&2"
        spec = bench.spec("/bin/sh", "-c", script)
        await bench.run(backend, spec)
        assert output(spec) == b"one\nthree\n"
        assert output(spec, "stderr") == b"two\nfour\n"
        assert [record.data for record in records(spec)][:2] == [b"one\n", b"two\n"]

    async def test_output_is_complete_when_the_end_is_known(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        for _ in range(5):
            spec = bench.spec("/bin/sh", "-c", "seq 1000; seq 1000 >&2")
            await bench.run(backend, spec)
            expected = b"".join(b"%d\n" % n for n in range(1, 1001))
            assert (output(spec), output(spec, "stderr")) == (expected, expected)

    async def test_output_can_be_read_while_it_is_written(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        spec = bench.spec("/bin/sh", "-c", "printf 'password: '; sleep 30")
        await bench.start(backend, spec)
        await bench.said(spec, b"password: ")

    async def test_log_times_never_go_back(self, bench: Bench, backend: ContainerBackend) -> None:
        spec = bench.spec("/bin/sh", "-c", "for n in 1 2 3; do echo $n; sleep 0.05; done")
        await bench.run(backend, spec)
        times = [record.at for record in records(spec)]
        assert times == sorted(times)
        assert all(len(at) == len("2026-11-22T08:55:14.257444845+00:00") for at in times)

    async def test_the_log_stays_after_destroy(
        self, bench: Bench, backend: ContainerBackend
    ) -> None:
        """The folder is the cell's: it keeps the log as long as it keeps the record of the task."""
        spec = bench.spec("/bin/sh", "-c", "echo last words")
        await bench.run(backend, spec)
        await backend.destroy(spec.handle)
        assert (spec.directory / LOG_FILE).is_file()
        assert output(spec) == b"last words\n"
