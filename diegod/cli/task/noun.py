"""The noun `task`, and what several of its verbs share: finding one, its records.

The verbs themselves: `run.py`, `look.py`, `submit.py` (many, by files), `end.py` (cancelling and
removing), `schedule.py` (schedules and dispatch).
"""

from typing import TYPE_CHECKING, Annotated

import typer

from diegod.cli.record.refs import chosen
from diegod.cli.record.views import task_view
from diegod.cli.terminal.render import print_rows
from diegod.cli.terminal.session import Output, Session
from diegod.cli.terminal.verbs import noun
from diegod.models.errors import DomainError, Reason
from diegod.v1.record_pb2 import Task

if TYPE_CHECKING:
    from diegod.client import Client

app = noun("Tasks: one-off work, started at most once, ever.")

RefArgument = Annotated[str, typer.Argument(metavar="REF", help="A guid or its prefix.")]
RefsArgument = Annotated[list[str], typer.Argument(metavar="REF", help="Guids or prefixes.")]

#: Cancels and deletions under way at a time.
AT_ONCE = 32


def print_changed(session: Session, tasks: list[Task], what: str) -> None:
    """People are told what was done; programs get the records."""
    if session.output in (Output.TABLE, Output.WIDE):
        for task in tasks:
            session.say(f"task {task.task_guid} {what}")
    else:
        print_rows(session, task_view(0), tasks)


async def find(client: "Client", ref: str) -> Task:
    """The task that is meant: by its guid, or by a prefix that no other has."""
    try:
        return await client.tasks.get(ref)
    except DomainError as error:
        if error.reason is not Reason.RESOURCE_NOT_FOUND:
            raise
    known = [task.task_guid for task in await client.tasks.list()]
    return await client.tasks.get(chosen(ref, known, "task"))
