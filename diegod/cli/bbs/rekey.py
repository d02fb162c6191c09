"""`diegod bbs rekey`: every member is asked, one after the other, until all are done."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from diegod.cli.terminal.errors import NO_ANSWER, CliError
from diegod.cli.terminal.render import Column, View, print_rows
from diegod.cli.terminal.session import Session
from diegod.client import Client
from diegod.models.errors import DomainError
from diegod.models.json_form import json_form
from diegod.v1.cluster_pb2 import BbsMember, RekeyReply

_ASK_EVERY_S = 0.5
_DONE_PERCENT = 100


@dataclass(frozen=True)
class Rekeyed:
    """One member that is done."""

    member_id: str
    reply: RekeyReply

    @property
    def form(self) -> Mapping[str, Any]:
        return {"member_id": self.member_id, **json_form(self.reply)}


_VIEW: View[Rekeyed] = View(
    columns=[
        Column("MEMBER", lambda row: row.member_id),
        Column("ACTIVE KEY", lambda row: row.reply.active_key or "none: not encrypted"),
        Column("KEYS NEEDED", lambda row: ", ".join(row.reply.key_names)),
    ],
    name=lambda row: row.member_id,
    form=lambda row: row.form,
)


async def wait_for_all(session: Session) -> None:
    """Print one record a member; 5 when one does not answer, after the others were asked."""
    rows: list[Rekeyed] = []
    silent: list[str] = []
    async with session.client() as client:
        status = await client.bbs_status()
        for member in sorted(status.members, key=lambda each: each.member_id):
            try:
                rows.append(Rekeyed(member.member_id, await _done(session, client, member)))
            except DomainError as error:
                silent.append(f"{member.member_id} ({member.address}): {error}")
    print_rows(session, _VIEW, rows)
    if silent:
        raise CliError("not every member could be asked: keep the old keys", NO_ANSWER, silent)
    _say_what_differs(session, rows)


async def _done(session: Session, client: Client, member: BbsMember) -> RekeyReply:
    said = -1
    while True:
        reply = await client.rekey(member.address)
        if reply.percent >= _DONE_PERCENT:
            return reply
        if reply.percent != said:
            said = reply.percent
            session.say(f"{member.member_id}: {said} %")
        await asyncio.sleep(_ASK_EVERY_S)


def _say_what_differs(session: Session, rows: list[Rekeyed]) -> None:
    active = {row.reply.active_key for row in rows}
    if len(active) == 1:
        key = rows[0].reply.active_key
        under = f'under the key "{key}"' if key else "not encrypted"
        session.say(f"every member's store is {under}; other keys are needed by old backups only")
        return
    session.say(
        "the members have different active keys. Give all the same, and start them one by one: "
        + ", ".join(f'{row.member_id} "{row.reply.active_key}"' for row in rows)
    )
