"""What the cluster says it did: watchers that resume, a member's whole feed, its whole state."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from diegod.models.errors import DomainError
from diegod.rpc.channel import GrpcDialer
from diegod.rpc.methods import method
from diegod.v1.cell_pb2 import ListCellsRequest
from diegod.v1.event_pb2 import WatchReply, WatchRequest
from diegod.v1.lrp_pb2 import ListInstancesRequest, ListLrpsRequest
from diegod.v1.task_pb2 import ListTasksRequest
from tests.chaos import calls
from tests.checkers.history import Change, Row

_WATCH = method("diegod.v1.EventService/Watch")
#: A member sends a progress mark every 2 s.
_SILENCE_S = 6.0
_DUMP_S = 120.0
_AGAIN_S = 0.2
#: Method, request, and where the rows are in its replies.
_LISTS: Sequence[tuple[str, Any, str]] = (
    ("diegod.v1.TaskService/List", ListTasksRequest(stale=True), "tasks"),
    ("diegod.v1.LrpService/List", ListLrpsRequest(stale=True), "desired_lrps"),
    ("diegod.v1.LrpService/ListInstances", ListInstancesRequest(stale=True), "actual_lrps"),
    ("diegod.v1.CellService/List", ListCellsRequest(stale=True), "cells"),
)


@dataclass
class Watcher:
    """Follows one member for the whole run, from its last revision after every break."""

    member: str
    address: str
    revision: int  # everything up to here has been seen
    changes: list[tuple[int, str]] = field(default_factory=list)  # revision, key
    breaks: int = 0

    async def run(self, dialer: GrpcDialer) -> None:
        """For ever. Raises what resuming can't cure: COMPACTED, say."""
        while True:
            try:
                async for reply in _audible(dialer, self.address, self.revision):
                    self.changes += [(each.revision, _key(each)) for each in reply.changes]
                    self.revision = reply.revision or self.revision
            except DomainError as error:
                if error.reason.value not in ("Unavailable", "UnknownOutcome", "NotLeader"):
                    raise
            self.breaks += 1
            await asyncio.sleep(_AGAIN_S)


@dataclass(frozen=True)
class State:
    """Everything that a member's lists show, and the rows of the clients in it."""

    revision: int
    digest: str
    rows: Mapping[str, Row]


async def feed_of(
    dialer: GrpcDialer, address: str, after_revision: int, until_revision: int
) -> list[Change]:
    """Every change that a member has, of every kind, from one revision to another."""
    changes: list[Change] = []
    async with asyncio.timeout(_DUMP_S):
        async for reply in _audible(dialer, address, after_revision):
            changes += [calls.change_of(each) for each in reply.changes]
            if reply.revision >= until_revision:
                break
    return [each for each in changes if each.revision <= until_revision]


async def state_of(dialer: GrpcDialer, address: str) -> State:
    """What this member has, whatever the others say. Raises ValueError if it changes meanwhile."""
    digest, rows, revisions = hashlib.blake2b(digest_size=16), dict[str, Row](), list[int]()
    for name, request, field_name in _LISTS:
        async for reply in dialer.stream(address, method(name), request, _DUMP_S):
            revisions.append(reply.revision)
            for row in getattr(reply, field_name):
                digest.update(row.SerializeToString(deterministic=True))
                rows.update(_client_row(row))
    if len(set(revisions)) != 1:
        raise ValueError(f"{address} changed while it was read: revisions {sorted(set(revisions))}")
    return State(revisions[0], digest.hexdigest(), rows)


async def _audible(
    dialer: GrpcDialer, address: str, after_revision: int
) -> AsyncIterator[WatchReply]:
    """What is told after a revision, until there is silence for longer than a member is silent."""
    request = WatchRequest(from_revision=after_revision)
    replies: Any = dialer.stream(address, _WATCH, request, None)
    try:
        while True:
            try:
                async with asyncio.timeout(_SILENCE_S):
                    reply = await anext(replies)
            except (StopAsyncIteration, TimeoutError):
                return
            yield reply
    finally:
        await replies.aclose()


def _key(change: Any) -> str:
    return calls.change_of(change).key


def _client_row(row: Any) -> dict[str, Row]:
    if row.DESCRIPTOR.name == "Task":
        return {calls.task_key(row.task_guid): calls.row_of(row)}
    if row.DESCRIPTOR.name == "DesiredLrp":
        return {calls.lrp_key(row.process_guid): calls.row_of(row)}
    return {}
