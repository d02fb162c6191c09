"""The rows as a blind rule sees them."""

from collections.abc import Callable
from typing import Any


class Seen:
    """The rows, some of what is read of them changed on the way."""

    def __init__(self, view: Any, **instead: Callable[[Any], Any]) -> None:
        self._view = view
        self._instead = instead

    def __getattr__(self, name: str) -> Any:
        read = getattr(self._view, name)
        if name not in self._instead:
            return read
        return lambda *key: self._instead[name](read(*key))


def having(**fields: object) -> Callable[[Any], Any]:
    def change(row: Any) -> Any:
        for name, value in fields.items():
            if row is not None:
                setattr(row, name, value)
        return row

    return change


def cleared(*fields: str) -> Callable[[Any], Any]:
    def change(row: Any) -> Any:
        for name in fields:
            if row is not None:
                row.ClearField(name)
        return row

    return change
