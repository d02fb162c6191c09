"""`diegod cell cordon|uncordon|drain|rm`: what an operator does to a machine."""

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from diegod.cli.cell.drain_progress import Drain, Look
from diegod.cli.cell.noun import app, find
from diegod.cli.record.views import cell_view
from diegod.cli.terminal.errors import FAILED, REFUSED, CliError
from diegod.cli.terminal.render import print_row
from diegod.cli.terminal.session import Output, Session
from diegod.cli.terminal.verbs import verb
from diegod.v1.cell_pb2 import CellStatus, ControlCellReply, ControlCellRequest
from diegod.v1.record_pb2 import Cell, Task

if TYPE_CHECKING:
    from diegod.client import Client

#: A drain is looked at this often.
LOOK_EVERY_S = 1.0

CellArgument = Annotated[str, typer.Argument(metavar="CELL", help="A cell id or its prefix.")]


@verb(app, "cordon")
async def cordon(session: Session, ref: CellArgument) -> None:
    """Place no new work on a cell; what is there stays."""
    async with session.client() as client:
        status = await find(client, ref)
        reply = await client.cells.control(
            status.cell.cell_id, ControlCellRequest.CORDON, cause="diegod cell cordon"
        )
    _say(session, reply, "is cordoned: it takes no new work", "was cordoned before")
    _print(session, status, reply)


@verb(app, "uncordon")
async def uncordon(session: Session, ref: CellArgument) -> None:
    """Place work on a cell again; ends a drain too, and what can stay on it stays."""
    async with session.client() as client:
        status = await find(client, ref)
        reply = await client.cells.control(
            status.cell.cell_id, ControlCellRequest.UNCORDON, cause="diegod cell uncordon"
        )
    _say(session, reply, "takes new work again", "was not cordoned")
    _print(session, status, reply)


@verb(app, "drain")
async def drain(
    session: Session,
    ref: CellArgument,
    deadline_s: Annotated[
        float,
        typer.Option(
            "--deadline-s", metavar="N", min=1, help="Then what is left is stopped; default 600."
        ),
    ] = 600,
    detach: Annotated[
        bool, typer.Option("--detach", help="Do not wait until it is empty.")
    ] = False,
) -> None:
    """Move everything away from a cell: replacements run first, tasks are waited for.

    Ends with 0 when the cell is empty, with 1 at the deadline or when somebody ends the drain.
    """
    async with session.client() as client:
        status = await find(client, ref)
        cell_id = status.cell.cell_id
        reply = await client.cells.control(
            cell_id,
            ControlCellRequest.DRAIN,
            deadline_ms=round(deadline_s * 1000),
            cause="diegod cell drain",
        )
        how_long = f"is being drained, for at most {deadline_s:g} s"
        _say(session, reply, how_long, "is being drained already")
        if not detach:
            await _until_empty(session, client, cell_id)
    _print(session, status, reply)


async def _until_empty(session: Session, client: "Client", cell_id: str) -> None:
    progress = Drain()
    try:
        while True:
            look = await _look(client, cell_id)
            now = session.clock.wall()
            for line in progress.observe(look, now):
                session.say(line)
            verdict = progress.verdict(look, now)
            if verdict is not None:
                break
            await asyncio.sleep(progress.next_look_s(look, now, LOOK_EVERY_S))
    except asyncio.CancelledError:
        session.say(f"\nthe drain of {cell_id} goes on without us. diegod cell show {cell_id}")
        raise
    if verdict.status:
        raise CliError(verdict.message, verdict.status)
    session.say(f"{verdict.message}. diegod cell uncordon {cell_id}")


async def _look(client: "Client", cell_id: str) -> Look:
    """The cell, what is on it, and the other instances of the processes on it."""
    status = await client.cells.get(cell_id)
    instances = await client.lrps.instances(cell_id=cell_id)
    tasks = await client.tasks.list(cell_id=cell_id)
    others = []
    for guid in sorted({row.process_guid for row in instances}):
        rows = await client.lrps.instances(process_guid=guid)
        others += [row for row in rows if cell_id not in (row.cell_id, row.placed_cell_id)]
    instances.sort(key=lambda row: (row.process_guid, row.index, row.presence))
    going_on = [task for task in tasks if task.state in (Task.PENDING, Task.RUNNING)]
    return Look(status, instances, others, going_on)


@verb(app, "rm")
async def rm(
    session: Session,
    ref: CellArgument,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
) -> int:
    """Forget a machine that never comes back: its tasks fail now, its instances are replaced."""
    async with session.client() as client:
        status = await find(client, ref)
        cell_id = status.cell.cell_id
        if status.cell.state != Cell.MISSING:
            raise CliError(
                f"{cell_id} is there; only a missing cell can be removed. "
                f"diegod cell drain {cell_id}, then end its agent",
                REFUSED,
            )
        what = f"{cell_id} ({status.tasks} tasks fail, {status.instances} instances are replaced)"
        if not yes and sys.stdin.isatty() and not typer.confirm(f"Remove {what}?", err=True):
            session.say("nothing was removed")
            return FAILED
        reply = await client.cells.control(
            cell_id, ControlCellRequest.REMOVE, cause="diegod cell rm"
        )
    session.say(f"{cell_id} is removed")
    _print(session, status, reply)
    return 0


def _say(session: Session, reply: ControlCellReply, changed: str, unchanged: str) -> None:
    session.say(f"{reply.cell.cell_id} {unchanged if reply.unchanged else changed}")


def _print(session: Session, before: CellStatus, reply: ControlCellReply) -> None:
    """People have been told by messages; programs get the record, as it is now."""
    if session.output in (Output.TABLE, Output.WIDE):
        return
    status = CellStatus()
    status.CopyFrom(before)
    status.cell.CopyFrom(reply.cell)
    print_row(session, cell_view(0), status)
