"""Work that can be interrupted: a generator that yields where its caller may take a break.

Between two of its steps the snapshot must stay as it is, so that what it comes to is what it would
have come to in one go. Whether a break is taken there, and by which clock, is the caller's affair.
"""

from collections.abc import Generator, Iterable, Iterator
from itertools import islice
from typing import TypeAlias, TypeVar

T = TypeVar("T")
#: The steps of some work, and what it comes to in the end.
Steps: TypeAlias = Generator[None, None, T]

#: Rows between two chances for a break: a millisecond at most, whatever is done about each.
ROWS = 100


def in_portions(items: Iterable[T], size: int = ROWS) -> Iterator[list[T]]:
    left = iter(items)
    while portion := list(islice(left, size)):
        yield portion


def in_one_go(steps: Steps[T]) -> T:
    """Without a break."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
