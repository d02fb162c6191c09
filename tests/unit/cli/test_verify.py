"""`diegod verify once`: which cluster it touches, and what it prints."""

from pathlib import Path

import pytest

from diegod.cli.terminal.errors import REFUSED, CliError
from diegod.cli.verify import dev_layout, report, seconds, unknown_rows
from diegod.config.contexts import Target, TlsFiles
from diegod.node.dev import layout as layouts
from diegod.node.dev.layout import Layout
from diegod.node.verify.once import Verified
from diegod.node.verify.tally import Fault, Start, Tally, Unknown
from diegod.world import SystemClock
from tests.unit.cli.conftest import Run
from tests.unit.client.fake_cluster import FakeCluster


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return layouts.create("dev", tmp_path / "dev", "exec", 1, 2, "c-1", SystemClock())


def target(layout: Layout, *addresses: str) -> Target:
    files = TlsFiles.of_user(layout.client_dir)
    return Target(addresses or tuple(layout.bbs_addresses), files, "dev", "", "dev")


def test_a_dev_cluster_is_known_by_its_folder_and_its_addresses(layout: Layout) -> None:
    assert dev_layout(target(layout)) == layout


def test_another_cluster_with_the_same_certificates_is_not_touched(layout: Layout) -> None:
    with pytest.raises(CliError, match='context "dev" is no dev cluster') as refused:
        dev_layout(target(layout, "bbs-1.example.com:8889"))
    assert refused.value.status == REFUSED


def test_a_cluster_elsewhere_is_refused_and_nothing_is_asked(
    cluster: FakeCluster, run: Run
) -> None:
    result = run("verify", "once", "--tasks", "1", "--for", "1s")
    assert (result.status, cluster.requests) == (4, [])
    assert result.err == (
        "diegod: bbs-1:8889 is no dev cluster of this machine, and verify kills parts of the "
        "cluster. Start one: diegod dev\n"
    )


def test_a_dev_cluster_that_does_not_run_is_said(
    layout: Layout, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIEGOD_ADDR", ",".join(layout.bbs_addresses))
    files = {"CACERT": "ca.crt", "CLIENT_CERT": "user.crt", "CLIENT_KEY": "user.key"}
    for name, file in files.items():
        monkeypatch.setenv(f"DIEGOD_{name}", str(layout.client_dir / file))
    result = run("verify", "once", "--tasks", "1", "--for", "1s", "-q")
    assert result.status == 1
    assert "no dev cluster runs at" in result.err
    assert not list(layout.directory.glob("*.lines"))


@pytest.mark.parametrize(
    ("text", "expected"), [("60s", 60), ("15", 15), ("2m", 120), ("1.5s", 1.5)]
)
def test_times(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "soon", "-3s", "1h"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(CliError, match="is not a time"):
        seconds(text)


def test_what_must_not_be_is_named() -> None:
    starts = [Start("v-1", "5", "cell-1", "b", "100"), Start("v-1", "9", "cell-2", "b", "101")]
    tally = Tally(
        tasks=4,
        started_twice={"v-1": starts},
        done=1,
        failed={"exited with status 1": 1},
        unknown=[],
        rejected=2,
        not_ended=["v-3"],
        contradicted={"v-2": "succeeded, but nothing of it ever ran"},
    )
    faults = [Fault("kill", "bbs-1", 1, 2), Fault("pause", "cell-1", 3, 4)]
    assert report(Verified("v", 0.0, tally, faults)) == [
        "started twice   1",
        "done            1 of 4",
        "failed          1",
        "unknown         0",
        "rejected        2   placements that a cell refused before any start",
        "faults          2   1 kill, 1 pause",
        "  TWICE: v-1: attempt 5 on cell-1 at 100; attempt 9 on cell-2 at 101",
        "  failed: 1 exited with status 1",
        "  v-2 succeeded, but nothing of it ever ran",
        "  v-3 has not ended",
    ]


def test_what_one_fault_explains_is_one_line_and_with_wide_a_line_each() -> None:
    why = ("cell-1", "CELL_LOST", "cell disappeared", "cell-1 killed from 1.0 s to 2.0 s")
    unknown = [Unknown(f"v-{n}", *why) for n in range(5)]
    unknown.append(Unknown("v-9", "", "AGENT_LOST_IT", "no record", ""))
    assert unknown_rows(unknown, each=False) == [
        ["5: v-0 … v-4", "cell-1", "cell disappeared", "cell-1 killed from 1.0 s to 2.0 s"],
        ["v-9", "-", "no record", "NOTHING EXPLAINS IT"],
    ]
    guids = [row[0] for row in unknown_rows(unknown, each=True)]
    assert guids == [each.guid for each in unknown]
