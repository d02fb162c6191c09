"""When is an LRP up, and when is it not going to be? Decided over changes and time alone."""

import pytest

from diegod.cli.lrp.ending import Ending
from diegod.cli.lrp.progress import PLACEMENT_PATIENCE_S, SETTLING_S, Progress
from diegod.cli.terminal.errors import DONE, FAILED, NOT_PLACED
from diegod.cli.terminal.verdict import Verdict
from diegod.v1.definition_pb2 import LrpDefinition
from diegod.v1.record_pb2 import ActualLrp, Change, DesiredLrp, Rollout
from tests.unit.cli.records import an_instance, an_lrp_row


def seen(progress: Progress, *rows: ActualLrp, now: float = 0.0) -> list[str]:
    changes = [Change(verb=Change.CHANGED, actual_lrp=row) for row in rows]
    return [line for change in changes for line in progress.observe(change, now)]


def a_progress(instances: int = 2) -> Progress:
    return Progress(an_lrp_row(instances=instances), began_at=0.0)


def unclaimed(index: int = 0, error: str = "", **given: object) -> ActualLrp:
    row = an_instance(index, state=ActualLrp.UNCLAIMED, placement_error=error, **given)
    row.ClearField("net_info")
    row.cell_id = ""
    return row


def status(progress: Progress, now: float = 0.0) -> int | None:
    verdict = progress.verdict(now)
    return None if verdict is None else verdict.status


def test_it_is_up_when_every_index_runs() -> None:
    progress = a_progress()
    seen(progress, an_instance(0))
    assert status(progress) is None
    lines = seen(progress, an_instance(1), now=1.25)
    assert lines == ["  web/1  cell-1  RUNNING  after 1.2 s  61001→8080"]
    assert status(progress) == DONE


def test_an_lrp_of_no_instances_is_up_at_once() -> None:
    assert status(a_progress(0)) == DONE


@pytest.mark.parametrize(
    "row",
    [
        an_instance(1, definition_revision=9),
        an_instance(1, presence=ActualLrp.SUSPECT),
        an_instance(1, stopping=True),
        an_instance(1, state=ActualLrp.CLAIMED),
        an_instance(2),
    ],
)
def test_what_does_not_count(row: ActualLrp) -> None:
    progress = a_progress()
    assert len(seen(progress, an_instance(0), row)) == 1
    assert status(progress) is None


def test_two_rows_of_one_index_are_one_instance() -> None:
    progress = a_progress()
    seen(progress, an_instance(0), an_instance(0, instance_guid="other"))
    assert status(progress) is None


def test_each_instance_is_announced_once() -> None:
    progress = a_progress()
    assert len(seen(progress, an_instance(0), an_instance(0, crash_count=1))) == 1


def first_version(instances: int = 1) -> DesiredLrp:
    """As the brain leads it: nothing is known to be stable yet."""
    row = an_lrp_row(instances=instances)
    row.version, row.rollout.state = 1, Rollout.ROLLING
    return row


def test_a_first_version_has_to_run_for_a_moment() -> None:
    progress = Progress(first_version(2), began_at=0.0)
    seen(progress, an_instance(0), now=0.2)
    seen(progress, an_instance(1), now=0.5)
    assert status(progress, now=0.5) is None
    assert progress.deadline(0.6) == 0.2 + SETTLING_S
    assert progress.deadline(0.2 + SETTLING_S) == 0.5 + SETTLING_S, "it does not lie behind us"
    assert status(progress, now=0.5 + SETTLING_S) == DONE


