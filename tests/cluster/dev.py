"""`diegod dev` as a process, and the end of it: whatever a test did, nothing of it stays."""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from diegod.client import Client
from tests.cluster.terminal import PROGRAM, Done, Terminal
from tests.cluster.waiting import is_alive, until

READY_S = 45.0
STOP_S = 45.0
#: The last line of the banner begins so.
_READY = "Ctrl-C stops"

#: For `parametrize` and for fixtures: what can't run here is skipped with its reason.
BACKENDS = [
    pytest.param("exec", id="exec"),
    pytest.param("runc", id="runc", marks=pytest.mark.root),
]

#: On tests that use the fixture `dev`: what has nothing to do with containers is looked at once.
ONLY_EXEC = pytest.mark.parametrize("dev", ["exec"], indirect=True)


@dataclass(frozen=True)
class Dev:
    """A dev cluster that somebody started in the foreground."""

    terminal: Terminal
    backend: str
    name: str
    process: "subprocess.Popen[bytes]"
    said: Path  # what it says, both streams

    @property
    def directory(self) -> Path:
        return dev_directory(self.terminal, self.name)

    @property
    def output(self) -> str:
        return self.said.read_text(errors="replace")

    @property
    def host(self) -> "Host":
        return Host(self.backend)

    def run(self, *arguments: str, given: bytes = b"", timeout_s: float = 60.0) -> Done:
        return self.terminal.run(*arguments, given=given, timeout_s=timeout_s)

    def parts(self) -> dict[str, dict[str, Any]]:
        done = self.run("dev", "ls", "--name", self.name, "-o", "json").succeeded()
        return {part["part"]: part for part in done.records}

    def client(self) -> Client:
        cluster = json.loads((self.directory / "cluster.json").read_text())
        ports = [part["port"] for part in cluster["parts"] if part["role"] == "bbs"]
        return Client([f"127.0.0.1:{port}" for port in ports], self.directory / "client")

    def interrupt(self) -> int:
        """Ctrl-C; its exit status."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(STOP_S)


@dataclass(frozen=True)
class Host:
    """What a backend makes of a port and of a program that listens there."""

    backend: str

    @property
    def web(self) -> list[str]:
        """A web server on container port 8080 that answers on / with 200."""
        if self.backend == "exec":  # no network namespace: the port is the cell's to choose
            return ["sh", "-c", "exec python3 -m http.server $PORT"]
        return ["httpd", "-f", "-p", "8080", "-h", "/www"]


def dev_directory(terminal: Terminal, name: str = "dev") -> Path:
    return Path(terminal.environ["XDG_STATE_HOME"]) / "diegod" / name


def start_dev(terminal: Terminal, backend: str, *options: str, name: str = "dev") -> Dev:
    """Started, not yet ready."""
    said = terminal.home / f"{name}.out"
    command = [str(PROGRAM), "dev", "--name", name, "--backend", backend, *options]
    with said.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=terminal.home,
            env=terminal.environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Dev(terminal, backend, name, process, said)


def await_ready(dev: Dev) -> None:
    def answered() -> bool:
        assert dev.process.poll() is None, dev.output
        return _READY in dev.output

    until(f"a banner in\n{dev.output}", answered, READY_S)


@contextlib.contextmanager
def dev_cluster(
    terminal: Terminal, backend: str, *options: str, name: str = "dev"
) -> Iterator[Dev]:
    """A dev cluster that is ready; afterwards it is removed, with all that its cells run."""
    dev = start_dev(terminal, backend, *options, name=name)
    try:
        await_ready(dev)
        yield dev
    finally:
        end_dev(dev)


def end_dev(dev: Dev) -> None:
    """Stop it in the way that is left, then remove it. Fails if something can't be removed."""
    if dev.process.poll() is None:
        os.killpg(dev.process.pid, signal.SIGINT)
        try:
            dev.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(dev.process.pid, signal.SIGKILL)
            dev.process.wait()
    remove(dev.terminal, dev.name)


def remove(terminal: Terminal, name: str = "dev") -> None:
    """Also where another process of the test runs it, or nobody does any more."""
    directory = dev_directory(terminal, name)
    if not directory.exists():
        return
    lock = directory / ".lock"
    holder = int(lock.read_text().strip() or "0") if lock.exists() else 0
    if holder and is_alive(holder):
        terminal.run("dev", "stop", "--name", name)

    def removed() -> bool:
        """Its roles may need a moment to end, where it was killed."""
        terminal.run("dev", "rm", "--name", name)
        return not directory.exists()

    until(f"{directory} removed", removed, STOP_S)
