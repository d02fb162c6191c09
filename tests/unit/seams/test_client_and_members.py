"""What a client concludes from answers that are missing, late or too large."""

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from diegod.internal.v1.command_pb2 import Command
from diegod.internal.v1.ring_pb2 import RenewReply, RenewRequest
from diegod.models.errors import DomainError, Problem, Reason
from diegod.rpc import errors, ring
from diegod.rpc.client import ClusterClient
from diegod.rpc.methods import Method
from diegod.rpc.ring import RingClient
from diegod.v1.task_pb2 import (
    CancelTaskRequest,
    DeleteTaskReply,
    DeleteTaskRequest,
    GetTaskRequest,
)
from diegod.world import SystemClock
from diegod.world.ids import SeededIds

CANCEL = "diegod.v1.TaskService/Cancel"
DELETE = "diegod.v1.TaskService/Delete"
GET = "diegod.v1.TaskService/Get"


class Scripted:
    """Answers calls in turn; at "silent" nobody answers a stream, ever."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def call(self, address: str, method: Method, request: Any, timeout_s: float) -> Any:
        self.asked.append(address)
        answer = self.answers.pop(0)
        if isinstance(answer, DomainError):
            raise answer
        return answer

    async def duplex(
        self, address: str, method: Method, requests: AsyncIterator[Any], timeout_s: float | None
    ) -> AsyncIterator[Any]:
        self.asked.append(address)
        async for request in requests:
            if address == "silent":
                await asyncio.Event().wait()
            yield RenewReply(nonce=request.nonce, held=True)

    async def stream(
        self, address: str, method: Method, request: Any, timeout_s: float | None
    ) -> AsyncIterator[Any]:
        raise AssertionError("no stream of replies was asked for")
        yield

    async def close(self) -> None: ...


def _client(dialer: Scripted, *addresses: str) -> ClusterClient:
    return ClusterClient(dialer, addresses or ("a", "b"), SystemClock(), SeededIds(1))


def _error(reason: Reason, leader: str = "") -> DomainError:
    return DomainError(reason, "said so", leader_address=leader)


async def _refused(client: ClusterClient, name: str, request: Any) -> Reason:
    with pytest.raises(DomainError) as raised:
        await client.call(name, request)
    return raised.value.reason


async def test_a_task_that_is_gone_at_the_second_try_was_removed_by_the_first() -> None:
    lost, gone = _error(Reason.UNKNOWN_OUTCOME), _error(Reason.RESOURCE_NOT_FOUND)
    request = DeleteTaskRequest(task_guid="t1")
    assert await _client(Scripted(lost, gone)).call(DELETE, request) == DeleteTaskReply()
    assert await _refused(_client(Scripted(gone)), DELETE, request) is Reason.RESOURCE_NOT_FOUND


async def test_a_write_is_as_unknown_as_its_least_known_try() -> None:
    lost, gone = _error(Reason.UNKNOWN_OUTCOME), _error(Reason.RESOURCE_NOT_FOUND)
    request = CancelTaskRequest(task_guid="t1")
    assert await _refused(_client(Scripted(lost, gone)), CANCEL, request) is Reason.UNKNOWN_OUTCOME


async def test_what_no_try_can_have_caused_is_said_as_it_is() -> None:
    lost = _error(Reason.UNKNOWN_OUTCOME)
    denied = Scripted(lost, _error(Reason.PERMISSION_DENIED))
    assert await _refused(_client(denied), DELETE, DeleteTaskRequest()) is Reason.PERMISSION_DENIED
    read = Scripted(lost, _error(Reason.RESOURCE_NOT_FOUND))
    assert await _refused(_client(read), GET, GetTaskRequest()) is Reason.RESOURCE_NOT_FOUND


async def test_all_tries_of_a_write_bear_one_request_id() -> None:
    dialer = Scripted(_error(Reason.UNKNOWN_OUTCOME), DeleteTaskReply(revision=3))
    request = DeleteTaskRequest(task_guid="t1")
    assert (await _client(dialer).call(DELETE, request)).revision == 3
    assert request.request_id


async def test_commands_that_nobody_answered_are_not_repeated_and_the_next_go_elsewhere() -> None:
    """Else each would wait for a leader that is gone, as long as its connection seems up."""
    dialer = Scripted(_error(Reason.UNKNOWN_OUTCOME), _error(Reason.UNKNOWN_OUTCOME))
    client = RingClient(_client(dialer))
    for _ in range(2):
        with pytest.raises(DomainError):
            await client.submit([Command()])
    assert dialer.asked == ["a", "b"]


async def test_a_lease_is_renewed_elsewhere_when_its_leader_falls_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ring, "_RENEW_TIMEOUT_S", 0.05)
    dialer = Scripted()
    client = RingClient(_client(dialer, "silent", "b"))
    with pytest.raises(DomainError):
        await client.renew(RenewRequest(cell_id="c1"))
    assert (await client.renew(RenewRequest(cell_id="c1"))).held
    assert dialer.asked == ["silent", "b"]
    await client.close()


class Failed(grpc.aio.AioRpcError):
    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details)


@pytest.mark.parametrize(
    ("details", "reason"),
    [
        ("CLIENT: Received message larger than max (20 vs. 10)", Reason.UNKNOWN_OUTCOME),
        ("SERVER: Sent message larger than max (20 vs. 10)", Reason.UNKNOWN_OUTCOME),
        ("SERVER: Received message larger than max (20 vs. 10)", Reason.PERMISSION_DENIED),
        ("CLIENT: Sent message larger than max (20 vs. 10)", Reason.PERMISSION_DENIED),
    ],
)
def test_a_reply_that_is_too_large_says_nothing_of_the_write(details: str, reason: Reason) -> None:
    failed = Failed(grpc.StatusCode.RESOURCE_EXHAUSTED, details)
    assert errors.error_of(failed, "m1:8889").reason is reason


def test_the_longest_refusal_fits_into_its_headers() -> None:
    """gRPC writes text as up to three bytes a byte, and details in base64, in 8 KiB."""
    problems = [Problem(f"field[{number}]", "ä" * 100) for number in range(500)]
    error = DomainError(
        Reason.INVALID_REQUEST, "ä" * 50_000, problems=problems, leader_address="x" * 200
    )
    ((key, details),) = errors.details_of(error)
    text = errors.text_of(error).encode()
    assert len(base64.b64encode(details)) + 3 * len(text) + len(key) < 8192 - 256
    assert errors.text_of(error)


async def test_what_grpc_says_of_sizes_is_what_we_look_for() -> None:
    """The words are gRPC's own: an update that changes them must not pass unseen."""

    async def echo(request: bytes, context: Any) -> bytes:
        return b"x" * 2000 if request == b"much" else b""

    handler = grpc.method_handlers_generic_handler(
        "s", {"m": grpc.unary_unary_rpc_method_handler(echo)}
    )
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", 1000)])
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    options = [("grpc.max_receive_message_length", 1000), ("grpc.max_send_message_length", 5000)]
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
            said = [
                await _refusal(channel, request) for request in (b"much", b"x" * 3000, b"x" * 6000)
            ]
            assert said == [
                Reason.UNKNOWN_OUTCOME,
                Reason.PERMISSION_DENIED,
                Reason.PERMISSION_DENIED,
            ]
    finally:
        await server.stop(0)


async def _refusal(channel: grpc.aio.Channel, request: bytes) -> Reason:
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/s/m")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call(request, timeout=5)
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    return errors.error_of(raised.value, "here").reason