def test_a_program_that_fails_as_it_starts_is_not_up() -> None:
    progress = Progress(first_version(), began_at=0.0)
    for crashes in (1, 2, 3):
        guid = f"i{crashes}"
        runs = an_instance(0, instance_guid=guid, crash_count=crashes - 1)
        seen(progress, runs, now=0.2 * crashes)
        assert status(progress, now=0.2 * crashes) is None
        ends = {"state": ActualLrp.CRASHED, "crash_count": crashes, "crash_reason": "exit 3"}
        seen(progress, an_instance(0, instance_guid=guid, **ends), now=0.2 * crashes + 0.1)
        if crashes < 3:
            again = unclaimed(0, instance_guid=f"i{crashes + 1}", crash_count=crashes)
            seen(progress, again, now=0.2 * crashes + 0.1)
    assert status(progress, now=0.8) == FAILED
    assert message(progress) == "web/0 crashed 3 times, next try in 30 s: exit 3"


def test_a_crash_that_is_followed_by_a_restart_at_once_is_no_verdict() -> None:
    progress = a_progress(1)
    seen(progress, an_instance(0, state=ActualLrp.CRASHED, crash_count=2, crash_reason="x"))
    assert status(progress) is None


def test_a_crash_that_is_kept_waiting_is_one() -> None:
    progress = a_progress(1)
    seen(progress, an_instance(0, state=ActualLrp.CRASHED, crash_count=3, crash_reason="exit 1"))
    verdict = progress.verdict(0.0)
    assert verdict is not None
    assert verdict.status == FAILED
    assert verdict.message == "web/0 crashed 3 times, next try in 30 s: exit 1"


def test_a_crash_of_the_definition_before_is_not_ours() -> None:
    progress = a_progress(1)
    old = an_instance(0, state=ActualLrp.CRASHED, crash_count=9, definition_revision=9)
    seen(progress, old)
    assert status(progress) is None


def test_the_last_of_all_tries_is_called_so() -> None:
    progress = a_progress(1)
    seen(progress, an_instance(0, state=ActualLrp.CRASHED, crash_count=200, crash_reason="x"))
    verdict = progress.verdict(0.0)
    assert verdict is not None
    assert "no more tries" in verdict.message


def test_a_placement_error_counts_when_it_lasts() -> None:
    progress = a_progress(1)
    seen(progress, unclaimed(error="2 cells: 2 short of memory"), now=10.0)
    assert progress.deadline(11.0) == 10.0 + PLACEMENT_PATIENCE_S
    assert status(progress, now=12.9) is None
    seen(progress, unclaimed(error="2 cells: 2 short of memory"), now=12.0)
    verdict = progress.verdict(13.0)
    assert verdict is not None
    assert verdict.status == NOT_PLACED
    assert verdict.message.startswith("web/0 could not be placed: 2 cells: 2 short of memory.")


def test_the_reason_is_that_of_the_instance_that_has_no_place() -> None:
    """The one that is to be replaced has the same index, and nothing to say."""
    progress = a_progress(1)
    seen(progress, an_instance(0, instance_guid="old", presence=ActualLrp.SUSPECT), now=0.0)
    seen(progress, unclaimed(error="no cell is present"), now=0.0)
    verdict = progress.verdict(PLACEMENT_PATIENCE_S)
    assert verdict is not None
    assert verdict.message.startswith("web/0 could not be placed: no cell is present.")


def test_a_placement_that_comes_after_all_starts_the_patience_anew() -> None:
    progress = a_progress(1)
    seen(progress, unclaimed(error="no room"), now=0.0)
    seen(progress, unclaimed(error="no room", placed_cell_id="cell-1"), now=2.0)
    assert progress.deadline(2.0) is None
    seen(progress, unclaimed(error="no room"), now=4.0)
    assert status(progress, now=6.9) is None


def test_a_crashed_row_is_forgotten_when_its_index_is_placed_anew() -> None:
    progress = a_progress(1)
    crashed = an_instance(0, state=ActualLrp.CRASHED, crash_count=3, crash_reason="x")
    seen(progress, crashed, unclaimed(0, instance_guid="new", crash_count=3))
    assert status(progress) is None


