"""`diegod task cancel|rm`: the end of tasks, and of their records."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from diegod.cli.task.noun import AT_ONCE, RefsArgument, app, find, print_changed
from diegod.cli.terminal.errors import FAILED, USAGE, CliError
from diegod.cli.terminal.session import Output, Session
from diegod.cli.terminal.verbs import verb
from diegod.models.errors import DomainError, Reason
from diegod.v1.record_pb2 import Task

if TYPE_CHECKING:
    from diegod.client import Client

T = TypeVar("T")


@verb(app, "cancel")
async def cancel(
    session: Session,
    refs: Annotated[list[str] | None, typer.Argument(metavar="REF")] = None,
    domain: Annotated[str, typer.Option("-d", "--domain", help="Every task of this domain.")] = "",
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
) -> int:
    """Cancel tasks: what has not started never will, what runs is stopped."""
    if bool(refs) == bool(domain):
        raise CliError("name the tasks, or a whole domain: diegod task cancel -d DOMAIN", USAGE)
    async with session.client() as client:
        if domain:
            return await _cancel_domain(session, client, domain, yes=yes)
        guids = [(await find(client, ref)).task_guid for ref in refs or []]
        cancelled = [await client.tasks.cancel(guid, "diegod task cancel") for guid in guids]
    print_changed(session, cancelled, "cancelled")
    return 0


async def _cancel_domain(session: Session, client: "Client", domain: str, *, yes: bool) -> int:
    """All that have not ended; asks first on a terminal."""
    going_on = [
        task
        for task in await client.tasks.list(domain=domain)
        if task.state in (Task.PENDING, Task.RUNNING)
    ]
    running = sum(task.state == Task.RUNNING for task in going_on)
    shown = f"{_tasks(len(going_on))} of domain {domain} ({running} of them running)"
    asks = going_on and not yes and sys.stdin.isatty()
    if asks and not typer.confirm(f"Cancel {shown}?", err=True):
        session.say("nothing was cancelled")
        return FAILED
    answers = await _few_at_a_time(
        [_cancelled(client, task.task_guid, domain) for task in going_on]
    )
    cancelled = [task for task in answers if task is not None]
    if session.output not in (Output.TABLE, Output.WIDE):
        print_changed(session, cancelled, "cancelled")
    ended = len(answers) - len(cancelled)
    had = f"; {ended} had ended meanwhile" if ended else ""
    session.say(f"{_tasks(len(cancelled))} of domain {domain} cancelled{had}")
    return 0


def _tasks(count: int) -> str:
    return f"{count} task{'' if count == 1 else 's'}"


def _cancelled(
    client: "Client", guid: str, domain: str
) -> Callable[[], Awaitable[Task | None]]:
    """None: it had ended before we came to it."""

    async def cancel() -> Task | None:
        try:
            return await client.tasks.cancel(guid, f"diegod task cancel -d {domain}")
        except DomainError as error:
            if error.reason in (Reason.INVALID_STATE_TRANSITION, Reason.RESOURCE_NOT_FOUND):
                return None
            raise

    return cancel


async def _few_at_a_time(works: list[Callable[[], Awaitable[T]]]) -> list[T]:
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(work: Callable[[], Awaitable[T]]) -> T:
        async with turn:
            return await work()

    return await asyncio.gather(*(one(work) for work in works))


@verb(app, "rm")
async def rm(session: Session, refs: RefsArgument) -> None:
    """Delete the records of tasks that have ended; their guids are refused for a day."""
    async with session.client() as client:
        tasks = [await find(client, ref) for ref in refs]
        for task in tasks:
            await client.tasks.delete(task.task_guid, cause="diegod task rm")
    print_changed(session, tasks, "deleted")
