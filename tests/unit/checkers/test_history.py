"""The record itself: what no client can have recorded is no history."""

import pytest

from diegod.models.errors import Reason
from tests.checkers.history import Refused, Verb
from tests.unit.checkers.records import CONFLICT, UNKNOWN, history, read, row, write


def test_a_request_id_is_used_once() -> None:
    with pytest.raises(ValueError, match="request id a is used 2 times"):
        history(write("a", (0, 1), "1", 1), write("a", (2, 3), "2", 2))


def test_nothing_returns_before_it_was_invoked() -> None:
    with pytest.raises(ValueError, match="returned before it was invoked"):
        history(write("a", (5, 4), "1", 1))


def test_a_client_does_one_thing_at_a_time() -> None:
    with pytest.raises(ValueError, match="did two things at once"):
        history(write("ab", (0, 5), "1", 1), write("ba", (4, 6), "2", 2))


def test_only_a_compare_and_set_expects_a_revision() -> None:
    with pytest.raises(ValueError, match="operation a: desire_task expects no revision"):
        history(write("a", (0, 1), "1", 1, expected=5, verb=Verb.DESIRE_TASK))


def test_a_client_goes_on_at_the_moment_it_was_answered() -> None:
    assert history(write("ab", (0, 5), "1", 1), write("ba", (5, 6), "2", 2)).final_revision == 2


def test_only_a_write_that_was_told_of_its_own_row_has_made_one() -> None:
    assert write("a", (0, 1), "1", 7).made == row(7, "1", "a")
    assert read("b", (0, 1), row(7, "1", "b")).made is None
    assert write("c", (0, 1), "1", UNKNOWN).made is None
    assert write("d", (0, 1), "1", CONFLICT).made is None


@pytest.mark.parametrize(
    ("reason", "tells"),
    [
        (Reason.RESOURCE_NOT_FOUND, True),
        (Reason.RESOURCE_EXISTS, True),
        (Reason.RESOURCE_CONFLICT, True),
        (Reason.UNAVAILABLE, False),
        (Reason.NOT_LEADER, False),
        (Reason.RESOURCE_EXHAUSTED, False),
    ],
)
def test_some_refusals_tell_of_the_row(reason: Reason, tells: bool) -> None:
    assert write("a", (0, 1), "1", Refused(reason)).tells_of_row is tells


def test_an_operation_reads_like_a_sentence() -> None:
    scale = write("r7", (0, 1), "3", 12, expected=9, verb=Verb.SCALE_LRP)
    assert str(scale).endswith(
        ": scale_lrp(lrp/web, value=3, expected_revision=9) as r7 -> 3 (revision 12, by r7)"
    )
    missing = str(read("r8", (0, 1), None))
    assert missing.endswith(": read(lrp/web) as r8 -> refused, ResourceNotFound")
