"""`python -m diegod.node.check_store FOLDER`: read all of a store, in a process of its own.

A store whose pages are damaged can end whoever reads it, by a signal. So nobody reads one that is
not known to be whole: they ask here. What was found is one line of JSON.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from diegod.node.finished import finished, never
from diegod.node.statuses import DONE, FAILED, WRONG_USAGE
from diegod.raftbbs.backup.checking import Checked, check
from diegod.raftbbs.backup.copying import opened_copy
from diegod.raftbbs.backup.file import Manifest
from diegod.raftbbs.store.environment import StoreFailed, StoreMissing

_TIMEOUT_S = 3600.0


def checked_apart(
    folder: Path, manifest: Manifest | None = None, gives_up: Callable[[], bool] = never
) -> Checked:
    """What a child process finds in the store of a folder, and how it differs from a manifest."""
    command = [sys.executable, "-m", "diegod.node.check_store", str(folder)]
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


def main() -> int:
    if len(sys.argv) != 2:
        print("diegod: usage: python -m diegod.node.check_store FOLDER", file=sys.stderr)
        return WRONG_USAGE
    try:
        with opened_copy(Path(sys.argv[1])) as store:
            checked = check(store)
    except (StoreFailed, StoreMissing) as error:
        checked = Checked(problems=[str(error)])
    print(json.dumps(asdict(checked)))
    return FAILED if checked.problems else DONE


if __name__ == "__main__":
    sys.exit(main())
