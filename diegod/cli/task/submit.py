"""`diegod task submit|rerun`: tasks by definitions that are there already."""

import re
from typing import TYPE_CHECKING, Annotated

import typer

from diegod.cli.definition.files import read_tasks
from diegod.cli.record.views import task_view
from diegod.cli.task.noun import RefArgument, app, find
from diegod.cli.terminal.errors import FAILED, NO_ANSWER, CliError, status_of
from diegod.cli.terminal.render import print_rows
from diegod.cli.terminal.session import Output, Session
from diegod.cli.terminal.verbs import verb
from diegod.models.limits import NAME_BYTES_MAX
from diegod.v1.definition_pb2 import TaskDefinition
from diegod.v1.record_pb2 import Task
from diegod.v1.task_pb2 import DesireTaskReply
from diegod.world import RandomIds

if TYPE_CHECKING:
    from diegod.client import Client

WaitOption = Annotated[bool, typer.Option("--wait", help="Until all have ended.")]
_RERUN = re.compile(r"-rerun-[0-9a-f]{6}$")


@verb(app, "submit")
async def submit(
    session: Session,
    file: Annotated[list[str], typer.Argument(metavar="FILE", help='Spec files, or "-".')],
    wait: WaitOption = False,
) -> int:
    """Store the tasks of spec files; one answer each, in order.

    The same guid with an equal definition is already there, and that is no error; another
    definition is refused. With --wait the status is 1 if any of them failed.
    """
    return await desired(session, read_tasks(file), wait=wait)


@verb(app, "rerun")
async def rerun(session: Session, ref: RefArgument, wait: WaitOption = False) -> int:
    """Run the definition of a task once more, as a new task.

    A task is started at most once, ever: what runs again is another one, under a new guid.
    """
    async with session.client() as client:
        before = await find(client, ref)
    definition = TaskDefinition()
    definition.CopyFrom(before.definition)
    definition.task_guid = rerun_guid(before.task_guid, RandomIds().new_id()[:6])
    session.say(f"task {before.task_guid} is not run again; this is a new one")
    return await desired(session, [definition], wait=wait, cause="diegod task rerun")


def rerun_guid(guid: str, letters: str) -> str:
    """`NAME-rerun-3fa912`; of a rerun as of the task that it repeats."""
    ending = f"-rerun-{letters}"
    return _RERUN.sub("", guid)[: NAME_BYTES_MAX - len(ending)] + ending


async def desired(
    session: Session,
    definitions: list[TaskDefinition],
    *,
    wait: bool,
    cause: str = "diegod task submit",
) -> int:
    """Desire all of them; what is refused does not stop the others. The exit status."""
    async with session.client() as client:
        answers = await answers_of(session, client, definitions, cause)
        stored = [each.task for each in answers if not each.error_reason]
        if wait:
            guids = [task.task_guid for task in stored]
            by_guid = {task.task_guid: task async for task in client.tasks.ends(guids)}
            stored = [by_guid[guid] for guid in guids]
    _print(session, stored, wait=wait)
    refusals = [each for each in answers if each.error_reason]
    if refusals:
        status = status_of(refusals[0].error_reason)
        count = len(definitions)
        tasks = "task was" if count == 1 else "tasks were"
        raise CliError(f"{len(refusals)} of {count} {tasks} refused", status)
    return FAILED if wait and any(task.failed for task in stored) else 0


async def answers_of(
    session: Session, client: "Client", definitions: list[TaskDefinition], cause: str
) -> list[DesireTaskReply]:
    """One each, in order, told as they come: a long file need not be waited for."""
    answers: list[DesireTaskReply] = []
    async for reply in client.tasks.desire_many(definitions, cause=cause):
        session.say(_line(definitions[len(answers)].task_guid, reply))
        answers.append(reply)
    if len(answers) != len(definitions):
        raise CliError(f"{len(answers)} of {len(definitions)} tasks were answered", NO_ANSWER)
    return answers


def _line(guid: str, reply: DesireTaskReply) -> str:
    if reply.error_reason:
        return f"diegod: task {guid}: {reply.error_message}"
    there = "is already there" if reply.already_there else "is stored"
    return f"task {guid} {there} ({Task.State.Name(reply.task.state)})"


def _print(session: Session, tasks: list[Task], *, wait: bool) -> None:
    """For people the guids of what was just stored are enough; what has ended is shown."""
    if session.output is Output.TABLE and not wait:
        for task in tasks:
            print(task.task_guid)
    else:
        print_rows(session, task_view(session.clock.wall()), tasks)
