"""When somebody still has to be told, and how long that keeps a record."""

import pytest

from diegod.models import callbacks
from diegod.v1.record_pb2 import Callback, Task

SECOND = 1_000_000_000


def a_task(**policy: object) -> Task:
    task = Task(task_guid="t1")
    task.callback.MergeFrom(Callback(url="http://ci.example.com", **policy))  # type: ignore[arg-type]
    task.completed_at.seconds = 1000
    return task


def test_without_a_url_there_is_nobody() -> None:
    task = Task(task_guid="t1")
    assert not callbacks.is_open(task)
    assert not callbacks.holds_record(task)
    assert not task.HasField("callback")


@pytest.mark.parametrize("ended", [{"delivered": True}, {"given_up": True}])
def test_told_or_given_up_it_is_over(ended: dict[str, bool]) -> None:
    assert callbacks.is_open(a_task())
    assert not callbacks.is_open(a_task(**ended))


def test_only_a_policy_with_an_end_keeps_the_record() -> None:
    assert callbacks.holds_record(a_task(give_up_after_ms=1))
    assert not callbacks.holds_record(a_task(give_up_after_ms=0))
    assert not callbacks.holds_record(a_task(give_up_after_ms=1, delivered=True))


def test_the_end_is_counted_from_the_end_of_the_task() -> None:
    task = a_task(give_up_after_ms=5000)
    assert not callbacks.is_over(task, 1005 * SECOND - 1)
    assert callbacks.is_over(task, 1005 * SECOND)
    assert not callbacks.is_over(a_task(), 10**18)


@pytest.mark.parametrize(
    ("tries", "wait_s"), [(0, 1), (1, 1), (2, 2), (5, 16), (9, 60), (10**6, 60)]
)
def test_the_wait_doubles_up_to_the_longest(tries: int, wait_s: int) -> None:
    callback = Callback(backoff_ms=1000, max_backoff_ms=60_000, tries=tries)
    assert callbacks.next_try_ns(callback, 7) == 7 + wait_s * SECOND


def test_before_a_first_try_it_is_due_at_once() -> None:
    task = a_task()
    assert callbacks.due_at_ns(task) == 0
    task.callback.next_try_at.seconds = 3
    assert callbacks.due_at_ns(task) == 3 * SECOND
