"""`diegod task schedule …` and `diegod task dispatch`: tasks made from one definition."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from diegod.cli.definition.files import read_schedule
from diegod.cli.definition.flags import admitted
from diegod.cli.record.refs import chosen
from diegod.cli.record.views import task_view
from diegod.cli.task.noun import app
from diegod.cli.task.schedule_table import schedule_fields, schedule_view
from diegod.cli.task.submit import WaitOption
from diegod.cli.terminal.errors import FAILED, USAGE, CliError
from diegod.cli.terminal.render import print_fields, print_json, print_row, print_rows, print_yaml
from diegod.cli.terminal.session import Output, Session
from diegod.cli.terminal.verbs import DomainOption, noun, verb
from diegod.models.errors import DomainError, Reason
from diegod.models.json_form import json_form, spec_form
from diegod.v1.record_pb2 import TaskSchedule

if TYPE_CHECKING:
    from diegod.client import Client

#: How the help calls the command that has no verb; no schedule can have this name.
_DEFINE = "NAME…"
PAYLOAD_BYTES_MAX = 64 * 1024

ABOUT = """Tasks by the clock: NAME --cron EXPR [--tz ZONE] FILE makes or replaces a schedule.

The names of its verbs can't be names of schedules.
"""


class NameOrVerb(TyperGroup):
    """`schedule NAME --cron …` beside `schedule ls`: what is no verb is the name of a schedule."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, "-h", "--help"}:
            args = [_DEFINE, *args]
        return super().parse_args(ctx, args)


schedule_app = noun(ABOUT)
app.add_typer(schedule_app, name="schedule", cls=NameOrVerb)


@verb(schedule_app, _DEFINE)
async def define(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    file: Annotated[
        str, typer.Argument(metavar="FILE", help='One task or task_schedule document, or "-".')
    ],
    cron: Annotated[
        str, typer.Option("--cron", metavar="EXPR", help='"30 2 * * *", or @hourly.')
    ] = "",
    zone: Annotated[
        str, typer.Option("--tz", metavar="ZONE", help="Europe/Berlin; without it UTC.")
    ] = "",
    allow_overlap: Annotated[
        bool, typer.Option("--allow-overlap", help="Also while the task before has not ended.")
    ] = False,
) -> None:
    """Make a task of FILE whenever the clock says so; replaces the schedule of this name.

    FILE holds a task without task_guid, or a whole task_schedule. Without --cron, and without one
    in the file, tasks are made by `task dispatch` alone.
    """
    definition = read_schedule(file, name)
    if cron:
        definition.cron = cron
    if zone:
        definition.time_zone = zone
    if allow_overlap:
        definition.allow_overlap = True
    definition.domain = definition.domain or session.domain(None)
    admitted(definition)
    async with session.client() as client:
        reply = await client.schedules.desire(definition, cause="diegod task schedule")
    there = "no change" if reply.already_there else _stored(reply.schedule)
    session.say(f"schedule {reply.schedule.name}: {there}")
    _print_changed(session, reply.schedule)


def _stored(schedule: TaskSchedule) -> str:
    if not schedule.cron:
        return f"stored. diegod task dispatch {schedule.name}"
    return f"stored: {schedule.cron} ({schedule.time_zone or 'UTC'})"


@verb(schedule_app, "ls", aliases=["list"])
async def ls(session: Session, domain: DomainOption = None) -> None:
    """List schedules."""
    async with session.client() as client:
        schedules = await client.schedules.list(domain=session.domain(domain))
    print_rows(session, schedule_view(session.clock.wall()), schedules)


NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A name or its prefix.")]


@verb(schedule_app, "show")
async def show(session: Session, name: NameArgument) -> None:
    """Show a schedule; -o yaml is its spec."""
    async with session.client() as client:
        schedule = await find(client, name)
    if session.output is Output.YAML:
        print_yaml(spec_form(schedule.definition))
    elif session.output is Output.JSON:
        print_json(json_form(schedule, secrets=True))
    elif session.output is Output.NAME:
        print_row(session, schedule_view(0), schedule)
    else:
        print_fields(schedule_fields(schedule))


