"""`diegod lrp restart|stop|start|pause|resume|promote|rollback|history|retire|wait`."""

from typing import TYPE_CHECKING, Annotated

import typer

from diegod.cli.lrp.history import diff_lines, version_view
from diegod.cli.lrp.noun import DetachOption, NameArgument, app, find, present, print_changed
from diegod.cli.lrp.watch import wait_until_gone, wait_until_replaced, wait_until_up
from diegod.cli.record.refs import split_instance
from diegod.cli.record.views import instance_ref
from diegod.cli.terminal.errors import NOT_FOUND, USAGE, CliError
from diegod.cli.terminal.render import print_rows
from diegod.cli.terminal.session import Output, Session
from diegod.cli.terminal.verbs import verb
from diegod.models.json_form import json_form
from diegod.v1.lrp_pb2 import ControlLrpReply, ControlLrpRequest
from diegod.v1.record_pb2 import LrpVersion

if TYPE_CHECKING:
    from diegod.client import Client
    from diegod.client.lrps import Verb

_OF_ITS_VERSION = (ControlLrpRequest.PROMOTE, ControlLrpRequest.ROLLBACK)
_HEALTHY, _GONE = "healthy", "gone"


async def _control(
    client: "Client", ref: str, asked: "Verb.ValueType", to_version: int = 0
) -> ControlLrpReply:
    """Which version is meant by `promote` and `rollback` depends on what there is: those two are
    done to the LRP as it was looked up, and not to what somebody made of it since."""
    before = (await find(client, ref)).desired_lrp
    name = ControlLrpRequest.Verb.Name(asked).lower()
    seen = before.provenance.revision if asked in _OF_ITS_VERSION else 0
    return await client.lrps.control(
        before.process_guid,
        asked,
        to_version=to_version,
        expected_revision=seen,
        cause=f"diegod lrp {name}",
    )


async def _roll(
    session: Session,
    name: str,
    asked: "Verb.ValueType",
    said: str,
    *,
    detach: bool,
    to_version: int = 0,
) -> None:
    """A verb after which instances come up."""
    async with session.client() as client:
        reply = await _control(client, name, asked, to_version)
        desired = reply.desired_lrp
        text = said.format(name=desired.process_guid, version=desired.version)
        session.say(f"{desired.process_guid}: no change" if reply.unchanged else text)
        if not detach:
            await wait_until_up(session, client, desired)
    print_changed(session, [desired])


@verb(app, "restart")
async def restart(session: Session, name: NameArgument, detach: DetachOption = False) -> None:
    """Replace every instance by one of the same definition, in the LRP's own way."""
    said = "{name} is restarted as version {version}"
    await _roll(session, name, ControlLrpRequest.RESTART, said, detach=detach)


@verb(app, "start")
async def start(session: Session, name: NameArgument, detach: DetachOption = False) -> None:
    """Run a stopped LRP again."""
    await _roll(session, name, ControlLrpRequest.START, "{name} is started", detach=detach)


@verb(app, "resume")
async def resume(session: Session, name: NameArgument, detach: DetachOption = False) -> None:
    """Go on with a rollout that is paused."""
    said = "{name}: the rollout of version {version} goes on"
    await _roll(session, name, ControlLrpRequest.RESUME, said, detach=detach)


@verb(app, "promote")
async def promote(session: Session, name: NameArgument, detach: DetachOption = False) -> None:
    """The canaries are good: replace the other instances too."""
    said = "{name}: version {version} is promoted"
    await _roll(session, name, ControlLrpRequest.PROMOTE, said, detach=detach)


@verb(app, "rollback")
async def rollback(
    session: Session,
    name: NameArgument,
    to: Annotated[
        int, typer.Option("--to", metavar="VERSION", min=0, help="Without it the last stable one.")
    ] = 0,
    detach: DetachOption = False,
) -> None:
    """Go back to the definition of an earlier version; `lrp history` lists them."""
    said = "{name} goes back, as version {version}"
    await _roll(
        session, name, ControlLrpRequest.ROLLBACK, said, detach=detach, to_version=to
    )


