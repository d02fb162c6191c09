"""A user at a terminal: a home of their own, and `diegod` as the process that they would start.

Everything that a command writes is below the home; nothing of the developer's own contexts and
clusters is seen or touched.
"""

import json
import os
import subprocess
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.leaks import RUN_VARIABLE

PROGRAM = Path(sysconfig.get_path("scripts")) / "diegod"
COMMAND_S = 60.0
#: What the environment says about clusters and people, and a new user's does not.
_OURS = ("DIEGOD_", "XDG_", "SUDO_")


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    status: int
    stdout: bytes
    stderr: bytes

    @property
    def out(self) -> str:
        return self.stdout.decode()

    @property
    def err(self) -> str:
        return self.stderr.decode()

    @property
    def records(self) -> list[dict[str, Any]]:
        """What `-o json` printed: one object a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def record(self) -> dict[str, Any]:
        [one] = self.records
        return one

    def succeeded(self) -> "Done":
        """Itself; a failure shows everything that was said."""
        assert self.status == 0, self.shown
        return self

    @property
    def shown(self) -> str:
        return f"status {self.status}\n--- stdout\n{self.stdout!r}\n--- stderr\n{self.err}"


@dataclass(frozen=True)
class Terminal:
    home: Path
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def environ(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if name == RUN_VARIABLE or not name.startswith(_OURS)
        }
        return {
            **kept,
            "HOME": str(self.home),
            "PWD": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_STATE_HOME": str(self.home / "state"),
            "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}",
            "NO_COLOR": "1",
            "TERM": "dumb",
            **self.extra,
        }

    def with_environ(self, **extra: str) -> "Terminal":
        return Terminal(self.home, {**self.extra, **extra})

    def run(self, *arguments: str, given: bytes = b"", timeout_s: float = COMMAND_S) -> Done:
        """`diegod ARGUMENTS…` to its end."""
        return self._done([str(PROGRAM), *arguments], given, timeout_s)

    def shell(self, line: str, timeout_s: float = COMMAND_S) -> Done:
        """One line as a person would type it."""
        return self._done(["sh", "-c", line], b"", timeout_s)

    def start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """A command that goes on, with pipes for its output; end it with `ended`."""
        return subprocess.Popen(
            [str(PROGRAM), *arguments],
            cwd=self.home,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def _done(self, command: Sequence[str], given: bytes, timeout_s: float) -> Done:
        done = subprocess.run(
            command,
            cwd=self.home,
            env=self.environ,
            input=given,
            capture_output=True,
            check=False,
            timeout=timeout_s,
        )
        return Done(done.returncode, done.stdout, done.stderr)


def new_terminal(home: Path) -> Terminal:
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Terminal(home)


def ended(process: "subprocess.Popen[bytes]", timeout_s: float = COMMAND_S) -> Done:
    """What a started command came to; one that does not end is killed, and that is a failure."""
    try:
        stdout, stderr = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        stdout, stderr = process.communicate()
        done = Done(process.returncode, stdout, stderr)
        raise AssertionError(f"still there after {timeout_s:.0f} s\n{done.shown}") from None
    return Done(process.returncode, stdout, stderr)
