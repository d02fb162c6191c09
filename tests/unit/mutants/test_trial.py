"""A mutant on trial, in processes of its own: some of the table, and what is no kill.

All of them are tried by `make mutants`. These here are of every kind, and keep the machinery from
rotting: a test that finds one, a scripted story, random histories of the log, storms of snapshots,
the whole ring.
"""

from dataclasses import replace

import pytest

from diegod.raftbbs.core import guards as refusals
from tests.mutants import report
from tests.mutants.__main__ import main
from tests.mutants.chance import WORLDS, hunt
from tests.mutants.mutant import Chance
from tests.mutants.surgery import around, says
from tests.mutants.table import MUTANTS
from tests.mutants.trial import Verdict, _weigh, judge


@pytest.mark.parametrize(
    "name",
    [
        "term-check-on-acks",
        "vote-not-saved",
        "truncation-abort",
        "start_task/attempt",
        "lock-checked-at-the-edge-only",
        "pickled-commands",
        "late-tick-does-not-rearm",
    ],
)
def test_a_mutant_is_found_out_by_each_test_that_is_named_for_it(name: str) -> None:
    verdict = judge(MUTANTS[name], seeds=False)
    assert verdict.complaints == []
    assert verdict.killers == list(MUTANTS[name].nodes)


@pytest.mark.parametrize(
    "name",
    [
        "answer-before-commit",
        "log-outside-the-transaction",
        "receivers-promises-taken-from-the-copy",
        "start-without-a-grant",
    ],
)
def test_some_are_found_by_chance_alone(name: str) -> None:
    assert MUTANTS[name].chance is not None
    verdict = judge(MUTANTS[name])
    assert verdict.complaints == []
    assert verdict.needed is not None


#: Each of these starts processes, which have limits of their own.
pytestmark = pytest.mark.timeout(900)

HARMLESS = MUTANTS["any-role"]


def test_a_mutant_that_a_named_test_does_not_find_has_survived() -> None:
    elsewhere = "core/test_tasks.py::test_a_task_that_succeeded_has_no_failure"
    verdict = judge(replace(HARMLESS, tests=(*HARMLESS.tests, elsewhere)))
    assert verdict.complaints == [f"survived tests/unit/raftbbs/{elsewhere}"]
    assert "NOT KILLED" in report.line(verdict)


def test_a_mutant_that_no_test_reaches_is_not_killed() -> None:
    verdict = judge(replace(HARMLESS, tests=("raft/test_flow.py",)))
    assert verdict.complaints == ["not reached: no test ran into it"]


def test_a_test_that_is_not_there_finds_nothing() -> None:
    verdict = judge(replace(HARMLESS, tests=("raft/test_flow.py::test_nothing",)))
    assert "its tests can't be run" in verdict.complaints[0]


def _failure(**fields: str) -> dict[str, str]:
    usual = {"node": HARMLESS.nodes[0], "when": "call", "at": "test_rules.py"}
    return {**usual, "kind": "AssertionError", "says": "assert 1 == 2", **fields}


@pytest.mark.parametrize(
    "failure",
    [
        {"when": "setup"},
        {"kind": "TypeError"},
        {"kind": "ImportError"},
        {"kind": "KeyError", "at": "gate.py"},
        {"kind": "Failed", "says": "Timeout (>120.0s) from pytest-timeout."},
    ],
)
def test_what_may_be_a_mistake_of_the_mutant_is_no_finding(failure: dict[str, str]) -> None:
    verdict = Verdict(HARMLESS)
    _weigh(verdict, {"reached": 1, "stumbled": [], "failed": [_failure(**failure)]})
    assert verdict.complaints[0].startswith("survived")
    assert "is no finding" in verdict.complaints[0]


def test_a_mutant_that_stumbles_proves_nothing() -> None:
    verdict = Verdict(HARMLESS)
    _weigh(verdict, {"reached": 1, "stumbled": ["apply: TypeError()"], "failed": [_failure()]})
    assert verdict.complaints == ["the mutant itself stumbles: apply: TypeError()"]


def test_seeds_that_have_to_find_a_mutant_and_do_not_are_a_failure() -> None:
    chance = Chance("raft", 1, must=True)
    unseen = replace(MUTANTS["conflict-with-what-is-committed"], chance=chance)
    assert judge(unseen).complaints == ["survived 1 seeds of raft"]


def test_a_seed_that_finds_fault_without_the_mutant_finds_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[bool] = []

    def world(seed: int) -> list[str]:
        """Seed 2 breaks a promise of the product itself, seed 3 one that the mutant breaks."""
        told.append(refusals.not_found("task", "t1") is None)
        return ["broken"] if seed == 2 or (seed == 3 and told[-1]) else []

    monkeypatch.setitem(WORLDS, "raft", world)
    blind = replace(HARMLESS, install=around("raftbbs.core.guards:not_found", says(None)))
    found = hunt(blind, "raft", 5)
    assert (found.needed, found.unsound) == (3, [2])
    assert told == [True, True, False, True, False]
    assert hunt(blind, "raft", 2).needed is None


def test_the_command_says_who_killed_whom_and_ends_with_1_where_nobody_did(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["--no-seeds", "any-role"]) == 0
    said = capsys.readouterr().out
    assert "any-role → core/test_rules.py::test_only_its_own_role_gives_a_command → –" in said
    assert "1 mutants, all of them killed" in said
    monkeypatch.setitem(MUTANTS, "any-role", replace(HARMLESS, tests=("raft/test_flow.py",)))
    assert main(["--no-seeds", "any-role"]) == 1
    assert "1 NOT KILLED" in capsys.readouterr().out
    assert main(["nobody"]) == 2


def test_the_table_has_a_row_for_each() -> None:
    alive = Verdict(MUTANTS["stickiness"], complaints=["survived x"])
    dead = Verdict(MUTANTS["term-check-on-acks"], killers=list(MUTANTS["stickiness"].nodes))
    dead.needed, dead.tried = 7, 30
    rows = report.markdown([alive, dead]).splitlines()
    assert rows[2].startswith("| stickiness | M6 |")
    assert "**nobody**: survived x" in rows[2]
    assert rows[3].endswith("| 7 raft |")
