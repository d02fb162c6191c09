"""`python -m diegod.node.check_store FOLDER [NAME FILE]…`: read all of a store, in its own process.

A store whose pages are damaged can end whoever reads it, by a signal. So nobody reads one that is
not known to be whole: they ask here, and name the files of the encryption keys. What was found is
one line of JSON.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from types import MappingProxyType

from diegod.node.finished import finished, never
from diegod.node.keys import KeyFiles, keyring_from
from diegod.node.statuses import DONE, FAILED, WRONG_USAGE
from diegod.raftbbs.backup.checking import Checked, check_folder
from diegod.raftbbs.backup.file import Manifest
from diegod.security.at_rest import KeysUnusable

_TIMEOUT_S = 3600.0
NO_FILES: KeyFiles = MappingProxyType({})


def checked_apart(
    folder: Path,
    manifest: Manifest | None = None,
    key_files: KeyFiles = NO_FILES,
    gives_up: Callable[[], bool] = never,
) -> Checked:
    """What a child process finds in the store of a folder, and how it differs from a manifest."""
    command = [sys.executable, "-m", "diegod.node.check_store", str(folder)]
    command += chain.from_iterable(key_files.items())
    try:
        done = finished(command, _TIMEOUT_S, gives_up)
    except subprocess.TimeoutExpired:
        return Checked(problems=["it was not read to its end in time"])
    checked = _told(done)
    if manifest is not None and not checked.problems:
        checked.problems += _differences(checked, manifest)
    return checked


def _told(done: "subprocess.CompletedProcess[bytes]") -> Checked:
    try:
        told = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        how = f"by signal {-done.returncode}" if done.returncode < 0 else f"({done.returncode})"
        return Checked(problems=[f"its pages are damaged: reading it ended the reader {how}"])
    return Checked(told["counts"], told["problems"])


def _differences(checked: Checked, manifest: Manifest) -> list[str]:
    return [
        f"table {name}: {checked.counts.get(name, 0)} values, {count} by the manifest"
        for name, count in sorted(manifest.counts.items())
        if checked.counts.get(name, 0) != count
    ]


def _check(folder: Path, key_files: KeyFiles) -> Checked:
    try:
        return check_folder(folder, keyring_from(key_files))
    except KeysUnusable as error:
        return Checked(problems=list(error.problems))


def main() -> int:
    folder, *keys = sys.argv[1:] or [""]
    if not folder or len(keys) % 2:
        usage = "python -m diegod.node.check_store FOLDER [NAME FILE]…"
        print(f"diegod: usage: {usage}", file=sys.stderr)
        return WRONG_USAGE
    checked = _check(Path(folder), dict(zip(keys[::2], keys[1::2], strict=True)))
    print(json.dumps(asdict(checked)))
    return FAILED if checked.problems else DONE


if __name__ == "__main__":
    sys.exit(main())
