"""The conformance suite of container backends: subclass it, say how to make yours, inherit tests.

    class TestAcme(BackendSuite):
        rootfs = "preloaded:busybox"

        @pytest_asyncio.fixture
        async def backend_factory(self, tmp_path: Path) -> BackendFactory:
            return lambda owner: AcmeBackend(owner, tmp_path / owner.cell_id, {})

The factory makes a fresh object over the same state each time it is called for an owner: the suite
"kills the agent" by forgetting one object and making another. The root file system needs a POSIX
shell as /bin/sh and the usual small programs (cat, seq, sleep, head, tr, printf, env, id) in its
PATH; busybox has them all.

For good messages put `pytest.register_assert_rewrite("diegod.testing")` into your conftest.py.
"""

from diegod.testing.suite_agent_loss import AgentLossSuite
from diegod.testing.suite_exec import ExecSuite
from diegod.testing.suite_files import FileSuite
from diegod.testing.suite_fixtures import BackendFactory
from diegod.testing.suite_isolation import IsolationSuite
from diegod.testing.suite_life import LifeSuite
from diegod.testing.suite_output import OutputSuite
from diegod.testing.suite_ownership import OwnershipSuite
from diegod.testing.suite_surroundings import SurroundingsSuite

__all__ = ["BackendFactory", "BackendSuite", "PlainBackendSuite"]


class PlainBackendSuite(
    LifeSuite,
    OutputSuite,
    SurroundingsSuite,
    ExecSuite,
    FileSuite,
    OwnershipSuite,
    AgentLossSuite,
):
    """For a backend that says it isolates nothing: without limits and networks of its own."""


class BackendSuite(PlainBackendSuite, IsolationSuite):
    """All that a container backend must do. Add `backend_factory`, and override what differs."""
