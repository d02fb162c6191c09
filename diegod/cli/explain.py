"""`diegod explain REF`: why something is where it is, or nowhere, and what happens next."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from diegod.cli.errors import NOT_FOUND, CliError
from diegod.cli.explain_text import (
    Explained,
    explained_view,
    fields,
    filter_view,
    headline,
    verdict_view,
)
from diegod.cli.render import print_fields, print_json, print_rows, print_yaml
from diegod.cli.session import Output, Session
from diegod.cli.subject import CELL, Subject, find
from diegod.cli.surroundings import Surroundings, look_around
from diegod.cli.verbs import single, verb
from diegod.cli.views import instance_ref, instance_state
from diegod.models.errors import DomainError, Reason
from diegod.v1.cell_pb2 import CellStatus
from diegod.v1.definition_pb2 import Dependency
from diegod.v1.lrp_pb2 import GetLrpReply
from diegod.v1.record_pb2 import (
    ActualLrp,
    Cell,
    PlacementNeeds,
    Rollout,
    Task,
    Transition,
)

if TYPE_CHECKING:
    from diegod.client import Client
    from diegod.scheduler.core.explanation import PlacementView

app = single()

#: The cause of a placement, as the brain words it.
_CHOICES = ("possible cells", "only possible cell")


@verb(app, "explain")
async def explain(
    session: Session,
    ref: Annotated[
        str, typer.Argument(metavar="REF", help="web, web/0, a guid, task:G, cell:C")
    ],
) -> None:
    """Explain why something is where it is, or why it is nowhere, and what happens next.

    For what has no place: how many cells each filter excludes, and which cell comes nearest. The
    filters are those that are installed here. -o wide shows every cell.
    """
    now = session.clock.wall()
    async with session.client() as client:
        subject = await find(client, ref)
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
    if first.placement is not None or first.cell:
        print(headline(first))
    view = first.placement
    if view is not None:
        print_rows(session, filter_view(), [each for each in view.filters if each.refused])
        if session.output is Output.WIDE:
            print()
            print_rows(session, verdict_view(), view.cells)
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
    assert subject.cell is not None
    return await _cell(client, subject.cell, around, now)


async def _task(client: "Client", task: Task, around: Surroundings, now: float) -> Explained:
    state = Task.State.Name(task.state)
    standing = around.of_task(task, now)
    cell_id = task.cell_id or task.placed_cell_id
    depends = await _dependencies(client, task.depends_on) if task.state == Task.PENDING else ()
    if task.state != Task.PENDING or cell_id:
        cause = placing_cause(await client.history.of_task(task.task_guid))
        return Explained(task.task_guid, state, cell_id, standing, cause, depends)
    view = _placement(around, "task", task.task_guid, 0, task.needs, {})
    return Explained(task.task_guid, state, "", standing, "", depends, view)


async def _instance(
    client: "Client", row: ActualLrp, reply: GetLrpReply, around: Surroundings, now: float
) -> Explained:
    lrp = reply.desired_lrp
    standing = around.of_instance(row, lrp, reply.instances, now)
    name, state = instance_ref(row), instance_state(row)
    cell_id = row.cell_id or row.placed_cell_id
    if row.state != ActualLrp.UNCLAIMED or cell_id:
        story = await client.history.of_instance(row.process_guid, row.index)
        own = [each for each in story if each.instance_guid == row.instance_guid]
        return Explained(name, state, cell_id, standing, placing_cause(own))
    depends = await _dependencies(client, lrp.depends_on) if _is_gated(lrp.rollout) else ()
    view = _placement(around, "lrp", row.process_guid, row.index, row.needs, _by_cell(reply))
    return Explained(name, state, "", standing, "", depends, view)


async def _lrp(
    client: "Client", subject: Subject, around: Surroundings, now: float
) -> list[Explained]:
    reply = subject.lrp
    assert reply is not None
    lrp = reply.desired_lrp
    standing = around.of_lrp(lrp, reply.instances, now)
    state = "STOPPED" if lrp.stopped else Rollout.State.Name(lrp.rollout.state)
    depends = await _dependencies(client, lrp.depends_on) if _is_gated(lrp.rollout) else ()
    rows = [Explained(lrp.process_guid, state, "", standing, "", depends)]
    for row in subject.instances:
        theirs = around.of_instance(row, lrp, reply.instances, now)
        cell_id = row.cell_id or row.placed_cell_id
        rows.append(Explained(instance_ref(row), instance_state(row), cell_id, theirs))
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


def _is_gated(rollout: Rollout) -> bool:
    """Dependencies count until one version was up in full."""
    return rollout.state != Rollout.DONE and not rollout.stable_definition_revision


async def _dependencies(client: "Client", given: Iterable[Dependency]) -> tuple[str, ...]:
    return tuple([await _dependency(client, each) for each in given])


async def _dependency(client: "Client", each: Dependency) -> str:
    """`lrp db: 1 of 2 running`, as it is now."""
    if each.task:
        try:
            task = await client.tasks.get(each.task)
        except DomainError as error:
            if error.reason is not Reason.RESOURCE_NOT_FOUND:
                raise
            return f"task {each.task}: there is none"
        ended = " (failed)" if task.failed else ""
        return f"task {each.task}: {Task.State.Name(task.state)}{ended}"
    reply = await _reply_of(client, each.lrp)
    if reply is None:
        return f"lrp {each.lrp}: there is none"
    running = sum(row.state == ActualLrp.RUNNING and row.routable for row in reply.instances)
    return f"lrp {each.lrp}: {running} of {reply.desired_lrp.instances} running and routable"


def _by_cell(reply: GetLrpReply) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in reply.instances:
        cell_id = row.cell_id or row.placed_cell_id
        if cell_id:
            counts[cell_id] = counts.get(cell_id, 0) + 1
    return counts


def _placement(
    around: Surroundings,
    kind: str,
    guid: str,
    index: int,
    needs: PlacementNeeds,
    instances_by_cell: dict[str, int],
) -> "PlacementView":
    """What the next auction would find, by the filters and strategies of this installation."""
    from diegod.contracts.strategy import Work
    from diegod.node.plugins import load_all_plugins
    from diegod.scheduler.core.auction import Rules
    from diegod.scheduler.core.explanation import explain as explain_placement

    plugins = load_all_plugins()
    rules = Rules(
        {name: record.factory() for name, record in plugins.strategies.items()},
        {name: record.factory() for name, record in plugins.filters.items()},
        around.lock.brain.strategy or "spread",
    )
    work = Work(
        kind=kind,
        guid=guid,
        index=index,
        memory_mb=needs.resources.memory_mb,
        disk_mb=needs.resources.disk_mb,
        containers=needs.resources.containers or 1,
        rootfs_provider=needs.rootfs_provider,
        placement_tags=frozenset(needs.placement_tags),
        cell_id=needs.cell_id,
    )
    return explain_placement(around.cells, work, rules, needs.strategy, instances_by_cell)
