"""`diegod task run`: a task by flags. Does not belong here: following it (`attached.py`)."""

import os
from typing import Annotated

import typer

from diegod.cli.definition.flags import (
    DEFAULT_ROOTFS,
    EnvFileOption,
    EnvOption,
    MemoryOption,
    admitted,
    environment,
    memory_of,
)
from diegod.cli.task.noun import app
from diegod.cli.task.submit import desired
from diegod.cli.terminal.session import Session
from diegod.cli.terminal.verbs import WorkDomainOption, verb
from diegod.v1.definition_pb2 import TaskDefinition
from diegod.world import RandomIds


@verb(app, "run", runs_a_program=True)
async def run(
    session: Session,
    command: Annotated[list[str], typer.Argument(metavar="COMMAND", help="What to run.")],
    guid: Annotated[str, typer.Option("--guid", help="The task's name; else one is made.")] = "",
    rootfs: Annotated[str, typer.Option("--rootfs")] = DEFAULT_ROOTFS,
    env: EnvOption = None,
    env_file: EnvFileOption = None,
    memory: MemoryOption = "",
    timeout_s: Annotated[
        float,
        typer.Option("--timeout-s", metavar="S", min=0, help="Kill it after this long; 0: never."),
    ] = 0,
    cell: Annotated[str, typer.Option("--on", metavar="CELL", help="On this cell alone.")] = "",
    result_file: Annotated[
        str, typer.Option("--result-file", metavar="PATH", help="Its first 10 KiB are the result.")
    ] = "",
    callback: Annotated[
        str, typer.Option("--callback", metavar="URL", help="POSTed to when it has ended.")
    ] = "",
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
    if cell:
        definition.placement.cell_id = cell
    definition.result_file, definition.completion_callback_url = result_file, callback
    admitted(definition)
    if detach:
        return await desired(session, [definition], wait=False)
    from diegod.cli.task.attached import run_attached

    return await run_attached(session, definition, remove=remove)
