"""`diegod status`: the cluster on one screen."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from diegod.cli.record.views import since
from diegod.cli.terminal.errors import FAILED, NO_ANSWER, CliError
from diegod.cli.terminal.render import Column, View, print_fields, print_row, print_rows
from diegod.cli.terminal.session import Output, Session
from diegod.cli.terminal.verbs import single, verb
from diegod.models.json_form import json_form
from diegod.v1.cell_pb2 import ControlCellRequest
from diegod.v1.cluster_pb2 import GetStatusReply, LrpShortfall, MassLoss
from diegod.v1.domain_pb2 import DomainStatus
from diegod.v1.record_pb2 import Cell

if TYPE_CHECKING:
    from diegod.client import Client

app = single()

_SHOWN = 5


@verb(app, "status")
async def status(
    session: Session,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="What is MISSING is lost: wait for it no longer.")
    ] = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
) -> None:
    """Show leader, brain, cells, tasks and LRPs by state, what is short or held, and alarms."""
    now = session.clock.wall()
    async with session.client() as client:
        if accept_loss:
            await _accept_loss(session, client, yes)
        reply = await client.status()
        domains = await client.domains.list() if reply.stale_domains else []
        missing = await _missing(client) if reply.cells.get("MISSING") else []
    if session.output not in (Output.TABLE, Output.WIDE):
        view: View[GetStatusReply] = View(
            columns=[], name=lambda reply: reply.bbs.cluster_id, form=json_form
        )
        print_row(session, view, reply)
    else:
        waiting = [*_missing_cells(missing, now), *_waiting(reply, domains, now)]
        print_fields([*_fields(reply, now), *waiting, *_alarms(reply)])
        if reply.short_lrps:
            print()
            print_rows(session, _SHORTFALLS, list(reply.short_lrps))
    if not reply.bbs.leader_id:
        raise CliError(f"{reply.bbs.member_id} knows no leader", NO_ANSWER)


async def _accept_loss(session: Session, client: "Client", yes: bool) -> None:
    """Of every cell that is missing: nothing is held back for its sake any more."""
    missing = [cell.cell_id for cell in await _missing(client) if not cell.loss_accepted]
    if not missing:
        session.say("no cell is missing whose loss is not accepted yet")
        return
    what = f"{len(missing)} missing cell{'' if len(missing) == 1 else 's'} ({_listed(missing)})"
    question = f"Take {what} for lost, and end and replace what was on them?"
    if not yes and sys.stdin.isatty() and not typer.confirm(question, err=True):
        raise CliError("nothing was changed", FAILED)
    for cell_id in missing:
        await client.cells.control(
            cell_id, ControlCellRequest.ACCEPT_LOSS, cause="diegod status --accept-loss"
        )
    session.say(f"accepted: {what}")


async def _missing(client: "Client") -> list[Cell]:
    cells = [each.cell for each in await client.cells.list()]
    return [cell for cell in cells if cell.state == Cell.MISSING]


def _missing_cells(cells: Sequence[Cell], now: float) -> Iterator[tuple[str, str]]:
    if cells:
        named = [f"{cell.cell_id} (for {since(cell.since, now)})" for cell in cells]
        yield "missing cells", _listed(named)


def _fields(reply: GetStatusReply, now: float) -> Iterator[tuple[str, str]]:
    bbs = reply.bbs
    connected = sum(member.connected for member in bbs.members)
    yield "bbs", f"leader {bbs.leader_id or 'none'}, {connected} of {len(bbs.members)} members"
    yield "brain", reply.brain_id or "none is active: nothing is placed, moved or repaired"
    yield "revision", f"{reply.revision} of epoch {bbs.epoch}"
    yield "cells", _counted(reply.cells)
    yield "tasks", _counted(reply.tasks)
    if reply.tasks.get("COMPLETED"):
        yield "oldest ended task", f"{since(reply.oldest_ended_task, now)} ago"
    yield "collected tasks", str(reply.collected_tasks)
    yield "LRPs", f"{reply.lrps}, {reply.short_lrps_total} short of instances"
    yield "instances", _counted(reply.instances)


def _waiting(
    reply: GetStatusReply, domains: Sequence[DomainStatus], now: float
) -> Iterator[tuple[str, str]]:
    """What is held back, and what for."""
    if reply.rollouts:
        yield "rollouts", f"{_listed(reply.rollouts)}   diegod explain NAME"
    if reply.HasField("mass_loss"):
        yield "mass loss", mass_loss_text(reply.mass_loss, now)
    for each in domains:
        if each.domain.domain in reply.stale_domains and each.would_be_removed:
            yield "stale domain", _stale(each)


def _alarms(reply: GetStatusReply) -> Iterator[tuple[str, str]]:
    for alarm in reply.bbs.alarms:
        yield "alarm", alarm


def mass_loss_text(loss: MassLoss, now: float) -> str:
    left_s = max(0, round(loss.until.ToNanoseconds() / 1e9 - now))
    named = f" ({_listed(loss.cell_ids)})" if loss.cell_ids else ""
    return (
        f"{loss.lost} of {loss.of} cells were lost at once{named}: nothing is ended or replaced "
        f"for {left_s} s. Are they lost for good? diegod status --accept-loss"
    )


def _stale(status: DomainStatus) -> str:
    """What stays only because nobody says that the domain is complete."""
    rows = [f"{row.process_guid}/{row.index}" for row in status.would_be_removed]
    name = status.domain.domain
    return f"{name}: {_listed(rows)} would be removed if it were fresh. diegod domain show {name}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{counts[state]} {state}" for state in sorted(counts)) or "none"


_SHORTFALLS: View[LrpShortfall] = View(
    columns=[
        Column("LRP", lambda row: row.process_guid),
        Column("RUNNING", lambda row: f"{row.running}/{row.desired}"),
    ],
    name=lambda row: row.process_guid,
    form=json_form,
)
