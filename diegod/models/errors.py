"""The closed set of refusals, with Diego's names: whose fault it is, and what it means for a write.

A core returns these as values; the edges raise them; the RPC layer turns them into gRPC statuses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    INVALID_REQUEST = "InvalidRequest"  # the caller's fault; every problem is listed
    RESOURCE_NOT_FOUND = "ResourceNotFound"
    RESOURCE_EXISTS = "ResourceExists"
    RESOURCE_CONFLICT = "ResourceConflict"  # a compare-and-set saw another revision
    INVALID_STATE_TRANSITION = "InvalidStateTransition"
    RUNNING_ON_DIFFERENT_CELL = "RunningOnDifferentCell"
    WRONG_ATTEMPT = "WrongAttempt"  # a placement that is no longer, or never was, the current one
    STALE_INCARNATION = "StaleIncarnation"  # a cell that has registered again since
    LOCK_COLLISION = "LockCollision"  # the lock is not held under this token
    CELL_MISSING = "CellMissing"
    ACTUAL_LRP_CANNOT_BE_CLAIMED = "ActualLRPCannotBeClaimed"
    ACTUAL_LRP_CANNOT_BE_STARTED = "ActualLRPCannotBeStarted"
    ACTUAL_LRP_CANNOT_BE_CRASHED = "ActualLRPCannotBeCrashed"
    ACTUAL_LRP_CANNOT_BE_REMOVED = "ActualLRPCannotBeRemoved"
    ACTUAL_LRP_CANNOT_BE_UNCLAIMED = "ActualLRPCannotBeUnclaimed"
    PERMISSION_DENIED = "PermissionDenied"
    UNAUTHENTICATED = "Unauthenticated"
    NOT_LEADER = "NotLeader"  # definitely not applied; `leader_address` says where to go
    UNKNOWN_OUTCOME = "UnknownOutcome"  # it may or may not have been applied
    COMPACTED = "Compacted"  # the revision to resume from is no longer kept: list again
    RESOURCE_EXHAUSTED = "ResourceExhausted"
    UNAVAILABLE = "Unavailable"  # no leader, shutting down: definitely not applied


@dataclass(frozen=True)
class Problem:
    """One thing wrong with an input."""

    path: str  # check_definition.checks[0].http_check.port
    message: str  # 80800 is not a port (1–65535)

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class DomainError(Exception):
    """A refusal that crosses a boundary."""

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        problems: Sequence[Problem] = (),
        leader_address: str = "",
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.problems = tuple(problems)
        self.leader_address = leader_address

    @property
    def applied(self) -> str:
        """Whether a write this answers took place: "no" or "unknown"."""
        return "unknown" if self.reason is Reason.UNKNOWN_OUTCOME else "no"
