"""Draws the lives of tasks and instances into docs/explanation/lifecycle.md, from the tables of
transitions that the rules go by. Run it after one of them has changed:

    python -m tools.lifecycle
"""

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from diegod.models import actual_lrp_lifecycle, task_lifecycle
from diegod.raftbbs.core import RULES
from diegod.v1.record_pb2 import ActualLrp, Task

PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "lifecycle.md"
#: What stands between the marks of each picture.
_MARKED = "(<!-- {name}: made by tools/lifecycle.py -->\n).*?(<!-- end of {name} -->)"

_PARTS = 3  # the mark, the other mark, and what is behind it
#: From, command, to, by names; "" is a row that is not there.
Step = tuple[str, str, str]


def main() -> int:
    PAGE.write_text(with_pictures(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


def with_pictures(page: str) -> str:
    """The page with its pictures drawn anew; ValueError where it has no place for one."""
    tables: dict[str, tuple[Mapping[Any, Any], Any]] = {
        "task": (task_lifecycle.TRANSITIONS, Task.State),
        "instance": (actual_lrp_lifecycle.TRANSITIONS, ActualLrp.State),
    }
    for name, (table, states) in tables.items():
        page = _replaced(page, name, picture(list(steps(table, states))))
    return page


def _replaced(page: str, name: str, drawn: str) -> str:
    before, *rest = re.split(_MARKED.format(name=name), page, flags=re.DOTALL)
    if len(rest) != _PARTS:
        raise ValueError(f"{PAGE.name} has no one place for the life of a {name}")
    begin, end, behind = rest
    return before + begin + drawn + end + behind


def steps(table: Mapping[Any, Any], states: Any) -> Iterator[Step]:
    """Every row of a table, in its order; a command with two ends is two steps."""

    def name(state: int | None) -> str:
        return "" if state is None else states.Name(state)

    for (before, command), after in table.items():
        for end in after if isinstance(after, tuple) else (after,):
            yield name(before), command, name(end)


def picture(of: list[Step]) -> str:
    """A diagram with one arrow a pair of states, and every step below it."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for before, command, after in of:
        arrows.setdefault((before, after), []).append(command)
    drawn = [
        f"    {before or '[*]'} --> {after or '[*]'} : {', '.join(commands)}"
        for (before, after), commands in arrows.items()
    ]
    rows = [
        f"| {before or '–'} | `{command}` | {RULES[command][0]} | {after or '–'} |"
        for before, command, after in of
    ]
    return "\n".join(
        [
            *("```mermaid", "stateDiagram-v2", *drawn, "```", ""),
            *("| from | command | by | to |", "|---|---|---|---|", *rows, ""),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
