"""RingService: commands of brains and cells, in bulk, and their leases."""

from collections.abc import AsyncIterator, Iterator, Sequence

from diegod.internal.v1 import ring_pb2 as api
from diegod.internal.v1.command_pb2 import Command
from diegod.models.errors import DomainError, Reason
from diegod.raftbbs.core.leases import Key
from diegod.raftbbs.edge.access import Access, refuse_long_words
from diegod.raftbbs.ticking import SUBMISSION_BYTES_MAX
from diegod.rpc.handlers import Handlers
from diegod.security.identity import Principal, Role

_SERVICE = "diegod.internal.v1.RingService"


class RingService:
    def __init__(self, access: Access, lease_ttl_s: float) -> None:
        self._access = access
        self._lease_ttl_s = lease_ttl_s

    def handlers(self) -> Handlers:
        return {f"{_SERVICE}/Submit": self.submit, f"{_SERVICE}/Renew": self.renew}

    async def submit(self, request: api.SubmitRequest, caller: Principal) -> api.SubmitReply:
        """Every command is carried out or refused by itself; many take several log entries."""
        for command in request.commands:
            command.by = str(caller)
            refuse_long_words(command)
            _refuse_large(command)
        reply = api.SubmitReply()
        for chunk in _chunks(request.commands):
            try:
                reply.outcomes.extend(await self._access.member.submit(chunk))
            except DomainError as error:
                if reply.outcomes:  # an earlier part was carried out, so 'nothing was' is not true
                    raise DomainError(Reason.UNKNOWN_OUTCOME, error.message) from error
                raise
        return reply

    async def renew(
        self, requests: AsyncIterator[api.RenewRequest], caller: Principal
    ) -> AsyncIterator[api.RenewReply]:
        async for request in requests:
            key = _key(request, caller)
            held = not self._is_anothers(key, caller) and await self._access.member.renew(
                key, request.sequence
            )
            yield api.RenewReply(
                nonce=request.nonce, held=held, ttl_ms=int(self._lease_ttl_s * 1000)
            )

    def _is_anothers(self, key: Key, caller: Principal) -> bool:
        """Whether a lock is held by another brain than the one that wants to renew it."""
        kind, name = key
        with self._access.state() as state:
            lock = state.lock(name) if kind == "lock" else None
        return lock is not None and lock.owner not in ("", str(caller))


def _refuse_large(command: Command) -> None:
    """What fits into no submission would take up a log entry alone, or none would take it."""
    if command.ByteSize() > SUBMISSION_BYTES_MAX:
        raise DomainError(
            Reason.INVALID_REQUEST,
            f"a {command.WhichOneof('command')} of {command.ByteSize()} bytes: "
            f"{SUBMISSION_BYTES_MAX} are allowed",
        )


def _chunks(commands: Sequence[Command]) -> Iterator[Sequence[Command]]:
    chunk: list[Command] = []
    size = 0
    for command in commands:
        following = command.ByteSize() + 8
        if chunk and size + following > SUBMISSION_BYTES_MAX:
            yield chunk
            chunk, size = [], 0
        chunk.append(command)
        size += following
    if chunk:
        yield chunk


def _key(request: api.RenewRequest, caller: Principal) -> Key:
    """A cell renews only itself; a lock only a brain."""
    if request.WhichOneof("of") == "cell_id":
        if caller.role is not Role.CELL or caller.id != request.cell_id:
            raise DomainError(Reason.PERMISSION_DENIED, f"{caller} may not renew a cell's lease")
        return ("cell", request.cell_id)
    if caller.role is not Role.BRAIN:
        raise DomainError(Reason.PERMISSION_DENIED, f"{caller} may not renew a lock")
    return ("lock", request.lock_name)
