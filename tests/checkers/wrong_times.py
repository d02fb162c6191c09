"""Breaks of order: answers from the wrong time, revisions against real time, a feed with gaps."""

from dataclasses import replace

from tests.checkers.drafts import Draft
from tests.checkers.history import Done, History

# Answers from the wrong time.


def stale_read(draft: Draft) -> History:
    """A read shows the row from before a write that was acknowledged before the read began."""
    known = {row: write.returned_ns for write, row in draft.acknowledged()}
    before = {(key, new): old for key, old, new in draft.successions() if new in known}
    found = [
        (read, old, new.revision - 1)
        for read, _ in draft.reads()
        for (key, new), old in before.items()
        if key == read.key
        and known[new] < read.invoked_ns
        and new.revision > draft.history.base_revision
    ]
    read, old, revision = draft.pick(found)
    return draft.answering(read, Done(old, revision))


def read_from_the_future(draft: Draft) -> History:
    """A read shows a row that was asked for only after the read had returned."""
    found = [
        (read, row)
        for read, _ in draft.reads()
        for write, row in draft.acknowledged()
        if write.key == read.key and write.invoked_ns > read.returned_ns
    ]
    read, row = draft.pick(found)
    return draft.answering(read, Done(row, row.revision))


def revision_goes_back(draft: Draft) -> History:
    """The same row is read twice, the second time from an older state."""
    found = [
        (later, done, earlier_done.read_revision - 1)
        for earlier, earlier_done in draft.reads()
        for later, done in draft.reads()
        if earlier.key == later.key
        and earlier.returned_ns < later.invoked_ns
        and done.row.revision < earlier_done.read_revision
        and earlier_done.read_revision > draft.history.base_revision
    ]
    read, done, revision = draft.pick(found)
    return draft.answering(read, replace(done, read_revision=revision))


def acknowledged_under_an_old_revision(draft: Draft) -> History:
    found = [
        (write, replace(row, revision=old.revision))
        for write, row in draft.acknowledged()
        for key, old, new in draft.successions()
        if (key, new) == (write.key, row) and draft.is_final(row)
    ]
    write, row = draft.pick(found)
    return draft.answering(write, Done(row))


def value_torn(draft: Draft) -> History:
    """The right row with a value that it never had."""
    read, done = draft.pick(draft.reads())
    return draft.answering(read, replace(done, row=replace(done.row, value="torn")))


def reordered(draft: Draft) -> History:
    """Two writes of one row have revisions against the order in which they took place."""
    makers = {row: write for write, row in draft.acknowledged()}
    found = [
        (old.revision, new.revision)
        for _, old, new in draft.successions()
        if old in makers and new in makers and makers[old].returned_ns < makers[new].invoked_ns
    ]
    return draft.swapping(*draft.pick(found))


def reordered_between_keys(draft: Draft) -> History:
    """The same with neighbouring revisions of two rows: each row for itself is right."""
    makers = {row.revision: write for write, row in draft.acknowledged()}
    read_at = {done.read_revision: None for _, done in draft.reads()}
    found = [
        (revision, revision + 1)
        for revision, write in makers.items()
        if (after := makers.get(revision + 1)) is not None
        and after.key != write.key
        and write.returned_ns < after.invoked_ns
        and revision not in read_at
    ]
    return draft.swapping(*draft.pick(found))


# The feed.


def gap_in_the_feed(draft: Draft) -> History:
    slot = draft.pick(draft.changes_of_others())
    changes = [each for each in draft.history.changes if each != slot]
    return replace(draft.history, changes=changes)


def feed_out_of_order(draft: Draft) -> History:
    changes = list(draft.history.changes)
    at = draft.chance.randrange(len(changes) - 1)
    changes[at], changes[at + 1] = changes[at + 1], changes[at]
    return replace(draft.history, changes=changes)
