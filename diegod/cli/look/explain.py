"""`diegod explain REF`: why something is where it is, or nowhere, and what happens next."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from diegod.cli.look.explain_text import (
    Explained,
    explained_view,
    fields,
    filter_view,
    headline,
    verdict_view,
)
from diegod.cli.look.subject import CELL, EVERYTHING, Subject, find
from diegod.cli.record.surroundings import Surroundings, look_around
from diegod.cli.record.views import instance_ref, instance_state
from diegod.cli.terminal.errors import NOT_FOUND, CliError
from diegod.cli.terminal.render import print_fields, print_json, print_rows, print_yaml
from diegod.cli.terminal.session import Output, Session
from diegod.cli.terminal.verbs import single, verb
from diegod.models.errors import DomainError, Reason
from diegod.v1.cell_pb2 import CellStatus
from diegod.v1.definition_pb2 import Dependency, LrpDefinition
from diegod.v1.lrp_pb2 import GetLrpReply
from diegod.v1.record_pb2 import (
    ActualLrp,
    Cell,
    DesiredLrp,
    Rollout,
    Task,
    TaskSchedule,
    Transition,
)

if TYPE_CHECKING:
    from diegod.client import Client
    from diegod.scheduler.core.explanation import Explanation

app = single()

Row = Task | DesiredLrp | ActualLrp | Cell | TaskSchedule

_DEFAULT_STRATEGY = "spread"
#: The cause of a placement, as the brain words it.
_CHOICES = ("possible cells", "only possible cell")


@verb(app, "explain")
async def explain(
    session: Session,
    ref: Annotated[
        str, typer.Argument(metavar="REF", help="web, web/0, a guid, task:G, cell:C, schedule:S")
    ],
) -> None:
    """Explain why something is where it is, or why it is nowhere, and what happens next.

    For what has no place: how many cells each filter excludes, and which cell comes nearest. The
    filters are those that are installed here. -o wide shows every cell.
    """
    now = session.clock.wall()
    async with session.client() as client:
        subject = await find(client, ref, EVERYTHING)
        around = await look_around(client, domains=subject.kind == CELL)
        rows = await _explained(client, subject, around, now)
    if session.output in (Output.TABLE, Output.WIDE):
        _show(session, rows, now)
        if not around.facts.brain_id:
            session.say("no brain is active: nothing is placed, moved or repaired. diegod status")
        return
    for row in rows:
        _print(session, row)


def _show(session: Session, rows: list[Explained], now: float) -> None:
    first = rows[0]
    print(headline(first))
    view = first.placement
    if view is not None and not first.cell:
        print_rows(session, filter_view(), [each for each in view.filters if each.refused])
        print()
    if view is not None and session.output is Output.WIDE:
        print_rows(session, verdict_view(), view.cells)
        print()
    print_fields(fields(first, now))
    if len(rows) > 1:
        print()
        print_rows(session, explained_view(now), rows[1:])


def _print(session: Session, row: Explained) -> None:
    if session.output is Output.NAME:
        print(row.name)
    else:
        (print_json if session.output is Output.JSON else print_yaml)(row.form())


async def _explained(
    client: "Client", subject: Subject, around: Surroundings, now: float
) -> list[Explained]:
    """The subject first, then what belongs to it."""
    if subject.task is not None:
        return [await _task(client, subject.task, around, now)]
    if subject.lrp is not None and subject.index is not None:
        if not subject.instances:
            guid = subject.lrp.desired_lrp.process_guid
            raise CliError(f"no instance {subject.ref}. diegod explain {guid}", NOT_FOUND)
        return [await _instance(client, row, subject.lrp, around, now) for row in subject.instances]
    if subject.lrp is not None:
        return await _lrp(client, subject, around, now)
    if subject.schedule is not None:
        return await _schedule(client, subject.schedule, around, now)
    assert subject.cell is not None
    return await _cell(client, subject.cell, around, now)


async def _task(client: "Client", task: Task, around: Surroundings, now: float) -> Explained:
    needed = await _needed(client, task.depends_on) if task.state == Task.PENDING else []
    brain = ask_as_brain(around, [task, *_rows(needed)], task.task_guid, None, now)
    cell_id = task.cell_id or task.placed_cell_id
    story = await client.stories.of_task(task.task_guid) if cell_id else []
    return Explained(
        task.task_guid,
        Task.State.Name(task.state),
        cell_id,
        around.of_task(task, now),
        placing_cause(story),
        tuple(_dependency(*each) for each in needed),
        brain.due,
        brain.placement,
    )


async def _instance(
    client: "Client", row: ActualLrp, reply: GetLrpReply, around: Surroundings, now: float
) -> Explained:
    lrp = reply.desired_lrp
    cell_id = row.cell_id or row.placed_cell_id
    needed = await _needed(client, lrp.depends_on) if is_gated(lrp.rollout) else []
    rows = [lrp, *reply.instances, *_rows(needed)]
    brain = ask_as_brain(around, rows, row.process_guid, row.index, now)
    story = await client.stories.of_instance(row.process_guid, row.index) if cell_id else []
    ordinary = row.presence == ActualLrp.ORDINARY
    return Explained(
        instance_ref(row),
        instance_state(row),
        cell_id,
        around.of_instance(row, lrp, reply.instances, now),
        placing_cause([each for each in story if each.instance_guid == row.instance_guid]),
        tuple(_dependency(*each) for each in needed),
        brain.due if ordinary else (),
        brain.placement if ordinary else None,
    )


async def _lrp(
    client: "Client", subject: Subject, around: Surroundings, now: float
) -> list[Explained]:
    reply = subject.lrp
    assert reply is not None
    lrp = reply.desired_lrp
    standing = around.of_lrp(lrp, reply.instances, now)
    state = "STOPPED" if lrp.stopped else Rollout.State.Name(lrp.rollout.state)
    needed = await _needed(client, lrp.depends_on) if is_gated(lrp.rollout) else []
    depends = tuple(_dependency(*each) for each in needed)
    summary = _count(lrp, reply.instances)
    rows = [Explained(lrp.process_guid, state, "", standing, "", depends, summary=summary)]
    for row in subject.instances:
        theirs = around.of_instance(row, lrp, reply.instances, now)
        cell_id = row.cell_id or row.placed_cell_id
        rows.append(Explained(instance_ref(row), instance_state(row), cell_id, theirs))
    return rows


def _count(lrp: DesiredLrp, instances: Iterable[ActualLrp]) -> str:
    """`2 of 3 running and routable, rollout ROLLING`; of a stopped one that it is."""
    if lrp.stopped:
        return "STOPPED"
    serving = _serving(instances)
    of = "" if lrp.mode == LrpDefinition.GLOBAL else f" of {lrp.instances}"
    rolling = lrp.rollout.state != Rollout.DONE
    rollout = f", rollout {Rollout.State.Name(lrp.rollout.state)}" if rolling else ""
    return f"{serving}{of} running and routable{rollout}"


def _serving(instances: Iterable[ActualLrp]) -> int:
    """Indexes: an instance and the one that takes its place are not two."""
    serving = (row for row in instances if row.state == ActualLrp.RUNNING and row.routable)
    return len({row.index for row in serving})


async def _schedule(
    client: "Client", schedule: TaskSchedule, around: Surroundings, now: float
) -> list[Explained]:
    """The schedule, and the tasks it has made that have not ended."""
    state = "paused" if schedule.paused else "active"
    rows = [Explained(schedule.name, state, "", around.of_schedule(schedule, now))]
    for task in await client.tasks.list(domain=schedule.domain):
        if task.schedule_name == schedule.name and task.state in (Task.PENDING, Task.RUNNING):
            where = task.cell_id or task.placed_cell_id
            state = Task.State.Name(task.state)
            rows.append(Explained(task.task_guid, state, where, around.of_task(task, now)))
    return rows


async def _cell(
    client: "Client", status: CellStatus, around: Surroundings, now: float
) -> list[Explained]:
    """The cell, and what is on it: of a drain, what it waits for."""
    cell_id = status.cell.cell_id
    state = Cell.State.Name(status.cell.state)
    rows = [Explained(cell_id, state, "", around.of_cell(status, now))]
    for instance in sorted(
        await client.lrps.instances(cell_id=cell_id), key=lambda row: (row.process_guid, row.index)
    ):
        reply = await _reply_of(client, instance.process_guid)
        lrp = reply.desired_lrp if reply is not None else None
        others = list(reply.instances) if reply is not None else [instance]
        theirs = around.of_instance(instance, lrp, others, now)
        rows.append(Explained(instance_ref(instance), instance_state(instance), cell_id, theirs))
    for task in await client.tasks.list(cell_id=cell_id):
        if task.state in (Task.PENDING, Task.RUNNING):
            state = Task.State.Name(task.state)
            rows.append(Explained(task.task_guid, state, cell_id, around.of_task(task, now)))
    return rows


async def _reply_of(client: "Client", guid: str) -> GetLrpReply | None:
    try:
        return await client.lrps.get(guid)
    except DomainError as error:
        if error.reason is not Reason.RESOURCE_NOT_FOUND:
            raise
        return None


def placing_cause(story: list[Transition]) -> str:
    """Why this cell: the latest placement that the story still has."""
    for transition in reversed(story):
        if transition.cause.endswith(_CHOICES):
            return f"{transition.cause} (revision {transition.revision}, {transition.by})"
    return ""


def is_gated(rollout: Rollout) -> bool:
    """Dependencies count until one version was up in full."""
    return rollout.state != Rollout.DONE and not rollout.stable_definition_revision


#: A dependency, and what it names, if that is there.
Needed = tuple[Dependency, Task | GetLrpReply | None]


async def _needed(client: "Client", given: Iterable[Dependency]) -> list[Needed]:
    return [(each, await _named(client, each)) for each in given]


async def _named(client: "Client", each: Dependency) -> Task | GetLrpReply | None:
    try:
        return await (client.tasks.get(each.task) if each.task else client.lrps.get(each.lrp))
    except DomainError as error:
        if error.reason is not Reason.RESOURCE_NOT_FOUND:
            raise
        return None


def _rows(needed: Iterable[Needed]) -> list[Row]:
    rows: list[Row] = []
    for _, found in needed:
        if isinstance(found, Task):
            rows.append(found)
        elif found is not None:
            rows += [found.desired_lrp, *found.instances]
    return rows


def _dependency(each: Dependency, found: Task | GetLrpReply | None) -> str:
    """`lrp db: 1 of 2 running and routable`, as it is now."""
    name = f"task {each.task}" if each.task else f"lrp {each.lrp}"
    if found is None:
        return f"{name}: there is none"
    if isinstance(found, Task):
        ended = " (failed)" if found.failed else ""
        return f"{name}: {Task.State.Name(found.state)}{ended}"
    wanted = found.desired_lrp.instances
    return f"{name}: {_serving(found.instances)} of {wanted} running and routable"


def ask_as_brain(
    around: Surroundings, rows: Iterable[Row], guid: str, index: int | None, now: float
) -> "Explanation":
    """What a brain with these rows would do, by the plugins of this installation."""
    from diegod.node.plugins import load_all_plugins
    from diegod.scheduler.core import explanation
    from diegod.scheduler.core.auction import Rules

    plugins = load_all_plugins()
    rules = Rules(
        {name: record.factory() for name, record in plugins.strategies.items()},
        {name: record.factory() for name, record in plugins.filters.items()},
        around.lock.brain.strategy or _DEFAULT_STRATEGY,
    )
    cells = [status.cell for status in around.cells]
    snapshot = explanation.snapshot_of([*rows, *cells], now)
    limits = around.limits()
    if index is None:
        return explanation.explain_task(snapshot, guid, rules, now, limits, around.cells)
    return explanation.explain_instance(snapshot, guid, index, rules, now, limits, around.cells)
