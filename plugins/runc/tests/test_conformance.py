"""The conformance suite of container backends, on runc."""

import pytest
import pytest_asyncio
from diegod.testing.backend_suite import BackendFactory, BackendSuite


@pytest.mark.root
class TestRunc(BackendSuite):
    @pytest_asyncio.fixture
    async def backend_factory(self, make_backend: BackendFactory) -> BackendFactory:
        return make_backend
