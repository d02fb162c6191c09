"""What apply would do, decided over rows alone: every field, every instance, and nothing else."""

import pytest
from hypothesis import given

from diegod.config.spec import parse_spec
from diegod.config.yaml_nodes import dump
from diegod.models.admission import fill_defaults, lrp_row, problems, task_row
from diegod.models.json_form import spec_form
from diegod.models.plan import Action, Plan, Step, plan
from diegod.models.plan_others import plan_domain, plan_schedule, plan_task
from diegod.v1.definition_pb2 import (
    DomainDefinition,
    LrpDefinition,
    TaskDefinition,
    TaskScheduleDefinition,
    UpdatePolicy,
)
from diegod.v1.record_pb2 import (
    ActualLrp,
    DesiredLrp,
    Domain,
    Provenance,
    Rollout,
    Task,
    TaskSchedule,
)
from tests.unit.models.definitions import a_full_lrp, a_task, an_lrp
from tests.unit.models.legal_definitions import lrps, tasks


def filled(definition: LrpDefinition) -> LrpDefinition:
    copy = LrpDefinition()
    copy.CopyFrom(definition)
    fill_defaults(copy)
    return copy


def stored(definition: LrpDefinition, **changes: object) -> DesiredLrp:
    """As `Get` answers it, some time after it was applied."""
    whole = filled(definition)
    row = lrp_row(whole)
    row.definition.CopyFrom(whole)
    row.definition_revision = 10
    row.version = 3
    row.provenance.CopyFrom(Provenance(revision=12))
    row.MergeFrom(DesiredLrp(**changes))  # type: ignore[arg-type]
    return row


def an_instance(index: int, **changes: object) -> ActualLrp:
    given = {
        "process_guid": "web",
        "index": index,
        "instance_guid": f"i{index}",
        "state": ActualLrp.RUNNING,
        "cell_id": f"cell-{index}",
        "definition_revision": 10,
    } | changes
    return ActualLrp(**given)  # type: ignore[arg-type]


def steps(made: Plan) -> list[tuple[int, Step]]:
    return [(each.index, each.step) for each in made.steps]


def paths(made: Plan) -> list[str]:
    return [change.path for change in made.changes]


@given(lrps())
def test_plan_of_what_show_prints_is_no_change(definition: LrpDefinition) -> None:
    assert problems(definition) == []
    row = stored(definition)
    read = parse_spec("web.yaml", dump(spec_form(row.definition)).encode())
    assert read.problems == []
    (document,) = read.documents
    assert isinstance(document.definition, LrpDefinition)
    made = plan(row, [an_instance(0)], filled(document.definition))
    assert (made.action, made.changes, made.steps) == (Action.NONE, (), ())


@given(lrps())
def test_plan_of_the_file_that_was_applied_is_no_change(definition: LrpDefinition) -> None:
    assert plan(stored(definition), (), filled(definition)).action is Action.NONE


@given(tasks())
def test_plan_of_what_task_show_prints_is_no_change(definition: TaskDefinition) -> None:
    assert problems(definition) == []
    fill_defaults(definition)
    row = task_row(definition)
    row.definition.CopyFrom(definition)
    (document,) = parse_spec("t.yaml", dump(spec_form(definition)).encode()).documents
    assert document.problems == ()
    assert isinstance(document.definition, TaskDefinition)
    fill_defaults(document.definition)
    made = plan_task(row, document.definition)
    assert (made.action, made.changes, made.refusal) == (Action.NONE, (), "")


@given(lrps(), lrps())
def test_two_definitions_differ_exactly_where_the_plan_says_so(
    old: LrpDefinition, new: LrpDefinition
) -> None:
    new.process_guid, new.domain = old.process_guid, old.domain
    made = plan(stored(old), (), filled(new))
    assert made.changes_something == (filled(old) != filled(new))
    assert len(set(paths(made))) == len(paths(made))


def test_the_first_one_is_created_with_all_its_instances() -> None:
    made = plan(None, (), filled(an_lrp(instances=2)))
    assert (made.action, made.revision, made.version) == (Action.CREATE, 0, 1)
    assert steps(made) == [(0, Step.CREATED), (1, Step.CREATED)]
    assert ("rootfs", None, "preloaded:busybox") in [
        (each.path, each.old, each.new) for each in made.changes
    ]


