"""A brain's line to the BBS, with a note of what it knew when it asked for an instance's end.

By that a retirement is judged as well: it names the version of one instance, and neither that of
its LRP nor those of its cell and of the instances beside it, which may change between the brain's
decision and the moment at which it takes effect. What a brain has asked for itself it knows without
hearing of it.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from diegod.internal.v1.command_pb2 import Command, Outcome
from diegod.rpc.client import ClusterClient
from diegod.rpc.ring import RingClient
from diegod.v1.event_pb2 import WatchReply, WatchRequest
from diegod.v1.record_pb2 import ActualLrp, Cell, Change, DesiredLrp

_Row = TypeVar("_Row")


@dataclass
class Heard:
    """All LRPs, their instances and the cells, as some brain knew them at some time."""

    lrps: dict[str, DesiredLrp] = field(default_factory=dict)
    instances: dict[str, ActualLrp] = field(default_factory=dict)
    cells: dict[str, Cell] = field(default_factory=dict)
    at_s: float = 0.0

    def instances_of(self, process_guid: str) -> list[ActualLrp]:
        return [row for row in self.instances.values() if row.process_guid == process_guid]

    def take(self, change: Change) -> None:
        match change.WhichOneof("row"):
            case "desired_lrp":
                _take(self.lrps, change.desired_lrp.process_guid, change.desired_lrp, change.verb)
            case "actual_lrp":
                guid = change.actual_lrp.instance_guid
                _take(self.instances, guid, change.actual_lrp, change.verb)
            case "cell":
                _take(self.cells, change.cell.cell_id, change.cell, change.verb)


def _take(rows: dict[str, _Row], key: str, row: _Row, verb: "Change.Verb.ValueType") -> None:
    if verb == Change.REMOVED:
        rows.pop(key, None)
    else:
        rows[key] = row


class Witness(RingClient):
    def __init__(
        self, client: ClusterClient, sent: dict[str, Heard], now: Callable[[], float]
    ) -> None:
        """`sent`: by request, what the brain knew by then; `now`: replicated time."""
        super().__init__(client)
        self._sent = sent
        self._now = now
        self._heard = Heard()
        self._ended: set[str] = set()  # instances whose end this brain has asked for

    async def submit(self, commands: Sequence[Command]) -> Sequence[Outcome]:
        for command in commands:
            if command.WhichOneof("command") == "retire_instance":
                self._sent[command.request_id] = self._known()
                self._ended.add(command.retire_instance.instance_guid)
        return await super().submit(commands)

    def _known(self) -> Heard:
        instances = self._heard.instances.items()
        left = {guid: row for guid, row in instances if guid not in self._ended}
        return Heard(dict(self._heard.lrps), left, dict(self._heard.cells), self._now())

    async def watch(self, request: WatchRequest) -> AsyncIterator[WatchReply]:
        """From the beginning, the old view stays until the new one is whole, as in a brain."""
        heard = Heard() if not request.from_revision else self._heard
        async for reply in super().watch(request):
            for change in (*reply.rows, *reply.changes):
                heard.take(change)
            if reply.rows_end:
                self._heard = heard
            yield reply
