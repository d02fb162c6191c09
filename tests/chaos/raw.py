"""The library as it is shipped, under the checkers that ours is judged by: they have to reject it.

Three stock PySyncObj objects with their default timing, on a virtual clock; connections that keep
their order; now and then the leader is cut off from the others for a few seconds. Nothing crashes
and no message is lost in a connection that holds: all that happens is what a switch does when it
restarts. Clients write and read, with care, only where a member says that it leads.

`python -m tests.chaos raw [SEEDS]` prints what the checkers find. The same world without faults is
judged first: what it does then has to be right, or the rejection would prove nothing.
"""

import itertools
import pickle
import random
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from pysyncobj import FAIL_REASON, SyncObj, SyncObjConf, replicated, syncobj
from pysyncobj.node import Node
from pysyncobj.transport import Transport

from diegod.models.errors import Reason
from tests.checkers import linearizable, replay
from tests.checkers.history import Done, History, Operation, Outcome, Refused, Unknown, Verb
from tests.checkers.search import Verdict
from tests.checkers.simulated import BASE_REVISION, Store

NAMES = ("A", "B", "C")
SECONDS = 30.0
_STEP_S = 0.02
_LATENCY_S = 0.01
_TRY_S = 2.0
_CLIENTS = 4
_KEY_OPERATIONS = 100
_KEY_UNKNOWN = 4
_SETTLE_S = 20.0
#: The library says of these that the command was not taken.
_NOT_TAKEN = (FAIL_REASON.QUEUE_FULL, FAIL_REASON.MISSING_LEADER, FAIL_REASON.REQUEST_DENIED)


class Board(SyncObj):  # type: ignore[misc]
    """A replicated object as the library's manual shows one."""

    def __init__(self, me: str, transport: Transport) -> None:
        self.store = Store()
        others = [Node(each) for each in NAMES if each != me]
        conf = SyncObjConf(autoTick=False, useFork=False)
        super().__init__(Node(me), others, conf, nodeClass=Node, transport=transport)

    @replicated  # type: ignore[untyped-decorator]
    def carry_out(self, call: Operation) -> Outcome:
        return self.store.apply(call)

    @property
    def leads(self) -> bool:
        return bool(self._isLeader())


class _Wires(Transport):  # type: ignore[misc]
    def __init__(self, world: "World", me: str) -> None:
        super().__init__(None, None, None)
        self._world, self._me = world, me

    def send(self, node: Any, message: Any) -> bool:
        return self._world.send(self._me, node.id, message)


@dataclass
class _Client:
    number: int
    chance: random.Random
    asking: Operation | None = None
    asked_s: float = 0.0
    free_s: float = 0.0


@dataclass
class _Key:
    name: str
    operations_left: int = _KEY_OPERATIONS
    unknown_left: int = _KEY_UNKNOWN
    told_revision: int = 0


