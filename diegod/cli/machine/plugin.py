"""`diegod plugin ls`: backends, checks, strategies and filters, and what became of each."""

from diegod.cli.terminal.render import Column, View, print_rows
from diegod.cli.terminal.session import Session
from diegod.cli.terminal.verbs import noun, verb
from diegod.plugins import PluginEntry

app = noun("Plugins: container backends, health checks, placement strategies and filters.")


def _form(entry: PluginEntry) -> dict[str, object]:
    return {
        "kind": entry.kind,
        "name": entry.name,
        "state": str(entry.state),
        "reason": entry.reason,
        "distribution": entry.source.distribution,
        "version": entry.source.version,
        "interface_version": entry.record.interface_version if entry.record else None,
        "file": entry.source.file,
    }


_VIEW: View[PluginEntry] = View(
    columns=[
        Column("KIND", lambda entry: entry.kind),
        Column("NAME", lambda entry: entry.name),
        Column("STATE", lambda entry: str(entry.state)),
        Column("FROM", lambda entry: str(entry.source)),
        Column("ABOUT", lambda e: e.reason or (e.record.description if e.record else "")),
        Column(
            "INTERFACE", lambda e: str(e.record.interface_version) if e.record else "", wide=True
        ),
        Column("FILE", lambda entry: entry.source.file, wide=True),
    ],
    name=lambda entry: f"{entry.kind}/{entry.name}",
    form=_form,
    nothing="no plugins",
)


@verb(app, "ls", aliases=["list"])
def ls(session: Session) -> None:
    """List plugins. To add one, install its distribution beside diegod."""
    from diegod.node.plugins import load_all_plugins

    print_rows(session, _VIEW, load_all_plugins().entries)
