"""Broken histories: correct ones, each with one thing changed that no correct store does.

Every kind is broken by construction, not by luck. It says what the replay calls it and whether the
search can see it: not when it shows only in the feed, or only between keys.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.checkers import lines, simulated, wrong_times, wrong_writes
from tests.checkers.drafts import Draft, NothingToBreakError
from tests.checkers.history import History
from tests.checkers.replay import Fault

_SEEDS_MAX = 500


@dataclass(frozen=True)
class Kind:
    """`breaks` raises NothingToBreakError where a history has nothing to break in this way."""

    breaks: Callable[[Draft], History]
    fault: Fault
    is_seen_by_search: bool = True

    @property
    def name(self) -> str:
        return self.breaks.__name__


def examples(kind: Kind, count: int) -> Iterator[History]:
    """Different broken histories of one kind, always the same ones."""
    seen: set[tuple[str, ...]] = set()
    for seed in range(_SEEDS_MAX):
        draft = Draft(simulated.history(simulated.Plan(seed)), random.Random(seed))
        try:
            history = kind.breaks(draft)
        except NothingToBreakError:
            continue
        if (text := tuple(lines.written(history))) in seen:
            continue
        seen.add(text)
        yield history
        if len(seen) == count:
            return
    raise ValueError(f"{_SEEDS_MAX} seeds gave only {len(seen)} histories of kind {kind.name}")


KINDS = (
    Kind(wrong_writes.lost_write, Fault.LOST),
    Kind(wrong_writes.lost_write_that_was_overwritten, Fault.LOST, is_seen_by_search=False),
    Kind(wrong_writes.final_row_from_before, Fault.FINAL_STATE),
    Kind(wrong_writes.write_applied_twice, Fault.TWICE),
    Kind(wrong_writes.unknown_applied_twice, Fault.TWICE),
    Kind(wrong_writes.unknown_applied_twice_unseen, Fault.TWICE, is_seen_by_search=False),
    Kind(wrong_writes.phantom_write, Fault.PHANTOM),
    Kind(wrong_writes.phantom_read, Fault.WRONG_ANSWER),
    Kind(wrong_writes.refused_write_in_the_end, Fault.REFUSED_TOOK_EFFECT),
    Kind(
        wrong_writes.refused_write_in_the_feed, Fault.REFUSED_TOOK_EFFECT, is_seen_by_search=False
    ),
    Kind(wrong_writes.refused_write_is_read, Fault.WRONG_ANSWER),
    Kind(wrong_writes.conflict_without_a_change, Fault.REAL_TIME),
    Kind(wrong_writes.not_found_after_it_was_seen, Fault.REAL_TIME),
    Kind(wrong_writes.two_successes_from_one_revision, Fault.AGAINST_THE_RULES),
    Kind(wrong_writes.task_created_twice, Fault.AGAINST_THE_RULES),
    Kind(wrong_writes.called_equal_and_is_not, Fault.WRONG_ANSWER),
    Kind(wrong_times.stale_read, Fault.REAL_TIME),
    Kind(wrong_times.read_from_the_future, Fault.REAL_TIME),
    Kind(wrong_times.revision_goes_back, Fault.REAL_TIME),
    Kind(wrong_times.acknowledged_under_an_old_revision, Fault.WRONG_ANSWER),
    Kind(wrong_times.value_torn, Fault.WRONG_ANSWER),
    Kind(wrong_times.reordered, Fault.REAL_TIME),
    Kind(wrong_times.reordered_between_keys, Fault.REAL_TIME, is_seen_by_search=False),
    Kind(wrong_times.gap_in_the_feed, Fault.FEED_GAP, is_seen_by_search=False),
    Kind(wrong_times.feed_out_of_order, Fault.FEED_ORDER, is_seen_by_search=False),
)
