"""`diegod bbs join|members|remove|transfer`: members come and go, and the leadership moves."""

import os
from dataclasses import replace
from typing import Annotated

import typer

from diegod.cli.bbs.options import ConfigOption
from diegod.cli.terminal import session as sessions
from diegod.cli.terminal.errors import CliError
from diegod.cli.terminal.render import Column, View, print_fields, print_row, print_rows
from diegod.cli.terminal.session import Output, Session
from diegod.cli.terminal.verbs import noun, verb
from diegod.models.errors import DomainError
from diegod.models.json_form import json_form
from diegod.v1.cluster_pb2 import BbsMember, GetBbsStatusReply

app = noun("Members of the BBS.")


@verb(app, "join")
async def join(
    session: Session,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Of any member: HOST:PORT.")],
    config: ConfigOption = None,
    lost: Annotated[
        bool,
        typer.Option("--replace", help="This node votes already, and its store is lost for ever."),
    ] = False,
) -> None:
    """Make this node a member of an existing cluster, and make its store.

    It begins as a learner, which receives everything; as soon as it has caught up, it votes.
    """
    from diegod.config.load import load_settings
    from diegod.node.joining import join_store
    from diegod.node.statuses import StartError
    from diegod.world import RandomIds

    settings = load_settings(config, os.environ).settings
    try:
        birth = await join_store(
            settings,
            address,
            session.clock,
            RandomIds(),
            replace=lost,
            timeout_s=session.timeout_s,
        )
    except StartError as error:
        raise CliError(error.message, error.status) from None
    session.say(f"the store of {birth.member_id} is made in {settings.node.data_dir}")
    session.say("it votes as soon as it runs and has caught up: diegod --role=bbs")
    fields = {
        "cluster_name": birth.cluster_name,
        "cluster_id": birth.cluster_id,
        "members_revision": birth.members_revision,
    }
    if session.output in (Output.TABLE, Output.WIDE):
        print_fields([(name.replace("_", " "), str(value)) for name, value in fields.items()])
    else:
        view: View[dict[str, object]] = View(
            columns=[], name=lambda row: str(row["cluster_id"]), form=lambda row: row
        )
        print_row(session, view, fields)


@verb(app, "members")
async def members(session: Session) -> None:
    """List the members as the leader sees them."""
    status = await _of_leader(session)
    listed = sorted(status.members, key=lambda member: member.member_id)
    print_rows(session, _view(status), listed)


@verb(app, "remove")
async def remove(
    session: Session, member_id: Annotated[str, typer.Argument(metavar="MEMBER")]
) -> None:
    """Take a member out for good; a leader gives its leadership away first."""
    async with session.client() as client:
        if (await client.bbs_status()).leader_id == member_id:
            leader_id = await client.members.transfer()
            session.say(f"{member_id} led the others; {leader_id} does now")
        reply = await client.members.remove(member_id)
    session.say(f"{member_id} is no member any more; its process ends by itself")
    if session.output not in (Output.TABLE, Output.WIDE):
        view: View[dict[str, object]] = View(
            columns=[], name=lambda row: str(row["member_id"]), form=lambda row: row
        )
        row = {"member_id": member_id, "members_revision": reply.members_revision}
        print_row(session, view, row)


@verb(app, "transfer")
async def transfer(
    session: Session,
    member_id: Annotated[
        str, typer.Argument(metavar="[MEMBER]", help="By default the voter that is furthest.")
    ] = "",
) -> None:
    """Give the leadership to another voter: nobody has to wait for an election."""
    async with session.client() as client:
        leader_id = await client.members.transfer(member_id)
    session.say(f"{leader_id} leads")
    if session.output not in (Output.TABLE, Output.WIDE):
        view: View[dict[str, str]] = View(
            columns=[], name=lambda row: row["leader_id"], form=lambda row: row
        )
        print_row(session, view, {"leader_id": leader_id})


async def _of_leader(session: Session) -> GetBbsStatusReply:
    """Only the leader knows how far the others are; another member's view is better than none."""
    async with session.client() as client:
        status = await client.bbs_status()
    if status.leader_id in ("", status.member_id):
        return status
    target = replace(session.target, addresses=(status.leader_address,))
    direct = sessions.open_client(target, session.timeout_s)
    try:
        return await direct.bbs_status()
    except DomainError:
        session.say(f"no answer from the leader, {status.leader_id}: as {status.member_id} sees it")
        return status
    finally:
        await direct.close()


def _view(status: GetBbsStatusReply) -> View[BbsMember]:
    return View(
        columns=[
            Column("MEMBER", lambda m: m.member_id),
            Column("ROLE", lambda m: role_of(m, status)),
            Column("CONNECTED", lambda m: "yes" if m.connected else "no"),
            Column("BEHIND", lambda m: _behind(m, status)),
            Column("ADDRESS", lambda m: m.address),
            Column("RAFT", lambda m: m.raft_address),
        ],
        name=lambda m: m.member_id,
        form=json_form,
        nothing="no members",
    )


def role_of(member: BbsMember, status: GetBbsStatusReply) -> str:
    """What a member is in the eyes of the one that was asked."""
    if member.learner:
        return "learner"
    return "leader" if member.member_id == status.leader_id else "voter"


def _behind(member: BbsMember, status: GetBbsStatusReply) -> str:
    """How many entries of the leader's log a member is not known to have."""
    if status.leader_id != status.member_id:
        return "unknown"
    return str(status.log_last_index - member.match_index)
