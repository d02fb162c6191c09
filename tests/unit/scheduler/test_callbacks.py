"""Callbacks as receivers hear them: at least once, whatever becomes of brains and posts."""

import asyncio
import json
from collections.abc import Sequence

import pytest

from diegod.models.errors import Reason
from diegod.scheduler import callbacks as module
from diegod.scheduler.brain import Brain
from diegod.scheduler.core.callback_message import Answer, body, finish
from diegod.v1.record_pb2 import Callback, Provenance, Task
from tests.unit.scheduler.core.rows import NOW, a_task, at
from tests.unit.scheduler.test_brain import Cluster, play

URL = "http://receiver.example/done"
POLICY = {"backoff_ms": 1000, "max_backoff_ms": 4000, "give_up_after_ms": 60_000}


class Receiver:
    """Answers what the test says, one after the other and the last for ever, after `takes_s`."""

    def __init__(self, *answers: Answer | Exception, takes_s: float = 0.1) -> None:
        self.answers = list(answers) or [Answer(200)]
        self.takes_s = takes_s
        self.heard: list[dict[str, object]] = []
        self.keys: list[str] = []
        self.at: list[float] = []
        self.under_way = 0
        self.most_at_once = 0

    async def post(self, url: str, body: bytes, timeout_s: float, idempotency_key: str) -> Answer:
        assert url == URL
        self.heard.append(json.loads(body))
        self.keys.append(idempotency_key)
        self.at.append(asyncio.get_running_loop().time())
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        try:
            await asyncio.sleep(self.takes_s)
        finally:
            self.under_way -= 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Stage:
    """A cluster with one cell, and brains that post to a receiver."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        cluster.people.cell("cell-1")

    def start(self, receiver: Receiver | None, name: str = "brain-1") -> Brain:
        return self.cluster.start(name, sender=receiver)

    async def end_a_task(self, guid: str = "t", **policy: int) -> None:
        callback = Callback(url=URL, annotation="mine", **{**POLICY, **policy})
        self.cluster.people.task(guid, callback=callback)
        await self.cluster.until(self.cluster.task_is(guid, Task.RUNNING), 5)
        self.cluster.people.complete_task(guid)

    def callback(self, guid: str = "t") -> Callback:
        return self.cluster.board.task(guid).callback

    async def delivered(self, guid: str = "t", within_s: float = 60) -> None:
        await self.cluster.until(lambda: self.callback(guid).delivered, within_s)
        assert self.cluster.board.task(guid).state == Task.COMPLETED


def states(cluster: Cluster, guid: str = "t") -> list[str]:
    """Each state that the row has been in, in order."""
    names = [
        Task.State.Name(change.task.state)
        for change in cluster.board.history
        if change.WhichOneof("row") == "task" and change.task.task_guid == guid
    ]
    return [name for n, name in enumerate(names) if n == 0 or names[n - 1] != name]


class TestThroughABrain:
    def test_the_end_of_a_task_is_told_once(self) -> None:
        receiver = Receiver()

        async def scenario(cluster: Cluster) -> None:
            stage = Stage(cluster)
            stage.start(receiver)
            await stage.end_a_task()
            await stage.delivered(within_s=2)
            await asyncio.sleep(120)

        cluster = play(scenario)
        (heard,) = receiver.heard
        task = cluster.board.task("t")
        assert heard["task_guid"] == "t"
        assert heard["annotation"] == "mine"
        assert heard["attempt"] == task.attempt
        assert receiver.keys == [f"t/{task.attempt}"]
        assert states(cluster) == ["PENDING", "RUNNING", "COMPLETED", "RESOLVING", "COMPLETED"]

    def test_a_receiver_that_is_not_well_is_asked_again_ever_less_often(self) -> None:
        receiver = Receiver(*[Answer(503)] * 4, Answer(error="refused"), Answer(200))

        async def scenario(cluster: Cluster) -> None:
            stage = Stage(cluster)
            stage.start(receiver)
            await stage.end_a_task()
            await stage.delivered()
            assert stage.callback().last_error == "refused"

        play(scenario)
        pauses = [b - a for a, b in zip(receiver.at, receiver.at[1:], strict=False)]
        assert [int(pause) for pause in pauses] == [1, 2, 4, 4, 4]
        assert len({json.dumps(h["attempt"]) for h in receiver.heard}) == 1
        assert len({h["revision"] for h in receiver.heard}) == 6

    @pytest.mark.parametrize(
        ("answer", "last_error"),
        [
            (Answer(error="ftp://x is neither http nor https", give_up=True), "ftp://x is neither"),
            (RuntimeError("bug"), "the brain could not post: RuntimeError('bug')"),
        ],
    )
    def test_what_goes_wrong_is_in_the_row(self, answer: Answer, last_error: str) -> None:
        async def scenario(cluster: Cluster) -> None:
            stage = Stage(cluster)
            stage.start(Receiver(answer))
            await stage.end_a_task()
            await cluster.until(lambda: stage.callback().tries, 2)
            assert stage.callback().last_error.startswith(last_error)
            assert stage.callback().given_up == isinstance(answer, Answer)

        play(scenario)

    def test_it_is_given_up_as_the_task_said(self) -> None:
        receiver = Receiver(Answer(500))

        async def scenario(cluster: Cluster) -> None:
            stage = Stage(cluster)
            stage.start(receiver)
            await stage.end_a_task(give_up_after_ms=10_000)
            await cluster.until(lambda: stage.callback().given_up, 20)
            asked = len(receiver.heard)
            await asyncio.sleep(120)
            assert len(receiver.heard) == asked

        play(scenario)

    def test_a_receiver_without_an_answer_is_left_after_20_s(self) -> None:
        receiver = Receiver(takes_s=1000)

        async def scenario(cluster: Cluster) -> None:
            stage = Stage(cluster)
            stage.start(receiver)
            await stage.end_a_task()
            await cluster.until(lambda: stage.callback().tries, 22)
            assert stage.callback().last_error == "no answer within 20 s"

        play(scenario)

    def test_slow_receivers_hold_up_nothing_and_only_so_many_are_asked_at_once(self) -> None:
        receiver = Receiver(takes_s=8)

        async def scenario(cluster: Cluster) -> None:
            stage = Stage(cluster)
            brain = stage.start(receiver)
            await asyncio.gather(*[stage.end_a_task(f"t{n}") for n in range(90)])
            await cluster.until(lambda: brain.status().posting == module.POSTS_MAX, 5)
            cluster.people.lrp("web", 2)
            await cluster.until(cluster.runs("web", 2), 1.0)
            for n in range(90):
                await stage.delivered(f"t{n}", within_s=20)

        play(scenario)
        assert receiver.most_at_once == module.POSTS_MAX
        assert sorted(str(h["task_guid"]) for h in receiver.heard) == sorted(
            f"t{n}" for n in range(90)
        )

    def test_a_brain_without_a_sender_leaves_them_to_others(self) -> None:
        async def scenario(cluster: Cluster) -> None:
            stage = Stage(cluster)
            stage.start(None)
            await stage.end_a_task()
            await asyncio.sleep(60)
            assert cluster.board.task("t").state == Task.COMPLETED

        assert "RESOLVING" not in states(play(scenario))


class TestBrainsThatFail:
    def test_one_that_is_killed_while_it_posts_is_followed_by_one_that_posts_again(self) -> None:
        first, second = Receiver(takes_s=5), Receiver()

        async def scenario(cluster: Cluster) -> None:
            stage = Stage(cluster)
            stage.start(first)
            await stage.end_a_task()
            await cluster.until(lambda: first.under_way, 2)
            cluster.kill("brain-1")
            await asyncio.sleep(0.1)
            assert first.under_way == 0
            cluster.expire_lock()
            stage.start(second, "brain-2")
            await asyncio.sleep(20)
            assert cluster.board.task("t").state == Task.RESOLVING
            assert second.heard == []
            await stage.delivered(within_s=15)

        play(scenario)
        assert first.keys == second.keys

    def test_one_whose_answers_get_lost_still_tells_it(self) -> None:
        """Nobody knows whether the claim was made: it is left alone, and opened again."""
        receiver = Receiver()

        async def scenario(cluster: Cluster) -> None:
            stage = Stage(cluster)
            stage.start(receiver)
            await stage.end_a_task()
            bbs = cluster.bbs["brain-1"]
            bbs.submit_fails = Reason.UNKNOWN_OUTCOME
            await cluster.until(cluster.task_is("t", Task.RESOLVING), 2)
            bbs.submit_fails = None
            await stage.delivered(within_s=35)

        play(scenario)
        assert len(receiver.heard) == 1

    def test_an_answer_is_told_until_the_bbs_has_it(self) -> None:
        receiver = Receiver(takes_s=1)

        async def scenario(cluster: Cluster) -> None:
            stage = Stage(cluster)
            stage.start(receiver)
            await stage.end_a_task()
            await cluster.until(lambda: receiver.under_way, 2)
            cluster.bbs["brain-1"].submit_fails = Reason.UNAVAILABLE
            await asyncio.sleep(8)
            cluster.bbs["brain-1"].submit_fails = None
            await stage.delivered(within_s=3)

        play(scenario)
        assert len(receiver.heard) == 1

    def test_a_watch_that_lags_does_not_make_it_say_anything_twice(self) -> None:
        receiver = Receiver()

        async def scenario(cluster: Cluster) -> None:
            stage = Stage(cluster)
            cluster.start("brain-1", sender=receiver, watch_lag_s=3.0)
            await stage.end_a_task()
            await stage.delivered(within_s=15)
            await asyncio.sleep(30)

        cluster = play(scenario)
        assert len(receiver.heard) == 1
        done = cluster.bbs["brain-1"].actions()
        assert (done.count("claim_callback"), done.count("finish_callback")) == (1, 1)


class TestTheMessage:
    def test_it_says_what_became_of_the_task(self) -> None:
        task = a_task(
            "t",
            Task.COMPLETED,
            domain="shop",
            attempt=42,
            failed=True,
            failure_reason="exit status 3",
            failure=Task.PROGRAM,
            result="ü",
            exit_status_known=True,
            exit_status=3,
            completed_at=at(NOW),
            callback=Callback(url=URL, annotation="mine"),
            provenance=Provenance(revision=99),
        )
        assert json.loads(body(task)) == {
            "task_guid": "t",
            "domain": "shop",
            "attempt": 42,
            "revision": 99,
            "failed": True,
            "failure_reason": "exit status 3",
            "failure": "PROGRAM",
            "result": "ü",
            "annotation": "mine",
            "created_at": "1970-01-12T13:45:00Z",
            "completed_at": "1970-01-12T13:46:40Z",
            "exit_status": 3,
        }

    def test_an_exit_status_that_nobody_knows_is_null(self) -> None:
        assert json.loads(body(a_task("t", Task.COMPLETED)))["exit_status"] is None

    @pytest.mark.parametrize(
        ("statuses", "is_heard"),
        [((200, 201, 204, 299, 400, 404, 429, 499), True), ((0, 199, 300, 307, 500, 503), False)],
    )
    def test_2xx_and_4xx_are_heard(self, statuses: Sequence[int], is_heard: bool) -> None:
        for status in statuses:
            action = finish(a_task("t", Task.RESOLVING), Answer(status)).action
            assert (action.delivered, action.http_status) == (is_heard, status)
            assert bool(action.error) != is_heard

    def test_a_status_with_an_error_is_not_heard(self) -> None:
        action = finish(a_task("t", Task.RESOLVING), Answer(302, "redirected")).action
        assert (action.delivered, action.error) == (False, "redirected")

    def test_the_version_that_was_claimed_is_named(self) -> None:
        claimed = a_task("t", Task.RESOLVING, provenance=Provenance(revision=7))
        assert finish(claimed, Answer(200)).action.row_revision == 7


