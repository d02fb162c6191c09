"""What a REF means, of whatever kind."""

from typing import Any

import pytest

from diegod.cli.look.subject import Subject, find
from diegod.cli.terminal.errors import CliError
from diegod.client import Client
from diegod.client.connect import Connection
from diegod.models.errors import DomainError, Reason
from diegod.v1.cell_pb2 import GetCellReply, ListCellsReply
from diegod.v1.lrp_pb2 import ListLrpsReply
from diegod.v1.task_pb2 import GetTaskReply, ListTasksReply
from diegod.world.ids import SeededIds
from tests.unit.cli import records
from tests.unit.client.fake_cluster import FakeCluster

TASKS, LRPS, CELLS = ("both", "nightly-report"), ("both", "web"), ("cell-1", "cell-2")


def _if_known(reply: Any, known: tuple[str, ...], name: str) -> Any:
    return reply if name in known else DomainError(Reason.RESOURCE_NOT_FOUND, "there is none")


@pytest.fixture
def client() -> Client:
    fake = FakeCluster(
        calls={
            "TaskService/Get": lambda r: _if_known(
                GetTaskReply(task=records.a_task(r.task_guid)), TASKS, r.task_guid
            ),
            "LrpService/Get": lambda r: _if_known(records.the_lrp(), LRPS, r.process_guid),
            "CellService/Get": lambda r: _if_known(
                GetCellReply(cell=records.a_cell(r.cell_id)), CELLS, r.cell_id
            ),
        },
        streams={
            "TaskService/List": [ListTasksReply(tasks=[records.a_task(n) for n in TASKS])],
            "LrpService/List": [ListLrpsReply(desired_lrps=[records.an_lrp_row(n) for n in LRPS])],
            "CellService/List": [ListCellsReply(cells=[records.a_cell(n) for n in CELLS])],
        },
    )

    async def close() -> None:
        return None

    return Client.over(Connection(fake, close), ids=SeededIds(1))


@pytest.mark.parametrize(
    ("ref", "kind", "index"),
    [
        ("nightly-report", "task", None),
        ("web", "lrp", None),
        ("web/2", "lrp", 2),
        ("cell-2", "cell", None),
        ("night", "task", None),  # a prefix
        ("we/1", "lrp", 1),
        ("task:both", "task", None),
        ("lrp:both", "lrp", None),
        ("both/0", "lrp", 0),  # only an LRP has instances
    ],
)
async def test_what_is_meant(client: Client, ref: str, kind: str, index: int | None) -> None:
    found = await find(client, ref)
    assert (found.kind, found.index) == (kind, index)


@pytest.mark.parametrize(
    ("ref", "status", "said"),
    [
        ("both", 2, "more than one thing. Say which: task:both and lrp:both"),
        ("cell", 2, "beginning of 2 names: cell-1, cell-2"),
        ("nigthly-report", 3, "Did you mean nightly-report"),
        ("task:web", 3, 'no task "web"'),
        ("web/x", 2, "neither NAME nor NAME/INDEX"),
    ],
)
async def test_what_is_not(client: Client, ref: str, status: int, said: str) -> None:
    with pytest.raises(CliError, match=said) as refused:
        await find(client, ref)
    assert refused.value.status == status


async def test_the_instances_that_are_meant(client: Client) -> None:
    assert [row.index for row in (await find(client, "web")).instances] == [0, 1, 2]
    assert [row.index for row in (await find(client, "web/1")).instances] == [1]
    assert Subject("t", task=records.a_task()).instances == []
