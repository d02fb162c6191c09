"""What the demo says: aligned lines for people, `demo.json` for programs."""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

_NAME_WIDTH = 11
_TEXT_WIDTH = 66  # after the name; what is longer pushes the tick to the right
_BOLD, _GREEN, _RED, _PLAIN = "\x1b[1m", "\x1b[32m", "\x1b[31m", "\x1b[0m"


class NotSeen(Exception):  # noqa: N818 - it is what the demo says of it
    """Something that a step promises was not to be seen; the message says what was."""


@dataclass
class Claim:
    """One line that was seen to be true, and by what."""

    text: str
    seconds: float | None
    evidence: Mapping[str, Any]


@dataclass
class StepReport:
    name: str
    began: float
    seconds: float = 0.0
    claims: list[Claim] = field(default_factory=list)
    failure: str = ""


class Report:
    """Lines appear as they come; a step's name stands before its first line."""

    def __init__(self, out: TextIO, environ: Mapping[str, str] = os.environ) -> None:
        self._out = out
        self._colored = out.isatty() and not environ.get("NO_COLOR") and environ.get(
            "TERM"
        ) not in (None, "", "dumb")  # fmt: skip
        self._began = time.monotonic()
        self.steps: list[StepReport] = []

    def say(self, line: str) -> None:
        print(line, file=self._out, flush=True)

    def begin(self, name: str) -> StepReport:
        step = StepReport(name, time.monotonic())
        self.steps.append(step)
        return step

    def end(self) -> None:
        step = self.steps[-1]
        step.seconds = time.monotonic() - step.began

    def seen(self, text: str, seconds: float | None = None, /, **evidence: Any) -> None:
        """One more thing was seen; `evidence` is what proves it."""
        step = self.steps[-1]
        name = "" if step.claims else step.name
        step.claims.append(Claim(text, seconds, evidence))
        self._line(name, text, seconds, ("✓", _GREEN))

    def note(self, text: str) -> None:
        """A line that claims nothing."""
        self.say(f"{'':<{_NAME_WIDTH}}  {text}")

    def not_seen(self, why: str) -> None:
        step = self.steps[-1]
        step.failure = why
        self._line(step.name, why, None, ("✗", _RED))

    def _line(self, name: str, text: str, seconds: float | None, mark: tuple[str, str]) -> None:
        name = f"{name:<{_NAME_WIDTH}}"
        if not name.strip():
            text = f"  {text}"
        if seconds is None:
            middle = f"{text:<{_TEXT_WIDTH + 7}}"
        else:
            middle = f"{text + ' ':.<{_TEXT_WIDTH - 1}} {seconds:5.{_digits(seconds)}f} s"
        sign = f"{mark[1]}{mark[0]}{_PLAIN}" if self._colored else mark[0]
        shown = f"{_BOLD}{name}{_PLAIN}" if self._colored else name
        self.say(f"{shown}{middle}  {sign}")

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    @property
    def count(self) -> int:
        return sum(len(step.claims) for step in self.steps)

    def write(self, file: Path, passed: bool, about: Mapping[str, Any]) -> None:
        """Replaced in one step, so that a reader never finds half of it."""
        whole = {
            "passed": passed,
            "seconds": round(self.seconds, 3),
            **about,
            "steps": [_as_json(step) for step in self.steps],
        }
        aside = file.with_name(file.name + ".new")
        aside.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
        aside.replace(file)


def _digits(seconds: float) -> int:
    return 2 if seconds < 1 else 1


def _as_json(step: StepReport) -> dict[str, Any]:
    claims = [
        {
            "text": claim.text,
            "seconds": None if claim.seconds is None else round(claim.seconds, 3),
            "evidence": dict(claim.evidence),
        }
        for claim in step.claims
    ]
    return {
        "step": step.name,
        "seconds": round(step.seconds, 3),
        "failure": step.failure or None,
        "seen": claims,
    }
