"""`diegod lrp plan|update|restart|stop|…|history|retire|wait`: what is asked, and what is said."""

import json

import pytest

from diegod.models.errors import DomainError, Reason
from diegod.v1.definition_pb2 import UpdatePolicy
from diegod.v1.event_pb2 import WatchReply
from diegod.v1.lrp_pb2 import (
    ControlLrpReply,
    ControlLrpRequest,
    DesireLrpReply,
    GetLrpReply,
    LrpHistoryReply,
    RetireInstanceReply,
)
from diegod.v1.record_pb2 import ActualLrp, Change, LrpVersion
from tests.unit.cli.conftest import Run
from tests.unit.cli.records import an_instance, an_lrp_row, the_lrp
from tests.unit.client.fake_cluster import FakeCluster

NOT_FOUND = DomainError(Reason.RESOURCE_NOT_FOUND, "there is none")
SPEC = "kind: lrp\nprocess_guid: web\nrootfs: preloaded:busybox\naction: {run: {path: /bin/web}}\n"


def up(*instances: ActualLrp) -> WatchReply:
    return WatchReply(rows=[Change(actual_lrp=row) for row in instances], rows_end=True)


@pytest.fixture
def web(cluster: FakeCluster) -> FakeCluster:
    """An LRP of one instance that runs."""
    row = an_lrp_row(instances=1)
    row.version = 2
    cluster.calls = {
        "LrpService/Get": GetLrpReply(desired_lrp=row, instances=[an_instance(0)]),
        "LrpService/Desire": DesireLrpReply(desired_lrp=row),
        "LrpService/Control": ControlLrpReply(desired_lrp=row),
        "LrpService/Retire": RetireInstanceReply(instance=an_instance(0)),
        "LrpService/History": LrpHistoryReply(versions=history()),
    }
    cluster.watched = [up(an_instance(0))]
    return cluster


def history() -> list[LrpVersion]:
    first = LrpVersion(version=1, outcome=LrpVersion.STABLE, by="user/alice", cause="apply")
    first.definition.CopyFrom(an_lrp_row().definition)
    second = LrpVersion(version=2, outcome=LrpVersion.FAILED, reason="crashed", copy_of=0)
    second.definition.CopyFrom(an_lrp_row().definition)
    second.definition.memory_mb = 256
    second.definition.environment_variables["TOKEN"] = "hush"
    third = LrpVersion(version=3, copy_of=1, outcome=LrpVersion.CURRENT)
    third.definition.CopyFrom(first.definition)
    return [third, second, first]


def a_file(text: str) -> str:
    with open("web.yaml", "w") as file:
        file.write(text)
    return "web.yaml"


def test_plan_lists_fields_and_instances_and_how_to_do_it(web: FakeCluster, run: Run) -> None:
    result = run("lrp", "plan", a_file(SPEC + "memory_mb: 256\n"))
    assert result.status == 0
    lines = result.text.splitlines()
    assert lines[0] == "web: update, version 3: 1 instance replaced"
    assert "  memory_mb: 128 → 256" in lines
    assert "  ports[0].name: http → (none)" in lines
    assert "  web/0  replaced, the new one first  (RUNNING on cell-1)" in lines
    assert result.err == "\nDo it with: diegod lrp apply web.yaml --at 11\n"
    assert web.asked("LrpService/Desire") == []


@pytest.mark.parametrize(("extra", "status"), [("memory_mb: 256\n", 10), (None, 0)])
def test_exit_code_is_10_when_something_would_change(
    extra: str | None, status: int, web: FakeCluster, run: Run
) -> None:
    if extra is None:
        with open("web.yaml", "wb") as file:
            file.write(run("lrp", "show", "-o", "yaml", "web").out)
    else:
        a_file(SPEC + extra)
    assert run("lrp", "plan", "--exit-code", "web.yaml").status == status
    assert run("lrp", "plan", "web.yaml").status == 0


def test_plan_of_what_show_prints_says_no_change(web: FakeCluster, run: Run) -> None:
    with open("web.yaml", "wb") as file:
        file.write(run("lrp", "show", "-o", "yaml", "web").out)
    result = run("lrp", "plan", "web.yaml")
    assert (result.text, result.err) == ("web: no change\n", "")


def test_plan_of_a_new_one_is_for_one_that_is_not_there(web: FakeCluster, run: Run) -> None:
    web.calls["LrpService/Get"] = NOT_FOUND
    result = run("lrp", "plan", a_file(SPEC))
    assert result.text.startswith("web: create, version 1: 1 instance created\n")
    assert result.err.endswith("diegod lrp apply web.yaml --at 0\n")


def test_apply_at_0_is_refused_when_there_is_one(web: FakeCluster, run: Run) -> None:
    result = run("lrp", "apply", "--detach", "--at", "0", a_file(SPEC))
    assert (result.status, web.asked("LrpService/Desire")) == (4, [])
    assert "web is at revision 11, and --at 0 is for one that is not there yet" in result.err