def test_a_removed_row_no_longer_counts() -> None:
    progress = a_progress(1)
    seen(progress, an_instance(0))
    progress.observe(Change(verb=Change.REMOVED, actual_lrp=an_instance(0)), 0.0)
    assert status(progress) is None


def test_an_lrp_that_is_removed_or_changed_meanwhile() -> None:
    progress = a_progress(2)
    seen(progress, an_instance(0))
    scaled = an_lrp_row(instances=1)
    progress.observe(Change(verb=Change.CHANGED, desired_lrp=scaled), 0.0)
    assert status(progress) == DONE
    progress.observe(Change(verb=Change.REMOVED, desired_lrp=scaled), 0.0)
    assert status(progress) == FAILED


def rolling(version: int = 2, **changes: object) -> DesiredLrp:
    """Version 2 of an LRP of two instances, on its way from definition 7."""
    row = an_lrp_row(instances=2)
    row.version = version
    row.rollout.state, row.rollout.stable_definition_revision = Rollout.ROLLING, 7
    row.MergeFrom(DesiredLrp(**changes))  # type: ignore[arg-type]
    return row


def now_is(progress: Progress, desired: DesiredLrp) -> list[str]:
    return progress.observe(Change(verb=Change.CHANGED, desired_lrp=desired), 0.0)


def message(progress: Progress) -> str:
    verdict = progress.verdict(0.0)
    return "" if verdict is None else verdict.message


def test_a_new_version_is_up_when_the_brain_says_so() -> None:
    progress = Progress(rolling(), began_at=0.0)
    seen(progress, an_instance(0), an_instance(1))
    assert status(progress) is None, "healthy for how long?"
    done = rolling()
    done.rollout.state = Rollout.DONE
    now_is(progress, done)
    assert (status(progress), message(progress)) == (DONE, "web is running: 2 of 2")


def test_a_crash_under_a_rollout_is_told_and_left_to_the_brain() -> None:
    progress = Progress(rolling(), began_at=0.0)
    crashed = an_instance(0, state=ActualLrp.CRASHED, crash_count=9, crash_reason="exit 1")
    assert seen(progress, crashed, now=2.0) == ["  web/0  cell-1  CRASHED  after 2.0 s  exit 1"]
    assert seen(progress, crashed, now=3.0) == []
    assert status(progress) is None


def went_back() -> DesiredLrp:
    row = rolling(version=3)
    row.definition_revision = 7
    row.rollout.rolled_back, row.rollout.reason = True, "web/0 crashed 3 times: exit 1"
    return row


def test_a_version_that_goes_back_by_itself_is_a_failure_with_its_reason() -> None:
    progress = Progress(rolling(), began_at=0.0)
    lines = now_is(progress, went_back())
    assert lines == [
        "  version 2 failed: web/0 crashed 3 times: exit 1; it goes back by itself"
    ]
    seen(progress, an_instance(0, definition_revision=7), an_instance(1, definition_revision=7))
    assert status(progress) is None, "it is not back yet"
    back = went_back()
    back.rollout.state = Rollout.DONE
    now_is(progress, back)
    assert (status(progress), message(progress)) == (
        FAILED,
        "web version 2 failed: web/0 crashed 3 times: exit 1. "
        "It went back: 2 of 2 run. diegod lrp history web",
    )


def test_healthy_canaries_end_the_waiting_and_say_what_goes_on() -> None:
    progress = Progress(rolling(), began_at=0.0)
    waiting = rolling()
    waiting.rollout.state = Rollout.CANARIES
    now_is(progress, waiting)
    assert status(progress) == DONE
    assert "diegod lrp promote web, or diegod lrp rollback web" in message(progress)


@pytest.mark.parametrize(
    ("reason", "said"),
    [("", "web version 2 is paused. diegod"), ("too slow", "web version 2 is paused: too slow.")],
)
def test_a_pause_ends_the_waiting(reason: str, said: str) -> None:
    progress = Progress(rolling(), began_at=0.0)
    paused = rolling()
    paused.rollout.state, paused.rollout.reason = Rollout.PAUSED, reason
    now_is(progress, paused)
    assert status(progress) == FAILED
    assert message(progress).startswith(said)


