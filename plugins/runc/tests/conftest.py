"""Fixtures for tests with real containers: a root file system, and a run folder with a short name.

Everything lies below folders of the test's own, and is swept when the test is over.
"""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from diegod.contracts.backend import ContainerSpec, Limits, Owner, PortSpec
from diegod.testing.backend_bench import Bench

from diegod_runc.backend import RuncBackend
from diegod_runc.rootfs import build_busybox

MakeBackend = Callable[..., RuncBackend]

MISSING = [
    program for program in ("runc", "conmon", "nft", "busybox") if shutil.which(program) is None
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs root and tools says so once, and is skipped where they are missing."""
    why = "needs root" if os.geteuid() != 0 else f"needs {', '.join(MISSING)}" if MISSING else ""
    for item in items:
        if why and item.get_closest_marker("root"):
            item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="session")
def busybox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("rootfs") / "busybox"
    build_busybox(directory)
    return directory


@pytest.fixture
def run_dir() -> Iterator[Path]:
    """Sockets of containers lie here, and the path of a socket has at most 107 bytes."""
    directory = Path(tempfile.mkdtemp(prefix="diegod-", dir="/run"))
    yield directory
    shutil.rmtree(directory)


@pytest_asyncio.fixture
async def bench(tmp_path: Path, make_backend: MakeBackend) -> AsyncIterator[Bench]:
    """A host with containers, which is as it was before when the test is over."""
    made = Bench(make_backend, tmp_path / "containers", "preloaded:busybox", 20)
    try:
        yield made
    finally:
        await made.end()


@pytest.fixture
def make_backend(tmp_path: Path, busybox: Path, run_dir: Path) -> MakeBackend:
    """Makes backends over one state an owner; takes more settings."""

    def make(owner: Owner, **more: object) -> RuncBackend:
        settings = {"preloaded": {"busybox": str(busybox)}, "run_dir": str(run_dir), **more}
        return RuncBackend(owner, tmp_path / "state" / owner.cell_id, settings)

    return make


@pytest.fixture
def a_spec() -> Callable[..., ContainerSpec]:
    """Makes container specs: valid by default, one argument to vary."""
    return _a_spec


def _a_spec(directory: Path, *argv: str, **changes: Any) -> ContainerSpec:
    fields: dict[str, Any] = {
        "handle": "l-web-0",
        "owner": Owner("test", "cell-1"),
        "directory": directory,
        "rootfs": "preloaded:busybox",
        "argv": argv or ("httpd", "-f", "-p", "8080", "-h", "/www"),
        "env": {"INDEX": "0"},
        "working_dir": "",
        "user": "",
        "hostname": "web-0",
        "limits": Limits(memory_mb=64, cpu_weight=50, max_pids=32, disk_mb=64),
        "ports": (PortSpec("web", 8080, 61001),),
        "labels": {"kind": "lrp", "guid": "web", "index": "0"},
    }
    return ContainerSpec(**{**fields, **changes})
