"""When a schedule is due: a fixed table of clocks that change, leap days and last days."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diegod.models import cron

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def slots(expression: str, zone: str, after: str, until: str) -> list[str]:
    found = cron.slots_between(expression, zone, at(after), at(until))
    return [datetime.fromtimestamp(slot, UTC).strftime("%m-%d %H:%M") for slot in found]


#: expression, zone, from behind, until with, the slots: all in UTC.
TABLE = [
    # Berlin puts its clocks forward on 2026-03-29 at 02:00 (01:00 UTC): there is no 02:30.
    (
        "30 2 * * *", BERLIN, "2026-03-28", "2026-03-31",
        ["03-28 01:30", "03-29 01:00", "03-30 00:30"],
    ),
    ("0 2 * * *", BERLIN, "2026-03-28 12:00", "2026-03-29 12:00", ["03-29 01:00"]),
    (
        "0,30 2,3 * * *", BERLIN, "2026-03-28 12:00", "2026-03-29 12:00",
        ["03-29 01:00", "03-29 01:30"],
    ),
    ("0 * * * *", BERLIN, "2026-03-29 00:00", "2026-03-29 02:00", ["03-29 01:00", "03-29 02:00"]),
    ("*/30 2 * * *", BERLIN, "2026-03-28 12:00", "2026-03-29 12:00", []),
    # It puts them back on 2026-10-25 at 03:00 (01:00 UTC): 02:30 is there twice.
    (
        "30 2 * * *", BERLIN, "2026-10-24", "2026-10-27",
        ["10-24 00:30", "10-25 00:30", "10-26 01:30"],
    ),
    ("30 2 * * *", BERLIN, "2026-10-25 00:30", "2026-10-25 12:00", []),
    ("45 2 * * *", BERLIN, "2026-10-25 01:15", "2026-10-25 12:00", []),
    ("0 3 * * *", BERLIN, "2026-10-25 00:10", "2026-10-25 12:00", ["10-25 02:00"]),
    ("0 3 * * *", BERLIN, "2026-10-25 01:10", "2026-10-25 12:00", ["10-25 02:00"]),
    (
        "30 * * * *", BERLIN, "2026-10-24 23:00", "2026-10-25 02:00",
        ["10-24 23:30", "10-25 00:30", "10-25 01:30"],
    ),
    # New York, in its own spring and autumn.
    ("30 2 * * *", NEW_YORK, "2026-03-08 00:00", "2026-03-09 00:00", ["03-08 07:00"]),
    ("30 1 * * *", NEW_YORK, "2026-11-01 00:00", "2026-11-02 00:00", ["11-01 05:30"]),
    # Half an hour, and in the south.
    ("15 2 * * *", LORD_HOWE, "2026-10-03 00:00", "2026-10-04 00:00", ["10-03 15:30"]),
    # Leap days, and days that not every month has.
    ("0 0 29 2 *", "", "2026-01-01", "2033-01-01", ["02-29 00:00", "02-29 00:00"]),
    ("0 0 31 * *", "", "2026-01-01", "2026-06-01", ["01-31 00:00", "03-31 00:00", "05-31 00:00"]),
    ("0 0 L * *", "", "2028-01-30", "2028-04-01", ["01-31 00:00", "02-29 00:00", "03-31 00:00"]),
    ("0 9 LW * *", "", "2026-02-01", "2026-04-01", ["02-27 09:00", "03-31 09:00"]),
    ("0 9 * * 5L", "", "2026-02-01", "2026-04-01", ["02-27 09:00", "03-27 09:00"]),
    ("0 9 * * MON#1", "", "2026-02-01", "2026-03-03", ["02-02 09:00", "03-02 09:00"]),
    # The ends: behind the first, and with the last.
    ("0 * * * *", "", "2026-01-01 00:00", "2026-01-01 02:00", ["01-01 01:00", "01-01 02:00"]),
    ("@daily", BERLIN, "2026-07-01", "2026-07-02", ["07-01 22:00"]),
    ("@hourly", "UTC", "2026-07-01 00:30", "2026-07-01 01:30", ["07-01 01:00"]),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "zone", "after", "until", "expected"), TABLE)
def test_the_table(
    expression: str, zone: str, after: str, until: str, expected: list[str]
) -> None:
    assert cron.problems(expression, zone) == []
    assert slots(expression, zone, after, until) == expected


def test_a_fraction_of_a_second_behind_a_slot_it_is_not_due_again() -> None:
    just_behind = at("2026-01-01 01:00") + 0.4
    assert list(cron.slots_between("0 * * * *", "", just_behind, just_behind + 60)) == []


@pytest.mark.parametrize(
    ("expression", "zone", "says"),
    [
        ("* * * *", "", "has not five fields"),
        ("* * * * * *", "", "has not five fields"),
        ("", "", "has not five fields"),
        ("61 * * * *", "", "bad minute"),
        ("* * * * fun", "", "bad day-of-week"),
        ("0 0 30 2 *", "", "bad day-of-month"),
        ("0 0 * 2 MON#5,L", "", "bad day-of-week"),
        ("@reboot", "", "is none of @yearly"),
        ("* * * * *" + " " * 300, "", "is 309 bytes long"),
        ("@daily", "Europe/Berln", "is no time zone; did you mean Europe/Berlin?"),
        ("@daily", "Europe", "is no time zone"),
        ("@daily", "../etc/passwd", "is no time zone"),
        ("@daily", "/etc/localtime", "is no time zone"),
        ("@daily", "x" * 5000, "is no time zone"),
    ],
)
def test_what_is_wrong_is_said(expression: str, zone: str, says: str) -> None:
    [problem] = cron.problems(expression, zone)
    assert says in problem.message
    assert len(problem.message) < 300


@settings(max_examples=300)
@given(st.text(alphabet="0123456789*/,-#L@ WMONFEB", max_size=24))
def test_nothing_that_somebody_writes_breaks_it(expression: str) -> None:
    """And what is admitted has slots, one behind the other."""
    if cron.problems(expression, ""):
        return
    begin = at("2026-01-01")
    end = begin + 3 * 86400
    found = list(cron.slots_between(expression, BERLIN, begin, end))
    assert found == sorted(set(found))
    assert all(begin < slot <= end and slot % 60 == 0 for slot in found)
