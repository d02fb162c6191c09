"""The noun `cell`, and how one is found. Looking: `look.py`; changing: `control.py`."""

from typing import TYPE_CHECKING

from diegod.cli.record.refs import chosen
from diegod.cli.terminal.verbs import noun
from diegod.models.errors import DomainError, Reason
from diegod.v1.cell_pb2 import CellStatus

if TYPE_CHECKING:
    from diegod.client import Client

app = noun("Cells: the machines that run containers.")


async def find(client: "Client", ref: str) -> CellStatus:
    """The cell that is meant: by its id, or by a prefix that no other has."""
    try:
        return await client.cells.get(ref)
    except DomainError as error:
        if error.reason is not Reason.RESOURCE_NOT_FOUND:
            raise
    known = [status.cell.cell_id for status in await client.cells.list()]
    return await client.cells.get(chosen(ref, known, "cell"))
