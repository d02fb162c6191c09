"""`diegod domain …`: who says that what is desired in a domain is complete."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from diegod.cli.record.refs import chosen
from diegod.cli.record.views import instance_view, since
from diegod.cli.terminal.errors import FAILED
from diegod.cli.terminal.render import Column, View, print_fields, print_row, print_rows
from diegod.cli.terminal.session import Output, Session
from diegod.cli.terminal.verbs import noun, verb
from diegod.models.json_form import json_form
from diegod.v1.domain_pb2 import DomainStatus
from diegod.v1.record_pb2 import Domain

if TYPE_CHECKING:
    from diegod.client import Client

app = noun(
    """Domains: whose work it is, and whether what is desired in it is complete.

    Where a domain is not fresh, nothing is stopped only because nobody desires it.
    """
)

NameArgument = Annotated[str, typer.Argument(metavar="NAME")]


def _until(status: DomainStatus, now: float) -> str:
    """How long it is fresh, as its last writer said."""
    domain = status.domain
    if not status.fresh:
        lapsed = since(domain.fresh_until, now)
        return f"stale for {lapsed}" if lapsed else "stale"
    if not domain.HasField("fresh_until"):
        return "always fresh"
    left = domain.fresh_until.ToNanoseconds() / 1e9 - now
    return f"fresh for {max(0, round(left))} s more"


def domain_view(now: float) -> View[DomainStatus]:
    return View(
        columns=[
            Column("DOMAIN", lambda d: d.domain.domain),
            Column("FRESH", lambda d: _until(d, now)),
            Column("TTL", lambda d: f"{d.domain.ttl_s} s" if d.domain.ttl_s else ""),
            Column("LRPS", lambda d: str(d.lrps)),
            Column("TASKS", lambda d: str(d.tasks)),
            Column("KEPT", lambda d: str(len(d.would_be_removed) or "")),
            Column("BY", lambda d: d.domain.provenance.by, wide=True),
            Column("REVISION", lambda d: str(d.domain.provenance.revision or ""), wide=True),
        ],
        name=lambda d: d.domain.domain,
        form=json_form,
        nothing="no domains",
    )


def _row_view() -> View[Domain]:
    return View(columns=[], name=lambda d: d.domain, form=json_form)


@verb(app, "ls", aliases=["list"])
async def ls(session: Session) -> None:
    """List domains: how long each is fresh, what is in it, what is kept only because it isn't."""
    async with session.client() as client:
        domains = await client.domains.list()
    print_rows(session, domain_view(session.clock.wall()), domains)


@verb(app, "show")
async def show(session: Session, name: NameArgument) -> None:
    """Show one domain, and what would be removed if it were fresh."""
    now = session.clock.wall()
    async with session.client() as client:
        status = await find(client, name)
    if session.output not in (Output.TABLE, Output.WIDE):
        print_row(session, domain_view(now), status)
        return
    domain = status.domain
    print_fields(
        [
            ("domain", domain.domain),
            ("fresh", _until(status, now)),
            ("ttl", f"{domain.ttl_s} s" if domain.ttl_s else ""),
            ("LRPs", str(status.lrps)),
            ("tasks", str(status.tasks)),
            ("last changed by", domain.provenance.by),
            ("because", domain.provenance.cause),
        ]
    )
    if status.would_be_removed:
        print("\nkept until it is fresh, although nobody desires it:")
        print_rows(session, instance_view(now), list(status.would_be_removed))


@verb(app, "set")
async def set_(
    session: Session,
    name: NameArgument,
    ttl_s: Annotated[
        int, typer.Option("--ttl-s", metavar="N", min=0, help="Fresh for so long; 0: always.")
    ],
) -> None:
    """Say that what is desired in a domain is complete, now and for so long."""
    async with session.client() as client:
        domain = await client.domains.upsert(name, ttl_s, "diegod domain set")
    how = f"for {ttl_s} s" if ttl_s else "always"
    session.say(f"domain {name} is fresh {how}")
    if session.output not in (Output.TABLE, Output.WIDE):
        print_row(session, _row_view(), domain)


@verb(app, "rm")
async def rm(
    session: Session,
    name: NameArgument,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
) -> int:
    """Forget that a domain was said to be fresh; what is in it stays. Asks first on a terminal."""
    async with session.client() as client:
        status = await find(client, name)
        what = f"{name} ({status.lrps} LRPs and {status.tasks} tasks stay, and it is not fresh)"
        if not yes and sys.stdin.isatty() and not typer.confirm(f"Forget {what}?", err=True):
            session.say("nothing was removed")
            return FAILED
        await client.domains.remove(status.domain.domain, "diegod domain rm")
    session.say(f"domain {status.domain.domain} is forgotten")
    if session.output not in (Output.TABLE, Output.WIDE):
        print_row(session, domain_view(session.clock.wall()), status)
    return 0


async def find(client: "Client", ref: str) -> DomainStatus:
    """The domain that is meant: by its name, or by a prefix that no other has."""
    by_name = {status.domain.domain: status for status in await client.domains.list()}
    return by_name[chosen(ref, by_name, "domain")]
