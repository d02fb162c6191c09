"""The automatic backups in a directory: what they are called, and which are there.

A backup that was written but not yet read back has a name of its own; verified, it gets its real
one. So what a listing calls verified needs no record beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from diegod.raftbbs.backup import file
from diegod.raftbbs.backup.file import BackupRefused, Manifest
from diegod.raftbbs.core.kept_backups import Backup

SUFFIX = ".backup"
UNVERIFIED = ".unverified"


@dataclass(frozen=True)
class Kept:
    """One file that is a backup, as far as its manifest says."""

    path: Path
    manifest: Manifest
    verified: bool

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    def summary(self) -> Backup:
        return Backup(self.path.name, self.manifest.taken_at_s, self.verified)


def name_of(manifest: Manifest) -> str:
    """What a backup is called: whose it is, and when it was taken."""
    at = datetime.fromtimestamp(manifest.taken_at_s, UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    return f"{manifest.cluster_name}-{manifest.member_id}-{at}{SUFFIX}"


def kept_in(directory: Path, cluster_name: str, member_id: str = "") -> Sequence[Kept]:
    """The backups of a cluster, or of one member, the oldest first. A file that can't be read as
    one is none: what is not ours is neither listed nor removed."""
    found: list[Kept] = []
    for suffix, verified in ((SUFFIX, True), (SUFFIX + UNVERIFIED, False)):
        for path in directory.glob(f"*{suffix}"):
            try:
                manifest = file.read_manifest(path)
            except (BackupRefused, OSError):
                continue
            if manifest.cluster_name == cluster_name and member_id in ("", manifest.member_id):
                found.append(Kept(path, manifest, verified))
    return sorted(found, key=lambda each: (each.manifest.taken_at_s, each.path.name))
