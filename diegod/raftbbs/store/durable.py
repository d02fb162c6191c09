"""What makes files and their names durable: they are on disk only when somebody has asked for it.

Does not belong here: the store's own commits, which LMDB flushes by itself.
"""

import os
from collections.abc import Sequence
from pathlib import Path


def flush_file(path: Path) -> None:
    """Make the content of a file durable that was written by somebody else."""
    _flush(path, os.O_RDONLY)


def flush_names(folders: Sequence[Path]) -> None:
    """Make the new names durable: a file is on disk only when its folder says so."""
    for folder in folders:
        _flush(folder, os.O_RDONLY | os.O_DIRECTORY)


def _flush(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
