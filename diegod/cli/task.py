"""`diegod task …`: one-off work."""

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diegod.cli.errors import FAILED, USAGE, CliError
from diegod.cli.quantities import memory_mb
from diegod.cli.refs import chosen
from diegod.cli.render import print_fields, print_json, print_row, print_rows, print_yaml
from diegod.cli.session import Output, Session
from diegod.cli.spec_input import admitted, environment, read_tasks
from diegod.cli.task_table import task_fields
from diegod.cli.verbs import DomainOption, WorkDomainOption, noun, verb
from diegod.cli.views import task_view
from diegod.models.errors import DomainError, Reason
from diegod.models.json_form import json_form, spec_form
from diegod.v1.definition_pb2 import TaskDefinition
from diegod.v1.record_pb2 import Task
from diegod.v1.task_pb2 import DesireTaskReply
from diegod.world import RandomIds

if TYPE_CHECKING:
    from diegod.client import Client

app = noun("Tasks: one-off work, started at most once, ever.")

DEFAULT_ROOTFS = "preloaded:busybox"
_AT_ONCE = 32

RefArgument = Annotated[str, typer.Argument(metavar="REF", help="A guid or its prefix.")]
RefsArgument = Annotated[list[str], typer.Argument(metavar="REF", help="Guids or prefixes.")]


@verb(app, "run", runs_a_program=True)
async def run(
    session: Session,
    command: Annotated[list[str], typer.Argument(metavar="COMMAND", help="What to run.")],
    guid: Annotated[str, typer.Option("--guid", help="The task's name; else one is made.")] = "",
    rootfs: Annotated[str, typer.Option("--rootfs")] = DEFAULT_ROOTFS,
    env: Annotated[list[str] | None, typer.Option("-e", "--env", metavar="NAME=VALUE")] = None,
    env_file: Annotated[list[Path] | None, typer.Option("--env-file", metavar="FILE")] = None,
    memory: Annotated[
        str, typer.Option("-m", "--memory-mb", metavar="MB", help="256, or 1g.")
    ] = "",
    timeout_s: Annotated[
        float,
        typer.Option("--timeout-s", metavar="S", min=0, help="Kill it after this long; 0: never."),
    ] = 0,
    domain: WorkDomainOption = None,
    detach: Annotated[bool, typer.Option("--detach", help="Print its guid and leave.")] = False,
    remove: Annotated[bool, typer.Option("--rm", help="Delete its record at the end.")] = False,
) -> int:
    """Run a program once, show its output, exit with its status.

    Our own failures are 124 (timed out), 125 (could not run it, or the outcome is unknown),
    126 and 127 (the program can't be executed, does not exist).
    """
    session.invocation.passes_status = not detach
    definition = TaskDefinition(
        task_guid=guid or f"task-{RandomIds().new_id()[:12]}",
        domain=session.domain(domain),
        rootfs=rootfs,
        environment_variables=environment(env or [], env_file or [], os.environ),
    )
    definition.action.run.path, definition.action.run.args[:] = command[0], command[1:]
    if memory:
        definition.memory_mb = memory_of(memory)
    if timeout_s:
        definition.execution_timeout_ms = round(timeout_s * 1000)
    admitted(definition)
    if detach:
        await _submit(session, [definition], wait=False)
        return 0
    from diegod.cli.task_run import run_attached

    return await run_attached(session, definition, remove=remove)


def memory_of(text: str) -> int:
    """-m as megabytes."""
    try:
        return memory_mb(text)
    except ValueError as error:
        raise CliError(f"-m: {error}", USAGE) from None


@verb(app, "submit")
async def submit(
    session: Session,
    file: Annotated[list[str], typer.Argument(metavar="FILE", help='Spec files, or "-".')],
    wait: Annotated[bool, typer.Option("--wait", help="Until all have ended.")] = False,
) -> int:
    """Store the tasks of spec files; one answer each, in order."""
    return await _submit(session, read_tasks(file), wait=wait)


async def _submit(session: Session, definitions: list[TaskDefinition], *, wait: bool) -> int:
    """Desire all of them; what is refused does not stop the others."""
    async with session.client() as client:
        answers = await _desire_all(client, definitions)
        stored = [answer.task for answer in answers if isinstance(answer, DesireTaskReply)]
        for definition, answer in zip(definitions, answers, strict=True):
            session.say(_answer_line(definition.task_guid, answer))
        if wait:
            stored = [await client.tasks.wait(task.task_guid) for task in stored]
    _print_submitted(session, stored, wait=wait)
    refusals = [answer for answer in answers if isinstance(answer, DomainError)]
    if refusals:
        count, all_of_them = len(refusals), len(definitions)
        raise DomainError(refusals[0].reason, f"{count} of {all_of_them} tasks were refused")
    return FAILED if wait and any(task.failed for task in stored) else 0