def test_plan_in_json_has_all_of_it(web: FakeCluster, run: Run) -> None:
    plan = json.loads(run("lrp", "plan", "-o", "json", a_file(SPEC + "memory_mb: 256\n")).text)
    assert (plan["kind"], plan["name"], plan["action"]) == ("lrp", "web", "update")
    assert (plan["revision"], plan["version"]) == (11, 3)
    assert {"path": "memory_mb", "old": "128", "new": "256"} in plan["changes"]
    [instance] = plan["instances"]
    assert (instance["step"], instance["cell_id"]) == ("REPLACED_START_FIRST", "cell-1")


def test_a_plan_that_would_be_refused_is_4(web: FakeCluster, run: Run) -> None:
    result = run("lrp", "plan", a_file(SPEC + "domain: shop\n"))
    assert (result.status, result.text) == (4, "")
    assert "an LRP can't change its domain" in result.err


def test_update_changes_what_was_named_and_nothing_else(web: FakeCluster, run: Run) -> None:
    before = an_lrp_row(instances=1).definition
    words = ["-e", "A=1", "-m", "256", "--max-in-flight", "2", "--order", "stop-first", "web"]
    assert run("lrp", "update", "--detach", *words).status == 0
    (request,) = web.asked("LrpService/Desire")
    assert request.expected_revision == 11
    after = request.definition
    assert after.environment_variables == {"A": "1"}
    assert (after.memory_mb, after.update.max_in_flight) == (256, 2)
    assert after.update.order == UpdatePolicy.STOP_FIRST
    after.ClearField("environment_variables")
    after.memory_mb = before.memory_mb
    after.update.CopyFrom(before.update)
    assert after == before


def test_update_of_the_command_and_back_to_start_first(web: FakeCluster, run: Run) -> None:
    row = an_lrp_row(instances=1)
    row.definition.update.order = UpdatePolicy.STOP_FIRST
    row.definition.environment_variables["OLD"] = "x"
    web.calls["LrpService/Get"] = GetLrpReply(desired_lrp=row)
    words = ["web", "--order", "start-first", "--env-rm", "OLD", "--", "httpd", "-f"]
    assert run("lrp", "update", "--detach", *words).status == 0
    definition = web.asked("LrpService/Desire")[0].definition
    assert [definition.action.run.path, *definition.action.run.args] == ["httpd", "-f"]
    assert definition.update.order == UpdatePolicy.START_FIRST
    assert not definition.environment_variables


def test_update_says_what_it_can_not_do(web: FakeCluster, run: Run) -> None:
    wrong = run("lrp", "update", "web", "--order", "sideways")
    assert (wrong.status, wrong.err) == (
        2,
        'diegod: --order: "sideways" is neither start-first nor stop-first\n',
    )
    assert run("lrp", "update", "web", "--env-rm", "NONE").status == 2
    assert web.asked("LrpService/Desire") == []


def test_help_says_which_verb_is_for_what(run: Run) -> None:
    text = run("lrp", "-h").text
    assert "`scale` the number of instances" in text
    for verb in ("apply", "update"):
        assert "`lrp scale`" in run("lrp", verb, "-h").text


@pytest.mark.parametrize(
    ("words", "verb", "expected_revision"),
    [
        (["restart", "web"], ControlLrpRequest.RESTART, 0),
        (["start", "web"], ControlLrpRequest.START, 0),
        (["stop", "web"], ControlLrpRequest.STOP, 0),
        (["resume", "web"], ControlLrpRequest.RESUME, 0),
        (["promote", "web"], ControlLrpRequest.PROMOTE, 11),
        (["rollback", "web", "--to", "1"], ControlLrpRequest.ROLLBACK, 11),
    ],
)
def test_each_verb_asks_for_itself(
    words: list[str],
    verb: ControlLrpRequest.Verb.ValueType,
    expected_revision: int,
    web: FakeCluster,
    run: Run,
) -> None:
    assert run("lrp", *words, "--detach").status == 0
    (request,) = web.asked("LrpService/Control")
    assert (request.process_guid, request.verb) == ("web", verb)
    assert request.to_version == (1 if "--to" in words else 0)
    assert request.expected_revision == expected_revision
    assert request.request_id
    assert request.cause == f"diegod lrp {words[0]}"


def test_restart_waits_until_it_is_up(web: FakeCluster, run: Run) -> None:
    result = run("lrp", "restart", "web")
    assert result.status == 0
    lines = result.err.splitlines()
    assert lines[0] == "web is restarted as version 2"
    assert lines[1] == "web  version 2 · 1 instance  (revision 10)"
    assert lines[-1] == "web is running: 1 of 1.   diegod lrp logs web -f"


