"""Breaks of writes: lost, doubled, nobody's; refused and not refused; done against the rules."""

from dataclasses import replace

from diegod.models.errors import Reason
from tests.checkers.drafts import OTHER_KEY, Draft
from tests.checkers.history import Change, Done, History, Refused, Row, Verb

# Writes that are lost, doubled, or nobody's.


def lost_write(draft: Draft) -> History:
    """An acknowledged write is gone, as if it had never been."""
    lasting = [(each, row) for each, row in draft.acknowledged() if draft.is_final(row)]
    write, row = draft.pick(lasting)
    older = [each for each in draft.versions(write.key) if each.revision < row.revision]
    feed = draft.with_change(Change(row.revision, OTHER_KEY, None))
    before = older[-1] if older else None
    return replace(draft.with_end(write.key, before), changes=feed.changes)


def lost_write_that_was_overwritten(draft: Draft) -> History:
    """An acknowledged write was never in the feed, and nobody can see that any more."""
    gone = [row for _, row in draft.acknowledged() if not draft.is_final(row)]
    return draft.with_change(Change(draft.pick(gone).revision, OTHER_KEY, None))


def final_row_from_before(draft: Draft) -> History:
    """The feed has the last write; the row in the end is the one before it."""
    acknowledged = {row: None for _, row in draft.acknowledged()}
    found = [
        (key, old)
        for key, old, new in draft.successions()
        if new in acknowledged and draft.is_final(new)
    ]
    return draft.with_end(*draft.pick(found))


def write_applied_twice(draft: Draft) -> History:
    found = [
        write
        for write, row in draft.acknowledged()
        if draft.history.final[write.key].value != row.value
    ]
    write = draft.pick(found)
    return draft.appending(write.key, write.request_id, write.value)


def unknown_applied_twice(draft: Draft) -> History:
    told, final = draft.told_ids(), draft.history.final
    found = [
        each
        for each in draft.unknown_writes()
        if each.request_id in told and final[each.key].value != each.value
    ]
    write = draft.pick(found)
    return draft.appending(write.key, write.request_id, write.value)


def unknown_applied_twice_unseen(draft: Draft) -> History:
    made = {change.row.request_id for change in draft.history.changes if change.row}
    write = draft.pick([each for each in draft.unknown_writes() if each.request_id in made])
    slot = draft.pick(draft.changes_of_others())
    row = Row(slot.revision, write.request_id, write.value)
    return draft.with_change(Change(slot.revision, write.key, row))


def phantom_write(draft: Draft) -> History:
    """A row in the end that nobody asked for."""
    key = draft.pick(list(draft.history.final))
    return draft.appending(key, "nobody", "99")


def phantom_read(draft: Draft) -> History:
    """One read shows a row that nobody asked for."""
    read, done = draft.pick(draft.reads())
    return draft.answering(read, replace(done, row=replace(done.row, request_id="nobody")))


# Refusals that are not true.


def refused_write_in_the_end(draft: Draft) -> History:
    final = draft.history.final
    found = [
        each
        for each in draft.refused_writes()
        if each.key in final and final[each.key].value != each.value
    ]
    write = draft.pick(found)
    return draft.appending(write.key, write.request_id, write.value)


def refused_write_in_the_feed(draft: Draft) -> History:
    """It took effect, and was overwritten before anybody saw it."""
    write = draft.pick(draft.refused_writes())
    slot = draft.pick(draft.changes_of_others())
    row = Row(slot.revision, write.request_id, write.value)
    return draft.with_change(Change(slot.revision, write.key, row))


def refused_write_is_read(draft: Draft) -> History:
    found = [
        (read, done, write)
        for read, done in draft.reads()
        for write in draft.refused_writes()
        if write.key == read.key
    ]
    read, done, write = draft.pick(found)
    row = Row(done.row.revision, write.request_id, write.value)
    return draft.answering(read, replace(done, row=row))


def conflict_without_a_change(draft: Draft) -> History:
    """A compare-and-set is refused although the row is at the revision that it expected."""
    made_until = {row: write.returned_ns for write, row in draft.acknowledged()}
    found = [
        (read, done.row)
        for read, done in draft.reads()
        if done.row in made_until
        and made_until[done.row] < read.invoked_ns
        and draft.is_final(done.row)
        and draft.versions(read.key)[0] != done.row
        and read.key.startswith("lrp/")
    ]
    read, row = draft.pick(found)
    scale = replace(
        read,
        verb=Verb.SCALE_LRP,
        value="99",
        expected_revision=row.revision,
        outcome=Refused(Reason.RESOURCE_CONFLICT),
    )
    return draft.asking(read, scale)


def not_found_after_it_was_seen(draft: Draft) -> History:
    operations, initial = draft.history.operations, draft.history.initial
    found = [
        read
        for read, _ in draft.reads()
        if read.key not in initial
        and any(
            each.key == read.key
            and isinstance(each.outcome, Done)
            and each.returned_ns < read.invoked_ns
            for each in operations
        )
    ]
    read = draft.pick(found)
    return draft.answering(read, Refused(Reason.RESOURCE_NOT_FOUND))


# Successes that the rules do not allow.


def two_successes_from_one_revision(draft: Draft) -> History:
    makers = {row.revision: write for write, row in draft.acknowledged()}
    found = [
        (write, makers[write.expected_revision].expected_revision)
        for write, _ in draft.acknowledged()
        if write.expected_revision in makers and makers[write.expected_revision].expected_revision
    ]
    write, shared = draft.pick(found)
    return draft.asking(write, replace(write, expected_revision=shared))


def task_created_twice(draft: Draft) -> History:
    found = [
        each for each in draft.refused_writes() if each.outcome == Refused(Reason.RESOURCE_EXISTS)
    ]
    write = draft.pick(found)
    end = draft.appending(write.key, write.request_id, write.value)
    return Draft(end, draft.chance).answering(write, Done(end.final[write.key]))


def called_equal_and_is_not(draft: Draft) -> History:
    """A write is answered with the row as it was, 'so already', and it is not what was asked."""
    found = [
        each
        for each in draft.history.operations
        if each.is_write and isinstance(each.outcome, Done) and each.made is None
    ]
    write = draft.pick(found)
    return draft.asking(write, replace(write, value="99"))
