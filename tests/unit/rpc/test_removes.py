"""A removal whose answer was lost: the repeat that finds nothing has found its own effect."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from diegod.models.errors import DomainError, Reason
from diegod.rpc.client import ClusterClient
from diegod.rpc.methods import Method
from diegod.v1.task_pb2 import CancelTaskRequest, DeleteTaskRequest
from diegod.world.ids import SeededIds


class Clock:
    now = 0.0

    def wall(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def boottime(self) -> float:
        return self.now


class Refusing:
    """Answers each call with the next refusal."""

    def __init__(self, *reasons: Reason) -> None:
        self._reasons = list(reasons)

    async def call(self, address: str, method: Method, request: Any, timeout_s: float) -> Any:
        raise DomainError(self._reasons.pop(0), "as the script says")

    def stream(self, *_: Any) -> AsyncIterator[Any]:
        raise AssertionError("nobody streams here")

    def duplex(self, *_: Any) -> AsyncIterator[Any]:
        raise AssertionError("nobody streams here")

    async def close(self) -> None:
        return


def _client(*reasons: Reason) -> ClusterClient:
    return ClusterClient(Refusing(*reasons), ["a:1"], Clock(), SeededIds(1))


async def test_after_a_lost_answer_not_found_means_removed() -> None:
    client = _client(Reason.UNKNOWN_OUTCOME, Reason.RESOURCE_NOT_FOUND)
    request = DeleteTaskRequest(task_guid="t")
    assert (await client.call("diegod.v1.TaskService/Delete", request)).revision == 0


async def test_what_was_never_there_is_not_found() -> None:
    client = _client(Reason.RESOURCE_NOT_FOUND)
    with pytest.raises(DomainError) as caught:
        await client.call("diegod.v1.TaskService/Delete", DeleteTaskRequest(task_guid="t"))
    assert caught.value.reason is Reason.RESOURCE_NOT_FOUND


async def test_what_removes_nothing_stays_unknown() -> None:
    client = _client(Reason.UNKNOWN_OUTCOME, Reason.RESOURCE_NOT_FOUND)
    with pytest.raises(DomainError) as caught:
        await client.call("diegod.v1.TaskService/Cancel", CancelTaskRequest(task_guid="t"))
    assert caught.value.reason is Reason.UNKNOWN_OUTCOME
