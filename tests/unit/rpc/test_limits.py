"""A method's limit holds for each request of a stream, too."""

from collections.abc import AsyncIterator

import pytest

from diegod.models.errors import DomainError, Reason
from diegod.rpc.methods import method
from diegod.rpc.server import within_limit
from diegod.v1.task_pb2 import DesireTaskRequest

MANY = method("diegod.v1.TaskService/DesireMany")


async def _stream(*sizes: int) -> AsyncIterator[DesireTaskRequest]:
    for size in sizes:
        yield DesireTaskRequest(cause="x" * size)


async def test_what_fits_passes_and_what_does_not_ends_the_stream() -> None:
    requests = within_limit(MANY, _stream(10, 100, MANY.request_bytes_max, 10))
    passed = [len((await anext(requests)).cause) for _ in range(2)]
    assert passed == [10, 100]
    with pytest.raises(DomainError) as caught:
        await anext(requests)
    assert caught.value.reason is Reason.INVALID_REQUEST
    with pytest.raises(StopAsyncIteration):
        await anext(requests)
