"""What importing the library does to the process it is imported into."""

import socket
import subprocess
import sys

_SHOW = "import socket; print(socket.inet_ntop(socket.AF_INET, bytes((10, 0, 0, 1))))"


def _python(program: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )


def test_raw_it_breaks_the_addresses_of_everybody() -> None:
    assert "TypeError" in _python(f"import pysyncobj; {_SHOW}").stderr


def test_ours_leaves_the_process_as_it_was() -> None:
    for first in ("", "import pysyncobj; "):
        shown = _python(f"{first}import diegod.raftbbs.raft.engine; {_SHOW}")
        assert shown.stdout == "10.0.0.1\n", shown.stderr


def test_in_this_process_too() -> None:
    import diegod.raftbbs.raft.engine  # noqa: F401 - whatever was imported before

    assert socket.inet_ntop(socket.AF_INET, bytes((10, 0, 0, 1))) == "10.0.0.1"
