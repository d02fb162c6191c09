"""`diegod events`: the history of the cluster, as far as it is kept, and as it goes on."""

from typing import Annotated

import typer

from diegod.cli.errors import USAGE, CliError, one_line
from diegod.cli.render import print_json, print_yaml
from diegod.cli.session import Output, Session
from diegod.cli.verbs import DomainOption, single, verb
from diegod.cli.views import change_kind, change_line
from diegod.models.json_form import json_form
from diegod.v1.event_pb2 import WatchRequest
from diegod.v1.record_pb2 import Change

app = single()

KINDS = ("task", "desired_lrp", "actual_lrp", "cell", "domain", "lock")
#: Without --from, so many revisions back.
_RECENT = 100


@verb(app, "events")
async def events(
    session: Session,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as things happen.")] = False,
    from_: Annotated[
        int | None, typer.Option("--from", metavar="REVISION", min=0, help="After this revision.")
    ] = None,
    kind: Annotated[
        list[str] | None, typer.Option("--kind", metavar="KIND", help=", ".join(KINDS))
    ] = None,
    domain: DomainOption = None,
    cell: Annotated[str, typer.Option("--cell", metavar="CELL")] = "",
) -> None:
    """Print what happened in the cluster.

    The revision of the last line that was read is what `--from` goes on from. Without -f and
    without --from: the last hundred changes.
    """
    request = WatchRequest(kinds=_kinds(kind or []), domain=session.domain(domain), cell_id=cell)
    async with session.client() as client:
        present = (await client.bbs_status()).revision
        if from_ is None:
            from_ = present if follow else max(0, present - _RECENT)
        # Revision 0 would mean the rows as they are; nothing was ever changed at revision 1.
        request.from_revision = max(1, from_)
        async for reply in client.watch(request):
            for change in reply.changes:
                _print(session, change)
            if not follow and reply.revision >= present:
                return


def _kinds(given: list[str]) -> list[str]:
    for kind in given:
        if kind not in KINDS:
            raise CliError(f'--kind: "{one_line(kind)}" is not one of {", ".join(KINDS)}', USAGE)
    return given


def _print(session: Session, change: Change) -> None:
    if session.output is Output.JSON:
        print_json(json_form(change))
    elif session.output is Output.YAML:
        print_yaml(json_form(change))
    elif session.output is Output.NAME:
        print(f"{change.revision} {change_kind(change)}", flush=True)
        return
    else:
        print(one_line(change_line(change)), flush=True)
