"""`diegod status`: the cluster on one screen."""

from collections.abc import Iterator, Mapping

from diegod.cli.errors import NO_ANSWER, CliError
from diegod.cli.render import Column, View, print_fields, print_row, print_rows
from diegod.cli.session import Output, Session
from diegod.cli.verbs import single, verb
from diegod.cli.views import since
from diegod.models.json_form import json_form
from diegod.v1.cluster_pb2 import GetStatusReply, LrpShortfall

app = single()


@verb(app, "status")
async def status(session: Session) -> None:
    """Show leader and members, cells, tasks and LRPs by state, what is short, and alarms."""
    async with session.client() as client:
        reply = await client.status()
    if session.output not in (Output.TABLE, Output.WIDE):
        view: View[GetStatusReply] = View(
            columns=[], name=lambda reply: reply.bbs.cluster_id, form=json_form
        )
        print_row(session, view, reply)
    else:
        print_fields(_fields(reply, session.clock.wall()))
        if reply.short_lrps:
            print()
            print_rows(session, _SHORTFALLS, list(reply.short_lrps))
    if not reply.bbs.leader_id:
        raise CliError(f"{reply.bbs.member_id} knows no leader", NO_ANSWER)


def _fields(reply: GetStatusReply, now: float) -> Iterator[tuple[str, str]]:
    bbs = reply.bbs
    connected = sum(member.connected for member in bbs.members)
    yield "bbs", f"leader {bbs.leader_id or 'none'}, {connected} of {len(bbs.members)} members"
    yield "revision", f"{reply.revision} of epoch {bbs.epoch}"
    yield "cells", _counted(reply.cells)
    yield "tasks", _counted(reply.tasks)
    if reply.tasks.get("COMPLETED"):
        yield "oldest ended task", f"{since(reply.oldest_ended_task, now)} ago"
    yield "collected tasks", str(reply.collected_tasks)
    yield "LRPs", f"{reply.lrps}, {reply.short_lrps_total} short of instances"
    yield "instances", _counted(reply.instances)
    for alarm in bbs.alarms:
        yield "alarm", alarm


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
