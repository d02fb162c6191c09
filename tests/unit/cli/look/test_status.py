"""`diegod status`: what is held back, and accepting a loss."""

import pytest

from diegod.v1.cell_pb2 import ControlCellReply, ControlCellRequest, ListCellsReply
from diegod.v1.cluster_pb2 import GetStatusReply
from diegod.v1.record_pb2 import Cell
from tests.unit.cli import records
from tests.unit.cli.conftest import Run
from tests.unit.client.fake_cluster import FakeCluster


@pytest.fixture
def losing(cluster: FakeCluster) -> FakeCluster:
    """Two of three cells are missing, and the loss of one of them was accepted."""
    overview = records.an_overview()
    overview.cells["MISSING"] = 2
    cluster.calls = {
        "ClusterService/GetStatus": overview,
        "DomainService/List": records.domains(),
        "CellService/Control": ControlCellReply(),
    }
    cells = [
        records.a_cell("cell-1"),
        records.a_cell("cell-2", state=Cell.MISSING),
        records.a_cell("cell-3", state=Cell.MISSING, loss_accepted=True),
    ]
    cluster.streams = {"CellService/List": [ListCellsReply(cells=cells)]}
    return cluster


def test_what_is_held_back_and_for_how_long(losing: FakeCluster, run: Run) -> None:
    text = run("status").text
    assert "3 of 4 cells were lost at once (cell-2, cell-3, cell-4)" in text
    assert "nothing is ended or replaced for 200 s" in text
    assert "diegod status --accept-loss" in text
    assert [line for line in text.splitlines() if line.startswith("missing cells")] == [
        "missing cells       cell-2 (for 1h), cell-3 (for 1h)"
    ]
    assert "shop: web/4, web/5 would be removed if it were fresh" in text


def test_a_healthy_cluster_is_asked_nothing_more(losing: FakeCluster, run: Run) -> None:
    losing.calls["ClusterService/GetStatus"] = GetStatusReply(bbs=records.a_status())
    result = run("status")
    assert "none is active: nothing is placed" in result.text
    assert "mass loss" not in result.text
    assert losing.asked("DomainService/List") == []
    assert losing.asked("CellService/List") == []


def test_accepting_is_asked_for_each_missing_cell_once(losing: FakeCluster, run: Run) -> None:
    result = run("status", "--accept-loss", "-y")
    assert (result.status, result.err) == (0, "accepted: 1 missing cell (cell-2)\n")
    [request] = losing.asked("CellService/Control")
    assert (request.cell_id, request.verb) == ("cell-2", ControlCellRequest.ACCEPT_LOSS)


def test_a_person_is_asked_first(
    losing: FakeCluster, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda question, err: False)
    result = run("status", "--accept-loss")
    assert (result.status, result.err) == (1, "diegod: nothing was changed\n")
    assert losing.asked("CellService/Control") == []


def test_nothing_to_accept(losing: FakeCluster, run: Run) -> None:
    losing.streams["CellService/List"] = [ListCellsReply(cells=[records.a_cell()])]
    result = run("status", "--accept-loss", "-y")
    assert result.err == "no cell is missing whose loss is not accepted yet\n"
