"""The clients: each asks for one thing after another and writes down what it was told.

One call is one try with a request id of its own, on a connection of the client's own; nothing is
repeated. Writes go where the leader was last, reads to any member. Clients come in groups that
share a few keys; a key is given up before it has too many operations, or too many of unknown
outcome, for a search.
"""

import asyncio
import random
import time
from dataclasses import dataclass, field, replace

from diegod.models.errors import DomainError, Reason
from tests.chaos import calls
from tests.chaos.site import Site
from tests.checkers.history import Done, Operation, Refused, Unknown, Verb

#: How long one waits for an answer. Half give up before a member does (5 s): what it says then is
#: heard by those who don't.
TRIES_S = (2.0, 6.5)
_GROUP_CLIENTS = 4
_GROUP_KEYS = 3
_KEY_OPERATIONS = 200
#: When a key is given up, all others of its group may still lose theirs: 3 + 4 in the end.
_KEY_UNKNOWN = 4
_ELSEWHERE_SHARE = 0.08
_REFUSED_PAUSE_S = (0.05, 0.2)


@dataclass
class _Key:
    name: str
    operations_left: int = _KEY_OPERATIONS
    unknown_left: int = _KEY_UNKNOWN
    told_revision: int = 0  # the latest that any client was told


@dataclass
class _Group:
    """Clients that work on the same keys."""

    name: str
    chance: random.Random
    keys: list[_Key] = field(default_factory=list)
    made: int = 0

    def key(self) -> _Key:
        if not self.keys:
            self.keys = [self._new_key() for _ in range(_GROUP_KEYS)]
        slot = self.chance.randrange(_GROUP_KEYS)
        if self.keys[slot].operations_left <= 0 or self.keys[slot].unknown_left <= 0:
            self.keys[slot] = self._new_key()
        self.keys[slot].operations_left -= 1
        return self.keys[slot]

    def _new_key(self) -> _Key:
        self.made += 1
        guid = f"{self.name}-{self.made}"
        is_task = self.chance.random() < 0.25
        return _Key(calls.task_key(guid) if is_task else calls.lrp_key(guid))


class Load:
    def __init__(self, site: Site, seed: int, clients: int, rate: float) -> None:
        self._site = site
        self._seed = seed
        self._pause_s = clients / rate
        self.operations: list[Operation] = []
        self._stopping = False
        groups = -(-clients // _GROUP_CLIENTS)
        self._groups = [
            _Group(f"g{number}", random.Random(f"{seed}/group/{number}"))
            for number in range(groups)
        ]
        self._clients = [
            _Client(self, number, self._groups[number % groups]) for number in range(clients)
        ]

    async def run(self) -> None:
        """Until `stop`; what is on its way then is waited for."""
        async with asyncio.TaskGroup() as tasks:
            for client in self._clients:
                tasks.create_task(client.run())

    def stop(self) -> None:
        self._stopping = True

    @property
    def goes_on(self) -> bool:
        return not self._stopping

    @property
    def site(self) -> Site:
        return self._site

    @property
    def pause_s(self) -> float:
        return self._pause_s

    def chance(self, client: int) -> random.Random:
        return random.Random(f"{self._seed}/client/{client}")


class _Client:
    def __init__(self, load: Load, number: int, group: _Group) -> None:
        self._load = load
        self._number = number
        self._group = group
        self._chance = load.chance(number)
        self._apis = list(load.site.apis())
        self._leader = ""
        self._calls = 0

    async def run(self) -> None:
        dialer = self._load.site.dialer()
        try:
            while self._load.goes_on:
                began = time.monotonic()
                key = self._group.key()
                call = self._next_call(key)
                address = self._address(call)
                row, request = calls.request_of(call)
                try:
                    try_s = self._chance.choice(TRIES_S)
                    reply = await dialer.call(address, row, request, try_s)
                except DomainError as error:
                    self._failed(call, key, error)
                    await asyncio.sleep(self._chance.uniform(*_REFUSED_PAUSE_S))
                else:
                    self._told(call, key, address, calls.done(call, reply))
                await asyncio.sleep(max(0.0, self._pause_s() - (time.monotonic() - began)))
        finally:
            await dialer.close()

    def _pause_s(self) -> float:
        return self._load.pause_s * self._chance.uniform(0.5, 1.5)

    def _next_call(self, key: _Key) -> Operation:
        chance, now_ns = self._chance, time.monotonic_ns()
        self._calls += 1
        if key.name.startswith("task/"):
            verb = chance.choice((Verb.DESIRE_TASK, Verb.READ))
            value = str(chance.choice(calls.TASK_MEMORY_MB))
        else:
            verb = chance.choice((Verb.SCALE_LRP, Verb.SCALE_LRP, Verb.DESIRE_LRP, Verb.READ))
            value = str(chance.randint(1, calls.INSTANCES_MAX))
        is_set = verb.can_compare_and_set and chance.random() < 0.6
        return Operation(
            request_id=f"client-{self._number}-{self._calls}",
            client=self._number,
            key=key.name,
            verb=verb,
            invoked_ns=now_ns,
            returned_ns=now_ns,
            outcome=Unknown(),
            value="" if verb is Verb.READ else value,
            expected_revision=key.told_revision if is_set else 0,
        )

    def _address(self, call: Operation) -> str:
        is_elsewhere = self._chance.random() < _ELSEWHERE_SHARE
        if call.is_write and self._leader and not is_elsewhere:
            return self._leader
        return self._chance.choice(self._apis)

    def _told(self, call: Operation, key: _Key, address: str, outcome: Done) -> None:
        self._note(call, outcome)
        key.told_revision = max(key.told_revision, outcome.row.revision)
        if call.is_write:
            self._leader = address

    def _failed(self, call: Operation, key: _Key, error: DomainError) -> None:
        outcome = calls.failed(error)
        self._note(call, outcome)
        if isinstance(outcome, Unknown):
            key.unknown_left -= call.is_write
            self._leader = ""
        elif error.reason is Reason.NOT_LEADER:
            self._leader = error.leader_address
        elif error.reason is Reason.UNAVAILABLE:
            self._leader = ""

    def _note(self, call: Operation, outcome: Done | Refused | Unknown) -> None:
        told = replace(call, returned_ns=time.monotonic_ns(), outcome=outcome)
        self._load.operations.append(told)
