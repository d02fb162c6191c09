"""`diegod lrp run|apply|plan|update`: what gives an LRP a definition."""

import os
from typing import Annotated

import typer

from diegod.cli.definition.files import read_lrps
from diegod.cli.definition.flags import (
    DEFAULT_ROOTFS,
    EnvFileOption,
    EnvOption,
    MemoryOption,
    admitted,
    environment,
    memory_of,
)
from diegod.cli.definition.plans import WOULD_CHANGE, print_plans, refuse
from diegod.cli.lrp.command import NameThenOptions
from diegod.cli.lrp.flags import check as check_flag
from diegod.cli.lrp.flags import port_mapping
from diegod.cli.lrp.noun import DetachOption, NameArgument, app, find
from diegod.cli.lrp.planning import lrp_plan_of
from diegod.cli.lrp.policy import (
    CanariesOption,
    InFlightOption,
    MinHealthyOption,
    OnFailureOption,
    OrderOption,
    UnavailableOption,
    policy,
)
from diegod.cli.lrp.store import store, watched
from diegod.cli.terminal.errors import USAGE, CliError
from diegod.cli.terminal.session import Session
from diegod.cli.terminal.verbs import WorkDomainOption, verb
from diegod.v1.definition_pb2 import LrpDefinition, UpdatePolicy

AtOption = Annotated[
    int | None,
    typer.Option(
        "--at", metavar="REVISION", help="Only if it is still at this revision; 0: not there yet."
    ),
]


@verb(app, "run", cls=NameThenOptions, runs_a_program=True)
async def run(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    command: Annotated[list[str], typer.Argument(metavar="COMMAND", help="What to run.")],
    instances: Annotated[int, typer.Option("-n", "--instances", metavar="N", min=0)] = 1,
    port: Annotated[list[str] | None, typer.Option("--port", metavar="PORT[:NAME]")] = None,
    check: Annotated[
        list[str] | None, typer.Option("--check", metavar="KIND:PORT[/PATH]", help="http or tcp.")
    ] = None,
    rootfs: Annotated[str, typer.Option("--rootfs")] = DEFAULT_ROOTFS,
    env: EnvOption = None,
    env_file: EnvFileOption = None,
    memory: MemoryOption = "",
    max_in_flight: InFlightOption = None,
    max_unavailable: UnavailableOption = None,
    canaries: CanariesOption = None,
    min_healthy_ms: MinHealthyOption = None,
    order: OrderOption = "",
    on_failure: OnFailureOption = "",
    domain: WorkDomainOption = None,
    detach: DetachOption = False,
) -> None:
    """Keep N instances of a program running; replaces the LRP of this name.

    Waits until all are up. To change it later: `lrp scale` the number alone, `lrp update` the
    fields that you name, `lrp run` or `lrp apply` everything.
    """
    definition = LrpDefinition(
        process_guid=name,
        domain=session.domain(domain),
        instances=instances,
        rootfs=rootfs,
        environment_variables=environment(env or [], env_file or [], os.environ),
        ports=[port_mapping(each) for each in port or []],
    )
    definition.action.run.path, definition.action.run.args[:] = command[0], command[1:]
    definition.check_definition.checks.extend(check_flag(each) for each in check or [])
    if memory:
        definition.memory_mb = memory_of(memory)
    given = policy(max_in_flight, max_unavailable, canaries, min_healthy_ms, order, on_failure)
    if given != UpdatePolicy():
        definition.update.CopyFrom(given)
    admitted(definition)
    async with session.client() as client:
        stored = [await store(session, client, definition, at=None, cause="diegod lrp run")]
        await watched(session, client, stored, detach=detach)


