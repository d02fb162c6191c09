"""The noun `lrp`, and what several of its verbs share: finding one, waiting or not, its records.

The verbs themselves: `look.py` (looking), `apply.py` (definitions), `rollout.py` (versions),
`end.py` (removing).
"""

from typing import TYPE_CHECKING, Annotated

import typer

from diegod.cli.record.refs import chosen
from diegod.cli.record.views import lrp_view
from diegod.cli.terminal.render import print_rows
from diegod.cli.terminal.session import Output, Session
from diegod.cli.terminal.verbs import noun
from diegod.models.errors import DomainError, Reason
from diegod.v1.lrp_pb2 import GetLrpReply
from diegod.v1.record_pb2 import DesiredLrp

if TYPE_CHECKING:
    from diegod.client import Client

ABOUT = """LRPs: long-running processes, N instances each, kept running.

Which verb changes one: `scale` the number of instances, `update` the fields that you name by
flags, `apply` everything, by a file (`plan` says beforehand what that would do).
"""

app = noun(ABOUT)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A guid or its prefix.")]
DetachOption = Annotated[bool, typer.Option("--detach", help="Do not wait until it is up.")]


async def find(client: "Client", ref: str) -> GetLrpReply:
    """The LRP that is meant: by its guid, or by a prefix that no other has."""
    try:
        return await client.lrps.get(ref)
    except DomainError as error:
        if error.reason is not Reason.RESOURCE_NOT_FOUND:
            raise
    known = [lrp.process_guid for lrp in await client.lrps.list()]
    return await client.lrps.get(chosen(ref, known, "LRP"))


async def present(client: "Client", guid: str) -> GetLrpReply | None:
    """The LRP of exactly this guid; None: there is none."""
    try:
        return await client.lrps.get(guid)
    except DomainError as error:
        if error.reason is Reason.RESOURCE_NOT_FOUND:
            return None
        raise


def print_changed(session: Session, lrps: list[DesiredLrp]) -> None:
    """People have been told by messages; programs get the records."""
    if session.output not in (Output.TABLE, Output.WIDE):
        print_rows(session, lrp_view(0), lrps)
