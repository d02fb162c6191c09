"""Posting to the callback URLs of tasks that have ended: beside the rounds of a term, never in one.

A task is claimed first, so that one brain posts. What a post comes to is told to the BBS in the
next round, and again until the watch shows it. A term that ends drops its posts: the row is then
left alone, and the next brain opens it again after 30 s. So a callback is heard at least once.
"""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from diegod.internal.v1.command_pb2 import ClaimCallback, FinishCallback, Outcome
from diegod.scheduler.core.callback_message import Answer, body, finish, idempotency_key
from diegod.scheduler.core.decision import Decision, RowVersion
from diegod.scheduler.core.snapshot import Key, Snapshot
from diegod.scheduler.core.task_repairs import RESOLVING_S
from diegod.scheduler.ports import CallbackSender
from diegod.v1.record_pb2 import Task

#: So many posts at a time: a slow receiver must not take up the brain's sockets.
POSTS_MAX = 64
#: Of one try, redirects and all; well before the row would be opened again for having been left.
TIMEOUT_S = RESOLVING_S * 2 / 3

log = structlog.get_logger("diegod.scheduler")


class Callbacks:
    """Those of one term."""

    def __init__(
        self, sender: CallbackSender | None, wake: Callable[[], None], posts_max: int = POSTS_MAX
    ) -> None:
        self._sender = sender
        self._wake = wake
        self._posts_max = posts_max
        self._posts: dict[RowVersion, asyncio.Task[None]] = {}  # by the claim
        self._postponed: dict[Key, None] = {}
        self._to_tell: dict[str, Decision] = {}

    def __len__(self) -> int:
        return len(self._posts)

    def admitted(self, decisions: Sequence[Decision]) -> list[Decision]:
        """All but the claims that there is no room to post for now; those come up again."""
        room = self._posts_max - len(self._posts) if self._sender else 0
        kept = []
        for decision in decisions:
            if isinstance(decision.action, ClaimCallback):
                if room <= 0:
                    self._postponed[decision.key] = None
                    continue
                room -= 1
            kept.append(decision)
        return kept

    def take_postponed(self) -> list[Key]:
        """What there is room for now."""
        room = self._posts_max - len(self._posts) if self._sender else 0
        keys = list(self._postponed)[: max(room, 0)]
        for key in keys:
            del self._postponed[key]
        return keys

    def answered(self, decision: Decision, outcome: Outcome) -> None:
        """A claim that was granted is posted; the row that it made says all there is to say."""
        action = decision.action
        if isinstance(action, ClaimCallback) and not outcome.reason:
            posting = self._post(decision.about, outcome.task)
            self._posts[decision.about] = asyncio.create_task(posting)

    def to_tell(self, snapshot: Snapshot) -> list[Decision]:
        """What posts came to and the watch has not shown yet."""
        for guid, decision in list(self._to_tell.items()):
            if _is_over(snapshot, decision):
                del self._to_tell[guid]
        return list(self._to_tell.values())

    async def drop(self) -> None:
        """The term is over."""
        posts = list(self._posts.values())
        for post in posts:
            post.cancel()
        await asyncio.gather(*posts, return_exceptions=True)

    async def _post(self, claim: RowVersion, task: Task) -> None:
        try:
            answer = await self._answer(task)
        finally:
            self._posts.pop(claim, None)
        log.info("callback.posted", task=task.task_guid, status=answer.status, error=answer.error)
        self._to_tell[task.task_guid] = finish(task, answer)
        self._wake()

    async def _answer(self, task: Task) -> Answer:
        assert self._sender is not None
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await self._sender.post(
                    task.callback.url, body(task), TIMEOUT_S, idempotency_key(task)
                )
        except TimeoutError:
            return Answer(error=f"no answer within {TIMEOUT_S:g} s")
        except Exception as error:  # a sender's fault must cost its own try only
            log.exception("callback.failed", task=task.task_guid)
            return Answer(error=f"the brain could not post: {error!r}")


def _is_over(snapshot: Snapshot, decision: Decision) -> bool:
    """Whether the row has gone on from the claim, by this or by anything else."""
    action = decision.action
    assert isinstance(action, FinishCallback)
    row = snapshot.tasks.get(action.task_guid)
    has_seen_claim = snapshot.revision >= action.row_revision
    return has_seen_claim and (row is None or row.provenance.revision != action.row_revision)
