"""A backup as one file.

    diegod backup 1\\n                 what it is, and the format
    {"cluster_id": …}\\n               the manifest: JSON in one line
    BLAKE2b of the two lines\\n        64 hexadecimal digits
    data                              a compact copy of an LMDB environment, to the end of the file

The manifest names size and digest of the data, so no byte of the file can change unseen. A file is
written aside, synced and renamed: under its name it is whole.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO

from diegod.raftbbs.store.durable import flush_names
from diegod.raftbbs.store.environment import DATA_FILE

FORMAT = 1
_MAGIC = b"diegod backup %d\n" % FORMAT
_MAGIC_ANY = b"diegod backup "
_DIGEST_BYTES = 32
_MANIFEST_BYTES_MAX = 1 << 20
PIECE_BYTES = 256 << 10
_MODE = 0o600
_ASIDE = ".part"


class BackupRefused(Exception):  # noqa: N818 - a refusal in the words of the operator
    """A file that is no backup, or a damaged one. Says what is wrong."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a backup is of, and what its data must be."""

    cluster_id: str
    cluster_name: str
    member_id: str
    epoch: int
    revision: int
    applied_index: int
    applied_term: int
    replicated_time_ns: int
    taken_at_s: float  # by the wall clock of the member
    store_format: int
    state_hash: str
    counts: Mapping[str, int]  # table -> values
    key_names: tuple[str, ...] = ()  # of the keys that its values are encrypted with
    version: str = ""  # of the diegod that took it
    size: int
    digest: str


def header(manifest: Manifest) -> bytes:
    """The lines before the data."""
    line = json.dumps(asdict(manifest), sort_keys=True).encode() + b"\n"
    return _MAGIC + line + _digest(_MAGIC + line).encode() + b"\n"


def pieces(manifest: Manifest, data: BinaryIO) -> Iterator[bytes]:
    """The whole file, bit by bit."""
    yield header(manifest)
    while piece := data.read(PIECE_BYTES):
        yield piece


def write(path: Path, whole: Iterable[bytes]) -> None:
    """Write a file that is not there yet; on a failure nothing stays."""
    aside = aside_of(path)
    try:
        with open(aside, "wb", opener=_private) as file:
            for piece in whole:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        put_in_place(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def aside_of(path: Path) -> Path:
    """Where a file is written before it gets its name."""
    return path.with_name(path.name + _ASIDE)


def put_in_place(aside: Path, path: Path) -> None:
    """Give a whole file its name. Raises FileExistsError: no backup is ever overwritten."""
    os.link(aside, path)
    aside.unlink()
    flush_names((path.parent,))


def read_manifest(path: Path) -> Manifest:
    """What a file says that it is. The data is only measured."""
    with path.open("rb") as file:
        manifest = _read_header(file, path)
        there = os.fstat(file.fileno()).st_size - file.tell()
    if there != manifest.size:
        raise BackupRefused(
            f"{path} is damaged: {manifest.size} bytes of data should be in it, {there} are"
        )
    return manifest


def extract(path: Path, folder: Path) -> Manifest:
    """Put the data of a backup into a folder as a store's file, durably; checks every byte."""
    manifest = read_manifest(path)
    with open(folder / DATA_FILE, "xb", opener=_private) as target:
        for piece in _data(path, manifest):
            target.write(piece)
        target.flush()
        os.fsync(target.fileno())
    return manifest


def require_whole(path: Path) -> Manifest:
    """What a file is, with every byte of it checked."""
    manifest = read_manifest(path)
    for _ in _data(path, manifest):
        pass
    return manifest


def _data(path: Path, manifest: Manifest) -> Iterator[bytes]:
    """The data behind the header. What was yielded counts only if the end is reached."""
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    with path.open("rb") as source:
        _read_header(source, path)
        while piece := source.read(PIECE_BYTES):
            digest.update(piece)
            yield piece
    if digest.hexdigest() != manifest.digest:
        raise BackupRefused(f"{path} is damaged: its data has not the digest of its manifest")


def data_digest(path: Path) -> tuple[int, str]:
    """Size and digest of a store's file, as a manifest has them."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=_DIGEST_BYTES))
        return file.tell(), digest.hexdigest()


def _read_header(file: BinaryIO, path: Path) -> Manifest:
    magic = file.readline(len(_MAGIC))
    if magic != _MAGIC:
        if magic.startswith(_MAGIC_ANY):
            raise BackupRefused(f"{path} has a format of a later version of diegod")
        raise BackupRefused(f"{path} is no backup of a BBS (or its first line is damaged)")
    line, digest = file.readline(_MANIFEST_BYTES_MAX), file.readline(2 * _DIGEST_BYTES + 1)
    if digest != _digest(magic + line).encode() + b"\n":
        raise BackupRefused(f"{path} is damaged: its manifest has another digest than it says")
    return _manifest(json.loads(line))


def _manifest(record: dict[str, Any]) -> Manifest:
    """A field that a later version of this format may have added is no business of ours."""
    known = {field.name: record[field.name] for field in fields(Manifest) if field.name in record}
    return Manifest(**{**known, "key_names": tuple(record["key_names"])})


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES).hexdigest()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, _MODE)
