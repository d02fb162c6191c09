"""`diegod events`: the history of the cluster, as far as it is kept, and as it goes on."""

from typing import Annotated

import typer

from diegod.cli.record.refs import split_instance
from diegod.cli.record.views import change_kind, change_line
from diegod.cli.terminal.errors import REFUSED, USAGE, CliError, one_line
from diegod.cli.terminal.render import print_json, print_yaml
from diegod.cli.terminal.session import Output, Session
from diegod.cli.terminal.verbs import DomainOption, single, verb
from diegod.models.errors import DomainError, Reason
from diegod.models.json_form import json_form
from diegod.v1.event_pb2 import WatchRequest
from diegod.v1.record_pb2 import Change

app = single()

KINDS = ("task", "desired_lrp", "actual_lrp", "cell", "domain", "lock", "task_schedule")
_CELL = "cell:"
_QUALIFIERS = ("task:", "lrp:", "schedule:", _CELL)
#: Without --from, so many revisions back.
_RECENT = 100


@verb(app, "events")
async def events(
    session: Session,
    ref: Annotated[
        str, typer.Argument(metavar="[REF]", help="Only of this guid: web, web/0, cell:C")
    ] = "",
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
    guid, index, cell = _of(ref, cell)
    request = WatchRequest(
        kinds=_kinds(kind or []), domain=session.domain(domain), cell_id=cell, guid=guid
    )
    async with session.client() as client:
        present = (await client.bbs_status()).revision
        if from_ is None:
            from_ = present if follow else max(0, present - _RECENT)
        # Revision 0 would mean the rows as they are; nothing was ever changed at revision 1.
        request.from_revision = max(1, from_)
        shown = request.from_revision
        try:
            async for reply in client.watch(request):
                for change in reply.changes:
                    if index is None or _is_of_index(change, index):
                        _print(session, change)
                shown = max(shown, reply.revision)
                if not follow and reply.revision >= present:
                    return
        except DomainError as error:
            raise _refusal(error) from None
        finally:
            if follow:
                session.say(f"up to revision {shown}. Go on: diegod events -f --from {shown}")


def _of(ref: str, cell: str) -> tuple[str, int | None, str]:
    """Guid, index and cell. By exact name: what is asked for may be gone long since."""
    if ref.startswith(_CELL):
        return "", None, ref.removeprefix(_CELL)
    for qualifier in _QUALIFIERS:
        ref = ref.removeprefix(qualifier)
    guid, index = split_instance(ref)
    return guid, index, cell


def _is_of_index(change: Change, index: int) -> bool:
    return change_kind(change) == "actual_lrp" and change.actual_lrp.index == index


def _refusal(error: DomainError) -> Exception:
    if error.reason is not Reason.COMPACTED:
        return error
    return CliError(
        f"{error.message}. Begin anew: diegod events shows the latest, -f what comes", REFUSED
    )


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