@dataclass
class World:
    """Members, wires and clients of one seed."""

    seed: int
    has_faults: bool = True
    now_s: float = 1000.0
    operations: list[Operation] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(f"raw/{self.seed}")
        self._instants = itertools.count(1)
        self._calls = itertools.count(1)
        self._queues: dict[tuple[str, str], deque[tuple[float, bytes]]] = {
            (a, b): deque() for a in NAMES for b in NAMES if a != b
        }
        self._cut_off: str = ""
        self._cut_until_s = 0.0
        self._next_cut_s = self.now_s + 4.0
        self._wires = {each: _Wires(self, each) for each in NAMES}
        self.boards = {each: Board(each, self._wires[each]) for each in NAMES}
        for a, b in self._queues:
            self._wires[a]._onNodeConnected(Node(b))
        self._clients = [
            _Client(number, random.Random(f"raw/{self.seed}/{number}"))
            for number in range(_CLIENTS)
        ]
        self._keys = [self._new_key() for _ in range(2)]

    def run(self) -> History:
        end_s = self.now_s + SECONDS
        while self.now_s < end_s:
            self._fault()
            self._step()
            for client in self._clients:
                self._act(client)
        self._heal()
        self._settle()
        store = next(board.store for board in self.boards.values() if board.leads)
        return History(
            base_revision=BASE_REVISION,
            operations=self.operations,
            changes=store.changes,
            final_revision=store.revision,
            final=store.rows,
        )

    # The members and their wires.

    def send(self, source: str, target: str, message: Any) -> bool:
        self._queues[source, target].append((self.now_s + _LATENCY_S, pickle.dumps(message)))
        return True

    def _step(self) -> None:
        self.now_s += _STEP_S
        for (source, target), queue in self._queues.items():
            while queue and queue[0][0] <= self.now_s and self._cut_off not in (source, target):
                message = pickle.loads(queue.popleft()[1])
                self._wires[target]._onMessageReceived(Node(source), message)
        for board in self.boards.values():
            board.doTick(0)

    def _fault(self) -> None:
        """A leader that nobody hears: what it sends waits until it is heard again."""
        if self._cut_off and self.now_s >= self._cut_until_s:
            self._heal()
        if not self.has_faults or self._cut_off or self.now_s < self._next_cut_s:
            return
        leaders = [name for name, board in self.boards.items() if board.leads]
        if leaders:
            self._cut_off = self.chance.choice(leaders)
            self._cut_until_s = self.now_s + self.chance.uniform(1.0, 5.0)

    def _heal(self) -> None:
        self._cut_off = ""
        self._next_cut_s = self.now_s + self.chance.uniform(2.0, 5.0)

    def _settle(self) -> None:
        """Until nothing is on its way and all members have applied the same."""
        give_up = self.now_s + _SETTLE_S
        while self.now_s < give_up:
            self._step()
        for client in self._clients:
            if client.asking is not None:
                self._answer(client, client.asking, Unknown())

    # The clients.

    def _act(self, client: _Client) -> None:
        if client.asking is not None:
            if self.now_s - client.asked_s > _TRY_S:
                self._answer(client, client.asking, Unknown())
            return
        leaders = [board for board in self.boards.values() if board.leads]
        if self.now_s < client.free_s or not leaders:
            return
        call = self._next_call(client)
        client.asking, client.asked_s = call, self.now_s
        board = client.chance.choice(leaders)
        if call.verb is Verb.READ:
            self._answer(client, call, board.store.apply(call))
        else:
            board.carry_out(call, callback=self._told(client, call))

    def _next_call(self, client: _Client) -> Operation:
        chance, key, instant = client.chance, self._key(client), next(self._instants)
        verb = chance.choice((Verb.SCALE_LRP, Verb.SCALE_LRP, Verb.DESIRE_LRP, Verb.READ))
        is_set = verb.can_compare_and_set and chance.random() < 0.6
        return Operation(
            request_id=f"r{next(self._calls)}",
            client=client.number,
            key=key.name,
            verb=verb,
            invoked_ns=instant,
            returned_ns=instant,
            outcome=Unknown(),
            value="" if verb is Verb.READ else str(chance.randint(1, 5)),
            expected_revision=key.told_revision if is_set else 0,
        )

    def _told(self, client: _Client, call: Operation) -> Callable[[Any, int], None]:
        def told(result: Any, reason: int) -> None:
            if client.asking is not call:
                return  # it has given up
            if reason == FAIL_REASON.SUCCESS:
                self._answer(client, call, result)
            elif reason in _NOT_TAKEN:
                self._answer(client, call, Refused(Reason.UNAVAILABLE))
            else:
                self._answer(client, call, Unknown())

        return told

    def _answer(self, client: _Client, call: Operation, outcome: Outcome) -> None:
        told = replace(call, returned_ns=next(self._instants), outcome=outcome)
        self.operations.append(told)
        client.asking = None
        client.free_s = self.now_s + client.chance.uniform(0.02, 0.2)
        for key in self._keys:
            if key.name == call.key:
                key.unknown_left -= isinstance(outcome, Unknown)
                if isinstance(outcome, Done):
                    key.told_revision = max(key.told_revision, outcome.row.revision)

    def _key(self, client: _Client) -> _Key:
        slot = client.chance.randrange(len(self._keys))
        if self._keys[slot].operations_left <= 0 or self._keys[slot].unknown_left <= 0:
            self._keys[slot] = self._new_key()
        self._keys[slot].operations_left -= 1
        return self._keys[slot]

    def _new_key(self) -> _Key:
        return _Key(f"lrp/k{next(self._calls)}")


@contextmanager
def _virtual(seed: int) -> Iterator[list[World]]:
    """While it lives, the library reads the world's clock and draws from its seed."""
    clock, chance = syncobj.monotonicTime, random.getstate()
    worlds: list[World] = []
    syncobj.monotonicTime = lambda: worlds[0].now_s if worlds else 1000.0
    random.seed(seed)
    try:
        yield worlds
    finally:
        syncobj.monotonicTime = clock
        random.setstate(chance)


def history(seed: int, *, has_faults: bool = True) -> History:
    """What clients of the raw library were told, and what it says it did."""
    with _virtual(seed) as worlds:
        world = World(seed, has_faults)
        worlds.append(world)
        return world.run()


@dataclass(frozen=True)
class Judged:
    """What both checkers say of one history."""

    operations: int
    violations: Counter[str]
    verdict: Verdict
    example: str

    @classmethod
    def of(cls, told: History) -> "Judged":
        found = replay.violations(told)
        judgements = linearizable.judge(told)
        examples = [*map(str, found), *(each.explanation for each in judgements)]
        return cls(
            operations=len(told.operations),
            violations=Counter(each.fault.value for each in found),
            verdict=linearizable.overall(judgements),
            example=next(filter(None, examples), ""),
        )


def main(arguments: list[str]) -> int:
    """0: the checkers reject the raw library under faults, and accept it without any."""
    seeds = range(1, 1 + int(arguments[0] if arguments else 10))
    calm = Judged.of(history(0, has_faults=False))
    print(f"without faults: {_line(calm)}")
    judged = [Judged.of(history(seed)) for seed in seeds]
    for seed, each in zip(seeds, judged, strict=True):
        print(f"seed {seed}: {_line(each)}")
    by_replay = sum(bool(each.violations) for each in judged)
    by_search = sum(each.verdict is Verdict.NOT_LINEARIZABLE for each in judged)
    print(f"rejected of {len(judged)}: {by_replay} by replay, {by_search} by search")
    print(next((each.example for each in judged if each.example), ""))
    is_calm_right = not calm.violations and calm.verdict is Verdict.LINEARIZABLE
    return 0 if is_calm_right and by_replay and by_search else 1


def _line(judged: Judged) -> str:
    found = ", ".join(f"{count} × {fault}" for fault, count in judged.violations.items())
    return f"{judged.operations} operations; {found or 'nothing wrong'}; {judged.verdict.value}"
