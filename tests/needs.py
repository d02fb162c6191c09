"""What this machine lacks for the tests that are marked `root`: answered once a run, in few words.

An answer is the reason of a skipped test and ends up in the run's last lines ("51 need root"), so
it begins with "needs". Does not belong here: what one single test needs (it asks for that itself).
"""

import functools
import os
import shutil
import subprocess

TOOLS = ("runc", "conmon", "busybox", "nft", "ip")


@functools.cache
def lacking() -> str | None:
    """The first thing that root tests would miss; None where they can run."""
    if os.geteuid() != 0:
        return "needs root"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return f"needs {', '.join(missing)}"
    if not may_isolate():
        return "needs a root that may make namespaces (inside a container?)"
    return None


def may_isolate() -> bool:
    """Root in a locked-down container has the name only."""
    command = ["unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
