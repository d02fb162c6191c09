"""`diegod bbs init`: the first members, and what can't be one."""

import json
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Run

MEMBER = """\
[cluster]
name = "prod"
[node]
id = "{1}"
data_dir = "{0}/{1}"
"""


def test_the_first_members_are_born_with_one_cluster_id(run: Run, home: Path) -> None:
    for name in ("bbs-1", "bbs-2"):
        Path(f"{name}.toml").write_text(MEMBER.format(home, name))
    voters = ["--voter", "bbs-1=127.0.0.1", "--voter", "bbs-2=127.0.0.1:9:10"]
    first = run("bbs", "init", "--config", "bbs-1.toml", *voters, "-o", "json")
    assert first.status == 0
    cluster_id = json.loads(first.text)["cluster_id"]
    assert f"--cluster-id {cluster_id}" in first.err
    second = run(
        "bbs", "init", "--config", "bbs-2.toml", *voters, "--cluster-id", cluster_id, "-o", "name"
    )
    assert (second.status, second.text.strip()) == (0, cluster_id)
    again = run("bbs", "init", "--config", "bbs-1.toml")
    assert again.status == 1
    assert "is not empty" in again.err


@pytest.mark.parametrize("verb", [["init"], ["join", "bbs-2:8889"]])
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ('bind = "::0"', "advertise: is required, because bind is ::0: the name others dial"),
        ('advertise = "0.0.0.0"', "0.0.0.0 is every address of a machine: give the name"),
    ],
)
def test_a_member_that_nobody_could_dial_is_not_born(
    run: Run, home: Path, verb: list[str], settings: str, said: str
) -> None:
    Path("c.toml").write_text(MEMBER.format(home, "bbs-1") + settings + "\n")
    result = run("bbs", *verb, "--config", "c.toml")
    assert (result.status, result.out) == (2, b"")
    (problem,) = [line for line in result.err.splitlines() if "advertise" in line]
    assert said in problem
    assert not (home / "bbs-1").exists()


def test_a_voter_that_nobody_could_dial_is_refused(run: Run, home: Path) -> None:
    Path("c.toml").write_text(MEMBER.format(home, "bbs-1"))
    result = run("bbs", "init", "--config", "c.toml", "--voter", "bbs-1=0.0.0.0")
    assert result.status == 2
    assert result.err == (
        'diegod: --voter: "bbs-1=0.0.0.0" can\'t be dialled: 0.0.0.0 is every address of a '
        "machine\n"
    )


def test_a_list_of_voters_without_this_node_is_refused(run: Run, home: Path) -> None:
    Path("c.toml").write_text(MEMBER.format(home, "bbs-1"))
    result = run("bbs", "init", "--config", "c.toml", "--voter", "bbs-2=h")
    assert (result.status, result.err) == (
        2,
        "diegod: this node, bbs-1, is not among the voters\n",
    )
    assert run("bbs", "init", "--config", "c.toml", "--voter", "bbs-1").status == 2
    assert not (home / "bbs-1").exists()
