"""The end of a dev cluster: containers, data and context are gone."""

import asyncio
import os
import shutil
from pathlib import Path

from diegod.config.contexts import ContextError, contexts_file, read_contexts, write_contexts
from diegod.node import folder
from diegod.node.dev import layout as layouts
from diegod.node.dev.cluster import sweep_cell
from diegod.node.statuses import StartError

_STOP_TIMEOUT_S = 60.0
_LOOK_AGAIN_S = 0.1


async def wait_stopped(directory: Path) -> None:
    """Returns once no process holds the folder: its roles have ended, its containers are gone."""
    async with asyncio.timeout(_STOP_TIMEOUT_S):
        while True:
            try:
                folder.hold(directory).release()
                return
            except StartError:
                await asyncio.sleep(_LOOK_AGAIN_S)


async def remove(name: str, directory: Path) -> None:
    """Raises StartError while the cluster runs, or where there is none."""
    if not directory.exists():
        raise StartError(f'there is no dev cluster "{name}" ({directory} does not exist).')
    held = folder.hold(directory)
    try:
        layout = layouts.load(directory)
        if layout is not None:
            layout.run_dir.mkdir(mode=0o700, exist_ok=True)
            await asyncio.gather(*(sweep_cell(layout, part) for part in layout.of_role("cell")))
        shutil.rmtree(directory)
        _forget_context(name)
    finally:
        held.release()


def _forget_context(name: str) -> None:
    try:
        write_contexts(read_contexts(contexts_file(os.environ)).without(name), os.environ)
    except ContextError:
        return  # it was removed already, or never written
