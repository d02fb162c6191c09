"""Amounts as people write and read them: 256, 1g, 3 min ago. Pure."""

import re

_MEMORY = re.compile(r"([0-9]+)(m|mb|mib|g|gb|gib)?", re.IGNORECASE)
_AGES = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "m"))


def memory_mb(text: str) -> int:
    """`256`, `256m` or `1g` in MB. Raises ValueError."""
    match = _MEMORY.fullmatch(text.strip())
    if match is None:
        raise ValueError(f'"{text}" is not an amount of memory, like 256 (MB) or 1g')
    factor = 1024 if (match[2] or "m").lower().startswith("g") else 1
    return int(match[1]) * factor


def age(seconds: float) -> str:
    """`12s`, `3m`, `4h`, `2d`: the largest unit that is filled."""
    for unit_s, unit in _AGES:
        if seconds >= unit_s:
            return f"{int(seconds // unit_s)}{unit}"
    return f"{max(0, int(seconds))}s"


def amount_mb(mb: int) -> str:
    """`512 MB`, `52.4 GB`."""
    return f"{mb} MB" if mb < 10_000 else f"{mb / 1024:.1f} GB"
