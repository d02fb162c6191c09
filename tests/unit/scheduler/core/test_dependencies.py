"""What waits for what, in words, and what waits in vain."""

import pytest

from diegod.scheduler.core.batch import waiting
from diegod.scheduler.core.dependencies import gates, unmet
from diegod.scheduler.core.snapshot import Key
from diegod.v1.definition_pb2 import Dependency, LrpDefinition
from diegod.v1.record_pb2 import ActualLrp, Change, Rollout, Task
from tests.unit.scheduler.core.rows import (
    NOW,
    Row,
    a_cell,
    a_change,
    a_snapshot,
    a_task,
    an_instance,
    an_lrp,
    at,
    on_lrp,
    on_task,
    repaired,
)

ENDED = [Task.COMPLETED, Task.RESOLVING]
UNROUTABLE = an_instance("db", 1, routable=False)
EVACUATING = an_instance("db", 1, presence=ActualLrp.EVACUATING)
SUSPECT = an_instance("db", 1, presence=ActualLrp.SUSPECT)
STOPPING = an_instance("db", 1, stopping=True)


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([], "waits for lrp db: there is none"),
        ([an_lrp("db")], "waits for lrp db: 0 of 1 healthy"),
        ([an_lrp("db", 2), an_instance("db")], "waits for lrp db: 1 of 2 healthy"),
        ([an_lrp("db", 2), an_instance("db"), an_instance("db", 1)], ""),
        ([an_lrp("db", 2), an_instance("db"), UNROUTABLE], "waits for lrp db: 1 of 2 healthy"),
        ([an_lrp("db", 2), an_instance("db"), EVACUATING], "waits for lrp db: 1 of 2 healthy"),
        ([an_lrp("db", 2), an_instance("db"), SUSPECT], "waits for lrp db: 1 of 2 healthy"),
        ([an_lrp("db", 2), an_instance("db"), STOPPING], "waits for lrp db: 1 of 2 healthy"),
        (
            [an_lrp("db"), an_instance("db", state=ActualLrp.CLAIMED)],
            "waits for lrp db: 0 of 1 healthy",
        ),
        ([an_lrp("db", stopped=True), an_instance("db")], "waits for lrp db: it is stopped"),
        (
            [an_lrp("db", removing=True), an_instance("db")],
            "waits for lrp db: it is being removed",
        ),
        ([an_lrp("db", 0)], ""),
        ([an_lrp("db", 0, mode=LrpDefinition.GLOBAL)], "waits for lrp db: 0 of 1 healthy"),
        ([an_lrp("db", 0, mode=LrpDefinition.GLOBAL), an_instance("db", 4)], ""),
        (
            [
                an_lrp("db", 0, mode=LrpDefinition.GLOBAL),
                an_instance("db"),
                an_instance("db", 1, state=ActualLrp.CRASHED),
            ],
            "waits for lrp db: 1 of 2 healthy",
        ),
    ],
)
def test_an_lrp_is_healthy_when_as_many_as_desired_run_and_are_routable(
    rows: list[Row], text: str
) -> None:
    assert unmet(a_snapshot(*rows), [on_lrp("db")]) == text


@pytest.mark.parametrize(
    ("task", "condition", "text"),
    [
        (None, Dependency.DEFAULT, "waits for task seed: there is none"),
        (a_task("seed"), Dependency.DEFAULT, "waits for task seed: it is PENDING"),
        (a_task("seed", Task.RUNNING), Dependency.COMPLETED, "waits for task seed: it is RUNNING"),
        *[(a_task("seed", state), Dependency.DEFAULT, "") for state in ENDED],
        *[(a_task("seed", state, failed=True), Dependency.COMPLETED, "") for state in ENDED],
        *[
            (
                a_task("seed", state, failed=True, failure_reason="exit status 3"),
                Dependency.SUCCEEDED,
                "waits for task seed: it failed: exit status 3",
            )
            for state in ENDED
        ],
    ],
)
def test_a_task_is_waited_for_until_it_has_succeeded_or_just_ended(
    task: Task | None, condition: Dependency.Condition, text: str
) -> None:
    assert unmet(a_snapshot(*[task] if task else []), [on_task("seed", condition)]) == text


def test_the_first_that_is_not_met_is_named() -> None:
    snapshot = a_snapshot(a_task("seed", Task.COMPLETED))
    text = unmet(snapshot, [on_task("seed"), on_lrp("db"), on_task("other")])
    assert text == "waits for lrp db: there is none"


