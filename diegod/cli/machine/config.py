"""`diegod config …`: the settings of this machine."""

import os
from pathlib import Path
from typing import Annotated

import typer

from diegod.cli.machine.host import lacking_for
from diegod.cli.terminal.errors import FAILED, CliError
from diegod.cli.terminal.render import Column, View, print_rows
from diegod.cli.terminal.session import Session
from diegod.cli.terminal.verbs import noun, verb
from diegod.config.effective import Effective, effective
from diegod.config.load import DEFAULT_FILE, load_settings

app = noun("Settings: what is in diegod.toml, and what holds.")

FileArgument = Annotated[Path | None, typer.Argument(metavar="[FILE]", envvar="DIEGOD_CONFIG")]


@verb(app, "check")
def check(session: Session, file: FileArgument = None) -> None:
    """Report every problem of the settings, then what this host lacks for them."""
    settings = load_settings(file, os.environ).settings
    lacking = lacking_for(settings)
    if lacking:
        raise CliError("this host lacks something for these settings", FAILED, lacking)
    session.say(f"{file or DEFAULT_FILE} is good: {', '.join(settings.roles) or 'no roles'}")


@verb(app, "show")
def show(
    session: Session,
    file: FileArgument = None,
    all_: Annotated[
        bool, typer.Option("--effective", help="Every setting, the defaults too.")
    ] = False,
) -> None:
    """Show settings, and where each value comes from."""
    rows = [row for row in effective(load_settings(file, os.environ)) if all_ or row.is_set]
    view: View[Effective] = View(
        columns=[
            Column("SETTING", lambda row: row.key),
            Column("VALUE", lambda row: row.text),
            Column("FROM", lambda row: row.origin),
        ],
        name=lambda row: row.key,
        form=lambda row: {"key": row.key, "value": row.value, "origin": row.origin},
        nothing="nothing is set; --effective shows the defaults",
    )
    print_rows(session, view, rows)
