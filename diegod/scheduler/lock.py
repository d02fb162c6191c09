"""The brain's lock: one brain acts, the others stand by.

The lease is counted from the *send* of the last renewal that was answered, on a clock that goes on
while the machine is suspended; so the holder stops before the BBS could give the lock away. What
it still had under way is refused there by the lock's token.
"""

import asyncio
from dataclasses import dataclass, replace

from diegod.internal.v1.command_pb2 import AcquireLock, Command, ReleaseLock
from diegod.internal.v1.ring_pb2 import RenewRequest
from diegod.models.errors import DomainError, Reason
from diegod.scheduler.ports import Bbs
from diegod.v1.record_pb2 import BrainSettings
from diegod.world import Clock, Ids

LOCK_NAME = "brain"
TTL_S = 10.0
RENEW_EVERY_S = 3.0
RETRY_S = 1.0


@dataclass
class Lease:
    """The lock under one token, for as long as it is renewed."""

    token: int
    sent_at: float
    ttl_s: float = TTL_S

    def left_s(self, now: float) -> float:
        return self.sent_at + self.ttl_s - now


@dataclass(frozen=True)
class _Claim:
    """One request for the lock. Its lease may run from the moment it was first sent."""

    request_id: str
    sent_at: float
    may_be_granted: bool = (
        False  # an answer is missing: another claim would be refused for this one
    )


class BrainLock:
    def __init__(
        self, bbs: Bbs, clock: Clock, ids: Ids, settings: BrainSettings | None = None
    ) -> None:
        """`settings` stand beside the lock for all who explain what its holder does."""
        self._bbs = bbs
        self._clock = clock
        self._ids = ids
        self._settings = settings
        self.why_not = ""  # why the last try did not get the lock

    async def acquire(self) -> Lease:
        """Stands by until the lock is ours."""
        claim: _Claim | None = None
        while True:
            if claim is None or self._clock.boottime() - claim.sent_at > TTL_S:
                claim = _Claim(self._ids.new_id(), self._clock.boottime())
            lease, claim = await self._try(claim)
            if lease is not None and self.is_held(lease):
                return lease
            await asyncio.sleep(self._ids.uniform(0.5, 1.0) * RETRY_S)

    async def keep(self, lease: Lease) -> str:
        """Renews the lease until it is lost; returns why."""
        while (left_s := lease.left_s(self._clock.boottime())) > 0:
            sent_at = self._clock.boottime()
            pause_s = RETRY_S
            try:
                async with asyncio.timeout(left_s):
                    reply = await self._bbs.renew(
                        RenewRequest(lock_name=LOCK_NAME, sequence=lease.token)
                    )
            except (DomainError, TimeoutError):
                pass  # not answered: the lease runs on from the last renewal that was
            else:
                if not reply.held:
                    return "the BBS has given the lock away"
                lease.sent_at, pause_s = sent_at, RENEW_EVERY_S
                lease.ttl_s = reply.ttl_ms / 1000 or lease.ttl_s
            left_s = lease.left_s(self._clock.boottime())
            await asyncio.sleep(max(0.0, min(pause_s, left_s)))
        return f"no renewal was answered for {lease.ttl_s:g} s"

    def is_held(self, lease: Lease) -> bool:
        return lease.left_s(self._clock.boottime()) > 0

    async def release(self, lease: Lease) -> None:
        """So that another brain need not wait for the lease to run out; it may fail."""
        command = Command(
            cause="the brain stops",
            request_id=self._ids.new_id(),
            release_lock=ReleaseLock(name=LOCK_NAME, token=lease.token),
        )
        try:
            async with asyncio.timeout(RETRY_S):
                await self._bbs.submit([command])
        except (DomainError, TimeoutError):
            pass  # then it runs out

    async def _try(self, claim: _Claim) -> tuple[Lease | None, _Claim | None]:
        """The lease, or the claim to ask again with; neither when it was refused."""
        command = Command(
            cause="a brain is needed",
            request_id=claim.request_id,
            acquire_lock=AcquireLock(name=LOCK_NAME, brain=self._settings),
        )
        try:
            (outcome,) = await self._bbs.submit([command])
        except DomainError as error:
            self.why_not = error.message
            if error.reason is Reason.UNKNOWN_OUTCOME:
                claim = replace(claim, may_be_granted=True)
            return None, claim if claim.may_be_granted else None
        if outcome.reason:
            self.why_not = outcome.message
            return None, None
        return Lease(outcome.lock.token, claim.sent_at), None
