"""The fixed seeds of the simulated bulletin board, and that a seed is one history.

A seed that fails here is told in full by `python -m tests.sim bbs SEED --story`.
"""

import os
import subprocess
import sys

import pytest

from tests.mutants.chance import hunt
from tests.mutants.table import MUTANTS
from tests.sim.__main__ import SIMULATIONS, Tally, main
from tests.sim.bbs import FAULTS_S, simulate

#: In chunks that several workers can share, each large enough that everything happens in it.
CHUNK = 100
CHUNKS = [range(first, first + CHUNK) for first in range(1, 1001, CHUNK)]
#: Mutants that this simulation has to find (tests/mutants).
SEEN = sorted(
    mutant.name
    for mutant in MUTANTS.values()
    if mutant.chance is not None and mutant.chance.world == "bbs" and mutant.chance.must
)


@pytest.mark.timeout(600)  # half a minute on a machine that does nothing else
@pytest.mark.parametrize("seeds", CHUNKS, ids=lambda seeds: f"{seeds[0]}..{seeds[-1]}")
def test_the_bbs_keeps_its_promises(seeds: range) -> None:
    """Under everything that can go wrong: what did not happen at all, was not tried."""
    tally = Tally()
    for seed in seeds:
        report = simulate(seed)
        assert report.violations == [], f"make sim SIM=bbs SEEDS={seed}..{seed}"
        assert report.simulated_s >= FAULTS_S[0]
        tally.add(report)
    assert tally.missing(SIMULATIONS["bbs"].needed) == []


def test_a_seed_is_one_history_whatever_ran_before() -> None:
    first, other, again = simulate(3), simulate(4), simulate(3)
    assert first.digest == again.digest
    assert first.digest != other.digest


@pytest.mark.parametrize("hash_seed", ["0", "4294967295"])
def test_a_seed_is_one_history_in_any_process(hash_seed: str) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "tests.sim", "bbs", "3", "--story"],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    assert told.stdout.splitlines()[-1] == f"digest {simulate(3, verbose=True).digest}"


@pytest.mark.parametrize("name", SEEN)
def test_a_deliberate_mistake_breaks_a_promise(name: str) -> None:
    chance = MUTANTS[name].chance
    assert chance is not None
    found = hunt(MUTANTS[name], "bbs", chance.seeds)
    assert found.unsound == []
    assert found.needed, f"{name} went unseen"
    assert found.says


def test_there_are_mistakes_of_several_kinds() -> None:
    assert {MUTANTS[name].of for name in SEEN} >= {"M4", "M8", "leases", "feed"}


def test_the_command_counts_and_names_what_did_not_occur(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["bbs", "5..6"]) == 0
    said = capsys.readouterr().out
    assert all(f"× {name}" in said for name in SIMULATIONS["bbs"].needed)
    assert "bbs: 2 seeds (5..6)" in said
    assert "no promise was broken" in said
    assert main(["bbs", "6..5"]) == 2


def test_the_command_fails_when_a_block_lacks_something(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    short = SIMULATIONS["bbs"].__class__("bbs", simulate, ("rain of frogs",), 2)
    monkeypatch.setitem(SIMULATIONS, "bbs", short)
    assert main(["bbs", "5..6"]) == 1
    assert "in the seeds 5..6 these did not occur: rain of frogs" in capsys.readouterr().out
