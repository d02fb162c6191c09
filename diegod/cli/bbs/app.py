"""`diegod bbs …`: the members of the replicated store."""

import os
import re
from typing import Annotated

import typer

from diegod.cli.bbs import members, snapshot
from diegod.cli.bbs.compact import compact_all
from diegod.cli.bbs.options import ConfigOption
from diegod.cli.terminal.errors import NO_ANSWER, USAGE, CliError
from diegod.cli.terminal.render import Column, View, print_fields, print_row, print_rows
from diegod.cli.terminal.session import Output, Session
from diegod.cli.terminal.verbs import noun, verb
from diegod.config.rules import is_wildcard
from diegod.models.json_form import json_form
from diegod.v1.cluster_pb2 import BbsMember, GetBbsStatusReply

app = noun("The BBS: the replicated store of the cluster (bulletin board).")
app.registered_commands += members.app.registered_commands
app.add_typer(snapshot.app, name="snapshot")

_VOTER = re.compile(r"([^=]+)=([^:]+)(?::([0-9]{1,5}))?(?::([0-9]{1,5}))?")


@verb(app, "init")
def init(
    session: Session,
    config: ConfigOption = None,
    cluster_id: Annotated[
        str, typer.Option("--cluster-id", help="As the first member's init printed it.")
    ] = "",
    voter: Annotated[
        list[str] | None,
        typer.Option(
            "--voter",
            metavar="ID=HOST[:PORT[:RAFT_PORT]]",
            help="Every first member, this one too; the same list on each.",
        ),
    ] = None,
) -> None:
    """Make this member's store: once on each first member, never again.

    Alone it makes a cluster of one. For three, give the same three --voter on each host, and the
    cluster id that the first one printed to the other two.
    """
    from diegod.config.load import load_settings
    from diegod.node.birth import init_store
    from diegod.node.statuses import StartError
    from diegod.raftbbs.store.identity import Voter
    from diegod.world import RandomIds

    settings = load_settings(config, os.environ).settings
    ports = (settings.bbs.port, settings.bbs.raft_port)
    voters = [Voter(*_voter(each, *ports)) for each in voter or []]
    if voters and settings.node.id not in [each.id for each in voters]:
        raise CliError(f"this node, {settings.node.id}, is not among the voters", USAGE)
    try:
        birth = init_store(settings, RandomIds(), cluster_id, voters)
    except StartError as error:
        raise CliError(error.message, error.status) from None
    session.say(f"the store of {birth.member_id} is made in {settings.node.data_dir}")
    if len(birth.voters) > 1 and not cluster_id:
        session.say("on the other first members: diegod bbs init with the same --voter and")
        session.say(f"  --cluster-id {birth.cluster_id}")
    fields = {"cluster_name": birth.cluster_name, "cluster_id": birth.cluster_id}
    view: View[dict[str, str]] = View(
        columns=[], name=lambda row: row["cluster_id"], form=lambda row: row
    )
    if session.output in (Output.TABLE, Output.WIDE):
        print_fields([("cluster", birth.cluster_name), ("cluster id", birth.cluster_id)])
    else:
        print_row(session, view, fields)


def _voter(text: str, port: int, raft_port: int) -> tuple[str, str, str]:
    """`bbs-2=bbs-2.example.com`, with ports where they are not this member's own."""
    match = _VOTER.fullmatch(text)
    if match is None:
        raise CliError(f'--voter: "{text}" is not ID=HOST[:PORT[:RAFT_PORT]]', USAGE)
    member_id, host = match[1], match[2]
    if is_wildcard(host):
        raise CliError(
            f'--voter: "{text}" can\'t be dialled: {host} is every address of a machine', USAGE
        )
    return member_id, f"{host}:{match[3] or port}", f"{host}:{match[4] or raft_port}"


@verb(app, "recover")
def recover(
    session: Session, config: ConfigOption = None, epoch: snapshot.EpochOption = 0
) -> None:
    """Make this stopped member a cluster of one: only when a majority is lost for ever."""
    from diegod.config.load import load_settings
    from diegod.node.restore import recover as recovered
    from diegod.node.statuses import StartError
    from diegod.world import RandomIds

    settings = load_settings(config, os.environ).settings
    try:
        reborn = recovered(settings, session.clock, RandomIds(), epoch=epoch)
    except StartError as error:
        raise CliError(error.message, error.status) from None
    snapshot.print_reborn(session, reborn, settings.node.data_dir)


@verb(app, "compact")
async def compact(session: Session) -> None:
    """Give the disk back what deleted records have left free, member by member."""
    await compact_all(session)


@verb(app, "status")
async def status(session: Session) -> None:
    """Show the members as one of them sees the BBS; 5 when it knows no leader."""
    async with session.client() as client:
        reply = await client.bbs_status()
    if session.output in (Output.TABLE, Output.WIDE):
        print_fields(_fields(reply))
        print()
        print_rows(session, _member_view(reply), sorted(reply.members, key=lambda m: m.member_id))
    else:
        view: View[GetBbsStatusReply] = View(
            columns=[], name=lambda reply: reply.member_id, form=json_form
        )
        print_row(session, view, reply)
    if not reply.leader_id:
        raise CliError(f"{reply.member_id} knows no leader (no majority answers it)", NO_ANSWER)


@verb(app, "rekey")
async def rekey(session: Session) -> None:
    """Wait until every member has its store under the active key, and say which keys can go.

    A member begins by itself when it is started with another active key.
    """
    from diegod.cli.bbs.rekey import wait_for_all

    await wait_for_all(session)


def _fields(reply: GetBbsStatusReply) -> list[tuple[str, str]]:
    return [
        ("cluster id", reply.cluster_id),
        ("answered by", reply.member_id),
        ("leader", f"{reply.leader_id or 'none'}, term {reply.term}"),
        ("revision", f"{reply.revision} of epoch {reply.epoch}"),
        ("log", f"{reply.log_first_index}–{reply.log_last_index}, applied {reply.applied_index}"),
        ("store", f"{reply.store_bytes / 1024**2:.1f} MB"),
        ("encryption", _encryption(reply)),
        ("watches", str(reply.watches)),
        ("clock offset", f"{reply.clock_offset_s:+.3f} s"),
        *(("ALARM", alarm) for alarm in reply.alarms),
    ]


def _encryption(reply: GetBbsStatusReply) -> str:
    if not reply.key_names:
        return "none"
    keys = ", ".join(reply.key_names)
    return keys if reply.rekey_percent == 100 else f"{keys}: rekey {reply.rekey_percent} %"


def _member_view(reply: GetBbsStatusReply) -> View[BbsMember]:
    return View(
        columns=[
            Column("MEMBER", lambda m: m.member_id),
            Column("ROLE", lambda m: _role(m, reply)),
            Column("CONNECTED", lambda m: _connected(m, reply)),
            Column("ADDRESS", lambda m: m.address),
            Column("RAFT", lambda m: m.raft_address),
        ],
        name=lambda m: m.member_id,
        form=json_form,
        nothing="no members",
    )


def _role(member: BbsMember, reply: GetBbsStatusReply) -> str:
    if member.member_id == reply.leader_id:
        return "leader"
    return "learner" if member.learner else "follower"


def _connected(member: BbsMember, reply: GetBbsStatusReply) -> str:
    return "yes" if member.connected or member.member_id == reply.member_id else "no"
