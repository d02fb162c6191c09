"""The end of waiting for something: what is told, and the exit status."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """The command's exit status and what to tell."""

    status: int
    message: str
    runs: bool = False  # all of it: there is output to look at
