"""Which slots are fired, skipped and missed: a fixed table, decided from the row alone."""

from datetime import UTC, datetime, timedelta

import pytest

from diegod.internal.v1.command_pb2 import FireSchedule, SkipSlots
from diegod.scheduler.core.schedules import MISSED_COUNTED_MAX
from diegod.scheduler.core.snapshot import Key
from diegod.v1.record_pb2 import Cell, Change, Task, TaskSchedule
from tests.unit.scheduler.core.rows import a_cell, a_change, a_snapshot, a_task, at, repaired

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTELY, HOURLY, DAILY = "* * * * *", "0 * * * *", "0 12 * * *"


def moment(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def a_schedule(cron: str, done: datetime = NOON, **fields: object) -> TaskSchedule:
    """Every slot up to `done` has had its turn."""
    return TaskSchedule(
        name="report",
        cron=cron,
        late_ms=fields.pop("late_ms", 60_000),
        created_at=at((done - timedelta(days=1)).timestamp()),
        last_slot=at(done.timestamp()),
        **fields,
    )


def decided(row: TaskSchedule, now: datetime, *tasks: Task) -> list[str]:
    """ "fire 12:01" and the like, in UTC."""
    repairs = repaired(row, *tasks, now=now.timestamp())
    return [said(each.action) for each in repairs.decisions if each.key.kind == "schedule"]


def said(action: FireSchedule | SkipSlots) -> str:
    slot = datetime.fromtimestamp(action.slot_ns / 1e9, UTC)
    if isinstance(action, FireSchedule):
        return f"fire {slot:%H:%M}"
    return f"{'miss' if action.missed else 'skip'} {action.count} until {slot:%H:%M}"


def after(**elapsed: float) -> datetime:
    return NOON + timedelta(**elapsed)


class TestDue:
    def test_before_its_time_there_is_only_a_deadline(self) -> None:
        row = a_schedule(HOURLY)
        repairs = repaired(row, now=after(minutes=59, seconds=59.9).timestamp())
        assert repairs.decisions == ()
        assert repairs.next_deadline == after(hours=1).timestamp()

    def test_at_its_time_it_is_fired_on_the_version_that_was_seen(self) -> None:
        (decision,) = repaired(a_schedule(HOURLY), now=after(hours=1).timestamp()).decisions
        assert decision.action == FireSchedule(
            name="report", row_revision=7, slot_ns=int(after(hours=1).timestamp()) * 10**9
        )
        assert decision.key == Key("schedule", "report")
        assert decision.reason == "slot 2026-11-22T13:00:00Z of schedule report"

    def test_a_new_schedule_begins_with_the_first_slot_after_it_was_made(self) -> None:
        row = TaskSchedule(name="report", cron=MINUTELY, late_ms=60_000)
        row.created_at.CopyFrom(at(after(seconds=30).timestamp()))
        assert decided(row, after(seconds=59)) == []
        assert decided(row, after(seconds=60)) == ["fire 12:01"]

    @pytest.mark.parametrize("fields", [{"paused": True}, {"cron": ""}])
    def test_paused_or_only_dispatched_it_has_no_slots(self, fields: dict[str, object]) -> None:
        row = a_schedule(fields.pop("cron", HOURLY), **fields)
        repairs = repaired(row, now=after(hours=5).timestamp())
        assert (repairs.decisions, repairs.deadlines) == ((), ())

    def test_resumed_it_goes_on_with_the_next_slot(self) -> None:
        """Resuming moves `last_slot` to that moment: what passed meanwhile was not missed."""
        row = a_schedule(HOURLY)
        row.last_slot.CopyFrom(at(after(hours=5, minutes=10).timestamp()))
        assert decided(row, after(hours=5, minutes=59)) == []
        assert decided(row, after(hours=6)) == ["fire 18:00"]

    def test_a_mass_loss_does_not_hold_it_up(self) -> None:
        now = after(hours=1).timestamp()
        lost = [a_cell(f"cell-{n}", Cell.MISSING, since=at(now)) for n in range(4)]
        repairs = repaired(*lost, a_schedule(HOURLY), now=now)
        assert repairs.mass_loss is not None
        assert [said(each.action) for each in repairs.decisions] == ["fire 13:00"]


class TestLate:
    @pytest.mark.parametrize(
        ("cron", "now", "decisions"),
        [
            (HOURLY, after(hours=1, seconds=1), ["fire 13:00"]),
            (HOURLY, after(hours=1, seconds=60), ["fire 13:00"]),
            (HOURLY, after(hours=1, seconds=60.5), ["miss 1 until 13:00"]),
            (HOURLY, after(hours=3, seconds=1), ["miss 2 until 14:00"]),
            (HOURLY, after(hours=3, minutes=30), ["miss 3 until 15:00"]),
            (MINUTELY, after(seconds=61), ["fire 12:01"]),
            (MINUTELY, after(seconds=119.9), ["fire 12:01"]),
            (MINUTELY, after(seconds=120), ["miss 1 until 12:01"]),
            (DAILY, after(days=3), ["miss 2 until 12:00"]),
        ],
    )
    def test_the_latest_that_is_in_time_is_fired_and_older_ones_are_missed_first(
        self, cron: str, now: datetime, decisions: list[str]
    ) -> None:
        assert decided(a_schedule(cron), now) == decisions

    def test_after_the_missed_ones_comes_the_one_that_is_in_time(self) -> None:
        row = a_schedule(HOURLY, done=after(hours=2))
        assert decided(row, after(hours=3, seconds=1)) == ["fire 15:00"]

    def test_it_says_how_many_and_until_when(self) -> None:
        (decision,) = repaired(
            a_schedule(HOURLY), now=after(hours=3, minutes=30).timestamp()
        ).decisions
        assert decision.action.reason == decision.reason
        assert decision.reason == "3 slots were missed, the last at 2026-11-22T15:00:00Z"

    def test_a_schedule_may_allow_more(self) -> None:
        row = a_schedule(HOURLY, late_ms=1_800_000)
        assert decided(row, after(hours=1, minutes=29)) == ["fire 13:00"]
        assert decided(row, after(hours=1, minutes=31)) == ["miss 1 until 13:00"]

    def test_very_many_are_one_command_and_counted_up_to_a_bound(self) -> None:
        (decision,) = repaired(a_schedule(MINUTELY), now=after(days=30).timestamp()).decisions
        assert decision.action.count == MISSED_COUNTED_MAX
        last = after(days=30) - timedelta(minutes=1)
        assert decision.action.slot_ns == int(last.timestamp()) * 10**9
        assert decision.reason.startswith("at least 1000 slots were missed")


class TestOverlap:
    RUNNING = a_task("report-1", Task.RUNNING, schedule_name="report", slot=at(1.0))

    def test_a_slot_is_skipped_while_the_task_of_an_earlier_one_has_not_ended(self) -> None:
        row, now = a_schedule(HOURLY), after(hours=1).timestamp()
        (decision,) = (
            each
            for each in repaired(row, self.RUNNING, now=now).decisions
            if each.key.kind == "schedule"
        )
        assert said(decision.action) == "skip 1 until 13:00"
        assert decision.reason == "task report-1 of an earlier slot has not ended"

    def test_unless_it_may_overlap(self) -> None:
        row = a_schedule(HOURLY, allow_overlap=True)
        assert decided(row, after(hours=1), self.RUNNING) == ["fire 13:00"]

    @pytest.mark.parametrize(
        ("task", "is_in_the_way"),
        [
            (a_task("x", Task.PENDING, schedule_name="report", slot=at(1.0)), True),
            (a_task("x", Task.COMPLETED, schedule_name="report", slot=at(1.0)), False),
            (a_task("x", Task.RESOLVING, schedule_name="report", slot=at(1.0)), False),
            (a_task("x", Task.RUNNING, schedule_name="other", slot=at(1.0)), False),
            (a_task("x", Task.RUNNING, schedule_name="report"), False),  # somebody dispatched it
            (a_task("x", Task.RUNNING), False),
        ],
    )
    def test_only_tasks_of_its_own_slots_are_in_the_way(
        self, task: Task, is_in_the_way: bool
    ) -> None:
        decisions = decided(a_schedule(HOURLY), after(hours=1), task)
        assert decisions == (["skip 1 until 13:00"] if is_in_the_way else ["fire 13:00"])

    def test_they_are_known_change_by_change(self) -> None:
        snapshot = a_snapshot(a_schedule(HOURLY), self.RUNNING)
        assert snapshot.unfinished_of("report") == ["report-1"]
        ended = a_task("report-1", Task.COMPLETED, schedule_name="report", slot=at(1.0))
        snapshot.apply_changes([a_change(ended, 8)])
        assert snapshot.unfinished_of("report") == []
        snapshot.apply_changes([a_change(a_schedule(HOURLY), 9, Change.REMOVED)])
        assert snapshot.schedules == {}


def walked(cron: str, zone: str, begin: str, end: str) -> list[str]:
    """What is fired from one moment to the other, in UTC, by a brain that is never late."""
    row, fired = a_schedule(cron, datetime.fromisoformat(f"{begin}Z"), time_zone=zone), []
    while True:
        at_next = repaired(row, now=row.last_slot.ToSeconds()).next_deadline
        if at_next is None or at_next > moment(end):
            return fired
        (decision,) = repaired(row, now=at_next).decisions
        assert isinstance(decision.action, FireSchedule)
        slot = decision.action.slot_ns / 1e9
        assert slot == at_next
        fired.append(f"{datetime.fromtimestamp(slot, UTC):%m-%d %H:%M}")
        row.last_slot.CopyFrom(at(slot))


BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"


@pytest.mark.parametrize(
    ("cron", "zone", "begin", "end", "fired"),
    [
        # In Berlin 02:00–03:00 of 29 March 2026 does not exist: 01:00 UTC is 03:00.
        (
            "30 2 * * *",
            BERLIN,
            "2026-03-28T00:00",
            "2026-03-31T00:00",
            ["03-28 01:30", "03-29 01:00", "03-30 00:30"],
        ),
        (
            "30 * * * *",
            BERLIN,
            "2026-03-29T00:00",
            "2026-03-29T03:00",
            ["03-29 00:30", "03-29 01:30", "03-29 02:30"],
        ),
        ("0 3 * * *", BERLIN, "2026-03-28T12:00", "2026-03-29T12:00", ["03-29 01:00"]),
        # 02:00–03:00 of 25 October 2026 is there twice, from 00:00 and from 01:00 UTC.
        (
            "30 2 * * *",
            BERLIN,
            "2026-10-24T00:00",
            "2026-10-27T00:00",
            ["10-24 00:30", "10-25 00:30", "10-26 01:30"],
        ),
        (
            "30 * * * *",
            BERLIN,
            "2026-10-24T23:00",
            "2026-10-25T02:00",
            ["10-24 23:30", "10-25 00:30", "10-25 01:30"],
        ),
        ("0 3 * * *", BERLIN, "2026-10-24T12:00", "2026-10-25T12:00", ["10-25 02:00"]),
        # New York: 8 March and 1 November 2026.
        ("30 2 * * *", NEW_YORK, "2026-03-08T00:00", "2026-03-08T23:00", ["03-08 07:00"]),
        ("30 1 * * *", NEW_YORK, "2026-11-01T00:00", "2026-11-01T23:00", ["11-01 05:30"]),
        # Lord Howe moves by half an hour: on 5 April 2026 01:30–02:00 is there twice.
        ("45 1 * * *", LORD_HOWE, "2026-04-04T00:00", "2026-04-05T12:00", ["04-04 14:45"]),
        # UTC knows nothing of all that.
        ("30 2 * * *", "", "2026-03-28T12:00", "2026-03-30T00:00", ["03-29 02:30"]),
        # A leap day is every four years, and not in 2100.
        ("0 0 29 2 *", "", "2026-01-01T00:00", "2033-01-01T00:00", ["02-29 00:00"] * 2),
        ("0 0 29 2 *", "", "2096-03-01T00:00", "2105-01-01T00:00", ["02-29 00:00"]),
        ("0 0 31 * *", "", "2026-01-01T00:00", "2026-05-01T00:00", ["01-31 00:00", "03-31 00:00"]),
        ("@daily", "", "2026-01-01T00:00", "2026-01-02T12:00", ["01-02 00:00"]),
    ],
)
def test_the_clocks_of_the_world(
    cron: str, zone: str, begin: str, end: str, fired: list[str]
) -> None:
    assert walked(cron, zone, begin, end) == fired


def test_a_zone_that_this_machine_does_not_know_is_said_and_harms_nothing_else() -> None:
    odd, good = a_schedule(HOURLY, time_zone="Mars/Olympus"), a_schedule(HOURLY)
    good.name = "other"
    repairs = repaired(odd, good, now=after(hours=1).timestamp())
    assert [each.key.guid for each in repairs.decisions] == ["other"]
    (trouble,) = repairs.troubles
    assert trouble.startswith("schedule report is not fired: time_zone: ")


def test_one_who_is_away_when_clocks_change_has_missed_what_there_was() -> None:
    """Hourly, from 23:10 UTC to 03:10 UTC: five slots in Berlin, whatever its clocks showed."""
    row = a_schedule(HOURLY, datetime(2026, 10, 24, 22, 10, tzinfo=UTC), time_zone=BERLIN)
    assert decided(row, datetime(2026, 10, 25, 3, 10, tzinfo=UTC)) == ["miss 5 until 03:00"]
