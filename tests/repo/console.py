"""Runs the `console` blocks of a page, so that documentation can't say what isn't so.

Above each such block stands, invisible to a reader, what to do with it:

    <!-- run -->               each `$` line is run, and what follows it must be its output
    <!-- run: root -->         the same, where root tests can run
    <!-- run: background -->   one command that goes on until the page ends (`diegod dev`): its
                               block must be what it says first; at the end it gets Ctrl-C
    <!-- not run: it takes an hour -->

`run: root background` is both. In an expected output `...` stands for anything. Output is stdout
and stderr as a terminal shows them; the exit status must be 0 (or the line says what it is to be:
`$ diegod …; echo $?`). The blocks of a page share one working folder, which is also HOME and empty
at first. No block is without such a line.
"""

import contextlib
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.leaks import RUN_VARIABLE

COMMAND_S = 120.0
ENDING_S = 30.0

_BLOCK = re.compile(
    r"(?:^[ \t]*<!--[ \t]*(?P<order>(?:not )?run\b[^\n]*?)[ \t]*-->[ \t]*\n\s*)?"
    r"^(?P<indent>[ \t]*)```console[ \t]*\n(?P<body>.*?)^(?P=indent)```",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """`order`: the words of the line above it; None if there is none."""

    line: int
    order: str | None
    body: str

    @property
    def is_run(self) -> bool:
        return self.order is not None and self.order.split(":")[0].strip() == "run"

    def has(self, word: str) -> bool:
        return self.is_run and word in (self.order or "").partition(":")[2].split()

    def commands(self) -> list[tuple[str, str]]:
        """Each command with its promised output. A line that ends in a backslash goes on."""
        parts = re.split(r"^\$ ", self.body, flags=re.MULTILINE)[1:]
        matches = (re.match(r"((?:[^\n]*\\\n)*[^\n]*)\n?(.*)", part, re.DOTALL) for part in parts)
        return [(match[1], match[2]) for match in matches if match]


class PageError(AssertionError):
    """A block that does not do what the page says."""


def blocks(page: str) -> list[Block]:
    return [
        Block(page.count("\n", 0, match.start("body")) + 1, match["order"], _body(match))
        for match in _BLOCK.finditer(page)
    ]


def _body(match: re.Match[str]) -> str:
    return re.sub(rf"^{match['indent']}", "", match["body"], flags=re.MULTILINE)


def matches(expected: str, shown: str) -> bool:
    """Whether `shown` is what the page promises; `...` stands for anything."""
    pieces = (re.escape(piece) for piece in expected.strip().split("..."))
    return re.fullmatch(".*".join(pieces), shown.strip(), re.DOTALL) is not None


@contextlib.contextmanager
def page_folder(path: str) -> Iterator[dict[str, str]]:
    """The environment of a page's commands: an empty HOME, and `path` in front of PATH."""
    with tempfile.TemporaryDirectory(prefix="diegod-page-") as home:
        path = f"{path}:{os.environ['PATH']}"
        yield _kept(os.environ) | {
            "HOME": home,
            "PWD": home,
            "PATH": path,
            "NO_COLOR": "1",
            "TERM": "dumb",
        }


def _kept(environment: Mapping[str, str]) -> dict[str, str]:
    """What of ours a reader of the page would not have is left out; the leak check's mark stays."""
    ours = ("DIEGOD_", "XDG_")
    return {k: v for k, v in environment.items() if k == RUN_VARIABLE or not k.startswith(ours)}


def run_page(page: list[Block], path: str) -> None:
    """Runs the blocks in order; raises `PageError` at the first that differs from what it shows."""
    with page_folder(path) as environment, contextlib.ExitStack() as background:
        for block in page:
            for command, expected in block.commands():
                if block.has("background"):
                    background.enter_context(_going_on(command, expected, environment, block.line))
                else:
                    _run(command, expected, environment, block.line)


def _run(command: str, expected: str, environment: dict[str, str], line: int) -> None:
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=environment["HOME"],
        env=environment,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=COMMAND_S,
    )
    if done.returncode != 0 or not matches(expected, done.stdout):
        raise PageError(_difference(command, expected, done.stdout, line, done.returncode))


@contextlib.contextmanager
def _going_on(
    command: str, expected: str, environment: dict[str, str], line: int
) -> Iterator[None]:
    shown = Path(environment["HOME"]).with_suffix(".out")
    with shown.open("wb") as output:
        process = subprocess.Popen(
            ["sh", "-c", f"exec {command}"],
            cwd=environment["HOME"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _await_output(process, expected, shown, command, line)
        yield
    finally:
        _interrupt(process, command)
        shown.unlink()


def _await_output(
    process: subprocess.Popen[bytes], expected: str, shown: Path, command: str, line: int
) -> None:
    give_up = time.monotonic() + COMMAND_S
    while not matches(expected.rstrip() + "...", shown.read_text(errors="replace")):
        if process.poll() is not None or time.monotonic() > give_up:
            text = shown.read_text(errors="replace")
            raise PageError(_difference(command, expected, text, line, process.returncode))
        time.sleep(0.05)


def _interrupt(process: subprocess.Popen[bytes], command: str) -> None:
    """Ctrl-C, as the reader would; then, if that is not enough, the whole group is ended."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(ENDING_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise PageError(f"still there {ENDING_S:.0f} s after Ctrl-C: {command}") from None


def _difference(command: str, expected: str, shown: str, line: int, status: int | None) -> str:
    return (
        f"line {line}: $ {command}\n--- the page says\n{expected}"
        f"--- it was (status {status})\n{shown}"
    )
