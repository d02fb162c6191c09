"""Fixtures of the cluster tests: one cluster a module and backend, but where starting is tested."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.dev import BACKENDS, Dev, dev_cluster
from tests.cluster.terminal import Terminal, new_terminal


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    """A new user."""
    return new_terminal(tmp_path / "home")


@pytest.fixture(scope="module", params=BACKENDS)
def dev(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """A dev cluster of one member and two cells that the tests of a module share."""
    terminal = new_terminal(tmp_path_factory.mktemp("dev") / "home")
    with dev_cluster(terminal, request.param) as cluster:
        yield cluster
