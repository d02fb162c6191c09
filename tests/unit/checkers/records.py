"""Short words for small histories that a test writes down by hand."""

from collections.abc import Mapping

from diegod.models.errors import Reason
from tests.checkers.history import (
    Change,
    Done,
    History,
    Operation,
    Outcome,
    Refused,
    Row,
    Unknown,
    Verb,
)

KEY = "lrp/web"
CONFLICT = Refused(Reason.RESOURCE_CONFLICT)
NOT_FOUND = Refused(Reason.RESOURCE_NOT_FOUND)
UNKNOWN = Unknown()


def row(revision: int, value: str, request_id: str) -> Row:
    return Row(revision, request_id, value)


def write(
    request_id: str,
    times: tuple[int, int],
    value: str,
    outcome: Outcome | int,
    expected: int = 0,
    verb: Verb = Verb.DESIRE_LRP,
    key: str = KEY,
) -> Operation:
    """A number as the outcome: done, it made this revision. Each has a client of its own."""
    if isinstance(outcome, int):
        outcome = Done(row(outcome, value, request_id))
    client = sum(request_id.encode())
    return Operation(request_id, client, key, verb, *times, outcome, value, expected)


def read(
    request_id: str, times: tuple[int, int], seen: Row | None, at: int = 0, client: int = 0
) -> Operation:
    outcome = NOT_FOUND if seen is None else Done(seen, at or seen.revision)
    client = client or sum(request_id.encode())
    return Operation(request_id, client, KEY, Verb.READ, *times, outcome)


def history(
    *operations: Operation,
    feed: Mapping[int, tuple[str, Row | None]] | None = None,
    initial: Row | None = None,
) -> History:
    """The feed by default: of every write that was told of the row it made. Base: 0."""
    made = [(each.key, each.made) for each in operations if each.made is not None]
    if feed is None:
        feed = {each.revision: (key, each) for key, each in made}
    rows = {} if initial is None else {KEY: initial}
    base = 0 if initial is None else initial.revision
    changes = [Change(revision, *what) for revision, what in sorted(feed.items())]
    final = rows | {each.key: each.row for each in changes if each.row is not None}
    return History(base, operations, changes, max([base, *feed]), rows, final)
