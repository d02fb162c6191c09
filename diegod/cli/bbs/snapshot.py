"""`diegod bbs snapshot …`: backups of the BBS. Only `save` speaks with a cluster."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from diegod.cli.bbs.options import ConfigOption
from diegod.cli.terminal.errors import FAILED, USAGE, CliError
from diegod.cli.terminal.quantities import age
from diegod.cli.terminal.render import Column, View, print_fields, print_row, print_rows
from diegod.cli.terminal.session import Output, Session
from diegod.cli.terminal.verbs import noun, verb

if TYPE_CHECKING:
    from diegod.node.kept import Kept
    from diegod.raftbbs.backup.file import Manifest

app = noun("Backups of the BBS: the whole state of the cluster in one file.")

FileArgument = Annotated[Path, typer.Argument(metavar="FILE")]
EpochOption = Annotated[
    int,
    typer.Option(
        "--epoch",
        metavar="N",
        min=0,
        help="The epoch to begin; by default the one after every epoch that is seen here.",
    ),
]
NS = 1_000_000_000


@verb(app, "save")
async def save(
    session: Session,
    file: FileArgument,
    stale: Annotated[
        bool, typer.Option("--stale", help="From a member that may be behind, or cut off.")
    ] = False,
) -> None:
    """Write a backup of the running cluster; any member can make it."""
    from diegod.raftbbs.backup import file as backup_file

    if file.exists():
        raise CliError(f"{file} exists: a backup is never overwritten", USAGE)
    aside = backup_file.aside_of(file)
    try:
        async with session.client() as client:
            with _private_file(aside) as out:
                async for piece in client.backup(stale=stale):
                    out.write(piece)
                out.flush()
                os.fsync(out.fileno())
        manifest = _refusing(lambda: backup_file.require_whole(aside))
        backup_file.put_in_place(aside, file)
    finally:
        aside.unlink(missing_ok=True)
    _print_manifest(session, manifest)


@verb(app, "inspect")
def inspect(session: Session, file: FileArgument) -> None:
    """Show what a backup is of. Reads its manifest only."""
    from diegod.raftbbs.backup.file import read_manifest

    _print_manifest(session, _refusing(lambda: read_manifest(file)))


@verb(app, "verify")
def verify(session: Session, file: FileArgument, config: ConfigOption = None) -> None:
    """Read all of a backup back: its digest, every value, every row and index.

    One that is encrypted takes its keys: on a node, or with the settings that name them.
    """
    from diegod.node.backups import problems_of
    from diegod.raftbbs.backup.file import read_manifest

    manifest = _refusing(lambda: read_manifest(file))
    problems = problems_of(file, _key_files(config))
    if problems:
        raise CliError(f"{file} can't be relied on", FAILED, problems)
    values = sum(manifest.counts.values())
    session.say(f"{file} is whole: {values} values of revision {manifest.revision} read back")
    if session.output not in (Output.TABLE, Output.WIDE):
        _print_manifest(session, manifest)


def _key_files(config: Path | None) -> Mapping[str, str]:
    """None where there are no settings: a backup may be looked at anywhere."""
    from diegod.config.load import DEFAULT_FILE, load_settings

    if config is None and not DEFAULT_FILE.exists():
        return {}
    return load_settings(config, os.environ).settings.bbs.encryption.keys


@verb(app, "ls")
def ls(session: Session, config: ConfigOption = None) -> None:
    """List the automatic backups on this node, of all members that put theirs here."""
    from diegod.config.load import load_settings
    from diegod.node.kept import kept_in

    settings = load_settings(config, os.environ).settings
    directory = settings.bbs.backup.directory
    if not directory:
        raise CliError("no automatic backups: [bbs.backup] directory is not set", USAGE)
    now = session.clock.wall()
    rows = kept_in(Path(directory), settings.cluster.name)
    print_rows(session, _kept_view(now), list(rows))


@verb(app, "restore")
def restore(
    session: Session,
    file: FileArgument,
    config: ConfigOption = None,
    epoch: EpochOption = 0,
    new_cluster: Annotated[
        bool, typer.Option("--new-cluster", help="Give it a cluster id of its own.")
    ] = False,
) -> None:
    """Make this node, whose folder has no store, a cluster of one from a backup; offline."""
    from diegod.config.load import load_settings
    from diegod.node.restore import restore as restored
    from diegod.node.statuses import StartError
    from diegod.world import RandomIds

    settings = load_settings(config, os.environ).settings
    try:
        reborn = restored(
            settings, file, session.clock, RandomIds(), epoch=epoch, new_cluster=new_cluster
        )
    except StartError as error:
        raise CliError(error.message, error.status) from None
    print_reborn(session, reborn, settings.node.data_dir)


def print_reborn(session: Session, reborn: Any, data_dir: str) -> None:
    """What a new epoch began with; of `bbs recover`, too."""
    birth = reborn.birth
    session.say(f"{birth.member_id} is the only member now; its store is in {data_dir}")
    if reborn.failed_tasks:
        session.say(f"{reborn.failed_tasks} tasks had not ended: failed, outcome unknown")
    form = {
        "cluster_id": birth.cluster_id,
        "member_id": birth.member_id,
        "epoch": birth.epoch,
        "revision": reborn.revision,
        "failed_tasks": reborn.failed_tasks,
        "entries_applied": reborn.entries_applied,
    }
    _print_form(session, form, form["cluster_id"])


def _print_manifest(session: Session, manifest: "Manifest") -> None:
    if session.output not in (Output.TABLE, Output.WIDE):
        _print_form(session, asdict(manifest), manifest.digest)
        return
    print_fields(
        [
            ("cluster", f"{manifest.cluster_name} ({manifest.cluster_id})"),
            ("member", manifest.member_id),
            ("revision", f"{manifest.revision} of epoch {manifest.epoch}"),
            ("log", f"applied {manifest.applied_index}, term {manifest.applied_term}"),
            ("taken at", _time(manifest.taken_at_s)),
            ("cluster time", _time(manifest.replicated_time_ns / NS)),
            ("data", f"{manifest.size / 1024**2:.1f} MB"),
            ("BLAKE2b", manifest.digest),
            ("state hash", manifest.state_hash),
            ("keys", ", ".join(manifest.key_names) or "none: not encrypted"),
            ("values", ", ".join(f"{n} {c}" for n, c in sorted(manifest.counts.items()) if c)),
        ]
    )


def _print_form(session: Session, form: dict[str, Any], name: str) -> None:
    if session.output in (Output.TABLE, Output.WIDE):
        print_fields([(key.replace("_", " "), str(value)) for key, value in form.items()])
    else:
        view: View[dict[str, Any]] = View(columns=[], name=lambda _: name, form=lambda row: row)
        print_row(session, view, form)


def _kept_view(now: float) -> "View[Kept]":
    return View(
        columns=[
            Column("FILE", lambda k: str(k.path)),
            Column("AGE", lambda k: age(now - k.manifest.taken_at_s)),
            Column("MEMBER", lambda k: k.manifest.member_id),
            Column("EPOCH", lambda k: str(k.manifest.epoch)),
            Column("REVISION", lambda k: str(k.manifest.revision)),
            Column("MB", lambda k: f"{k.size / 1024**2:.1f}"),
            Column("VERIFIED", lambda k: "yes" if k.verified else "no"),
        ],
        name=lambda k: str(k.path),
        form=_kept_form,
        nothing="no backups yet",
    )


def _kept_form(kept: "Kept") -> dict[str, Any]:
    own = {"file": str(kept.path), "bytes": kept.size, "verified": kept.verified}
    return own | asdict(kept.manifest)


def _time(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _refusing(read: Any) -> "Manifest":
    """A file that is no backup is a refusal, not a defect."""
    from diegod.raftbbs.backup.file import BackupRefused

    try:
        manifest: Manifest = read()
    except BackupRefused as error:
        raise CliError(str(error), FAILED) from None
    return manifest


def _private_file(path: Path) -> BinaryIO:
    """A new file, or an empty one, that only its owner may read."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600), "wb")
