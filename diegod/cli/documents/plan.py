"""`diegod plan FILE…`: what `diegod apply` of these files would do."""

from typing import Annotated

import typer

from diegod.cli.definition.files import read_documents
from diegod.cli.definition.plans import WOULD_CHANGE, print_plans, refuse
from diegod.cli.documents.kinds import ordered, plan_of
from diegod.cli.terminal.session import Session
from diegod.cli.terminal.verbs import single, verb

app = single()


@verb(app, "plan")
async def plan(
    session: Session,
    file: Annotated[list[str], typer.Argument(metavar="FILE", help='Spec files, or "-".')],
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with 10 if apply would change something.")
    ] = False,
) -> int:
    """Say what `diegod apply` of these files would do, in its order, and do nothing."""
    documents = ordered(read_documents(file))
    async with session.client() as client:
        plans = [await plan_of(client, each) for each in documents]
    print_plans(session, plans, f"diegod apply {' '.join(file)}", can_name_revision=False)
    refuse(plans)
    return WOULD_CHANGE if exit_code and any(each.changes_something for each in plans) else 0
