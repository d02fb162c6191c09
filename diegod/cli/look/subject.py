"""What a person means by a REF, of whatever kind: `web`, `web/0`, a guid, `task:web`, `cell:c-1`.

Does not belong here: the commands that know the kind beforehand (`task/noun.py` and its like).
"""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from diegod.cli.record.refs import chosen, not_found, split_instance
from diegod.cli.terminal.errors import NOT_FOUND, USAGE, CliError, one_line
from diegod.models.errors import DomainError, Reason
from diegod.v1.cell_pb2 import CellStatus
from diegod.v1.lrp_pb2 import GetLrpReply
from diegod.v1.record_pb2 import ActualLrp, Task, TaskSchedule

if TYPE_CHECKING:
    from diegod.client import Client

TASK, LRP, CELL, SCHEDULE = "task", "lrp", "cell", "schedule"
#: What has a life of its own on cells, and what runs it.
_KINDS = (TASK, LRP, CELL)
EVERYTHING = (*_KINDS, SCHEDULE)
_NOUNS = {TASK: "task", LRP: "LRP", CELL: "cell", SCHEDULE: "schedule"}


@dataclass(frozen=True)
class Subject:
    """Exactly one of the four is there. With `index`, that instance of the LRP."""

    ref: str
    task: Task | None = None
    lrp: GetLrpReply | None = None
    cell: CellStatus | None = None
    schedule: TaskSchedule | None = None
    index: int | None = None

    @property
    def kind(self) -> str:
        return next(kind for kind in EVERYTHING if getattr(self, kind) is not None)

    @property
    def instances(self) -> list[ActualLrp]:
        """Those that are meant: of the index, or all; in order."""
        rows = self.lrp.instances if self.lrp is not None else ()
        meant = [row for row in rows if self.index in (None, row.index)]
        return sorted(meant, key=lambda row: (row.index, row.presence, row.instance_guid))


async def find(client: "Client", ref: str, kinds: Sequence[str] = _KINDS) -> Subject:
    """Raises CliError: not found (3), ambiguous (2)."""
    kind, colon, rest = ref.partition(":")
    if colon and kind in kinds:
        kinds, ref = [kind], rest
    name, index = split_instance(ref)
    if index is not None:
        kinds = [LRP]
    exact = await _exact(client, name, kinds)
    if not exact:
        found_kind, name = await _by_prefix(client, name, kinds)
        exact = await _exact(client, name, [found_kind])
    if not exact:  # it went while we looked
        raise CliError(f"{one_line(name)} is gone", NOT_FOUND)
    if len(exact) > 1:
        named = " and ".join(f"{each}:{name}" for each, _ in exact)
        raise CliError(f'"{one_line(name)}" is more than one thing. Say which: {named}', USAGE)
    kind, record = exact[0]
    return Subject(ref, **{kind: record}, index=index)


async def _exact(client: "Client", name: str, kinds: Sequence[str]) -> list[tuple[str, Any]]:
    """What has exactly this name, by kind."""
    getters = {
        TASK: client.tasks.get,
        LRP: client.lrps.get,
        CELL: client.cells.get,
        SCHEDULE: client.schedules.get,
    }
    found = await asyncio.gather(*(_or_none(getters[kind](name)) for kind in kinds))
    return [(kind, record) for kind, record in zip(kinds, found, strict=True) if record is not None]


async def _or_none(getting: Awaitable[Any]) -> Any:
    try:
        return await getting
    except DomainError as error:
        if error.reason is not Reason.RESOURCE_NOT_FOUND:
            raise
        return None


async def _by_prefix(client: "Client", ref: str, kinds: Sequence[str]) -> tuple[str, str]:
    known = await _known(client, kinds)
    names = [name for _, name in known]
    if not any(ref and name.startswith(ref) for name in names):
        what = " or ".join(_NOUNS[kind] for kind in kinds)
        raise CliError(not_found(ref, names, what), NOT_FOUND)
    name = chosen(ref, names, "name")
    return next((kind, name) for kind, each in known if each == name)


async def _known(client: "Client", kinds: Sequence[str]) -> list[tuple[str, str]]:
    known: list[tuple[str, str]] = []
    if TASK in kinds:
        known += [(TASK, task.task_guid) for task in await client.tasks.list()]
    if LRP in kinds:
        known += [(LRP, lrp.process_guid) for lrp in await client.lrps.list()]
    if CELL in kinds:
        known += [(CELL, status.cell.cell_id) for status in await client.cells.list()]
    if SCHEDULE in kinds:
        known += [(SCHEDULE, schedule.name) for schedule in await client.schedules.list()]
    return known