@verb(app, "pause")
async def pause(session: Session, name: NameArgument) -> None:
    """Halt a rollout where it is; `lrp resume` goes on."""
    async with session.client() as client:
        desired = (await _control(client, name, ControlLrpRequest.PAUSE)).desired_lrp
    guid = desired.process_guid
    what = f"the rollout of version {desired.version} is paused"
    session.say(f"{guid}: {what}. diegod lrp resume {guid}")
    print_changed(session, [desired])


@verb(app, "stop")
async def stop(session: Session, name: NameArgument, detach: DetachOption = False) -> None:
    """Stop every instance of an LRP and keep its definition; `lrp start` runs it again."""
    async with session.client() as client:
        reply = await _control(client, name, ControlLrpRequest.STOP)
        desired = reply.desired_lrp
        was = "was stopped before" if reply.unchanged else "is stopped"
        session.say(f"{desired.process_guid} {was}; its instances are being stopped")
        if not detach:
            await wait_until_gone(session, client, desired, removed=False)
    print_changed(session, [desired])


@verb(app, "retire")
async def retire(
    session: Session,
    ref: Annotated[str, typer.Argument(metavar="NAME/INDEX")],
    detach: DetachOption = False,
) -> None:
    """Replace one instance: the new one runs before it ends, if it runs."""
    name, index = split_instance(ref)
    if index is None:
        raise CliError(f"which instance? diegod lrp retire {name}/0", USAGE)
    async with session.client() as client:
        desired = (await find(client, name)).desired_lrp
        row = await client.lrps.retire(desired.process_guid, index, "diegod lrp retire")
        session.say(f"{instance_ref(row)} is being replaced")
        if not detach:
            await wait_until_replaced(session, client, desired, row)
    print_changed(session, [desired])


@verb(app, "wait")
async def wait(
    session: Session,
    name: NameArgument,
    for_: Annotated[
        str, typer.Option("--for", metavar="WHAT", help="healthy (default) or gone.")
    ] = _HEALTHY,
) -> None:
    """Wait until all instances of an LRP run, or until there is nothing left of it.

    Ends with 1 when they crash again and again or the version fails, with 6 when one can't be
    placed.
    """
    if for_ not in (_HEALTHY, _GONE):
        raise CliError(f'--for: "{for_}" is neither {_HEALTHY} nor {_GONE}', USAGE)
    async with session.client() as client:
        if for_ == _GONE:
            found = await present(client, name)
            if found is not None:
                await wait_until_gone(session, client, found.desired_lrp, removed=True)
            return
        desired = (await find(client, name)).desired_lrp
        await wait_until_up(session, client, desired)
    print_changed(session, [desired])


@verb(app, "history")
async def history(
    session: Session,
    name: NameArgument,
    diff: Annotated[
        tuple[int, int] | None,
        typer.Option("--diff", metavar="A B", help="What version B has otherwise than A."),
    ] = None,
) -> None:
    """List the versions of an LRP, the latest first, and how each of them ended."""
    async with session.client() as client:
        guid = (await find(client, name)).desired_lrp.process_guid
        versions = list((await client.lrps.history(guid)).versions)
    if diff is None:
        print_rows(session, version_view(session.clock.wall()), versions)
        return
    old, new = (_version(versions, guid, number) for number in diff)
    if session.output in (Output.JSON, Output.YAML):
        print_rows(session, version_view(0, form=lambda each: json_form(each)), [old, new])
        return
    for line in diff_lines(old, new):
        print(line)


def _version(versions: list[LrpVersion], guid: str, number: int) -> LrpVersion:
    for each in versions:
        if each.version == number:
            return each
    known = ", ".join(str(each.version) for each in reversed(versions))
    raise CliError(f"{guid} has no version {number} (any more): {known}", NOT_FOUND)
