"""`diegod story REF`: the life of one task, LRP, instance or cell, each line with its cause."""

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from diegod.cli.look.story_lines import Line, merged, of_cell_lines, of_transition, story_view
from diegod.cli.look.subject import CELL, TASK, Subject, find
from diegod.cli.terminal.errors import NOT_FOUND, CliError
from diegod.cli.terminal.render import print_rows
from diegod.cli.terminal.session import Session
from diegod.cli.terminal.verbs import single, verb
from diegod.models.errors import DomainError, Reason
from diegod.v1.record_pb2 import ActualLrp, Task, Transition
from diegod.v1.stream_pb2 import LogChunk

if TYPE_CHECKING:
    from diegod.client import Client

app = single()

_SCHEDULE = "schedule:"
#: Of an index, the cells are asked about so many of its last instances.
_INSTANCES_ASKED = 5


@verb(app, "story")
async def story(
    session: Session,
    ref: Annotated[
        str, typer.Argument(metavar="REF", help="web, web/0, a guid, task:G, cell:C, schedule:S")
    ],
) -> None:
    """Tell the life of a task, an LRP, one of its instances, a cell or a schedule.

    The last 50 changes, each with its revision, principal and cause, and between them what the
    cell did with the container, for as long as its logs are kept.
    """
    async with session.client() as client:
        lines = await _lines(session, client, ref)
    print_rows(session, story_view(), lines)


async def _lines(session: Session, client: "Client", ref: str) -> list[Line]:
    if ref.startswith(_SCHEDULE):
        name = ref.removeprefix(_SCHEDULE)
        return [of_transition(each) for each in await client.stories.of_schedule(name)]
    try:
        subject = await find(client, ref)
    except CliError as error:
        if error.status != NOT_FOUND:
            raise
        return await _of_what_is_gone(client, ref, error)
    transitions = await _transitions(client, subject)
    told = [of_transition(each) for each in transitions]
    return merged(told, await _by_cells(session, client, subject, transitions))


async def _of_what_is_gone(client: "Client", ref: str, error: CliError) -> list[Line]:
    """A story may be kept for a while after its row: only its exact guid leads there."""
    kind, colon, guid = ref.partition(":")
    with suppress(DomainError):
        if not colon or kind == TASK:
            transitions = await client.stories.of_task(guid if colon else ref)
            if transitions:
                return [of_transition(each) for each in transitions]
    raise error


async def _transitions(client: "Client", subject: Subject) -> list[Transition]:
    if subject.task is not None:
        return await client.stories.of_task(subject.task.task_guid)
    if subject.kind == CELL:
        assert subject.cell is not None
        return await client.stories.of_cell(subject.cell.cell.cell_id)
    assert subject.lrp is not None
    guid = subject.lrp.desired_lrp.process_guid
    if subject.index is None:
        return await client.stories.of_lrp(guid)
    return await client.stories.of_instance(guid, subject.index)


async def _by_cells(
    session: Session, client: "Client", subject: Subject, transitions: list[Transition]
) -> list[Line]:
    """What the cells wrote down of the containers; said, where one can't be asked."""
    lines: list[Line] = []
    for of, cell_id in _containers(subject, transitions):
        try:
            logs = client.logs(of, streams=[LogChunk.CELL])
            lines += of_cell_lines([chunk async for chunk in logs], cell_id)
        except DomainError as error:
            if error.reason is not Reason.RESOURCE_NOT_FOUND:
                session.say(f"{cell_id or 'its cell'} can't be asked: {error.message}")
    return lines


def _containers(
    subject: Subject, transitions: list[Transition]
) -> list[tuple[Task | ActualLrp, str]]:
    """What had a container somewhere, and where."""
    cells = {each.instance_guid: each.cell_id for each in transitions if each.cell_id}
    if subject.task is not None:
        cell_id = subject.task.cell_id or next(iter(reversed(cells.values())), "")
        return [(subject.task, cell_id)] if cell_id else []
    if subject.index is None:
        return []
    guids = [guid for guid in cells if guid][-_INSTANCES_ASKED:]
    return [(ActualLrp(instance_guid=guid), cells[guid]) for guid in guids]