def test_what_has_no_stable_version_before_it_is_led_by_the_brain_too() -> None:
    """Nobody waited until the version before was stable: the way back has to be named."""
    desired = rolling()
    desired.rollout.stable_definition_revision = 0
    progress = Progress(desired, began_at=0.0)
    crashed = an_instance(0, state=ActualLrp.CRASHED, crash_count=3, crash_reason="exit 1")
    seen(progress, crashed)
    assert status(progress) is None
    paused = rolling()
    paused.rollout.stable_definition_revision = 0
    paused.rollout.state, paused.rollout.reason = Rollout.PAUSED, "web/0 crashed 3 times: exit 1"
    now_is(progress, paused)
    assert message(progress) == (
        "web version 2 is paused: web/0 crashed 3 times: exit 1. "
        "diegod lrp resume web, or diegod lrp rollback web --to 1"
    )


def test_another_version_that_comes_meanwhile_is_not_ours() -> None:
    progress = Progress(rolling(), began_at=0.0)
    now_is(progress, rolling(version=3))
    assert (status(progress), message(progress)) == (
        FAILED,
        "web became version 3 meanwhile, by user/alice",
    )


def test_what_is_replaced_has_to_be_gone() -> None:
    progress = Progress(an_lrp_row(instances=1), began_at=0.0, must_go=frozenset(["i0"]))
    old = an_instance(0, presence=ActualLrp.EVACUATING)
    seen(progress, old, an_instance(0, instance_guid="new"))
    assert status(progress) is None
    progress.observe(Change(verb=Change.REMOVED, actual_lrp=old), 0.0)
    assert status(progress) == DONE


def test_of_a_global_one_only_the_brain_knows_when_it_is_everywhere() -> None:
    desired = rolling(mode=LrpDefinition.GLOBAL)
    desired.rollout.stable_definition_revision = 0
    progress = Progress(desired, began_at=0.0)
    seen(progress, an_instance(0), an_instance(7))
    assert status(progress) is None
    desired.rollout.state = Rollout.DONE
    now_is(progress, desired)
    assert message(progress) == "web is running: 2 of 2"


def test_one_that_is_stopped_meanwhile() -> None:
    progress = a_progress()
    stopped = an_lrp_row()
    stopped.stopped = True
    now_is(progress, stopped)
    assert (status(progress), message(progress)) == (
        DONE,
        "web is stopped. diegod lrp start web",
    )


def test_the_end_of_an_lrp() -> None:
    ending = Ending(an_lrp_row(), began_at=1.0, removed=True)
    removing = an_lrp_row()
    removing.removing = True
    ending.observe(Change(desired_lrp=removing), 1.0)
    ending.observe(Change(actual_lrp=an_instance(0, stopping=True)), 1.0)
    gone = Change(verb=Change.REMOVED, actual_lrp=an_instance(0))
    assert ending.observe(gone, 3.0) == ["  web/0  cell-1  ended after 2.0 s"]
    assert ending.verdict(3.0) is None, "its own row is there still"
    ending.observe(Change(verb=Change.REMOVED, desired_lrp=removing), 3.0)
    assert ending.verdict(3.0) == Verdict(DONE, "web is gone")


def test_a_stop_that_is_taken_back() -> None:
    stopped = an_lrp_row()
    stopped.stopped = True
    ending = Ending(stopped, began_at=0.0, removed=False)
    ending.observe(Change(desired_lrp=stopped), 0.0)
    assert ending.verdict(0.0) == Verdict(DONE, "web has no instance left")
    ending.observe(Change(verb=Change.CHANGED, desired_lrp=an_lrp_row()), 0.0)
    assert ending.verdict(0.0) == Verdict(FAILED, "web is wanted again: diegod lrp apply")