def test_another_number_alone_replaces_nothing() -> None:
    row = stored(an_lrp(instances=2))
    more = plan(row, [an_instance(0), an_instance(1)], filled(an_lrp(instances=3)))
    assert (more.action, paths(more), more.version) == (Action.SCALE, ["instances"], 3)
    assert steps(more) == [(2, Step.CREATED)]
    fewer = plan(row, [an_instance(0), an_instance(1)], filled(an_lrp(instances=1)))
    assert steps(fewer) == [(1, Step.STOPPED)]


def test_what_was_scaled_since_is_compared_with_what_it_was_scaled_to() -> None:
    row = stored(an_lrp(instances=2))
    row.instances = 5
    assert plan(row, (), filled(an_lrp(instances=5))).action is Action.NONE
    assert paths(plan(row, (), filled(an_lrp(instances=2)))) == ["instances"]


def test_another_definition_replaces_what_runs_in_its_own_way() -> None:
    row = stored(an_lrp(instances=3))
    rows = [an_instance(0), an_instance(1, state=ActualLrp.CRASHED), an_instance(4)]
    made = plan(row, rows, filled(an_lrp(instances=3, memory_mb=256)))
    assert (made.action, made.version, made.revision) == (Action.UPDATE, 4, 12)
    assert [str(change) for change in made.changes] == ["memory_mb: 128 → 256"]
    assert steps(made) == [
        (0, Step.REPLACED_START_FIRST),
        (1, Step.REPLACED_AT_ONCE),
        (2, Step.CREATED),
        (4, Step.STOPPED),
    ]


@pytest.mark.parametrize(
    ("policy", "step", "note"),
    [
        ({"max_in_flight": 2}, Step.REPLACED_START_FIRST, "2 at a time: each new one is healthy"),
        (
            {"order": UpdatePolicy.STOP_FIRST, "max_in_flight": 1, "max_unavailable": 1},
            Step.REPLACED_STOP_FIRST,
            "at most 1 are missing at a time",
        ),
        (
            {"strategy": UpdatePolicy.RECREATE},
            Step.REPLACED_STOP_FIRST,
            "all old ones end before the first new one starts",
        ),
        ({"canaries": 1}, Step.REPLACED_START_FIRST, "1 canary first"),
    ],
)
def test_the_manner_is_that_of_the_new_definition(
    policy: dict[str, object], step: Step, note: str
) -> None:
    new = an_lrp(memory_mb=256)
    new.update.MergeFrom(UpdatePolicy(**policy))  # type: ignore[arg-type]
    made = plan(stored(an_lrp()), [an_instance(0)], filled(new))
    assert steps(made) == [(0, step)]
    assert any(note in each for each in made.notes), made.notes


def test_a_stopped_one_stays_stopped() -> None:
    made = plan(stored(an_lrp(), stopped=True), (), filled(an_lrp(memory_mb=256)))
    assert (made.action, made.steps) == (Action.UPDATE, ())
    assert made.notes == ("it is stopped and stays so: diegod lrp start web",)


def test_one_that_is_being_removed_is_taken_up_again() -> None:
    row = stored(an_lrp(instances=2), removing=True, stopped=True)
    rows = [an_instance(0), an_instance(1, stopping=True)]
    made = plan(row, rows, filled(an_lrp(instances=2)))
    assert (made.action, made.version) == (Action.UPDATE, 4)
    assert steps(made) == [(1, Step.CREATED)], "what still runs of it stays"
    assert made.notes[-1].endswith("it is paused"), "a new one has nothing to go back to"


def test_what_is_on_its_way_out_is_nobodys_instance() -> None:
    rows = [
        an_instance(0, presence=ActualLrp.EVACUATING, instance_guid="old"),
        an_instance(0, state=ActualLrp.UNCLAIMED, cell_id=""),
        an_instance(1, stopping=True),
    ]
    made = plan(stored(an_lrp()), rows, filled(an_lrp(memory_mb=256)))
    assert steps(made) == [(0, Step.REPLACED_AT_ONCE)]


