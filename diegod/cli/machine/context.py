"""`diegod context …`: which cluster the commands talk to."""

import os
from pathlib import Path
from typing import Annotated

import typer

from diegod.cli.terminal.errors import USAGE, CliError
from diegod.cli.terminal.render import Column, View, print_fields, print_row, print_rows
from diegod.cli.terminal.session import Output, Session
from diegod.cli.terminal.verbs import noun, verb
from diegod.config import rules
from diegod.config.contexts import (
    NO_CLUSTER,
    Context,
    ContextError,
    Contexts,
    TlsFiles,
    contexts_file,
    read_contexts,
    write_contexts,
)

app = noun("Contexts: which cluster the commands talk to, and as whom.")

NameArgument = Annotated[str, typer.Argument(metavar="NAME")]


def _read() -> Contexts:
    return read_contexts(contexts_file(os.environ))


def _form(name: str, context: Context, current: bool) -> dict[str, object]:
    return {
        "name": name,
        "current": current,
        "addresses": list(context.addresses),
        "cluster": context.cluster,
        "domain": context.domain,
        "ca_cert": str(context.tls.ca_cert),
        "client_cert": str(context.tls.client_cert),
        "client_key": str(context.tls.client_key),
    }


_VIEW: View[dict[str, object]] = View(
    columns=[
        Column("CONTEXT", lambda row: str(row["name"])),
        Column("CURRENT", lambda row: "*" if row["current"] else ""),
        Column("CLUSTER", lambda row: str(row["cluster"])),
        Column("ADDRESSES", lambda row: _joined(row["addresses"])),
        Column("DOMAIN", lambda row: str(row["domain"]), wide=True),
        Column("CERTIFICATE", lambda row: str(row["client_cert"]), wide=True),
    ],
    name=lambda row: str(row["name"]),
    form=lambda row: row,
    nothing="no contexts. Start a cluster here: diegod dev. Or: diegod context add",
)


def _joined(value: object) -> str:
    return " ".join(value) if isinstance(value, list) else ""


@verb(app, "ls", aliases=["list"])
def ls(session: Session) -> None:
    """List contexts."""
    known = _read()
    rows = [
        _form(name, known.contexts[name], name == known.current) for name in sorted(known.contexts)
    ]
    print_rows(session, _VIEW, rows)


@verb(app, "use")
def use(session: Session, name: NameArgument) -> None:
    """Make a context the current one."""
    write_contexts(_read().using(name), os.environ)
    session.say(f'context "{name}" is current')


@verb(app, "show")
def show(session: Session, name: Annotated[str, typer.Argument(metavar="[NAME]")] = "") -> None:
    """Show a context, or the current one."""
    known = _read()
    wanted = name or session.context or os.environ.get("DIEGOD_CONTEXT", "") or known.current
    if not wanted:
        raise ContextError(NO_CLUSTER)
    form = _form(wanted, known.named(wanted), wanted == known.current)
    if session.output in (Output.TABLE, Output.WIDE):
        print_fields((key, _joined(v) or str(v)) for key, v in form.items())
    else:
        print_row(session, _VIEW, form)


@verb(app, "add")
def add(
    session: Session,
    name: NameArgument,
    address: Annotated[
        list[str], typer.Option("--address", metavar="HOST:PORT", help="Of a member; repeat it.")
    ],
    cert: Annotated[
        Path | None,
        typer.Option("--cert", metavar="DIR", help="Holds ca.crt, user.crt and user.key."),
    ] = None,
    cacert: Annotated[Path | None, typer.Option("--cacert", metavar="FILE")] = None,
    client_cert: Annotated[Path | None, typer.Option("--client-cert", metavar="FILE")] = None,
    client_key: Annotated[Path | None, typer.Option("--client-key", metavar="FILE")] = None,
    domain: Annotated[str, typer.Option("-d", "--domain", help="For all its commands.")] = "",
    use_it: Annotated[bool, typer.Option("--use", help="Make it the current one.")] = False,
) -> None:
    """Add or replace a context; the first one becomes the current one."""
    from diegod.client.connect import identity_of

    try:
        addresses = rules.list_of(rules.address)(address)
    except ValueError as error:
        raise CliError(f"--address: {error}", USAGE) from None
    tls = _tls(cert, cacert, client_cert, client_key)
    who = identity_of(tls, session.clock.wall())
    context = Context(addresses, tls, cluster=who.principal.cluster, domain=domain)
    known = _read().with_context(name, context, current=use_it)
    write_contexts(known, os.environ)
    state = "is current" if known.current == name else f"is added; diegod context use {name}"
    session.say(f'context "{name}" ({who.principal} of cluster {context.cluster}) {state}')


def _tls(
    directory: Path | None, ca: Path | None, certificate: Path | None, key: Path | None
) -> TlsFiles:
    """A folder, or three files, or a folder with some files instead of its own; all absolute."""
    own = TlsFiles.of_user(directory) if directory else TlsFiles(Path(), Path(), Path())
    files = [ca or own.ca_cert, certificate or own.client_cert, key or own.client_key]
    if Path() in files:
        raise CliError(
            "who are you? Give --cert DIR, or --cacert, --client-cert and --client-key", USAGE
        )
    return TlsFiles(*(file.expanduser().absolute() for file in files))


@verb(app, "rm")
def rm(session: Session, name: NameArgument) -> None:
    """Forget a context; its certificates stay where they are."""
    write_contexts(_read().without(name), os.environ)
    session.say(f'context "{name}" is removed')
