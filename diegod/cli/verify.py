"""`diegod verify once`: the product's own proof, on a dev cluster of this machine."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diegod.cli.terminal.errors import FAILED, REFUSED, USAGE, CliError
from diegod.cli.terminal.render import Table, print_json, print_yaml
from diegod.cli.terminal.session import Output, Session
from diegod.cli.terminal.verbs import noun, verb
from diegod.config.contexts import Target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from diegod.node.dev.layout import Layout
    from diegod.node.verify.once import Verified
    from diegod.node.verify.tally import Unknown

app = noun("Prove on a dev cluster that what is promised of tasks holds.")

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|m)?")
_TASKS_MAX = 10_000
_SEED_MAX = 1_000_000
_GUIDS_SHOWN = 3


@verb(app, "once")
async def once(
    session: Session,
    tasks: Annotated[int, typer.Option("--tasks", min=1, max=_TASKS_MAX)] = 500,
    for_: Annotated[str, typer.Option("--for", metavar="TIME", help="60s, 2m: faults go on.")] = (
        "60s"
    ),
    seed: Annotated[int | None, typer.Option("--seed", help="The same faults again.")] = None,
) -> None:
    """Start tasks, kill parts of the cluster meanwhile, and count how often each task ran.

    Each task writes one line as it begins. Only for a dev cluster of this machine (`diegod dev`).
    Ends with 1 if a task was started twice, or anything else was not as promised.
    """
    from diegod.node.statuses import StartError
    from diegod.node.verify.once import Once, Options
    from diegod.world import RandomIds
    from diegod.world.ids import SeededIds

    for_s = seconds(for_)
    layout = dev_layout(session.target)
    ids = RandomIds()
    chosen = seed if seed is not None else int(ids.uniform(0, _SEED_MAX))
    session.say(f"seed {chosen}; {tasks} tasks in {for_s:g} s on dev cluster {layout.name}")
    async with session.client() as client:
        run = Once(
            layout,
            client,
            session.clock,
            SeededIds(chosen),
            f"verify-{ids.new_id()[:8]}",
            session.say,
        )
        try:
            verified = await run.verify(Options(tasks, for_s, chosen))
        except StartError as error:
            raise CliError(error.message, FAILED) from None
    _print(session, verified, chosen, layout)
    if not verified.tally.holds:
        raise CliError(f"not as promised; the same faults again: --seed {chosen}", FAILED)


def seconds(text: str) -> float:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise CliError(f'--for: "{text}" is not a time like 60s or 2m', USAGE)
    return float(match[1]) * (60 if match[2] == "m" else 1)


def dev_layout(target: Target) -> "Layout":
    """The dev cluster of this machine that the context means, and no other cluster."""
    from diegod.node.dev import layout as layouts

    directory = target.tls.ca_cert.parent.parent
    layout = layouts.load(directory) if directory != Path() else None
    if layout is None or tuple(layout.bbs_addresses) != target.addresses:
        where = f'context "{target.context}"' if target.context else ", ".join(target.addresses)
        raise CliError(
            f"{where} is no dev cluster of this machine, and verify kills parts of the cluster. "
            "Start one: diegod dev",
            REFUSED,
        )
    return layout


def _print(session: Session, verified: "Verified", seed: int, layout: "Layout") -> None:
    tally = verified.tally
    if session.output in (Output.JSON, Output.YAML):
        faults = [
            {"kind": f.kind, "part": f.part, "began": f.began, "ended": f.ended}
            for f in verified.faults
        ]
        form = {"seed": seed, "run": verified.run, "began": verified.began, "faults": faults}
        form |= {"backend": layout.backend, **tally.form()}
        (print_json if session.output is Output.JSON else print_yaml)(form)
        return
    for line in report(verified):
        print(line)
    if tally.unknown:
        print()
        each = session.output is Output.WIDE
        titles = ["UNKNOWN" if each else "TASKS", "CELL", "REASON", "FAULT"]
        Table(titles, unknown_rows(tally.unknown, each)).print(colored=session.colored)


def unknown_rows(unknown: "Sequence[Unknown]", each: bool) -> list[list[str]]:
    """A line each, or one for all that one fault explains: a lost cell takes many with it."""
    alike: dict[tuple[str, str, str], list[str]] = {}
    for one in unknown:
        key = (one.cell or "-", one.failure_reason, one.fault or "NOTHING EXPLAINS IT")
        alike.setdefault(key, []).append(one.guid)
    if each:
        return [[guid, *key] for key, guids in alike.items() for guid in guids]
    return [[_named(guids), *key] for key, guids in alike.items()]


def _named(guids: list[str]) -> str:
    """All of a few; of many their number, the first and the last."""
    if len(guids) <= _GUIDS_SHOWN:
        return " ".join(guids)
    return f"{len(guids)}: {guids[0]} … {guids[-1]}"


def report(verified: "Verified") -> list[str]:
    """The counts, one a line; what must be nought comes first."""
    tally = verified.tally
    lines = [
        f"started twice   {len(tally.started_twice)}",
        f"done            {tally.done} of {tally.tasks}",
        f"failed          {sum(tally.failed.values())}",
        f"unknown         {len(tally.unknown)}",
        f"rejected        {tally.rejected}   placements that a cell refused before any start",
        f"faults          {len(verified.faults)}   {_faults(verified)}".rstrip(),
    ]
    for guid, starts in tally.started_twice.items():
        said = "; ".join(f"attempt {s.attempt} on {s.cell} at {s.at}" for s in starts)
        lines.append(f"  TWICE: {guid}: {said}")
    lines += [f"  failed: {count} {why}" for why, count in tally.failed.items()]
    lines += [f"  {guid} {why}" for guid, why in tally.contradicted.items()]
    lines += [f"  {guid} has not ended" for guid in tally.not_ended]
    return lines


def _faults(verified: "Verified") -> str:
    counts: dict[str, int] = {}
    for fault in verified.faults:
        counts[fault.kind] = counts.get(fault.kind, 0) + 1
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
