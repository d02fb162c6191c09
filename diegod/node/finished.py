"""A child process run to its end by a thread, unless its time is over or whoever waits gives up."""

import subprocess
from collections.abc import Callable, Sequence

#: How soon somebody who gives up is heard.
_LOOK_EVERY_S = 0.2


def never() -> bool:
    """For whoever does not give up."""
    return False


def finished(
    command: Sequence[str], timeout_s: float, gives_up: Callable[[], bool] = never
) -> "subprocess.CompletedProcess[bytes]":
    """How it ended and what it said. Raises TimeoutExpired, with the child killed, or OSError."""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        waited_s = 0.0
        while True:
            try:
                out, err = process.communicate(timeout=_LOOK_EVERY_S)
                return subprocess.CompletedProcess(list(command), process.returncode, out, err)
            except subprocess.TimeoutExpired:
                waited_s += _LOOK_EVERY_S
                if waited_s >= timeout_s or gives_up():
                    process.kill()
                    process.communicate()
                    raise
