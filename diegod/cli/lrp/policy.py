"""The flags of `lrp run` and `lrp update` that say how a new version takes an old one's place."""

from typing import Annotated

import typer

from diegod.cli.terminal.errors import USAGE, CliError
from diegod.v1.definition_pb2 import UpdatePolicy

InFlightOption = Annotated[
    int | None,
    typer.Option("--max-in-flight", metavar="N", min=1, help="Replaced at a time; default 1."),
]
UnavailableOption = Annotated[
    int | None,
    typer.Option("--max-unavailable", metavar="N", min=0, help="So many may be missing meanwhile."),
]
CanariesOption = Annotated[
    int | None,
    typer.Option("--canaries", metavar="N", min=0, help="So many first, then `lrp promote`."),
]
MinHealthyOption = Annotated[
    int | None,
    typer.Option("--min-healthy-ms", metavar="MS", min=0, help="Healthy so long counts."),
]
OrderOption = Annotated[
    str, typer.Option("--order", metavar="ORDER", help="start-first (default) or stop-first.")
]
OnFailureOption = Annotated[
    str, typer.Option("--on-failure", metavar="WHAT", help="rollback (default) or pause.")
]


def policy(
    max_in_flight: int | None,
    max_unavailable: int | None,
    canaries: int | None,
    min_healthy_ms: int | None,
    order: str,
    on_failure: str,
) -> UpdatePolicy:
    """What was given, and nothing else."""
    made = UpdatePolicy(
        max_in_flight=max_in_flight,
        max_unavailable=max_unavailable,
        canaries=canaries,
        min_healthy_ms=min_healthy_ms,
    )
    if order:
        made.order = UpdatePolicy.Order.Value(_named("--order", order, UpdatePolicy.Order.keys()))
    if on_failure:
        name = _named("--on-failure", on_failure, UpdatePolicy.OnFailure.keys())
        made.on_failure = UpdatePolicy.OnFailure.Value(name)
    return made


def _named(flag: str, given: str, names: list[str]) -> str:
    """`start-first` as START_FIRST."""
    name = given.upper().replace("-", "_")
    if name not in names:
        known = " nor ".join(each.lower().replace("_", "-") for each in names)
        raise CliError(f'{flag}: "{given}" is neither {known}', USAGE)
    return name
