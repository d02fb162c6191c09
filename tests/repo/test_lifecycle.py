"""The pictures of the lives of tasks and instances are those of the tables."""

import pytest

from diegod.models import task_lifecycle
from diegod.v1.record_pb2 import Task
from tools import lifecycle


def test_the_page_shows_the_tables_as_they_are() -> None:
    """If this fails: python -m tools.lifecycle."""
    page = lifecycle.PAGE.read_text(encoding="utf-8")
    assert lifecycle.with_pictures(page) == page


def test_a_step_that_is_not_in_the_picture_is_seen() -> None:
    page = lifecycle.PAGE.read_text(encoding="utf-8")
    for line in page.splitlines():
        if line.startswith("| COMPLETED | `delete_task`"):
            assert lifecycle.with_pictures(page.replace(line + "\n", "")) == page
            return
    pytest.fail("the end of a task is not on the page")


def test_every_row_of_the_table_is_a_row_of_the_page() -> None:
    drawn = list(lifecycle.steps(task_lifecycle.TRANSITIONS, Task.State))
    assert ("", "desire_task", "PENDING") in drawn
    assert ("PENDING", "reject_task", "COMPLETED") in drawn
    assert ("RESOLVING", "delete_task", "") in drawn
    assert len(drawn) == sum(len(ends) for ends in task_lifecycle.TRANSITIONS.values())


def test_a_page_without_a_place_for_them_is_refused() -> None:
    with pytest.raises(ValueError, match="no one place for the life of a task"):
        lifecycle.with_pictures("# Nothing\n")
