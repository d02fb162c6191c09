"""Of two processes with one store only the later is heard: its disk was copied.

A lock keeps two processes from one folder, and nothing keeps a machine from being cloned. Both
copies have the name, the certificate and the store's id of one voter; if both were heard, it could
vote twice in a term. So each start is counted in the store, and a hello says the count and a number
that its process has drawn. Whoever met a later life of a store refuses the earlier one, and of two
with the same count the one that it met second.

What is met is forgotten with this process. A copy that is older than its original takes its place
when it starts later: a store that was put back from a copy is a store that has forgotten, and must
not be started at all.
"""

from diegod.internal.v1.raft_pb2 import RaftHello
from diegod.raftbbs.raft.step_transaction import StepTransaction
from diegod.raftbbs.store.environment import Environment
from diegod.raftbbs.store.identity import META_TABLE

_KEY = b"life"


class Lives:
    """This member's own life, and the latest that was met of each store."""

    def __init__(
        self, environment: Environment, transaction: StepTransaction, process: int
    ) -> None:
        meta = environment.table(META_TABLE)
        before = transaction.reader.get(meta, _KEY) or b"\0"
        self.life = int.from_bytes(before, "big") + 1
        self.process = process
        transaction.writer.put(meta, _KEY, self.life.to_bytes(8, "big"))
        self._met: dict[str, tuple[int, int]] = {}

    def met(self, hello: RaftHello) -> None:
        self._met[hello.store_id] = hello.life, hello.process

    def complaint(self, hello: RaftHello) -> str:
        """Why this is an earlier life of a store, or another one beside it; "" when it is not.

        The first release does not count lives.
        """
        life, process = self._met.get(hello.store_id, (0, 0))
        is_same = (hello.life, hello.process) == (life, process)
        if hello.life > life or is_same or not hello.life:
            return ""
        return (
            f"its store was copied: a process that began with it {life} times is known, and this "
            f"one says {hello.life}; stop one of the two"
        )
