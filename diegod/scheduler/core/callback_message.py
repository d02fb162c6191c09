"""The telling of a task's end: what is posted, and what an answer comes to.

Does not belong here: the posting (`scheduler.callbacks`), and when the next try is (the BBS).
"""

import json
from dataclasses import dataclass

from diegod.internal.v1.command_pb2 import FinishCallback
from diegod.scheduler.core.decision import Decision, task_key
from diegod.v1.record_pb2 import Task

#: An address may be several lines of a resolver's complaint; the row keeps a line.
_ERROR_CHARS_MAX = 500


@dataclass(frozen=True)
class Answer:
    """What one POST came to: a status, or an error; both where the status itself is of no use."""

    status: int = 0  # 0: there was none
    error: str = ""
    give_up: bool = False  # the URL can never be called, whoever tries and when

    @property
    def is_heard(self) -> bool:
        """A 4xx says that it was understood and is not wanted: to repeat it changes nothing."""
        return not self.error and (200 <= self.status < 300 or 400 <= self.status < 500)


def body(task: Task) -> bytes:
    """The same for every try, the revision aside: by that later ones are known."""
    message: dict[str, object] = {
        "task_guid": task.task_guid,
        "domain": task.domain,
        "attempt": task.attempt,
        "revision": task.provenance.revision,
        "failed": task.failed,
        "failure_reason": task.failure_reason,
        "failure": Task.Failure.Name(task.failure),
        "result": task.result,
        "annotation": task.callback.annotation,
        "created_at": task.created_at.ToJsonString(),
        "completed_at": task.completed_at.ToJsonString(),
        "exit_status": task.exit_status if task.exit_status_known else None,
    }
    return json.dumps(message, ensure_ascii=False).encode()


def idempotency_key(task: Task) -> str:
    """By this a receiver knows a telling that it has heard already."""
    return f"{task.task_guid}/{task.attempt}"


def finish(claimed: Task, answer: Answer) -> Decision:
    """What the BBS is told of a try, on the version of the row that the claim made."""
    error = answer.error or ("" if answer.is_heard else f"status {answer.status}")
    action = FinishCallback(
        task_guid=claimed.task_guid,
        row_revision=claimed.provenance.revision,
        delivered=answer.is_heard,
        http_status=answer.status,
        error=error[:_ERROR_CHARS_MAX],
        give_up=answer.give_up,
    )
    heard = f"its callback answered with status {answer.status}"
    reason = heard if answer.is_heard else f"its callback was not heard: {action.error}"
    return Decision(action, reason, task_key(claimed.task_guid))