class TestATask:
    def test_it_fails_when_what_it_waits_for_has_failed(self) -> None:
        seed = a_task("seed", Task.COMPLETED, failed=True, failure_reason="exit status 3")
        (decision,) = _about("t", seed, a_task(depends_on=[on_task("seed")]))
        assert decision.action.failure == Task.DEPENDENCY
        assert decision.action.failure_reason == "task seed failed: exit status 3"
        assert not decision.action.outcome_unknown

    def test_it_does_not_mind_a_failure_if_it_only_waits_for_the_end(self) -> None:
        seed = a_task("seed", Task.COMPLETED, failed=True)
        assert not _about("t", seed, a_task(depends_on=[on_task("seed", Dependency.COMPLETED)]))

    def test_what_it_waits_for_may_be_desired_a_little_later(self) -> None:
        task = a_task(depends_on=[on_task("seed")], created_at=at(NOW - 29))
        assert repaired(task).decisions == ()
        assert repaired(task).next_deadline == NOW + 1
        (decision,) = repaired(task, now=NOW + 1).decisions
        assert decision.action.failure_reason == "task seed, for which it waited, is not there"

    def test_it_waits_for_an_lrp_for_as_long_as_it_may_wait_at_all(self) -> None:
        task = a_task(depends_on=[on_lrp("db")])
        assert repaired(task).decisions == ()
        assert repaired(task).next_deadline == NOW - 100 + 1800

    def test_once_placed_it_waits_for_nothing(self) -> None:
        task = a_task(depends_on=[on_task("seed")], placed_cell_id="cell-1", placed_at=at(NOW))
        assert repaired(a_cell(), task).decisions == ()

    def test_it_is_looked_at_when_what_it_waits_for_changes(self) -> None:
        snapshot = a_snapshot(a_task("seed", Task.RUNNING), a_task(depends_on=[on_task("seed")]))
        touched = snapshot.apply_changes([a_change(a_task("seed", Task.COMPLETED), 8)])
        assert touched.keys == (Key("task", "seed"), Key("task", "t"))
        snapshot.apply_changes([a_change(a_task("t", Task.RUNNING), 9)])
        removal = a_change(a_task("seed", Task.COMPLETED), 10, Change.REMOVED)
        assert snapshot.apply_changes([removal]).keys == (Key("task", "seed"),)


class TestAnLrp:
    @pytest.mark.parametrize(
        ("rollout", "is_gated"),
        [
            (Rollout(state=Rollout.ROLLING), True),
            (Rollout(state=Rollout.PAUSED), True),
            (Rollout(state=Rollout.DONE), False),
            (Rollout(state=Rollout.ROLLING, stable_definition_revision=3), False),
        ],
    )
    def test_it_waits_until_a_version_of_it_was_up_once(
        self, rollout: Rollout, is_gated: bool
    ) -> None:
        desired = an_lrp("web", depends_on=[on_lrp("db")], rollout=rollout)
        assert bool(list(gates(desired))) == is_gated

    def test_it_waits_on_when_what_it_waits_for_has_failed(self) -> None:
        seed = a_task("seed", Task.COMPLETED, failed=True, failure_reason="exit status 3")
        web = an_lrp("web", depends_on=[on_task("seed")])
        row = an_instance("web", state=ActualLrp.UNCLAIMED)
        (lot,) = waiting(a_snapshot(seed, web, row), NOW)
        assert lot.waits_for == "waits for task seed: it failed: exit status 3"
        assert _about("web", seed, web, row) == []

    def test_its_instances_are_put_up_when_it_waits_no_more(self) -> None:
        web = an_lrp("web", 2, depends_on=[on_lrp("db")])
        rows = [an_instance("web", n, ActualLrp.UNCLAIMED) for n in range(2)]
        db = [an_lrp("db"), an_instance("db")]
        before = waiting(a_snapshot(web, *rows), NOW)
        assert [lot.waits_for for lot in before] == ["waits for lrp db: there is none"] * 2
        assert [lot.waits_for for lot in waiting(a_snapshot(web, *rows, *db), NOW)] == ["", ""]


def _about(guid: str, *rows: Row) -> list:
    return [each for each in repaired(a_cell(), *rows).decisions if each.key.guid == guid]