async def _desire_all(
    client: "Client", definitions: list[TaskDefinition]
) -> list[DesireTaskReply | DomainError]:
    """One answer each, in order; a few at a time, so that a long file does not take its time."""
    turn = asyncio.Semaphore(_AT_ONCE)

    async def desire(definition: TaskDefinition) -> DesireTaskReply | DomainError:
        async with turn:
            try:
                return await client.tasks.desire(definition, cause="diegod task submit")
            except DomainError as error:
                if error.reason in (Reason.RESOURCE_EXISTS, Reason.INVALID_REQUEST):
                    return error
                raise

    return await asyncio.gather(*(desire(each) for each in definitions))


def _answer_line(guid: str, answer: DesireTaskReply | DomainError) -> str:
    if isinstance(answer, DomainError):
        return f"diegod: task {guid}: {answer.message}"
    there = "is already there" if answer.already_there else "is stored"
    return f"task {guid} {there} ({Task.State.Name(answer.task.state)})"


def _print_submitted(session: Session, tasks: list[Task], *, wait: bool) -> None:
    """For people the guids of what was just stored are enough; what has ended is shown."""
    if session.output is Output.TABLE and not wait:
        for task in tasks:
            print(task.task_guid)
    else:
        print_rows(session, task_view(session.clock.wall()), tasks)


@verb(app, "ls", aliases=["list"])
async def ls(
    session: Session,
    domain: DomainOption = None,
    state: Annotated[str, typer.Option("--state", metavar="STATE")] = "",
    cell: Annotated[str, typer.Option("--cell", metavar="CELL")] = "",
) -> None:
    """List tasks."""
    wanted = _state(state)
    async with session.client() as client:
        tasks = await client.tasks.list(domain=session.domain(domain), cell_id=cell, state=wanted)
    print_rows(session, task_view(session.clock.wall()), tasks)


def _state(name: str) -> Task.State.ValueType:
    known = [name for name, value in Task.State.items() if value != Task.INVALID]
    if name and name.upper() not in known:
        raise CliError(f'--state: "{name}" is not one of {", ".join(known)}', USAGE)
    return Task.State.Value(name.upper()) if name else Task.INVALID


@verb(app, "show")
async def show(session: Session, ref: RefArgument) -> None:
    """Show one task; -o yaml is its spec."""
    async with session.client() as client:
        task = await find(client, ref)
    if session.output is Output.YAML:
        print_yaml(spec_form(task.definition))
    elif session.output is Output.JSON:
        print_json(json_form(task, secrets=True))
    elif session.output is Output.NAME:
        print_row(session, task_view(0), task)
    else:
        print_fields(task_fields(task))


@verb(app, "logs")
async def logs(
    session: Session,
    ref: RefArgument,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Until it has ended.")] = False,
    tail: Annotated[int, typer.Option("--tail", metavar="N", min=0, help="The last N lines.")] = 0,
) -> None:
    """Print what a task has written, byte for byte."""
    from diegod.cli.output import copy_output

    async with session.client() as client:
        task = await find(client, ref)
        await copy_output(client.logs(task, follow=follow, tail_lines=tail))


@verb(app, "wait")
async def wait(session: Session, refs: RefsArgument) -> int:
    """Wait until the tasks have ended; 1 if any of them failed."""
    async with session.client() as client:
        guids = [(await find(client, ref)).task_guid for ref in refs]
        ended = [await client.tasks.wait(guid) for guid in guids]
    print_rows(session, task_view(session.clock.wall()), ended)
    return FAILED if any(task.failed for task in ended) else 0


@verb(app, "cancel")
async def cancel(
    session: Session,
    refs: Annotated[list[str] | None, typer.Argument(metavar="REF")] = None,
    domain: Annotated[str, typer.Option("-d", "--domain", help="Every task of this domain.")] = "",
) -> None:
    """Cancel tasks: what has not started never will, what runs is stopped."""
    if bool(refs) == bool(domain):
        raise CliError("name the tasks, or a whole domain: diegod task cancel -d DOMAIN", USAGE)
    async with session.client() as client:
        if domain:
            tasks = await client.tasks.list(domain=domain)
            guids = [each.task_guid for each in tasks if each.state != Task.COMPLETED]
        else:
            guids = [(await find(client, ref)).task_guid for ref in refs or []]
        cancelled = [await client.tasks.cancel(guid, "diegod task cancel") for guid in guids]
    _print_changed(session, cancelled, "cancelled")


@verb(app, "rm")
async def rm(session: Session, refs: RefsArgument) -> None:
    """Delete the records of tasks that have ended."""
    async with session.client() as client:
        tasks = [await find(client, ref) for ref in refs]
        for task in tasks:
            await client.tasks.delete(task.task_guid, cause="diegod task rm")
    _print_changed(session, tasks, "deleted")


def _print_changed(session: Session, tasks: list[Task], what: str) -> None:
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