@verb(app, "apply")
async def apply(
    session: Session,
    file: Annotated[list[str], typer.Argument(metavar="FILE", help='Spec files, or "-".')],
    at: AtOption = None,
    detach: DetachOption = False,
) -> None:
    """Create or replace LRPs by spec files, and wait until the new version runs.

    `lrp apply` replaces the whole definition; `lrp update` changes the fields that you name,
    `lrp scale` the number of instances only. `lrp plan` says beforehand what apply would do.
    """
    definitions = read_lrps(file)
    if at is not None and len(definitions) != 1:
        raise CliError(f"--at is for one LRP, not for {len(definitions)}", USAGE)
    async with session.client() as client:
        stored = [await store(session, client, each, at=at) for each in definitions]
        await watched(session, client, stored, detach=detach)


@verb(app, "plan")
async def plan(
    session: Session,
    file: Annotated[list[str], typer.Argument(metavar="FILE", help='Spec files, or "-".')],
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with 10 if apply would change something.")
    ] = False,
) -> int:
    """Say what `lrp apply` of these files would change, and change nothing."""
    definitions = read_lrps(file)
    async with session.client() as client:
        plans = [await lrp_plan_of(client, each) for each in definitions]
    print_plans(session, plans, f"diegod lrp apply {' '.join(file)}")
    refuse(plans)
    return WOULD_CHANGE if exit_code and any(each.changes_something for each in plans) else 0


@verb(app, "update", cls=NameThenOptions, runs_a_program=True)
async def update(
    session: Session,
    name: NameArgument,
    command: Annotated[
        list[str] | None, typer.Argument(metavar="[COMMAND]", help="What to run instead.")
    ] = None,
    rootfs: Annotated[str, typer.Option("--rootfs")] = "",
    env: EnvOption = None,
    env_file: EnvFileOption = None,
    env_rm: Annotated[
        list[str] | None, typer.Option("--env-rm", metavar="NAME", help="Take it away.")
    ] = None,
    memory: MemoryOption = "",
    annotation: Annotated[str | None, typer.Option("--annotation", metavar="TEXT")] = None,
    max_in_flight: InFlightOption = None,
    max_unavailable: UnavailableOption = None,
    canaries: CanariesOption = None,
    min_healthy_ms: MinHealthyOption = None,
    order: OrderOption = "",
    on_failure: OnFailureOption = "",
    detach: DetachOption = False,
) -> None:
    """Change the named fields of an LRP's definition; its instances are replaced in its own way.

    For the number of instances: `lrp scale`. To replace the definition by a file: `lrp apply`.
    """
    async with session.client() as client:
        before = (await find(client, name)).desired_lrp
        new = LrpDefinition()
        new.CopyFrom(before.definition)
        new.instances = before.instances
        new.environment_variables.update(environment(env or [], env_file or [], os.environ))
        for gone in env_rm or []:
            _take_away(new, gone)
        if rootfs:
            new.rootfs = rootfs
        if command:
            new.action.run.path, new.action.run.args[:] = command[0], command[1:]
        if memory:
            new.memory_mb = memory_of(memory)
        if annotation is not None:
            new.annotation = annotation
        new.update.MergeFrom(
            policy(max_in_flight, max_unavailable, canaries, min_healthy_ms, order, on_failure)
        )
        _set_order(new.update, order, on_failure, max_unavailable)
        admitted(new)
        revision = before.provenance.revision
        stored = await store(session, client, new, at=revision, cause="diegod lrp update")
        await watched(session, client, [stored], detach=detach)


def _take_away(definition: LrpDefinition, variable: str) -> None:
    if variable not in definition.environment_variables:
        raise CliError(f"--env-rm: {definition.process_guid} has no variable {variable}", USAGE)
    del definition.environment_variables[variable]


def _set_order(
    into: UpdatePolicy, order: str, on_failure: str, max_unavailable: int | None
) -> None:
    """A merge leaves out what is at its first value, and that may be what was asked for."""
    asked = policy(None, None, None, None, order, on_failure)
    if order:
        into.order = asked.order
        if max_unavailable is None:
            into.ClearField("max_unavailable")  # its default is another one for each order
    if on_failure:
        into.on_failure = asked.on_failure