def test_what_is_so_already_is_said(web: FakeCluster, run: Run) -> None:
    web.calls["LrpService/Control"] = ControlLrpReply(
        desired_lrp=an_lrp_row(instances=1), unchanged=True
    )
    assert run("lrp", "start", "--detach", "web").err == "web: no change\n"


def test_a_refusal_is_4(web: FakeCluster, run: Run) -> None:
    why = "web has no update under way"
    web.calls["LrpService/Control"] = DomainError(Reason.INVALID_STATE_TRANSITION, why)
    result = run("lrp", "pause", "web")
    assert (result.status, result.err) == (4, f"diegod: {why}\n")


def test_stop_waits_until_nothing_is_left(web: FakeCluster, run: Run) -> None:
    row = an_lrp_row(instances=1)
    row.stopped = True
    web.calls["LrpService/Control"] = ControlLrpReply(desired_lrp=row)
    begin = up(an_instance(0, stopping=True))
    begin.rows.add(desired_lrp=row)
    end = Change(verb=Change.REMOVED, actual_lrp=an_instance(0))
    web.watched = [begin, WatchReply(changes=[end])]
    result = run("lrp", "stop", "web")
    assert result.status == 0
    assert result.err.splitlines()[0] == "web is stopped; its instances are being stopped"
    assert result.err.splitlines()[-1] == "web has no instance left"


def test_retire_waits_for_the_one_that_takes_its_place(web: FakeCluster, run: Run) -> None:
    old = an_instance(0, presence=ActualLrp.EVACUATING)
    web.calls["LrpService/Retire"] = RetireInstanceReply(instance=old)
    new = an_instance(0, instance_guid="new", cell_id="cell-2")
    web.watched = [
        up(old),
        WatchReply(changes=[Change(verb=Change.CREATED, actual_lrp=new)]),
        WatchReply(changes=[Change(verb=Change.REMOVED, actual_lrp=old)]),
    ]
    result = run("lrp", "retire", "web/0")
    assert result.status == 0
    assert "  web/0  cell-2  RUNNING  after " in result.err
    assert web.asked("LrpService/Retire")[0].index == 0


def test_retire_wants_an_index(web: FakeCluster, run: Run) -> None:
    result = run("lrp", "retire", "web")
    assert (result.status, result.err) == (2, "diegod: which instance? diegod lrp retire web/0\n")


def test_wait_for_gone_of_one_that_is_not_there_is_over(web: FakeCluster, run: Run) -> None:
    web.calls["LrpService/Get"] = NOT_FOUND
    assert run("lrp", "wait", "web", "--for", "gone").status == 0


def test_wait_for_healthy(web: FakeCluster, run: Run) -> None:
    assert run("lrp", "wait", "web").status == 0
    assert run("lrp", "wait", "web", "--for", "happy").status == 2


def test_history_names_versions_that_are_the_same_again(web: FakeCluster, run: Run) -> None:
    header, third, second, first = run("lrp", "history", "web").text.splitlines()
    assert header.split()[:2] == ["VERSION", "STATE"]
    assert "version 1 again" in third
    assert (second.split()[1], second.split()[-1]) == ("FAILED", "crashed")
    assert first.split()[:2] == ["1", "STABLE"]


def test_history_diff_shows_fields_and_no_secrets(web: FakeCluster, run: Run) -> None:
    lines = run("lrp", "history", "web", "--diff", "1", "2").text.splitlines()
    assert lines == [
        "memory_mb: 128 → 256",
        "environment_variables.TOKEN: (none) → (hidden)",
    ]
    same = run("lrp", "history", "web", "--diff", "1", "3").text
    assert same == "versions 1 and 3 are the same definition\n"
    gone = run("lrp", "history", "web", "--diff", "1", "9")
    assert (gone.status, gone.err) == (3, "diegod: web has no version 9 (any more): 1, 2, 3\n")


def test_several_that_fail_are_each_told(web: FakeCluster, run: Run) -> None:
    crashed = an_instance(0, state=ActualLrp.CRASHED, crash_count=3, crash_reason="exit 1")
    web.watched = [up(crashed)]
    a_file(SPEC + "---\n" + SPEC.replace("web\n", "api\n", 1))
    result = run("lrp", "apply", "web.yaml")
    assert result.status == 1
    *_, one, two, last = result.err.splitlines()
    assert one == two == "web/0 crashed 3 times, next try in 30 s: exit 1"
    assert last == "diegod: 2 of 2 LRPs are not up"


def test_show_says_how_the_lrp_stands(web: FakeCluster, run: Run) -> None:
    reply = the_lrp()
    reply.desired_lrp.stopped = True
    web.calls["LrpService/Get"] = reply
    assert "state             stopped" in run("lrp", "show", "web").text
