"""`diegod apply FILE…`: several documents of any kind, in the order of depends_on."""

from typing import TYPE_CHECKING, Annotated

import typer

from diegod.cli.definition.files import read_documents
from diegod.cli.definition.plans import refuse
from diegod.cli.documents.kinds import apply_one, ordered, plan_of, refused
from diegod.cli.lrp.store import watched
from diegod.cli.terminal.session import Session
from diegod.cli.terminal.verbs import single, verb
from diegod.models.apply_order import Document
from diegod.models.errors import DomainError, Reason
from diegod.v1.record_pb2 import DesiredLrp

if TYPE_CHECKING:
    from diegod.client import Client

app = single()

#: What another definition, or another attempt, would cure; a lost connection is told as such.
_OF_THE_DOCUMENT = (
    Reason.INVALID_REQUEST,
    Reason.RESOURCE_EXISTS,
    Reason.RESOURCE_CONFLICT,
    Reason.INVALID_STATE_TRANSITION,
    Reason.PERMISSION_DENIED,
)


@verb(app, "apply")
async def apply(
    session: Session,
    file: Annotated[list[str], typer.Argument(metavar="FILE", help='Spec files, or "-".')],
    detach: Annotated[bool, typer.Option("--detach", help="Do not wait for the LRPs.")] = False,
) -> None:
    """Store tasks, LRPs, task schedules and domains, and wait until the LRPs are up.

    What others depend on is stored first. Nothing is stored if one of the documents has a fault,
    or would be refused as things are now.
    """
    documents = ordered(read_documents(file))
    async with session.client() as client:
        refuse([await plan_of(client, each) for each in documents])
        lrps = await _stored(session, client, documents)
        await watched(session, client, lrps, detach=detach)


async def _stored(
    session: Session, client: "Client", documents: list[Document]
) -> list[DesiredLrp]:
    lrps = []
    for number, document in enumerate(documents):
        try:
            lrp = await apply_one(session, client, document)
        except DomainError as error:
            if error.reason in _OF_THE_DOCUMENT:
                raise refused(error, document, number, len(documents)) from error
            raise
        if lrp is not None:
            lrps.append(lrp)
    return lrps
