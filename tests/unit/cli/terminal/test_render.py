"""Columns, colours and quantities."""

import pytest

from diegod.cli.terminal.errors import one_line
from diegod.cli.terminal.quantities import age, amount_mb, memory_mb
from diegod.cli.terminal.render import Table, print_fields
from diegod.cli.terminal.session import Session

ROWS = [["web/0", "RUNNING"], ["web/10", "RUNNING, SUSPECT"]]


def test_columns_are_as_wide_as_their_widest_text(capsys: pytest.CaptureFixture[str]) -> None:
    Table(["INSTANCE", "STATE"], ROWS).print()
    assert capsys.readouterr().out == (
        "INSTANCE   STATE\nweb/0      RUNNING\nweb/10     RUNNING, SUSPECT\n"
    )


def test_states_are_painted_by_their_last_word(capsys: pytest.CaptureFixture[str]) -> None:
    Table(["INSTANCE", "STATE"], ROWS).print(colored=True)
    title, first, second = capsys.readouterr().out.splitlines()
    assert title.startswith("\x1b[1mINSTANCE")
    assert first.endswith("\x1b[32mRUNNING\x1b[0m")
    assert second.endswith("\x1b[33mRUNNING, SUSPECT\x1b[0m")


def test_empty_fields_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    print_fields([("a", "1"), ("bcd", ""), ("ef", "2\x1b[2J")])
    assert capsys.readouterr().out == "a    1\nef   2 [2J\n"


@pytest.mark.parametrize("variable", [{"NO_COLOR": "1"}, {"CI": "1"}, {"TERM": "dumb"}])
def test_colour_is_for_terminals_that_want_it(
    variable: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert Session(environ={"TERM": "xterm"}).colored
    assert not Session(environ=variable).colored
    assert not Session(environ={}, no_color=True).colored
    monkeypatch.setattr("sys.stdout.isatty", lambda: False)
    assert not Session(environ={}).colored


def test_a_message_of_many_lines_becomes_one() -> None:
    assert one_line("a\nb\x1b[0m\tc\u202e") == "a b [0m c"


@pytest.mark.parametrize(
    ("text", "mb"), [("256", 256), ("256m", 256), ("1g", 1024), ("2GiB", 2048), (" 3 ", 3)]
)
def test_memory(text: str, mb: int) -> None:
    assert memory_mb(text) == mb


@pytest.mark.parametrize("text", ["", "1t", "-1", "1.5g", "g"])
def test_what_is_no_memory(text: str) -> None:
    with pytest.raises(ValueError, match="not an amount of memory"):
        memory_mb(text)


def test_ages_and_amounts() -> None:
    assert [age(s) for s in (-3, 59, 60, 3600, 90_000)] == ["0s", "59s", "1m", "1h", "1d"]
    assert [amount_mb(mb) for mb in (0, 9999, 10_240)] == ["0 MB", "9999 MB", "10.0 GB"]
