"""`diegod version`: what this is, and what answers."""

import asyncio
from typing import Any

from diegod import __version__
from diegod.cli.terminal.errors import EXPECTED, CliError
from diegod.cli.terminal.render import View, print_fields, print_row
from diegod.cli.terminal.session import Output, Session, open_client
from diegod.cli.terminal.verbs import single, verb
from diegod.config.contexts import ContextError
from diegod.contracts import INTERFACE_VERSION
from diegod.models.json_form import json_form
from diegod.raftbbs.store.envelope import FORMAT

app = single()

API_VERSION = "v1"
_SERVER_S = 2.0


@verb(app, "version")
async def version(session: Session) -> None:
    """Print versions: of the client always, of the server where one answers."""
    form: dict[str, Any] = {
        "client": __version__,
        "api": f"diegod.{API_VERSION}",
        "plugin_interface": INTERFACE_VERSION,
        "store_format": FORMAT,
        "server": await _server(session),
    }
    if session.output in (Output.TABLE, Output.WIDE):
        server = form["server"]
        print_fields(
            [
                ("diegod", __version__),
                ("API", form["api"]),
                ("plugin interface", str(INTERFACE_VERSION)),
                ("store format", str(FORMAT)),
                ("server", f"{server['version']} ({server['cluster_name']})" if server else "none"),
            ]
        )
    else:
        view: View[dict[str, Any]] = View([], lambda row: row["client"], lambda row: row)
        print_row(session, view, form)


async def _server(session: Session) -> dict[str, Any] | None:
    """What the cluster of the context says of itself; None where none answers in a moment."""
    try:
        client = open_client(session.target, _SERVER_S)
    except (ContextError, CliError):
        return None
    try:
        async with asyncio.timeout(_SERVER_S), client:
            return json_form(await client.version())
    except (*EXPECTED, TimeoutError):
        return None
