"""The file of a history: what is written is read, and nothing else is."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.checkers import lines, simulated
from tests.checkers.lines import HistoryFileError
from tests.unit.checkers.records import UNKNOWN, history, read, row, write

Lines = list[str]


def a_file() -> Lines:
    made = row(1, "1", "a")
    reading, open_ = read("b", (2, 3), made), write("c", (4, 5), "2", UNKNOWN)
    return list(lines.written(history(write("a", (0, 1), "1", 1), reading, open_)))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000))
def test_what_was_written_is_read(seed: int) -> None:
    whole = simulated.history(simulated.Plan(seed, operations=60))
    assert lines.read(lines.written(whole)) == whole


def test_a_file_on_disk(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    file.write_text("\n".join(a_file()) + "\n")
    with file.open() as stream:
        assert list(lines.written(lines.read(stream))) == a_file()


def test_the_first_line_says_what_it_is() -> None:
    expected = {"format": "diegod client history", "version": 1, "base_revision": 0}
    assert json.loads(a_file()[0]) == {"header": expected}


@pytest.mark.parametrize("kept", range(6))
def test_a_file_that_was_cut_short_is_refused(kept: int) -> None:
    assert len(a_file()) > 6
    with pytest.raises(HistoryFileError, match="the end is missing"):
        lines.read(a_file()[:kept])


def _without(number: int) -> Callable[[Lines], Lines]:
    return lambda whole: whole[:number] + whole[number + 1 :]


def _and(line: str) -> Callable[[Lines], Lines]:
    return lambda whole: [whole[0], line, *whole[1:]]


def _with(number: int, old: str, new: str) -> Callable[[Lines], Lines]:
    def change(whole: Lines) -> Lines:
        assert old in whole[number]
        return [*whole[:number], whole[number].replace(old, new, 1), *whole[number + 1 :]]

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_with(0, '"version":1', '"version":2'), "line 1: .*version 2; .*version 1, can be read"),
        (_with(0, "diegod client", "other"), "line 1: .*'other history'"),
        (_without(0), "line 1: the first line is no header"),
        (_without(1), "3 operations were written, 2 are here"),
        (_without(4), "1 changes were written, 0 are here"),
        (lambda whole: [*whole, whole[1]], "line 8: comes after the end"),
        (lambda whole: [whole[0], *whole], "line 2: is a second header"),
        (_and("{"), "line 2: Expecting property name"),
        (_and("{}"), "line 2: {} is not one record with its name"),
        (_and("[]"), r"line 2: \[\] is not one record with its name"),
        (_and('{"operation":5}'), "line 2: 5 is not a record"),
        (_and('{"operation":{}}'), "line 2: 'request_id' is missing"),
        (_and('{"guess":{}}'), "line 2: 'guess' is no kind"),
        (_with(1, '"invoked_ns":0', '"invoked_ns":"0"'), "line 2: '0' is not a number"),
        (_with(1, '"invoked_ns":0', '"invoked_ns":true'), "line 2: True is not a number"),
        (_with(1, '"key":"lrp/web"', '"key":5'), "line 2: 5 is not a text"),
        (_with(1, "desire_lrp", "desire_all"), "line 2: .*desire_all"),
        (_with(1, '"done"', '"won"'), "line 2: 'won' is no outcome"),
        (_with(2, '"request_id":"b"', '"request_id":"a"'), "after line 7: request id a is used 2"),
    ],
)
def test_anything_else_is_refused_with_its_line(
    change: Callable[[Lines], Lines], message: str
) -> None:
    with pytest.raises(HistoryFileError, match=message):
        lines.read(change(a_file()))
