"""`diegod cell ls|show`: looking at the machines that run containers."""

from collections.abc import Iterator
from typing import Annotated

import typer

from diegod.cli.cell.noun import app, find
from diegod.cli.record.views import (
    cell_note,
    cell_view,
    instance_view,
    instances_in_order,
    since,
    task_view,
)
from diegod.cli.terminal.quantities import amount_mb
from diegod.cli.terminal.render import print_fields, print_row, print_rows
from diegod.cli.terminal.session import Output, Session
from diegod.cli.terminal.verbs import verb
from diegod.v1.cell_pb2 import CellStatus
from diegod.v1.record_pb2 import Cell, Task


@verb(app, "ls", aliases=["list"])
async def ls(session: Session) -> None:
    """List cells, with what is on them."""
    async with session.client() as client:
        cells = await client.cells.list()
    print_rows(session, cell_view(session.clock.wall()), cells)


@verb(app, "show")
async def show(session: Session, ref: Annotated[str, typer.Argument(metavar="CELL")]) -> None:
    """Show one cell, and what is on it."""
    now = session.clock.wall()
    async with session.client() as client:
        status = await find(client, ref)
        if session.output not in (Output.TABLE, Output.WIDE):
            print_row(session, cell_view(now), status)
            return
        cell_id = status.cell.cell_id
        tasks = await client.tasks.list(cell_id=cell_id)
        instances = await client.lrps.instances(cell_id=cell_id)
    print_fields(_fields(status, now))
    print()
    print_rows(session, instance_view(now), instances_in_order(instances))
    going_on = [task for task in tasks if task.state in (Task.PENDING, Task.RUNNING)]
    if going_on:
        print()
        print_rows(session, task_view(now), going_on)


def _fields(status: CellStatus, now: float) -> Iterator[tuple[str, str]]:
    cell, used = status.cell, status.used
    capacity = cell.capacity
    yield "cell", cell.cell_id
    yield "state", f"{Cell.State.Name(cell.state)} since {since(cell.since, now)}"
    yield "takes no new work", cell_note(status)
    yield "zone", cell.zone
    yield "address", cell.address
    yield "backend", f"{cell.backend}: {cell.isolation}"
    yield "memory", f"{amount_mb(used.memory_mb)} of {amount_mb(capacity.memory_mb)}"
    yield "disk", f"{amount_mb(used.disk_mb)} of {amount_mb(capacity.disk_mb)}"
    yield "containers", f"{used.containers} of {capacity.containers}"
    yield "rootfs", " ".join(cell.rootfs_providers)
    yield "placement tags", " ".join(cell.placement_tags)
    yield "optional tags", " ".join(cell.optional_placement_tags)
    yield "incarnation", str(cell.incarnation)
    yield "revision", str(cell.provenance.revision)
