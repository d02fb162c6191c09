"""The backend suite on the exec backend: as whoever runs the tests, no root needed."""

import shutil
from pathlib import Path

import pytest
import pytest_asyncio

from diegod.cellruntime.exec import processes, rendezvous
from diegod.cellruntime.exec.backend import ExecBackend
from diegod.cellruntime.exec.rendezvous import SUPERVISOR_LOG
from diegod.testing.backend_suite import BackendFactory, PlainBackendSuite
from diegod.testing.suite_agent_loss import AgentLossSuite
from diegod.testing.suite_life import LifeSuite


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


#: A supervisor that finds neither /proc nor waitid, as on macOS.
AS_ON_MACOS = """
import os, sys
del os.waitid
from diegod.cellruntime.exec import processes, supervisor
processes._has_proc = lambda: False
sys.exit(supervisor.main(sys.argv[1:]))
"""


class TestExecBackend(PlainBackendSuite):
    @pytest_asyncio.fixture
    async def backend_factory(self, tmp_path: Path, busybox_root: str) -> BackendFactory:
        settings = {"preloaded": {"busybox": busybox_root}}
        return lambda owner: WatchedBackend(owner, tmp_path / owner.cell_id, settings)


class TestExecBackendWithoutProc(LifeSuite, AgentLossSuite):
    """What differs on macOS, as far as Linux can show it."""

    @pytest_asyncio.fixture
    async def backend_factory(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> BackendFactory:
        monkeypatch.setattr(rendezvous, "SUPERVISOR", ("-c", AS_ON_MACOS))
        monkeypatch.setattr(processes, "_has_proc", lambda: False)
        return lambda owner: WatchedBackend(owner, tmp_path / owner.cell_id, {})
