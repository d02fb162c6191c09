"""The installed PySyncObj as it is shipped, driven by hand: to show which flaws it has.

A simulated clock, ordered connections that deliver when told to, no sockets and no threads.
"""

import pickle
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pysyncobj import SyncObj, SyncObjConf, syncobj
from pysyncobj.node import Node
from pysyncobj.transport import Transport

SUCCESS = 0


class RawTransport(Transport):  # type: ignore[misc]
    def __init__(self, cluster: "RawCluster", me: str) -> None:
        super().__init__(None, None, None)
        self.cluster, self.me = cluster, me

    def send(self, node: Any, message: Any) -> bool:
        if frozenset((self.me, node.id)) not in self.cluster.up:
            return False
        self.cluster.queues[self.me, node.id].append(pickle.dumps(message))
        return True


class RawMember(SyncObj):  # type: ignore[misc]
    """Applies opaque commands to a list, as ours does; otherwise the library as it is."""

    def __init__(self, cluster: "RawCluster", me: str, others: list[str], conf: Any) -> None:
        self.applied: list[bytes] = []
        self.transport = RawTransport(cluster, me)
        nodes = [Node(each) for each in others]
        super().__init__(Node(me), nodes, conf, nodeClass=Node, transport=self.transport)
        self._SyncObj__properies = set(self.__dict__) - {"applied"}

    def _SyncObj__doApplyCommand(self, command: bytes) -> bytes | None:  # noqa: N802
        if command[:1] != b"\0":
            return None
        self.applied.append(command[1:])
        return command[1:]

    def put(self, payload: bytes, done: Callable[[Any, int], None] | None = None) -> None:
        self._applyCommand(b"\0" + payload, done)

    def get(self, name: str) -> Any:
        return getattr(self, f"_SyncObj__{name}")

    def set(self, name: str, value: Any) -> None:
        setattr(self, f"_SyncObj__{name}", value)

    @property
    def leads(self) -> bool:
        return bool(self._isLeader())

    def log(self) -> list[tuple[int, int]]:
        return [(entry[1], entry[2]) for entry in self.get("raftLog")[:]]


class RawCluster:
    """Members of the raw library; nobody campaigns unless a test says so."""

    def __init__(self, ids: str = "ABC", member: type[RawMember] = RawMember, **conf: Any) -> None:
        self.now = 1000.0
        self.queues: dict[tuple[str, str], deque[bytes]] = {
            (a, b): deque() for a in ids for b in ids if a != b
        }
        self.up: set[frozenset[str]] = set()
        settings = SyncObjConf(autoTick=False, useFork=False, **conf)
        self.members = {
            each: member(self, each, [other for other in ids if other != each], settings)
            for each in ids
        }
        for a, b in self.queues:
            self.link(a, b)
        self.freeze()

    def __getitem__(self, who: str) -> RawMember:
        return self.members[who]

    def freeze(self) -> None:
        for member in self.members.values():
            member.set("raftElectionDeadline", self.now + 1e9)

    def link(self, a: str, b: str, up: bool = True) -> None:
        pair = frozenset((a, b))
        if (pair in self.up) == up:
            return
        (self.up.add if up else self.up.discard)(pair)
        for source, target in ((a, b), (b, a)):
            transport = self[source].transport
            self.queues[source, target].clear()
            if up:
                transport._onNodeConnected(Node(target))
            else:
                transport._onNodeDisconnected(Node(target))

    def tick(self, *who: str, seconds: float = 0.11) -> None:
        self.now += seconds
        for each in who:
            self[each].doTick(0)
        self.freeze()

    def pump(self, source: str, target: str, count: int = 10**9) -> None:
        queue = self.queues[source, target]
        while queue and count:
            count -= 1
            self[target].transport._onMessageReceived(Node(source), pickle.loads(queue.popleft()))

    def messages(self, source: str, target: str) -> list[dict[str, Any]]:
        return [pickle.loads(each) for each in self.queues[source, target]]

    def settle(self, who: str, rounds: int = 6) -> None:
        for _ in range(rounds):
            self.tick(*who)
            for source, target in self.queues:
                if source in who and target in who:
                    self.pump(source, target)

    def elect(self, who: str, voters: str) -> None:
        self[who].set("raftElectionDeadline", self.now - 1)
        self[who].doTick(0)
        for voter in voters:
            self.pump(who, voter)
            self.pump(voter, who)
        self.freeze()
        assert self[who].leads


@contextmanager
def raw_cluster(
    ids: str = "ABC", member: type[RawMember] = RawMember, **conf: Any
) -> Iterator[RawCluster]:
    """A raw cluster; while it lives the library reads its clock."""
    before = syncobj.monotonicTime
    clock = [1000.0]
    syncobj.monotonicTime = lambda: clock[0]
    try:
        cluster = RawCluster(ids, member, **conf)
        syncobj.monotonicTime = lambda: cluster.now
        yield cluster
    finally:
        syncobj.monotonicTime = before
