"""The fixed seeds of the whole ring, and that a seed is one history.

A seed that fails here is told in full by `python -m tests.sim ring SEED --story`.
"""

import os
import subprocess
import sys
from collections import Counter

import pytest

from tests.sim.__main__ import main
from tests.sim.nemesis import Weather
from tests.sim.ring import simulate
from tests.sim.ring_faults import COMMON, KINDS

#: In chunks that several workers can share.
CHUNK = 5
#: As many as are shown clean, one after the other (docs/evidence/sim.md).
SEEDS = 300
CHUNKS = [range(first, first + CHUNK) for first in range(1, SEEDS + 1, CHUNK)]
#: Faults in such quick succession that a few seeds have every kind.
DENSE = Weather(COMMON.weights, pause_s=(0.1, 1.0))


@pytest.mark.parametrize("seeds", CHUNKS, ids=lambda seeds: f"{seeds[0]}..{seeds[-1]}")
def test_the_ring_keeps_its_promises(seeds: range) -> None:
    for seed in seeds:
        report = simulate(seed)
        assert report.violations == [], f"make sim SIM=ring SEEDS={seed}..{seed}"
        assert report.simulated_s >= 60.0
        assert report.faults.total() >= 10


def test_it_keeps_them_when_every_kind_of_fault_comes_in_quick_succession() -> None:
    faults: Counter[str] = Counter()
    for seed in range(1, 9):
        report = simulate(seed, weather=DENSE)
        assert report.violations == [], f"seed {seed}, dense"
        faults.update(report.faults)
    assert [kind for kind in KINDS if not faults[kind]] == []


def test_a_seed_is_one_history_whatever_ran_before() -> None:
    first, other, again = simulate(3), simulate(4), simulate(3)
    assert first.digest == again.digest
    assert first.digest != other.digest


@pytest.mark.parametrize("hash_seed", ["0", "1", "4294967295"])
def test_a_seed_is_one_history_in_any_process(hash_seed: str) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "tests.sim", "ring", "3", "--story"],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    assert told.stdout.splitlines()[-1] == f"digest {simulate(3, verbose=True).digest}"


def test_the_command_counts_faults_and_names_the_seeds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ring", "5..6"]) == 0
    said = capsys.readouterr().out
    assert all(f"× {kind}" in said for kind in KINDS)
    assert "ring: 2 seeds (5..6)" in said
    assert "no promise was broken" in said
    assert main(["ring", "6..5"]) == 2


def test_the_command_names_the_seed_that_failed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.sim.ring.CONVERGED_WITHIN_S", 0.1)
    assert main(["ring", "5..5"]) == 1
    said = capsys.readouterr().out
    assert "seed 5 broke a promise: make sim SIM=ring SEEDS=5..5" in said
    assert "not as desired after 0.1 s" in said
