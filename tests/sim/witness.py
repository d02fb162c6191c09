"""A brain's line to the BBS, with a note of what it had heard of the LRPs when it sent something.

By that a retirement is judged as well: it names the version of an instance and not that of its LRP,
which people may change between the brain's decision and the moment at which it takes effect.
"""

from collections.abc import AsyncIterator, Sequence

from diegod.internal.v1.command_pb2 import Command, Outcome
from diegod.rpc.client import ClusterClient
from diegod.rpc.ring import RingClient
from diegod.v1.event_pb2 import WatchReply, WatchRequest
from diegod.v1.record_pb2 import Change, DesiredLrp

#: All LRPs, as some brain knew them.
Heard = dict[str, DesiredLrp]


class Witness(RingClient):
    def __init__(self, client: ClusterClient, sent: dict[str, Heard]) -> None:
        """`sent`: by request, what the brain had heard by then."""
        super().__init__(client)
        self._sent = sent
        self._heard: Heard = {}

    async def submit(self, commands: Sequence[Command]) -> Sequence[Outcome]:
        heard = dict(self._heard)
        for command in commands:
            if command.WhichOneof("command") == "retire_instance":
                self._sent[command.request_id] = heard
        return await super().submit(commands)

    async def watch(self, request: WatchRequest) -> AsyncIterator[WatchReply]:
        """From the beginning, the old view stays until the new one is whole, as in a brain."""
        heard: Heard = {} if not request.from_revision else self._heard
        async for reply in super().watch(request):
            for change in (*reply.rows, *reply.changes):
                _take(heard, change)
            if reply.rows_end:
                self._heard = heard
            yield reply


def _take(heard: Heard, change: Change) -> None:
    if change.WhichOneof("row") != "desired_lrp":
        return
    if change.verb == Change.REMOVED:
        heard.pop(change.desired_lrp.process_guid, None)
    else:
        heard[change.desired_lrp.process_guid] = change.desired_lrp
