"""Which slot of a schedule comes next."""

from datetime import UTC, datetime

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from diegod.models.schedule_slots import last_slot, next_slot
from diegod.v1.record_pb2 import TaskSchedule


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def stamp(text: str) -> Timestamp:
    return Timestamp(seconds=int(at(text)))


CREATED = "2026-03-01T12:00"


@pytest.mark.parametrize(
    ("fields", "slot"),
    [
        ({"cron": "30 2 * * *"}, "2026-03-02T02:30"),
        ({"cron": "30 2 * * *", "time_zone": "Europe/Berlin"}, "2026-03-02T01:30"),
        ({"cron": "30 2 * * *", "last_slot": stamp("2026-03-05T02:30")}, "2026-03-06T02:30"),
        ({"cron": "0 0 29 2 *"}, "2028-02-29T00:00"),
        ({"cron": "@hourly", "paused": True}, "2026-03-01T13:00"),
    ],
)
def test_it_is_the_first_that_has_not_had_its_turn(fields: dict[str, object], slot: str) -> None:
    schedule = TaskSchedule(name="s", created_at=stamp(CREATED), **fields)
    assert next_slot(schedule) == at(slot)


@pytest.mark.parametrize("fields", [{}, {"cron": "@daily", "time_zone": "Mars/Phobos"}])
def test_without_a_clock_that_can_be_read_there_is_none(fields: dict[str, str]) -> None:
    assert next_slot(TaskSchedule(name="s", created_at=stamp(CREATED), **fields)) is None


def test_the_last_slot_of_a_span_may_be_years_back() -> None:
    until = at("2031-06-01T00:00")
    assert last_slot("0 0 29 2 *", "", at(CREATED), until) == at("2028-02-29T00:00")
    assert last_slot("0 0 29 2 *", "", at("2029-01-01T00:00"), until) is None
