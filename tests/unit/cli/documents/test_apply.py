"""`diegod apply FILE…` and `diegod plan FILE…`: documents of any kind."""

import json

import pytest

from diegod.models.errors import DomainError, Reason
from diegod.v1.domain_pb2 import ListDomainsReply, UpsertDomainReply
from diegod.v1.lrp_pb2 import DesireLrpReply
from diegod.v1.record_pb2 import Task
from diegod.v1.task_pb2 import DesireScheduleReply, DesireTaskReply, GetTaskReply
from tests.unit.cli.conftest import Run
from tests.unit.cli.records import a_schedule, an_lrp_row, shown
from tests.unit.cli.records import a_task as a_task_row
from tests.unit.client.fake_cluster import FakeCluster

NOT_FOUND = DomainError(Reason.RESOURCE_NOT_FOUND, "there is none")
BODY = "rootfs: preloaded:busybox\naction: {run: {path: /bin/true}}\n"
WEB = f"kind: lrp\nprocess_guid: web\n{BODY}depends_on: [{{lrp: db}}, {{task: schema}}]\n"
DB = f"kind: lrp\nprocess_guid: db\n{BODY}"
SCHEMA = f"kind: task\ntask_guid: schema\n{BODY}depends_on: [{{lrp: db}}]\n"
NIGHTLY = (
    "kind: task_schedule\nname: nightly\ncron: '@daily'\n"
    "task: {rootfs: preloaded:busybox, action: {run: {path: /bin/true}}}\n"
)
SHOP = "kind: domain\ndomain: shop\nttl_s: 60\n"


@pytest.fixture
def storing(cluster: FakeCluster) -> FakeCluster:
    cluster.calls = {
        "LrpService/Get": NOT_FOUND,
        "TaskService/Get": NOT_FOUND,
        "TaskScheduleService/Get": NOT_FOUND,
        "DomainService/List": ListDomainsReply(),
        "DomainService/Upsert": UpsertDomainReply(),
        "LrpService/Desire": lambda r: DesireLrpReply(
            desired_lrp=an_lrp_row(r.definition.process_guid)
        ),
        "TaskService/Desire": DesireTaskReply(task=Task(state=Task.PENDING)),
        "TaskScheduleService/Desire": DesireScheduleReply(schedule=a_schedule()),
    }
    return cluster


def files(*texts: str) -> list[str]:
    names = [f"{number}.yaml" for number in range(len(texts))]
    for name, text in zip(names, texts, strict=True):
        with open(name, "w") as file:
            file.write(text)
    return names


def test_what_is_waited_for_is_stored_first(storing: FakeCluster, run: Run) -> None:
    result = run("apply", "--detach", *files(WEB + "---\n" + NIGHTLY, SCHEMA, DB, SHOP))
    assert result.status == 0, result.err
    writes = [name for name, _ in storing.requests if name.endswith(("/Desire", "/Upsert"))]
    assert writes == [
        "DomainService/Upsert",
        "LrpService/Desire",
        "TaskService/Desire",
        "LrpService/Desire",
        "TaskScheduleService/Desire",
    ]
    assert [r.definition.process_guid for r in storing.asked("LrpService/Desire")] == ["db", "web"]
    assert result.err.splitlines() == [
        "domain shop is fresh for 60 s",
        "task schema is stored (PENDING)",
        "schedule nightly: stored",
    ]


def test_a_circle_is_one_clear_message(storing: FakeCluster, run: Run) -> None:
    db = f"{DB}depends_on: [{{lrp: web}}]\n"
    result = run("apply", *files(WEB, db))
    assert (result.status, storing.requests) == (2, [])
    assert result.err == (
        "diegod: depends_on goes round in a circle: lrp web → lrp db → lrp web\n"
    )


def test_one_name_twice_is_refused(storing: FakeCluster, run: Run) -> None:
    result = run("apply", *files(DB, DB))
    assert (result.status, storing.requests) == (2, [])
    assert result.err == "lrp db is given twice\ndiegod: nothing was stored\n"


def test_all_faults_of_all_files_at_once(storing: FakeCluster, run: Run) -> None:
    result = run("apply", *files(DB + "cpu_weight: 0\n", SHOP.replace("60", "no"), NIGHTLY))
    assert (result.status, storing.requests) == (2, [])
    assert [line.partition(": ")[0] for line in result.err.splitlines()] == [
        "0.yaml:5 cpu_weight",
        "1.yaml:3 ttl_s",
        "diegod",
    ]


def test_nothing_is_stored_if_one_would_be_refused(storing: FakeCluster, run: Run) -> None:
    there = shown(a_task_row("schema"))
    storing.calls["TaskService/Get"] = GetTaskReply(task=there)
    result = run("apply", "--detach", *files(DB, SCHEMA))
    assert result.status == 4
    assert "task schema exists with another definition (COMPLETED)" in result.err
    assert storing.asked("LrpService/Desire") == []


def test_a_refusal_half_way_says_how_far_it_came(storing: FakeCluster, run: Run) -> None:
    storing.calls["TaskService/Desire"] = DomainError(Reason.RESOURCE_EXISTS, "it was deleted")
    result = run("apply", "--detach", *files(DB, SCHEMA, WEB))
    assert result.status == 4
    assert result.err.endswith(
        "diegod: task schema: it was deleted. 1 of 3 documents were applied; "
        "apply again when it is put right\n"
    )


def test_plan_says_it_in_the_same_order_and_does_nothing(storing: FakeCluster, run: Run) -> None:
    names = files(WEB, SCHEMA, DB, SHOP, NIGHTLY)
    result = run("plan", *names)
    heads = [line for line in result.text.splitlines() if not line.startswith(" ")]
    assert heads == [
        "shop: domain, create",
        "db: create, version 1: 1 instance created",
        "schema: task, create",
        "web: create, version 1: 1 instance created",
        "nightly: task_schedule, create",
    ]
    assert result.err == f"\nDo it with: diegod apply {' '.join(names)}\n"
    assert not [name for name, _ in storing.requests if name.endswith(("/Desire", "/Upsert"))]
    assert run("plan", "--exit-code", *names).status == 10


def test_plan_in_json_is_one_object_a_document(storing: FakeCluster, run: Run) -> None:
    lines = run("plan", "-o", "json", *files(WEB, SCHEMA)).text.splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["task", "lrp"]


def test_other_commands_say_whose_a_document_is(storing: FakeCluster, run: Run) -> None:
    (name,) = files(NIGHTLY)
    assert "diegod apply 0.yaml" in run("lrp", "apply", name).err
    assert "diegod apply 0.yaml" in run("task", "submit", name).err
