"""The cluster as a picture of text: zones, cells, one glyph an instance. Pure.

A frame is lines of spans; what a span's style looks like is the terminal's business
(`visualize`). So a frame can be compared with a golden file, and goes into a pipe as it is.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

from diegod.cli.terminal.errors import one_line
from diegod.v1.record_pb2 import ActualLrp, Cell, Task

#: So many colours tell processes apart; processes share them when there are more.
COLORS = 12
PLAIN = -1
DIM = -2

_GLYPHS = {
    ActualLrp.RUNNING: "●",
    ActualLrp.CLAIMED: "◐",
    ActualLrp.UNCLAIMED: "○",
    ActualLrp.CRASHED: "✕",
}
_SUSPECT, _EVACUATING, _TASK = "◌", "◍", "▪"
LEGEND = "● running  ◐ starting  ○ unclaimed  ✕ crashed  ◌ suspect  ◍ evacuating  ▪ task"
_BAR = 10
_NAME_MAX = 20
_WIDTH_MIN = 20
_GAP = "  "
NOWHERE = "nowhere"
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True)
class Span:
    text: str
    style: int = PLAIN  # a colour's number, PLAIN or DIM


Line = tuple[Span, ...]


@dataclass(frozen=True)
class Scene:
    """What there is, as the watch shows it."""

    cells: Mapping[str, Cell]
    instances: Mapping[str, ActualLrp]
    tasks: Mapping[str, Task]


def color_of(process_guid: str) -> int:
    """The same for a process in every frame, whatever else there is."""
    return crc32(process_guid.encode()) % COLORS


def glyph(row: ActualLrp) -> str:
    if row.presence == ActualLrp.SUSPECT:
        return _SUSPECT
    if row.presence == ActualLrp.EVACUATING:
        return _EVACUATING
    return _GLYPHS[row.state]


def frame(scene: Scene, width: int, height: int | None = None) -> list[Line]:
    """As many lines as it takes; with `height` at most so many: first the cells move closer
    together, then the last line says how much is left."""
    width = max(width, _WIDTH_MIN)
    rest = [*_nowhere(scene, width), (), *_legend(scene, width)]
    lines = [*_zones(scene, width), *rest]
    if height is None or len(lines) <= height:
        return lines
    lines = [*_close_zones(scene, width), *rest]
    if len(lines) <= height:
        return lines
    kept = lines[: max(0, height - 1)]
    return [*kept, (Span(f"… {len(lines) - len(kept)} more lines", DIM),)]


def plain(lines: Iterable[Line]) -> str:
    return "".join("".join(span.text for span in line).rstrip() + "\n" for line in lines)


def _zones(scene: Scene, width: int) -> Iterable[Line]:
    names = [len(cell_id) for cell_id in scene.cells]
    name_width = min(max(names, default=0), _NAME_MAX, width // 3)
    on = _by_cell(scene)
    for zone, cells in _by_zone(scene):
        yield _heading(zone, cells, width)
        for cell in cells:
            yield from _cell(cell, *on.get(cell.cell_id, ([], [])), name_width, width)
    if not scene.cells:
        yield (Span(_cut("no cell has registered yet", width), DIM),)


def _by_zone(scene: Scene) -> list[tuple[str, list[Cell]]]:
    """cell-2 comes before cell-10."""
    zones: dict[str, list[Cell]] = {}
    for cell in sorted(scene.cells.values(), key=lambda cell: _natural(cell.cell_id)):
        zones.setdefault(cell.zone, []).append(cell)
    return sorted(zones.items())


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(each), "") if each.isdecimal() else (-1, each) for each in _DIGITS.split(name)]


def _heading(zone: str, cells: Sequence[Cell], width: int) -> Line:
    count = f"{len(cells)} cell{'' if len(cells) == 1 else 's'}"
    return (Span(_cut(f"{one_line(zone) or '-'}  {count}", width), DIM),)


def _close_zones(scene: Scene, width: int) -> Iterable[Line]:
    """Several cells a line, without bars; only as many boxes of each as there is room for."""
    on = _by_cell(scene)
    longest = max((len(one_line(cell_id)) for cell_id in scene.cells), default=0)
    name_width = min(longest, _NAME_MAX, width // 2)
    most = max((len(rows) + len(tasks) for cell, (rows, tasks) in on.items() if cell), default=0)
    boxes_width = max(1, min(most, width - name_width - 2 * len(_GAP)))
    columns = max(1, width // (len(_GAP) + name_width + 1 + boxes_width))
    for zone, cells in _by_zone(scene):
        yield _heading(zone, cells, width)
        for start in range(0, len(cells), columns):
            line: list[Span] = []
            for cell in cells[start : start + columns]:
                line += _close_cell(cell, *on.get(cell.cell_id, ([], [])), name_width, boxes_width)
            yield tuple(line)


def _close_cell(
    cell: Cell, rows: Sequence[ActualLrp], tasks: Sequence[Task], name_width: int, boxes_width: int
) -> list[Span]:
    boxes = _boxes(rows, tasks)
    if len(boxes) > boxes_width:
        boxes = [*boxes[: boxes_width - 1], Span("…", DIM)]
    name = _cut(one_line(cell.cell_id), name_width).ljust(name_width)
    style = DIM if _note(cell) else PLAIN
    return [Span(f"{_GAP}{name} ", style), *boxes, Span(" " * (boxes_width - len(boxes)))]


def _by_cell(scene: Scene) -> dict[str, tuple[list[ActualLrp], list[Task]]]:
    on: dict[str, tuple[list[ActualLrp], list[Task]]] = {}
    for row in sorted(scene.instances.values(), key=_order):
        on.setdefault(_whereabouts(row), ([], []))[0].append(row)
    for task in sorted(scene.tasks.values(), key=lambda task: task.task_guid):
        if task.state in (Task.PENDING, Task.RUNNING):
            on.setdefault(task.cell_id or task.placed_cell_id, ([], []))[1].append(task)
    return on


def _order(row: ActualLrp) -> tuple[str, int, int, str]:
    return (row.process_guid, row.index, row.presence, row.instance_guid)


def _whereabouts(row: ActualLrp) -> str:
    """A crashed instance is on no cell: its place is free again."""
    if row.state == ActualLrp.UNCLAIMED:
        return row.placed_cell_id
    return row.cell_id if row.state in (ActualLrp.CLAIMED, ActualLrp.RUNNING) else ""


def _cell(
    cell: Cell, rows: Sequence[ActualLrp], tasks: Sequence[Task], name_width: int, width: int
) -> Iterable[Line]:
    """Name and bar, then the boxes, on as many lines as they need."""
    head = f"  {_cut(one_line(cell.cell_id), name_width).ljust(name_width)}{_GAP}"
    used = sum(row.needs.resources.memory_mb for row in rows)
    used += sum(task.needs.resources.memory_mb for task in tasks)
    bar = _bar(used, cell.capacity.memory_mb) + _GAP
    if len(head) + len(bar) + _WIDTH_MIN > width:
        bar = ""  # a narrow terminal has room for what matters
    boxes = _boxes(rows, tasks)
    note = _note(cell)
    room = max(width - len(head) - len(bar), 1)
    style = DIM if cell.state == Cell.MISSING else PLAIN
    margin = Span(" " * (len(head) + len(bar)))
    first: Line = (Span(head, style), Span(bar, DIM))
    for number, start in enumerate(range(0, max(len(boxes), 1), room)):
        part = boxes[start : start + room]
        last = start + room >= len(boxes)
        left = room - len(part) - len(_GAP)
        said = (Span(_GAP + _cut(note, left), DIM),) if note and last and left > 3 else ()
        yield (*(first if number == 0 else (margin,)), *part, *said)


def _boxes(rows: Sequence[ActualLrp], tasks: Sequence[Task]) -> list[Span]:
    boxes = [Span(glyph(row), color_of(row.process_guid)) for row in rows]
    return [*boxes, *(Span(_TASK, DIM) for _ in tasks)]


def _note(cell: Cell) -> str:
    if cell.state == Cell.MISSING:
        return "MISSING"
    if cell.HasField("drain"):
        return "draining"
    if cell.cordoned:
        return "cordoned"
    return "unhealthy" if cell.unhealthy_reason else ""


def _bar(used_mb: int, total_mb: int) -> str:
    """`▕████▁▁▁▁▁▁▏ 40%`, of the memory."""
    share = used_mb / total_mb if total_mb else 0.0
    full = min(round(share * _BAR), _BAR)
    return f"▕{'█' * full}{'▁' * (_BAR - full)}▏{min(round(share * 100), 999):>4}%"


def _nowhere(scene: Scene, width: int) -> Iterable[Line]:
    """What has no place, of all processes."""
    rows, tasks = _by_cell(scene).get("", ([], []))
    boxes = _boxes(rows, tasks)
    if not boxes:
        return
    yield (Span(_cut(f"{NOWHERE}  {len(boxes)}", width), DIM),)
    room = width - len(_GAP)
    for start in range(0, len(boxes), room):
        yield (Span(_GAP), *boxes[start : start + room])


def _legend(scene: Scene, width: int) -> Iterable[Line]:
    """Each process in its colour with how many run, then the glyphs."""
    counts: dict[str, tuple[int, int]] = {}
    for row in scene.instances.values():
        if row.presence == ActualLrp.ORDINARY:
            running, total = counts.get(row.process_guid, (0, 0))
            running += row.state == ActualLrp.RUNNING
            counts[row.process_guid] = (running, total + 1)
    items = [
        Span(_cut(f"■ {one_line(guid)} {running}/{total}", width), color_of(guid))
        for guid, (running, total) in sorted(counts.items())
    ]
    yield from _flowed(items, width)
    yield from _flowed([Span(each, DIM) for each in LEGEND.split(_GAP)], width)


def _flowed(items: Sequence[Span], width: int) -> Iterable[Line]:
    """One after the other, on as many lines as they need."""
    line: list[Span] = []
    used = 0
    for item in items:
        if line and used + len(_GAP) + len(item.text) > width:
            yield tuple(line)
            line, used = [], 0
        if line:
            line.append(Span(_GAP))
            used += len(_GAP)
        line.append(item)
        used += len(item.text)
    if line:
        yield tuple(line)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"
