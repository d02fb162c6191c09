"""Where in a TOML file each key stands: tomllib does not tell.

Good for messages, not for parsing: a line in a multi-line text that looks like a key may take
another's place, which costs a wrong line number and nothing else.
"""

import re

Path = tuple[str, ...]

_PART = r"""(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)"""
_DOTTED = rf"{_PART}(?:\s*\.\s*{_PART})*"
_SECTION = re.compile(rf"\s*\[\[?\s*({_DOTTED})\s*\]\]?")
_KEY = re.compile(rf"\s*({_DOTTED})\s*=")
_AT_LINE = re.compile(r"\s*\(at line (\d+), column \d+\)$")


def key_lines(text: str) -> dict[Path, int]:
    """The line of each section and of each key that begins a line."""
    lines: dict[Path, int] = {}
    around: Path = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if match := _SECTION.match(line):
            around = _parts(match[1])
            lines.setdefault(around, number)
        elif match := _KEY.match(line):
            lines.setdefault((*around, *_parts(match[1])), number)
    return lines


def line_of(lines: dict[Path, int], path: Path) -> int:
    """The line of a key, or of the nearest table around it; 1 where the file has none of it."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def syntax_error(message: str) -> tuple[int, str]:
    """tomllib's message as line and text."""
    match = _AT_LINE.search(message)
    return (int(match[1]), message[: match.start()]) if match else (1, message)


def _parts(dotted: str) -> Path:
    return tuple(part.strip("\"'") for part in re.findall(_PART, dotted))
