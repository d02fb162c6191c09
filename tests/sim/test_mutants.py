"""Each deliberate mistake breaks a promise that the simulation checks; without it, none is broken.

The stories here are the fixed seeds of `test_ring`, or one with a script where chance brings the
occasion about too seldom (see `stories`).
"""

import re
from pathlib import Path

import pytest

from tests.sim import mutants, stories
from tests.sim.ring import simulate
from tests.sim.stage import Report

#: Of the fixed seeds, those that are tried in turn until one breaks a promise.
SEEDS = range(1, 13)


@pytest.mark.parametrize(
    ("mutate", "what"),
    [
        (mutants.answer_before_commit, "twice|is another one|was acknowledged|no agreement"),
        (mutants.start_without_a_grant, "no grant"),
        (mutants.lease_never_expires, "not as desired"),
        (mutants.apply_twice, "applied entry .* twice"),
        (mutants.pre_vote_unanswered, "no write succeeded"),
    ],
)
def test_a_mutant_dies_within_the_fixed_seeds(
    mutate: mutants.Mutate, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutate(monkeypatch)
    assert _first_violations(what)


def test_a_wrong_attempt_is_accepted_when_a_guid_is_used_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert simulate(1, tell=stories.guid_used_again).violations == []
    mutants.wrong_attempt_accepted(monkeypatch)
    assert "it was believed" in str(simulate(1, tell=stories.guid_used_again).violations)


def test_a_vote_that_is_not_persisted_is_given_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stories.votes_of_one_term(tmp_path / "sound") == ["bbs-a"]
    mutants.vote_not_persisted(monkeypatch)
    assert stories.votes_of_one_term(tmp_path / "mutant") == ["bbs-a", "bbs-c"]


def _first_violations(what: str) -> Report | None:
    """The first of the fixed seeds that breaks a promise, in the way that the mutant would."""
    for seed in SEEDS:
        report = simulate(seed)
        if any(re.search(what, violation) for violation in report.violations):
            return report
    return None
