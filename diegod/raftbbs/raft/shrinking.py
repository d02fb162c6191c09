"""A store without its free pages: a compact copy of it, put in its place within a step.

LMDB's file never becomes smaller by itself: what is deleted leaves pages that later writes use. The
copy is made while no step is under way, so it is the whole truth. One rename makes it the store,
and the member begins again with it. While it is made the member does nothing else.
"""

import os
import shutil

from diegod.raftbbs.store.durable import flush_file, flush_names
from diegod.raftbbs.store.environment import DATA_FILE, Environment, StoreFailed

SHRINKING_FOLDER = "compact"


def shrink(environment: Environment) -> str:
    """Why the store stays as it is; "" when it was replaced, and the open one is the past."""
    folder = environment.path / SHRINKING_FOLDER
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        environment.copy(folder)
        copy = folder / DATA_FILE
        copy.chmod(0o600)
        if environment.durable:
            flush_file(copy)
    except (StoreFailed, OSError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        return str(error)
    os.replace(copy, environment.path / DATA_FILE)
    if environment.durable:
        flush_names((environment.path,))
    shutil.rmtree(folder, ignore_errors=True)
    return ""
