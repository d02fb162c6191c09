"""The keys that JSON has, by the golden files of the command line: a real answer has the same."""

import json
from pathlib import Path
from typing import Any

_FILES = Path(__file__).parents[1] / "unit" / "cli" / "golden"
#: What people name the entries of.
_MAPS = ("environment_variables", "metric_tags", "env")


def keys_of(command: str) -> set[str]:
    """The paths of all keys that `tests/unit/cli/golden/COMMAND.json` shows."""
    lines = (_FILES / f"{command}.json").read_text().splitlines()
    return set().union(*(keys(json.loads(line)) for line in lines))


def keys(value: Any, path: str = "") -> set[str]:
    """`definition.action.run.path` and the like; of lists, the keys of their items."""
    if isinstance(value, list):
        return set().union(*(keys(item, path) for item in value))
    if not isinstance(value, dict) or path.rpartition(".")[2] in _MAPS:
        return set()
    found = {f"{path}.{name}" if path else name for name in value}
    return found.union(*(keys(value[name], f"{path}.{name}" if path else name) for name in value))


def missing(shown: Any, command: str) -> set[str]:
    """The golden keys that an answer lacks, but for those below something that it has not got."""
    there = keys(shown)
    parents = {key for key in there if _is_filled(shown, key.split("."))}
    return {
        key
        for key in keys_of(command) - there
        if not key.rpartition(".")[0] or key.rpartition(".")[0] in parents
    }


def _is_filled(value: Any, path: list[str]) -> bool:
    if isinstance(value, list):
        return any(_is_filled(item, path) for item in value)
    if not path:
        return isinstance(value, dict)
    return isinstance(value, dict) and _is_filled(value.get(path[0]), path[1:])
