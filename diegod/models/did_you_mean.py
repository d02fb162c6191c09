"""What somebody who mistyped a name probably wanted. Used by specs, settings and commands alike."""

from collections.abc import Iterable
from difflib import get_close_matches


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known name that is most like `word`; None when nothing is near."""
    matches = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


def unknown(word: str, known: Iterable[str]) -> str:
    """The message for a name that is not known: `unknown; did you mean memory_mb?`"""
    near = closest(word, known)
    return f"unknown; did you mean {near}?" if near else "unknown"
