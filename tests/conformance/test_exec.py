"""The backend suite on the exec backend: as whoever runs the tests, no root needed."""

import shutil
from pathlib import Path

import pytest
import pytest_asyncio

from diegod.cellruntime.exec.backend import ExecBackend
from diegod.cellruntime.exec.rendezvous import SUPERVISOR_LOG
from diegod.testing.backend_suite import BackendFactory, PlainBackendSuite


@pytest.fixture(scope="session")
def busybox_root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with the one program that a host may lack; "" without a busybox."""
    busybox = shutil.which("busybox")
    if busybox is None:
        return ""
    root = tmp_path_factory.mktemp("busybox")
    (root / "bin").mkdir()
    (root / "bin/httpd").symlink_to(busybox)
    return str(root)


class WatchedBackend(ExecBackend):
    """A supervisor that crashed is soon replaced, and the suite might not notice."""

    async def sweep(self) -> None:
        for log in self._cell.glob(SUPERVISOR_LOG):
            assert log.read_text() == ""
        await super().sweep()


class TestExecBackend(PlainBackendSuite):
    @pytest_asyncio.fixture
    async def backend_factory(self, tmp_path: Path, busybox_root: str) -> BackendFactory:
        settings = {"preloaded": {"busybox": busybox_root}}
        return lambda owner: WatchedBackend(owner, tmp_path / owner.cell_id, settings)
