"""`diegod visualize`: zones, cells and a box an instance, live, until q or Ctrl-C."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

from diegod.cli.look.picture import DIM, PLAIN, Line, Scene, frame, plain
from diegod.cli.terminal.session import Session
from diegod.cli.terminal.verbs import DomainOption, single, verb
from diegod.v1.event_pb2 import WatchReply, WatchRequest
from diegod.v1.record_pb2 import ActualLrp, Cell, Change, Task

app = single()

_KINDS = ("cell", "actual_lrp", "task")
#: More often than this nobody sees a difference, and a busy cluster changes all the time.
_FRAME_S = 0.1
#: A pipe has no width of its own.
_PIPE_WIDTH = 100

_ALTERNATE, _BACK = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _TO_LINE_END, _TO_SCREEN_END = "\x1b[H", "\x1b[K", "\x1b[J"
#: Of the 256 colours: bright enough on black, dark enough on white.
_PALETTE = (33, 35, 166, 127, 178, 37, 160, 105, 70, 208, 141, 31)
_RESET, _FAINT = "\x1b[0m", "\x1b[2m"


@verb(app, "visualize")
async def visualize(
    session: Session,
    once: Annotated[bool, typer.Option("--once", help="One picture, then end.")] = False,
    domain: DomainOption = None,
) -> None:
    """Show zones, cells and a box an instance, a colour a process, as they change.

    Ends with q or Ctrl-C. Without a terminal: one picture, as with --once.
    """
    world = World()
    request = WatchRequest(kinds=_KINDS)
    wanted = session.domain(domain)
    async with session.client() as client:
        replies = client.watch(request)
        if once or not sys.stdout.isatty():
            await _seen(world, replies)
            lines = frame(world.scene(wanted), _width())
            sys.stdout.write(painted(lines) if session.colored else plain(lines))
            return
        await _live(session, world, replies, wanted)


@dataclass
class World:
    """The rows as they are now."""

    cells: dict[str, Cell] = field(default_factory=dict)
    instances: dict[str, ActualLrp] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)

    def observe(self, change: Change) -> None:
        kind = change.WhichOneof("row")
        if kind == "cell":
            self._set(self.cells, change.cell.cell_id, change.cell, change.verb)
        elif kind == "actual_lrp":
            row = change.actual_lrp
            self._set(self.instances, row.instance_guid, row, change.verb)
        elif kind == "task":
            self._set(self.tasks, change.task.task_guid, change.task, change.verb)

    def scene(self, domain: str = "") -> Scene:
        """With a domain: its work alone, on all cells."""
        return Scene(
            self.cells,
            {k: row for k, row in self.instances.items() if domain in ("", row.domain)},
            {k: task for k, task in self.tasks.items() if domain in ("", task.domain)},
        )

    @staticmethod
    def _set(rows: dict[str, Any], key: str, row: Any, change: Change.Verb.ValueType) -> None:
        if change == Change.REMOVED:
            rows.pop(key, None)
        else:
            rows[key] = row


async def _seen(world: World, replies: AsyncIterator[WatchReply]) -> None:
    """Everything as it is at the beginning."""
    async for reply in replies:
        for change in [*reply.rows, *reply.changes]:
            world.observe(change)
        if reply.rows_end:
            return


async def _live(
    session: Session, world: World, replies: AsyncIterator[WatchReply], domain: str
) -> None:
    await _seen(world, replies)
    changed, leave = asyncio.Event(), asyncio.Event()
    changed.set()

    async def follow() -> None:
        async for reply in replies:
            for change in [*reply.rows, *reply.changes]:
                world.observe(change)
            changed.set()

    async def draw() -> None:
        while True:
            await changed.wait()
            changed.clear()
            size = os.get_terminal_size(sys.stdout.fileno())
            lines = frame(world.scene(domain), size.columns, size.lines)
            _show(lines, colored=session.colored)
            await asyncio.sleep(_FRAME_S)

    with _screen(), _keys(leave.set):
        work = [asyncio.create_task(each) for each in (follow(), draw(), leave.wait())]
        try:
            done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                each.result()
        finally:
            for each in work:
                each.cancel()
            await asyncio.gather(*work, return_exceptions=True)


def _show(lines: Iterable[Line], *, colored: bool) -> None:
    """Over the frame before, line by line: nothing flickers."""
    text = painted(lines) if colored else plain(lines)
    rows = text.splitlines()
    ending = _TO_LINE_END + "\n"
    sys.stdout.write(_HOME + ending.join(rows) + _TO_LINE_END + _TO_SCREEN_END)
    sys.stdout.flush()


def painted(lines: Iterable[Line]) -> str:
    return "".join("".join(_paint(span.text, span.style) for span in line) + "\n" for line in lines)


def _paint(text: str, style: int) -> str:
    if style == PLAIN or not text.strip():
        return text
    opening = _FAINT if style == DIM else f"\x1b[38;5;{_PALETTE[style]}m"
    return f"{opening}{text}{_RESET}"


def _width() -> int:
    return os.get_terminal_size().columns if sys.stdout.isatty() else _PIPE_WIDTH


@contextmanager
def _screen() -> Iterator[None]:
    """A screen of its own, so that what was there before is there again afterwards."""
    sys.stdout.write(_ALTERNATE)
    sys.stdout.flush()
    try:
        yield
    finally:
        sys.stdout.write(_BACK)
        sys.stdout.flush()


@contextmanager
def _keys(quit_: Callable[[], None]) -> Iterator[None]:
    """q ends it; keys are read as they are pressed, and Ctrl-C stays a signal."""
    if not sys.stdin.isatty():
        yield
        return
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    loop = asyncio.get_running_loop()

    def pressed() -> None:
        if os.read(descriptor, 64).lower()[:1] in (b"q", b"\x1b", b""):
            quit_()

    tty.setcbreak(descriptor)
    loop.add_reader(descriptor, pressed)
    try:
        yield
    finally:
        loop.remove_reader(descriptor)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
