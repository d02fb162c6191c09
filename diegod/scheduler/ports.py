"""All that the brain asks of the world, beside a clock and ids."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from diegod.internal.v1.command_pb2 import Command, Outcome
from diegod.internal.v1.ring_pb2 import RenewReply, RenewRequest
from diegod.scheduler.core.callback_message import Answer
from diegod.v1.event_pb2 import WatchReply, WatchRequest


class Bbs(Protocol):
    """The BBS, whichever member leads it at the moment."""

    async def submit(self, commands: Sequence[Command]) -> Sequence[Outcome]:
        """One outcome each, in order. Raises DomainError for the whole call: UNKNOWN_OUTCOME when
        nobody can tell, any other reason when certainly nothing was applied."""

    def watch(self, request: WatchRequest) -> AsyncIterator[WatchReply]:
        """The rows, then what changes. Ends, or raises DomainError, when the connection goes."""

    async def renew(self, request: RenewRequest) -> RenewReply:
        """Raises DomainError when the renewal was not answered."""


class CallbackSender(Protocol):
    """How the end of a task is told to its callback URL."""

    async def post(
        self, url: str, body: bytes, timeout_s: float, idempotency_key: str
    ) -> Answer:
        """One POST of a JSON document. Whatever goes wrong is an answer, never an exception."""
