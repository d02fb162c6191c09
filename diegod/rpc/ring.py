"""The BBS as a brain or a cell sees it: submit commands, watch rows, renew a lease."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from diegod.internal.v1.command_pb2 import Command, Outcome
from diegod.internal.v1.ring_pb2 import RenewReply, RenewRequest, SubmitReply, SubmitRequest
from diegod.models.errors import DomainError, Reason
from diegod.rpc.client import ClusterClient
from diegod.v1.event_pb2 import WatchReply, WatchRequest

_SUBMIT = "diegod.internal.v1.RingService/Submit"
_RENEW = "diegod.internal.v1.RingService/Renew"
_RENEW_TIMEOUT_S = 3.0


class RingClient:
    """One per brain or cell. Each lease has one long stream to the leader."""

    def __init__(self, client: ClusterClient) -> None:
        self._client = client
        self._renewals: dict[str, _Renewals] = {}

    async def submit(self, commands: Sequence[Command]) -> Sequence[Outcome]:
        """One outcome each, in order. Raises UNAVAILABLE (nothing applied) or UNKNOWN_OUTCOME."""
        reply: SubmitReply = await self._client.call(_SUBMIT, SubmitRequest(commands=commands))
        return reply.outcomes

    def watch(self, request: WatchRequest) -> AsyncIterator[WatchReply]:
        return self._client.watch(request)

    async def renew(self, request: RenewRequest) -> RenewReply:
        """Raises DomainError when it was not answered: the lease runs on from the last time."""
        key = request.cell_id or request.lock_name
        renewals = self._renewals.get(key)
        if renewals is None or renewals.ended:
            renewals = self._renewals[key] = _Renewals(self._client)
        return await renewals.renew(request)

    async def close(self) -> None:
        for renewals in self._renewals.values():
            await renewals.close()


class _Renewals:
    """One stream of renewals; it ends with the first failure, and the next one opens another."""

    def __init__(self, client: ClusterClient) -> None:
        self._requests: asyncio.Queue[RenewRequest] = asyncio.Queue()
        self._waiting: dict[int, asyncio.Future[RenewReply]] = {}
        self._nonce = 0
        self._client = client
        self._address = client.leader_address
        self._reader = asyncio.create_task(self._read(client))

    @property
    def ended(self) -> bool:
        return self._reader.done()

    async def renew(self, request: RenewRequest) -> RenewReply:
        self._nonce += 1
        numbered = RenewRequest()
        numbered.CopyFrom(request)
        numbered.nonce = self._nonce
        answer: asyncio.Future[RenewReply] = asyncio.get_running_loop().create_future()
        self._waiting[numbered.nonce] = answer
        self._requests.put_nowait(numbered)
        try:
            # Not wait_for: it may lose a cancellation that comes together with the answer.
            async with asyncio.timeout(_RENEW_TIMEOUT_S):
                return await answer
        except TimeoutError:
            self._client.leave(self._address)  # a lease can't wait until the connection is given up
            await self.close()
            raise DomainError(Reason.UNAVAILABLE, "the lease was not renewed in time") from None
        finally:
            self._waiting.pop(numbered.nonce, None)

    async def close(self) -> None:
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)

    async def _read(self, client: ClusterClient) -> None:
        ended = DomainError(Reason.UNAVAILABLE, "the stream of renewals has ended")
        try:
            async for reply in client.duplex(_RENEW, self._numbered()):
                answer = self._waiting.get(reply.nonce)
                if answer is not None and not answer.done():
                    answer.set_result(reply)
        except DomainError as error:
            ended = error
        finally:
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(ended)

    async def _numbered(self) -> AsyncIterator[RenewRequest]:
        while True:
            yield await self._requests.get()
