"""The telling of a task's end to its callback URL: what is open, when the next try is due.

Read by the rule that decides what became of a try (`diegod.raftbbs.core.callbacks`) and by the
brain that makes one. Does not belong here: the request itself, and where it may go.
"""

from google.protobuf.timestamp_pb2 import Timestamp

from diegod.v1.record_pb2 import Callback, Task

_MS = 1_000_000
_NS = 1_000_000_000
#: More doublings than this of a millisecond are longer than any longest back-off.
_DOUBLINGS_MAX = 40


def is_open(task: Task) -> bool:
    """Whether somebody still has to be told of this task's end."""
    callback = task.callback
    return task.HasField("callback") and not (callback.delivered or callback.given_up)


def due_at_ns(task: Task) -> int:
    """When the next try may be made, in replicated time; 0 is at once."""
    return _nanoseconds(task.callback.next_try_at)


def holds_record(task: Task) -> bool:
    """Whether the record must outlive its retention, because its end is not yet told.

    A policy without an end of its own goes on until the record goes, and so can't keep it.
    """
    return is_open(task) and task.callback.give_up_after_ms != 0


def next_try_ns(callback: Callback, at_ns: int) -> int:
    """After a try that failed; `tries` counts that one too."""
    doublings = min(max(callback.tries - 1, 0), _DOUBLINGS_MAX)
    wait_ms = min(callback.max_backoff_ms, callback.backoff_ms << doublings)
    return at_ns + wait_ms * _MS


def is_over(task: Task, at_ns: int) -> bool:
    """Whether its own policy has given up by now."""
    after_ms = task.callback.give_up_after_ms
    return after_ms != 0 and at_ns >= _nanoseconds(task.completed_at) + after_ms * _MS


def _nanoseconds(at: Timestamp) -> int:
    return at.seconds * _NS + at.nanos
