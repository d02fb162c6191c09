"""What every part of the backend suite shares: the fixtures, and what a subclass may override."""

import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from diegod.contracts.backend import ContainerBackend
from diegod.testing.backend_bench import BackendFactory, Bench

__all__ = ["BackendFactory", "SuiteFixtures"]


class SuiteFixtures:
    """A subclass adds the fixture `backend_factory` (see `backend_suite`)."""

    pytestmark = pytest.mark.asyncio

    #: A root file system with /bin/sh and busybox's usual programs.
    rootfs = "preloaded:busybox"
    #: One that doesn't exist.
    missing_rootfs = "preloaded:no-such-rootfs"
    #: How long anything may take before it counts as hanging.
    patience_s = 20.0
    #: Whether containers may run as another user than the agent.
    can_switch_user = os.geteuid() == 0
    #: At how many awaits of one verb the agent is killed.
    kills_per_verb_max = 12

    def server_argv(self, port: int) -> Sequence[str]:
        """A program of the root file system that accepts TCP connections on `port`."""
        return ("httpd", "-f", "-p", str(port))

    @pytest_asyncio.fixture
    async def bench(self, backend_factory: BackendFactory, tmp_path: Path) -> AsyncIterator[Bench]:
        bench = Bench(backend_factory, tmp_path / "containers", self.rootfs, self.patience_s)
        try:
            yield bench
        finally:
            await bench.end()

    @pytest_asyncio.fixture
    async def backend(self, bench: Bench) -> ContainerBackend:
        """The first agent of the test, ready for work."""
        return await bench.agent()
