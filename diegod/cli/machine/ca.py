"""`diegod ca …`: certificates from an offline CA. Keys never leave the host they were made on."""

from pathlib import Path
from typing import Annotated

import typer

from diegod.cli.terminal.errors import USAGE, CliError
from diegod.cli.terminal.render import Column, View, print_row, print_rows
from diegod.cli.terminal.session import Output, Session
from diegod.cli.terminal.verbs import noun, verb
from diegod.security.authority import CERTIFICATE_DAYS, create_authority, load_authority, sign_file
from diegod.security.authority import issue as issue_certificate
from diegod.security.certificate import (
    alternative_names,
    fingerprint,
    hosts_of,
    not_after_s,
    not_before_s,
    parse_certificate,
    utc_text,
)
from diegod.security.errors import SecurityError
from diegod.security.files import read_file
from diegod.security.identity import Role, parse_role, principal_from_certificate
from diegod.security.request import request_certificate

app = noun("Certificates: an offline CA for one cluster.")

DirOption = Annotated[Path, typer.Option("--dir", metavar="DIR", help="The CA's folder.")]
HostOption = Annotated[
    list[str] | None,
    typer.Option("--host", metavar="HOST", help="A name or IP that clients dial; repeat it."),
]
DaysOption = Annotated[int, typer.Option("--days", min=1, help="How long it is valid.")]

Row = dict[str, str]
_FILE_VIEW: View[Row] = View(
    columns=[Column("FILE", lambda row: row["file"])],
    name=lambda row: row["file"],
    form=lambda row: row,
)


@verb(app, "init")
def init(
    session: Session,
    cluster: Annotated[str, typer.Option("--cluster", metavar="NAME", help="The cluster's name.")],
    directory: DirOption = Path("ca"),
) -> None:
    """Make the CA of a new cluster: ca.crt for everybody, ca.key for nobody else."""
    authority = create_authority(cluster, directory, session.clock.wall())
    row = {"cluster": cluster, "file": str(directory / "ca.crt"), "sha256": authority.sha256}
    session.say(f"the CA of cluster {cluster} is made in {directory}; keep ca.key offline")
    if session.output in (Output.TABLE, Output.WIDE):
        print(f"sha256 {authority.sha256}")
    else:
        print_row(session, _FILE_VIEW, row)


@verb(app, "csr")
def csr(
    session: Session,
    role: Annotated[list[str], typer.Option("--role", help="bbs, brain, cell or user; repeat it.")],
    id_: Annotated[
        str, typer.Option("--id", metavar="ID", help="Of the node, or the user's name.")
    ],
    host: HostOption = None,
    directory: Annotated[Path, typer.Option("--dir", metavar="DIR")] = Path("."),
) -> None:
    """Make a key and a request for a certificate, one for each role."""
    roles = [parse_role(each) for each in role]
    rows = [_row(request_certificate(each, id_, host or [], directory)) for each in roles]
    session.say("sign them where the CA is: diegod ca sign --dir CA FILE…")
    print_rows(session, _FILE_VIEW, rows)


@verb(app, "sign")
def sign(
    session: Session,
    files: Annotated[list[Path], typer.Argument(metavar="FILE.csr")],
    directory: DirOption = Path("ca"),
    days: DaysOption = CERTIFICATE_DAYS,
) -> None:
    """Sign requests; each certificate lies beside its request."""
    authority = load_authority(directory)
    now = session.clock.wall()
    rows = [_row(sign_file(authority, file, now, days)) for file in files]
    session.say("bring them back beside their keys, with ca.crt")
    print_rows(session, _FILE_VIEW, rows)


@verb(app, "issue")
def issue(
    session: Session,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="bbs, brain, cell or user.")],
    id_: Annotated[str, typer.Argument(metavar="ID")],
    host: HostOption = None,
    directory: DirOption = Path("ca"),
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="ID by default.")] = None,
    days: DaysOption = CERTIFICATE_DAYS,
) -> None:
    """Key and certificate at once, where CA and user share a machine."""
    authority = load_authority(directory)
    target = out or Path(id_)
    now = session.clock.wall()
    certificate = issue_certificate(authority, parse_role(role), id_, host or [], target, now, days)
    if parse_role(role) is Role.USER:
        name = authority.cluster
        session.say(f"diegod context add {name} --address HOST:8889 --cert {target}")
    print_rows(session, _FILE_VIEW, [_row(certificate)])


def _row(file: Path) -> Row:
    return {"file": str(file)}


@verb(app, "inspect")
def inspect(
    session: Session,
    files: Annotated[list[Path], typer.Argument(metavar="FILE.crt")],
) -> None:
    """Show whom certificates name, for which hosts and until when."""
    rows = [_inspected(file, session.clock.wall()) for file in files]
    view: View[dict[str, object]] = View(
        columns=[
            Column("FILE", lambda row: str(row["file"])),
            Column("NAMES", lambda row: str(row["uri"])),
            Column("HOSTS", lambda row: " ".join(_texts(row["hosts"]))),
            Column("VALID UNTIL", lambda row: str(row["valid_until"])),
            Column("STATE", lambda row: str(row["state"])),
            Column("VALID FROM", lambda row: str(row["valid_from"]), wide=True),
            Column("SHA256", lambda row: str(row["sha256"]), wide=True),
        ],
        name=lambda row: str(row["uri"]),
        form=lambda row: row,
    )
    print_rows(session, view, rows)


def _texts(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []


def _inspected(file: Path, now: float) -> dict[str, object]:
    if not file.name.endswith(".crt"):
        raise CliError(f"{file} is not a certificate by its name (FILE.crt)", USAGE)
    pem = read_file(file, "the certificate", "Give the path of a .crt file.")
    certificate = parse_certificate(pem, str(file))
    expired, early = now > not_after_s(certificate), now < not_before_s(certificate)
    try:
        uri = principal_from_certificate(certificate).uri
    except SecurityError:
        uri = "nobody (a CA, or not of diegod)"
    return {
        "file": str(file),
        "uri": uri,
        "hosts": hosts_of(alternative_names(certificate)),
        "valid_from": utc_text(not_before_s(certificate)),
        "valid_until": utc_text(not_after_s(certificate)),
        "state": "expired" if expired else "not yet valid" if early else "valid",
        "sha256": fingerprint(certificate),
    }