def test_a_global_one_is_replaced_where_it_is() -> None:
    new = an_lrp(mode=LrpDefinition.GLOBAL, memory_mb=256)
    row = stored(an_lrp(mode=LrpDefinition.GLOBAL))
    made = plan(row, [an_instance(0), an_instance(7)], filled(new))
    assert [each.index for each in made.steps] == [0, 7]
    assert "one instance on each cell that may run it" in made.notes


def test_a_rollout_that_is_under_way_is_said() -> None:
    row = stored(an_lrp(instances=2), rollout=Rollout(state=Rollout.ROLLING))
    rows = [an_instance(0), an_instance(1, definition_revision=7)]
    made = plan(row, rows, filled(an_lrp(instances=2)))
    assert made.notes == ("its rollout is under way (ROLLING): 1 of 2 are new",)
    other = plan(row, rows, filled(an_lrp(instances=2, memory_mb=256)))
    assert "the rollout of version 3 is given up for it" in other.notes


def test_it_goes_back_by_itself_only_where_there_is_something_to_go_back_to() -> None:
    new = filled(an_lrp(memory_mb=256))
    back, nowhere = (
        plan(stored(an_lrp(), rollout=rollout), (), new).notes[-1]
        for rollout in (Rollout(state=Rollout.DONE), Rollout(state=Rollout.ROLLING))
    )
    assert back.endswith("rolled back by itself")
    assert nowhere.endswith("it is paused")


def test_another_domain_is_refused() -> None:
    made = plan(stored(an_lrp()), (), filled(an_lrp(domain="shop")))
    assert made.refusal == "web is in domain default; an LRP can't change its domain"
    assert not made.changes_something


def test_values_of_secret_fields_never_show() -> None:
    old = an_lrp(environment_variables={"TOKEN": "old-secret", "GONE": "gone-secret"})
    new = an_lrp(environment_variables={"TOKEN": "new-secret", "ADDED": "added-secret"})
    new.action.run.env["LANG"] = "run-secret"
    made = plan(stored(old), (), filled(new))
    assert "secret" not in str(made.changes)
    assert sorted(str(change) for change in made.changes) == [
        "action.run.env.LANG: (none) → (hidden)",
        "environment_variables.ADDED: (none) → (hidden)",
        "environment_variables.GONE: (hidden) → (none)",
        "environment_variables.TOKEN: (hidden) → (hidden)",
    ]


def test_each_field_that_is_taken_away_is_told() -> None:
    full = a_full_lrp()
    made = plan(stored(full), (), filled(an_lrp(domain="shop")))
    gone = {change.path for change in made.changes if change.new is None}
    assert {"ports[0].name", "check_definition.checks[2].command_check.args"} <= gone
    assert "metric_tags.team" in gone


def test_a_task_is_never_replaced() -> None:
    definition = a_task()
    fill_defaults(definition)
    row = task_row(definition)
    row.definition.CopyFrom(definition)
    row.state = Task.RUNNING
    assert plan_task(None, definition).action is Action.CREATE
    same = plan_task(row, definition)
    assert (same.action, same.notes) == (Action.NONE, ("it is already there (RUNNING)",))
    other = TaskDefinition()
    other.CopyFrom(definition)
    other.memory_mb = 7
    refused = plan_task(row, other)
    assert "exists with another definition" in refused.refusal
    assert paths(refused) == ["memory_mb"]


def test_a_schedule_and_a_domain() -> None:
    schedule = TaskScheduleDefinition(name="nightly", cron="@daily", task=a_task(task_guid=""))
    fill_defaults(schedule)
    row = TaskSchedule(name="nightly", definition=schedule)
    assert plan_schedule(None, schedule).action is Action.CREATE
    assert plan_schedule(row, schedule).action is Action.NONE
    schedule.cron = "@hourly"
    assert paths(plan_schedule(row, schedule)) == ["cron"]
    new = DomainDefinition(domain="shop", ttl_s=60)
    assert plan_domain(None, new).action is Action.CREATE
    assert plan_domain(Domain(domain="shop", ttl_s=60), new).action is Action.UPDATE
    always = DomainDefinition(domain="shop")
    assert plan_domain(Domain(domain="shop"), always).action is Action.NONE
