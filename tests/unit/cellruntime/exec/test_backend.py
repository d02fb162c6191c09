"""The exec backend beyond the conformance suite: root file systems, PATH, signals, names."""

import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from diegod.cellruntime.builtin import diegod_backends
from diegod.cellruntime.exec.backend import CAPABILITIES, ExecBackend
from diegod.cellruntime.exec.rendezvous import make_private, socket_path
from diegod.contracts.backend import BackendError, ContainerSpec, Exit, Owner, RootfsNotFound
from diegod.testing.backend_bench import Bench, output


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    """A root file system with a program that no host has."""
    program = tmp_path / "root/usr/bin/applet-of-ours"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho from the rootfs\n")
    program.chmod(0o755)
    return tmp_path / "root"


@pytest_asyncio.fixture
async def bench(tmp_path: Path, rootfs: Path) -> AsyncIterator[Bench]:
    settings = {"preloaded": {"ours": str(rootfs), "host": "", "gone": "/no/such"}}
    bench = Bench(
        lambda owner: ExecBackend(owner, tmp_path / "state", settings),
        tmp_path / "containers",
        "preloaded:ours",
        patience_s=20,
    )
    try:
        yield bench
    finally:
        await bench.end()


async def test_programs_of_the_rootfs_come_after_the_hosts(bench: Bench, rootfs: Path) -> None:
    (rootfs / "usr/bin/true").write_text("#!/bin/sh\nexit 9\n")
    (rootfs / "usr/bin/true").chmod(0o755)
    backend = await bench.agent()
    spec = bench.spec("applet-of-ours")
    await bench.run(backend, spec)
    assert output(spec) == b"from the rootfs\n"
    assert (await bench.run(backend, bench.spec("true"))).exit == Exit(0)


async def test_a_path_of_the_spec_is_kept(bench: Bench, rootfs: Path) -> None:
    backend = await bench.agent()
    spec = bench.spec("/bin/sh", "-c", 'echo "$PATH"', env={"PATH": "/mine"})
    await bench.run(backend, spec)
    assert output(spec).decode() == f"/mine:{rootfs}/usr/bin\n"


async def test_the_environment_is_the_specs_and_path(bench: Bench) -> None:
    backend = await bench.agent()
    spec = bench.spec("env", env={"A": "1"}, rootfs="preloaded:host")
    await bench.run(backend, spec)
    names = {line.partition(b"=")[0] for line in output(spec).splitlines()}
    assert names == {b"A", b"PATH"}


async def test_a_directory_as_rootfs(bench: Bench, rootfs: Path) -> None:
    backend = await bench.agent()
    spec = bench.spec("applet-of-ours", rootfs=f"dir:{rootfs}")
    await bench.run(backend, spec)
    assert output(spec) == b"from the rootfs\n"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("preloaded:unknown", "this cell has preloaded:gone, preloaded:host, preloaded:ours"),
        ("preloaded:gone", "there is no folder /no/such"),
        ("dir:/no/such", "there is no folder /no/such"),
        ("dir:relative", "dir:/PATH"),
        ("docker:busybox", "this cell has"),
        ("", "this cell has"),
    ],
)
async def test_a_rootfs_that_is_not_there(bench: Bench, name: str, reason: str) -> None:
    backend = await bench.agent()
    with pytest.raises(RootfsNotFound, match=reason):
        await backend.prepare(bench.spec("true", rootfs=name))
    assert list(await backend.handles()) == []


async def test_without_settings_the_hosts_programs_are_offered(tmp_path: Path) -> None:
    backend = ExecBackend(Owner("c", "cell"), tmp_path, {})
    assert list(await backend.rootfs_providers()) == ["preloaded:busybox", "dir"]


def test_settings_of_another_shape_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="preloaded"):
        ExecBackend(Owner("c", "cell"), tmp_path, {"preloaded": ["busybox"]})


