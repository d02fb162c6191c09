"""`diegod wait REF… --for CONDITION`: until something is so, or can't be any more."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from diegod.cli.look.conditions import CONDITIONS, INSTANCE, Answer, Condition, Seen
from diegod.cli.look.subject import CELL, LRP, TASK, Subject, find
from diegod.cli.terminal.errors import FAILED, TIMED_OUT, USAGE, CliError, one_line
from diegod.cli.terminal.session import Session
from diegod.cli.terminal.verbs import single, verb
from diegod.v1.event_pb2 import WatchRequest

if TYPE_CHECKING:
    from diegod.client import Client

app = single()

_KNOWN = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in CONDITIONS.items())
_DAY_S = 86_400.0


@verb(app, "wait")
async def wait(
    session: Session,
    refs: Annotated[list[str], typer.Argument(metavar="REF", help="web, web/0, task:G, cell:C")],
    condition: Annotated[str, typer.Option("--for", metavar="CONDITION", help=_KNOWN)] = "",
    timeout_s: Annotated[
        float, typer.Option("--timeout-s", metavar="S", min=0.1, help="Then the status is 124.")
    ] = _DAY_S,
) -> None:
    """Wait until every REF is as --for says; without it: completed, healthy, running, present.

    Ends with 1 as soon as that can't be any more, with 124 when it takes too long.
    """
    last: dict[str, str] = {}
    async with session.client() as client:
        subjects = [await find(client, ref) for ref in refs]
        waits = [(each, _condition(each, condition)) for each in subjects]
        try:
            async with asyncio.timeout(timeout_s):
                results = await asyncio.gather(
                    *(_until(client, each, asked, last) for each, asked in waits)
                )
        except TimeoutError:
            open_ones = "; ".join(last.values()) or "no answer"
            raise CliError(f"not within {timeout_s:g} s: {open_ones}", TIMED_OUT) from None
    for answer in results:
        session.say(answer.text)
    failed = [answer.text for answer in results if not answer.met]
    if failed:
        raise CliError("it can't be any more", FAILED)


def _condition(subject: Subject, name: str) -> Condition:
    kind = INSTANCE if subject.index is not None else subject.kind
    known = CONDITIONS[kind]
    if name and name not in known:
        raise CliError(
            f'--for: "{one_line(name)}" is not for {subject.ref}: {", ".join(known)}', USAGE
        )
    return known[name] if name else next(iter(known.values()))


async def _until(
    client: "Client", subject: Subject, condition: Condition, last: dict[str, str]
) -> Answer:
    """The answer once it is final; `last` keeps what is still to be said of it."""
    request, seen = _watch(subject)
    complete = False
    async for reply in client.watch(request):
        for change in [*reply.rows, *reply.changes]:
            seen.observe(change)
        complete = complete or reply.rows_end
        if not complete:
            continue
        answer = condition(seen)
        if answer.met or answer.hopeless:
            last.pop(subject.ref, None)
            return answer
        last[subject.ref] = answer.text
    raise AssertionError("a watch has no end")


def _watch(subject: Subject) -> tuple[WatchRequest, Seen]:
    if subject.task is not None:
        guid = subject.task.task_guid
        return WatchRequest(guid=guid, kinds=[TASK]), Seen(guid)
    if subject.kind == LRP:
        assert subject.lrp is not None
        guid = subject.lrp.desired_lrp.process_guid
        kinds = ["desired_lrp", "actual_lrp"]
        return WatchRequest(guid=guid, kinds=kinds), Seen(guid, index=subject.index)
    assert subject.cell is not None
    cell_id = subject.cell.cell.cell_id
    kinds = [CELL, TASK, "actual_lrp"]
    return WatchRequest(cell_id=cell_id, kinds=kinds), Seen(cell_id)
