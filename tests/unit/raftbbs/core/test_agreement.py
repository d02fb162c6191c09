"""Who is wrong when members say what their states hashed to: a pure rule."""

from itertools import product

import pytest

from diegod.raftbbs.core.agreement import Agreement, Comparison, Judgement, judge

X, Y, Z = b"x" * 32, b"y" * 32, b"z" * 32
ABC, ABCD, ABCDE = tuple("ABC"), tuple("ABCD"), tuple("ABCDE")


@pytest.mark.parametrize(
    ("said", "voters", "expected"),
    [
        ({}, ABC, Judgement(7, None)),
        ({"A": X}, ABC, Judgement(7, None)),
        ({"A": X, "B": X}, ABC, Judgement(7, X)),
        ({"A": X, "B": X, "C": X}, ABC, Judgement(7, X)),
        ({"A": X, "B": Y, "C": X}, ABC, Judgement(7, X, wrong=("B",))),
        ({"A": Y, "B": X, "C": X}, ABC, Judgement(7, X, wrong=("A",))),
        ({"A": X, "B": Y}, ABC, Judgement(7, None, undecided=("A", "B"))),
        ({"A": X, "B": Y, "C": Z}, ABC, Judgement(7, None, undecided=ABC)),
        ({"A": X, "B": X, "C": Y, "D": Y}, ABCDE, Judgement(7, None, undecided=ABCD)),
        ({"A": X, "B": X, "C": X, "D": Y, "E": Z}, ABCDE, Judgement(7, X, wrong=("D", "E"))),
        ({"A": X}, ("A",), Judgement(7, X)),
        ({"A": X, "B": Y}, ("A", "B"), Judgement(7, None, undecided=("A", "B"))),
    ],
)  # fmt: skip
def test_a_majority_of_all_voters_is_right(
    said: dict[str, bytes], voters: tuple[str, ...], expected: Judgement
) -> None:
    assert judge(7, said, voters) == expected


def test_whoever_does_not_vote_can_be_wrong_and_decides_nothing() -> None:
    assert judge(7, {"A": X, "B": X, "L": Y}, ABC).wrong == ("L",)
    assert judge(7, {"A": X, "L": Y, "M": Y}, ABC).agreed is None


def test_a_majority_is_never_wrong() -> None:
    for hashes in product((X, Y, Z, None), repeat=3):
        said = {who: each for who, each in zip(ABC, hashes, strict=True) if each is not None}
        judgement = judge(7, said, ABC)
        assert len(judgement.wrong) <= 1
        assert not (judgement.wrong and judgement.undecided)


def test_only_what_is_new_is_news() -> None:
    agreement = Agreement()
    assert agreement.says("A", Comparison(1000, X))
    assert not agreement.says("A", Comparison(1000, X))
    assert agreement.says("A", Comparison(1000, Y))
    assert agreement.says("B", Comparison(1000, X))


def test_the_newest_indexes_are_kept() -> None:
    agreement = Agreement()
    for index in range(1000, 11_000, 1000):
        agreement.says("A", Comparison(index, X))
    assert [each.index for each in agreement.judgements(ABC)] == list(range(10_000, 2000, -1000))
    assert not agreement.says("B", Comparison(2000, X))


def test_a_member_that_comes_back_begins_anew() -> None:
    agreement = Agreement()
    for who, said in (("A", X), ("B", X), ("C", Y)):
        agreement.says(who, Comparison(1000, said))
    agreement.forget("C")
    assert next(agreement.judgements(ABC)) == Judgement(1000, X)
    assert agreement.says("C", Comparison(1000, X))
    assert next(agreement.judgements(ABC)) == Judgement(1000, X)