@verb(schedule_app, "pause")
async def pause(session: Session, name: NameArgument) -> None:
    """Make no more tasks until it is resumed."""
    async with session.client() as client:
        found = (await find(client, name)).name
        schedule = await client.schedules.pause(found, "diegod task schedule pause")
    _say(session, schedule, "is paused")


@verb(schedule_app, "resume")
async def resume(session: Session, name: NameArgument) -> None:
    """Go on from now; what was due meanwhile is not made up for."""
    async with session.client() as client:
        found = (await find(client, name)).name
        schedule = await client.schedules.resume(found, "diegod task schedule resume")
    _say(session, schedule, "goes on from now")


@verb(schedule_app, "rm")
async def rm(session: Session, name: NameArgument) -> None:
    """Forget a schedule; the tasks that it has made stay."""
    async with session.client() as client:
        found = (await find(client, name)).name
        schedule = await client.schedules.remove(found, "diegod task schedule rm")
    _say(session, schedule, "is removed; its tasks stay")


def _say(session: Session, schedule: TaskSchedule, what: str) -> None:
    session.say(f"schedule {schedule.name} {what}")
    _print_changed(session, schedule)


def _print_changed(session: Session, schedule: TaskSchedule) -> None:
    """People have been told by messages; programs get the record."""
    if session.output not in (Output.TABLE, Output.WIDE):
        print_rows(session, schedule_view(0), [schedule])


@verb(app, "dispatch")
async def dispatch(
    session: Session,
    name: NameArgument,
    parameter: Annotated[
        list[str] | None, typer.Option("-p", "--parameter", metavar="NAME=VALUE")
    ] = None,
    payload: Annotated[
        Path | None,
        typer.Option("--payload", metavar="FILE", help="In DIEGOD_DISPATCH_PAYLOAD; 64 KiB."),
    ] = None,
    wait: WaitOption = False,
) -> int:
    """Make one task of a schedule now, with these parameters; its guid is printed."""
    given = _parameters(parameter or [])
    content = _payload(payload)
    async with session.client() as client:
        found = (await find(client, name)).name
        reply = await client.schedules.dispatch(
            found, given, payload=content, cause="diegod task dispatch"
        )
        task = reply.task
        if wait:
            task = await client.tasks.wait(task.task_guid)
    if session.output is Output.TABLE and not wait:
        print(task.task_guid)
    else:
        print_rows(session, task_view(session.clock.wall()), [task])
    return FAILED if wait and task.failed else 0


def _parameters(given: list[str]) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise CliError(f'-p: "{each}" is not NAME=VALUE', USAGE)
        if name in parameters:
            raise CliError(f"-p: {name} is given twice", USAGE)
        parameters[name] = value
    return parameters


def _payload(file: Path | None) -> bytes:
    """It becomes the value of an environment variable: text, and of limited length."""
    if file is None:
        return b""
    content = file.read_bytes()
    if len(content) > PAYLOAD_BYTES_MAX:
        most = PAYLOAD_BYTES_MAX
        raise CliError(f"--payload: {file} has {len(content)} bytes, at most {most} fit", USAGE)
    try:
        content.decode()
    except UnicodeDecodeError:
        raise CliError(f"--payload: {file} is not UTF-8", USAGE) from None
    return content


async def find(client: "Client", ref: str) -> TaskSchedule:
    """The schedule that is meant: by its name, or by a prefix that no other has."""
    try:
        return await client.schedules.get(ref)
    except DomainError as error:
        if error.reason is not Reason.RESOURCE_NOT_FOUND:
            raise
    known = [schedule.name for schedule in await client.schedules.list()]
    return await client.schedules.get(chosen(ref, known, "schedule"))
