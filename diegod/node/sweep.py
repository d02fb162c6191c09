"""`python -m diegod.node.sweep FILE`: remove everything that a cell left on this host.

For a cell whose agent has stopped: its containers, and what its backend made for them. Only what
carries the labels of this cell is touched.
"""

import asyncio
import os
import shutil
import sys
from pathlib import Path

from diegod.config.load import ConfigError, load_settings
from diegod.contracts.backend import BackendError
from diegod.node import folder
from diegod.node.cell import make_backend, owner_of
from diegod.node.statuses import DONE, FAILED, WRONG_USAGE, StartError
from diegod.world import RandomIds


async def sweep(config: Path) -> None:
    settings = load_settings(config, os.environ).settings
    data = Path(settings.node.data_dir)
    if not data.exists():
        return  # it never ran
    held = folder.hold(data)
    try:
        backend = make_backend(settings, owner_of(settings, RandomIds()))
        await backend.open()
        try:
            await backend.sweep()
        finally:
            await backend.close()
        shutil.rmtree(data / "containers", ignore_errors=True)
    finally:
        held.release()


def main() -> int:
    if len(sys.argv) != 2:
        print("diegod: usage: python -m diegod.node.sweep FILE", file=sys.stderr)
        return WRONG_USAGE
    try:
        asyncio.run(sweep(Path(sys.argv[1])))
    except (BackendError, ConfigError, StartError) as error:
        print(f"diegod: {error}", file=sys.stderr)
        return FAILED
    return DONE


if __name__ == "__main__":
    sys.exit(main())
