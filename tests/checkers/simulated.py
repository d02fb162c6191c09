"""Correct histories, made from a seed: clients, delays and failures around one obedient store.

Each operation takes place at one moment between its call and its answer. Some calls are turned away
and some have no known outcome: the request was lost, the answer was lost, or the request came so
late that nobody waited for it any more. Keys are replaced by new ones before they have too many
operations for a search.
"""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from diegod.models.errors import Reason
from tests.checkers.history import (
    Change,
    Done,
    History,
    Operation,
    Outcome,
    Refused,
    Row,
    Unknown,
    Verb,
)

BASE_REVISION = 10
_TIMEOUT_NS = 4_000


@dataclass(frozen=True)
class Plan:
    seed: int
    operations: int = 120
    clients: int = 4
    keys: int = 4  # at a time
    unknown_share: float = 0.08
    unavailable_share: float = 0.04
    key_operations: int = 250
    key_unknown: int = 8


def history(plan: Plan) -> History:
    return _Simulation(plan).run()


@dataclass
class Store:
    """One row after the other, each operation at once."""

    revision: int = BASE_REVISION
    rows: dict[str, Row] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)

    def apply(self, call: Operation) -> Outcome:
        row = self.rows.get(call.key)
        if call.verb is Verb.READ or (row is None and call.verb is Verb.SCALE_LRP):
            return Done(row, self.revision) if row else Refused(Reason.RESOURCE_NOT_FOUND)
        if call.expected_revision not in (0, row.revision if row else 0):
            return Refused(Reason.RESOURCE_CONFLICT)
        if row and row.value == call.value:
            return Done(row)
        if row and call.verb is Verb.DESIRE_TASK:
            return Refused(Reason.RESOURCE_EXISTS)
        return Done(self._changed(call))

    def change_something_else(self) -> None:
        self.revision += 1
        self.changes.append(Change(self.revision, "cell/c1", None))

    def _changed(self, call: Operation) -> Row:
        self.revision += 1
        row = Row(self.revision, call.request_id, call.value)
        self.rows[call.key] = row
        self.changes.append(Change(self.revision, call.key, row))
        return row


@dataclass
class _Key:
    name: str
    operations_left: int
    unknown_left: int
    told_revision: int = 0  # the latest that any client was told


class _Simulation:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._chance = random.Random(plan.seed)
        self._store = Store()
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._now_ns = 0
        self._count = 0
        self._left = plan.operations
        self._told: list[Operation] = []
        self._keys = [self._new_key() for _ in range(plan.keys)]

    def run(self) -> History:
        for number, key in enumerate(self._keys[::2]):
            if key.name.startswith("lrp/"):
                self._store.rows[key.name] = Row(number + 1, f"earlier-{number}", "2")
        initial = dict(self._store.rows)
        for client in range(self._plan.clients):
            self._later(lambda client=client: self._invoke(client))  # type: ignore[misc]
        while self._agenda:
            self._now_ns, _, action = heapq.heappop(self._agenda)
            action()
        return History(
            base_revision=BASE_REVISION,
            operations=self._told,
            changes=self._store.changes,
            final_revision=self._store.revision,
            initial=initial,
            final=self._store.rows,
        )

    def _later(self, action: Callable[[], None], least_ns: int = 0) -> None:
        at_ns = self._now_ns + least_ns + self._chance.randint(1, 1_000)
        heapq.heappush(self._agenda, (at_ns, self._next_number(), action))

    def _next_number(self) -> int:
        self._count += 1
        return self._count

    # What a client does.

    def _invoke(self, client: int) -> None:
        if not self._left:
            return
        self._left -= 1
        if self._chance.random() < 0.1:
            self._store.change_something_else()
        key = self._chosen_key()
        call = self._call(client, key)
        luck = self._chance.random()
        if luck < self._plan.unavailable_share:
            self._later(lambda: self._answer(call, key, Refused(Reason.UNAVAILABLE)))
        elif luck < self._plan.unavailable_share + self._plan.unknown_share and key.unknown_left:
            self._lose(call, key)
        else:
            self._later(lambda: self._reach(call, key))

    def _call(self, client: int, key: _Key) -> Operation:
        chance = self._chance
        verb = chance.choice((Verb.DESIRE_TASK, Verb.READ))
        value = f"definition-{chance.randint(1, 2)}"
        if key.name.startswith("lrp/"):
            verb = chance.choice((Verb.SCALE_LRP, Verb.SCALE_LRP, Verb.DESIRE_LRP, Verb.READ))
            value = str(chance.randint(1, 5))
        is_set = verb.can_compare_and_set and chance.random() < 0.6
        return Operation(
            request_id=f"r{self._next_number()}",
            client=client,
            key=key.name,
            verb=verb,
            invoked_ns=self._now_ns,
            returned_ns=self._now_ns,
            outcome=Unknown(),
            value="" if verb is Verb.READ else value,
            expected_revision=key.told_revision if is_set else 0,
        )

    def _reach(self, call: Operation, key: _Key) -> None:
        outcome = self._store.apply(call)
        self._later(lambda: self._answer(call, key, outcome))

    def _lose(self, call: Operation, key: _Key) -> None:
        key.unknown_left -= 1
        self._later(lambda: self._answer(call, key, Unknown()), least_ns=_TIMEOUT_NS)
        lost = self._chance.choice(("request", "answer", "late"))
        if lost != "request":
            least_ns = 3 * _TIMEOUT_NS if lost == "late" else 0
            self._later(lambda: self._take_place(call), least_ns)

    def _take_place(self, call: Operation) -> None:
        self._store.apply(call)

    def _answer(self, call: Operation, key: _Key, outcome: Outcome) -> None:
        self._told.append(replace(call, returned_ns=self._now_ns, outcome=outcome))
        if isinstance(outcome, Done):
            key.told_revision = max(key.told_revision, outcome.row.revision)
        self._later(lambda: self._invoke(call.client))

    # Keys.

    def _chosen_key(self) -> _Key:
        slot = self._chance.randrange(len(self._keys))
        key = self._keys[slot]
        if not key.operations_left or not key.unknown_left:
            self._keys[slot] = key = self._new_key()
        key.operations_left -= 1
        return key

    def _new_key(self) -> _Key:
        number = self._next_number()
        kind = "task" if self._chance.random() < 0.3 else "lrp"
        name = f"{kind}/k{number}"
        return _Key(name, self._plan.key_operations, self._plan.key_unknown)
