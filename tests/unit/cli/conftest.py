"""A command line against a cluster that answers as it is told, at a fixed time."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from diegod.cli import app, version
from diegod.cli.terminal import session
from diegod.client import Client
from diegod.client.connect import Connection
from diegod.config.contexts import Target
from diegod.world import SystemClock
from diegod.world.ids import SeededIds
from tests.unit.cli.records import NOW
from tests.unit.client.fake_cluster import FakeCluster

GOLDEN = Path(__file__).with_name("golden")


@dataclass(frozen=True)
class Result:
    status: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()

    def same_as(self, golden: str) -> None:
        """Compare stdout with a golden file; DIEGOD_UPDATE_GOLDEN=1 writes it."""
        file = GOLDEN / golden
        if os.environ.get("DIEGOD_UPDATE_GOLDEN"):
            file.write_bytes(self.out)
        assert self.text == file.read_text(encoding="utf-8")


Run = Callable[..., Result]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, and nothing of ours in the environment."""
    for name in [each for each in os.environ if each.startswith("DIEGOD_")]:
        if name != "DIEGOD_UPDATE_GOLDEN" and not name.startswith("DIEGOD_TEST"):
            monkeypatch.delenv(name)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("SUDO_UID", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(home: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Runs a command line in this process."""

    def command(*arguments: str) -> Result:
        status = app.run(arguments)
        captured = capfdbinary.readouterr()
        return Result(status, captured.out, captured.err.decode())

    return command


@pytest.fixture
def cluster(home: Path, monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    """The cluster of every command of this test; the time stands still."""
    fake = FakeCluster()

    async def close() -> None:
        return None

    def open_client(target: Target, timeout_s: float) -> Client:
        connection = Connection(fake, close)
        return Client.over(connection, ids=SeededIds(1), domain=target.domain, timeout_s=timeout_s)

    monkeypatch.setattr(session, "open_client", open_client)
    monkeypatch.setattr(version, "open_client", open_client)
    monkeypatch.setattr(SystemClock, "wall", lambda self: NOW)
    monkeypatch.setenv("DIEGOD_ADDR", "bbs-1:8889")
    for name in ("DIEGOD_CACERT", "DIEGOD_CLIENT_CERT", "DIEGOD_CLIENT_KEY"):
        monkeypatch.setenv(name, "/nowhere")
    return fake