async def test_programs_run_in_a_folder_of_their_container(bench: Bench) -> None:
    backend = await bench.agent()
    spec = bench.spec("/bin/sh", "-c", "pwd; echo data >file")
    await bench.run(backend, spec)
    assert output(spec).decode().strip() == str(spec.directory / "work")
    assert (spec.directory / "work/file").read_text() == "data\n"
    await backend.destroy(spec.handle)
    assert [entry.name for entry in spec.directory.iterdir()] == ["container.log"]


async def test_term_reaches_what_a_shell_runs(bench: Bench) -> None:
    """A shell that waits for a program passes nothing on; the signal goes to the whole group."""
    backend = await bench.agent()
    spec = bench.spec("/bin/sh", "-c", "echo up; sleep 60; echo never")
    await bench.start(backend, spec)
    await bench.said(spec, b"up")
    await backend.signal(spec.handle, "TERM")
    ended = await bench.in_time(backend.wait(spec.handle))
    assert ended.exit == Exit(128 + signal.SIGTERM)


@pytest.mark.parametrize("name", ["USR1", "SIGUSR1", "usr1"])
async def test_signals_have_several_spellings(bench: Bench, name: str) -> None:
    backend = await bench.agent()
    script = "trap 'exit 5' USR1; echo up; while :; do sleep 0.05; done"
    spec = bench.spec("/bin/sh", "-c", script)
    await bench.start(backend, spec)
    await bench.said(spec, b"up")
    await backend.signal(spec.handle, name)
    # The loop's `sleep` dies of the signal, too; the shell then runs its trap.
    assert (await bench.in_time(backend.wait(spec.handle))).exit == Exit(5)


async def test_an_unknown_signal_is_refused(bench: Bench) -> None:
    with pytest.raises(BackendError, match="FOO is not a signal"):
        await (await bench.agent()).signal("t-1", "FOO")


CALLS: list[Callable[[ExecBackend, str], object]] = [
    lambda backend, handle: backend.start(handle),
    lambda backend, handle: backend.destroy(handle),
    lambda backend, handle: backend.exec(handle, ["true"], {}, 1),
    lambda backend, handle: backend.signal(handle, "TERM"),
]


@pytest.mark.parametrize("handle", ["", ".", "..", "../other", "a/b", "a" * 129])
async def test_a_handle_never_leads_elsewhere(tmp_path: Path, handle: str) -> None:
    backend = ExecBackend(Owner("c", "cell"), tmp_path, {})
    for call in CALLS:
        with pytest.raises(BackendError, match="is not a handle"):
            await call(backend, handle)  # type: ignore[misc]
    assert await backend.inspect(handle) is None


async def test_create_wants_prepare(bench: Bench) -> None:
    backend = await bench.agent()
    spec: ContainerSpec = bench.spec("true")
    with pytest.raises(BackendError, match="prepare it first"):
        await backend.create(spec)


async def test_a_long_path_still_has_a_socket(tmp_path: Path) -> None:
    """A unix socket's path ends at about a hundred bytes."""
    state = tmp_path / ("long" * 30)
    bench = Bench(
        lambda owner: ExecBackend(owner, state, {}), tmp_path / "c", "preloaded:busybox", 20
    )
    try:
        backend = await bench.agent()
        assert (await bench.run(backend, bench.spec("true"))).exit == Exit(0)
        near = socket_path(next(state.iterdir()))
        assert len(str(near)) < 100
        assert near.parent.stat().st_mode & 0o777 == 0o700
    finally:
        await bench.end()
    assert not near.parent.exists()


def test_a_folder_that_others_could_enter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "link").symlink_to(tmp_path / "open")
    for name in ("open", "link"):
        with pytest.raises(BackendError, match="alone"):
            make_private(tmp_path / name)


def test_the_plugin_record_tells_the_same_capabilities() -> None:
    (record,) = diegod_backends()
    assert record.capabilities == CAPABILITIES
