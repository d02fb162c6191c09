"""The simulated store: it answers like the real one, and a seed makes one history."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

from diegod.internal.v1 import command_pb2 as c
from diegod.models.errors import Reason
from tests.checkers import simulated
from tests.checkers.history import Done, History, Operation, Outcome, Refused, Row, Unknown, Verb
from tests.checkers.linearizable import judge, overall
from tests.checkers.replay import violations
from tests.checkers.search import Verdict
from tests.unit.raftbbs.core.board import Board, a_task, an_lrp


def test_a_seed_makes_one_history() -> None:
    assert simulated.history(simulated.Plan(5)) == simulated.history(simulated.Plan(5))
    assert simulated.history(simulated.Plan(5)) != simulated.history(simulated.Plan(6))


def test_all_that_can_happen_happens() -> None:
    outcomes = [
        each.outcome
        for seed in range(5)
        for each in simulated.history(simulated.Plan(seed, 200)).operations
    ]
    reasons = {each.reason for each in outcomes if isinstance(each, Refused)}
    assert reasons == {
        Reason.RESOURCE_NOT_FOUND,
        Reason.RESOURCE_EXISTS,
        Reason.RESOURCE_CONFLICT,
        Reason.UNAVAILABLE,
    }
    assert sum(isinstance(each, Unknown) for each in outcomes) > 30


def test_the_real_store_gives_the_same_answers(tmp_path: Path) -> None:
    """The rules that the checkers know are those of the product."""
    chance, real, ours = random.Random(1), Board.open(tmp_path), simulated.Store(revision=0)
    told: list[Operation] = []
    for number in range(400):
        call = _call(number, ours, chance)
        outcome = ours.apply(call)
        assert _really(real, call) == outcome, str(call)
        told.append(replace(call, outcome=outcome))
    history = History(0, told, ours.changes, ours.revision, {}, ours.rows)
    assert {type(each.outcome) for each in told} == {Done, Refused}
    assert violations(history) == []
    assert overall(judge(history)) is Verdict.LINEARIZABLE


def _call(number: int, store: simulated.Store, chance: random.Random) -> Operation:
    name = chance.choice(("task/t1", "task/t2", "lrp/a", "lrp/b", "lrp/c"))
    verbs = [Verb.DESIRE_TASK, Verb.READ]
    if name.startswith("lrp/"):
        verbs = [Verb.DESIRE_LRP, Verb.SCALE_LRP, Verb.SCALE_LRP, Verb.READ]
    verb = chance.choice(verbs)
    now = store.rows.get(name)
    known = now.revision if now is not None else 0
    some = (0, known, known, known + 1, 1)
    expected = chance.choice(some) if verb.can_compare_and_set else 0
    value = "" if verb is Verb.READ else str(chance.randint(1, 3))
    times = 10 * number, 10 * number + 5
    return Operation(f"r{number}", 1, name, verb, *times, Unknown(), value, expected)


def _really(board: Board, call: Operation) -> Outcome:
    if call.verb is Verb.READ:
        return _really_read(board, call.key)
    command: dict[str, Any] = {call.verb.value: _command(call)}
    outcome = board.say("user/ann", call.request_id, **command)
    if outcome.reason:
        return Refused(Reason(outcome.reason))
    return Done(_row(board, call.key) or Row(0, "", ""))


def _command(call: Operation) -> Any:
    guid = call.key.partition("/")[2]
    if call.verb is Verb.DESIRE_TASK:
        return c.DesireTask(task=a_task(guid), definition=call.value.encode())
    instances, expected = int(call.value), call.expected_revision
    if call.verb is Verb.SCALE_LRP:
        return c.ScaleLrp(process_guid=guid, instances=instances, expected_revision=expected)
    row = an_lrp(guid, instances)
    return c.DesireLrp(desired_lrp=row, definition=b"web", expected_revision=expected)


def _really_read(board: Board, key: str) -> Outcome:
    row = _row(board, key)
    if row is None:
        return Refused(Reason.RESOURCE_NOT_FOUND)
    return Done(row, board.state().counters().revision)


def _row(board: Board, key: str) -> Row | None:
    guid, state = key.partition("/")[2], board.state()
    if key.startswith("task/"):
        task, value = state.task(guid), (state.task_definition(guid) or b"").decode()
        return task and Row(task.provenance.revision, task.provenance.request_id, value)
    desired = state.desired_lrp(guid)
    if desired is None:
        return None
    made_by = desired.provenance
    return Row(made_by.revision, made_by.request_id, str(desired.instances))
