"""The table of mutants against what it has to cover, and against the product as it is."""

import subprocess
import sys

import pytest

from diegod.internal.v1 import command_pb2 as c
from diegod.raftbbs import core
from tests.mutants.surgery import Surgery, TargetVanished
from tests.mutants.table import MUTANTS
from tests.mutants.trial import ROOT

#: The measures of the design's chapter on PySyncObj, each with what takes it away.
MEASURES = {
    "M1": "one tick, one transaction, one flush",
    "M2": "nothing leaves before the commit; a failed commit ends the process",
    "M3": "a log with checksums, bounds and an abort on truncation",
    "M4": "appends: commit cap, truncation on conflict only, no gaps and giants",
    "M5": "acknowledgements: term and round echo, none beyond the log",
    "M6": "votes: voters only, once a term, pre-votes, stickiness, answers",
    "M7": "a leader without a majority steps down",
    "M8": "linearizable reads",
    "M9": "apply: our codec, deterministic, mistakes are answers",
    "M10": "copies of the state",
    "M11": "our own transport",
    "M12": "only members vote, with the store they are known with; one change at a time",
    "M13": "no forwarding, request ids, two classes of errors",
    "M14": "admission",
    "M15": "states are compared, and whose is wrong leaves",
    "M16": "the library's files are the proven ones",
}
#: Commands that overwrite whatever is there, and are meant to.
WITHOUT_GUARD = {"remove_lrp", "upsert_domain", "remove_domain", "control_schedule"}
#: Names of fields by which a command says what its speaker believed.
COMPARED = {
    *("row_revision", "desired_revision", "expected_revision"),
    *("attempt", "cell_incarnation", "incarnation", "token"),
}


def test_every_measure_has_a_mutant() -> None:
    of = {mutant.of for mutant in MUTANTS.values()}
    assert [measure for measure in MEASURES if measure not in of] == []


def test_every_command_that_compares_has_a_mutant() -> None:
    guarded = {mutant.command for mutant in MUTANTS.values() if mutant.command}
    assert guarded | WITHOUT_GUARD == set(core.RULES)
    assert not guarded & WITHOUT_GUARD


def test_everything_that_a_command_compares_has_a_mutant() -> None:
    compared = {
        f"{kind}/{field.name}"
        for kind in core.RULES
        for field in c.Command.DESCRIPTOR.fields_by_name[kind].message_type.fields
        if field.name in COMPARED
    }
    assert sorted(compared - set(MUTANTS)) == []


@pytest.mark.parametrize("name", sorted(MUTANTS))
def test_a_mutant_can_be_installed_and_taken_back(name: str) -> None:
    mutant = MUTANTS[name]
    assert mutant.breaks
    assert mutant.nodes
    surgery = Surgery()
    try:
        mutant.install(surgery)
    finally:
        surgery.undo()


def test_all_the_tests_that_have_to_find_a_mutant_are_there() -> None:
    nodes = sorted({node for mutant in MUTANTS.values() for node in mutant.nodes})
    arguments = ["-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, *arguments, "--confcutdir=tests/unit", *nodes],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.mark.parametrize(
    "target",
    [
        "raftbbs.raft.nowhere:Journal.save",
        "raftbbs.raft.journal:Nobody.save",
        "raftbbs.raft.journal:Journal.nothing",
        "raftbbs.raft.journal:FIRST_INDEX",
    ],
)
def test_a_target_that_has_vanished_is_an_error(target: str) -> None:
    with pytest.raises(TargetVanished):
        Surgery().around(target, lambda original: None)
    with pytest.raises(TargetVanished):
        Surgery().rule("no_such_command", lambda rule: None)
