"""Members of different releases: who understands whom, and when the format may be raised."""

from collections.abc import Iterator

import pytest

from diegod.internal.v1.raft_pb2 import RaftFrame, RaftHello
from diegod.raftbbs.raft.formats import complaint, reads
from tests.unit.raftbbs.raft.boards import BoardMember, raised
from tests.unit.raftbbs.raft.lab import Lab, lab

FIRST_RELEASE = RaftHello(store_format=1)


@pytest.fixture
def table() -> Iterator[Lab]:
    with lab(member_class=BoardMember) as table:
        table.elect("A", "BC")
        table.settle()
        yield table


@pytest.mark.parametrize(
    ("store_format", "format_max", "cluster_format", "says"),
    [
        (1, 0, 1, ""),
        (1, 2, 1, ""),
        (1, 2, 2, ""),  # it has not applied the raise yet
        (2, 2, 1, ""),  # we have not
        (2, 3, 2, ""),
        (1, 0, 2, "it reads formats up to 1, and the cluster has format 2: "),
        (3, 3, 2, "it says that the cluster has format 3, and this version reads formats up to 2"),
    ],
)
def test_who_understands_whom(
    store_format: int, format_max: int, cluster_format: int, says: str
) -> None:
    hello = RaftHello(store_format=store_format, format_max=format_max)
    found = complaint(hello, cluster_format)
    assert found.startswith(says)
    assert bool(found) == bool(says)


def test_the_first_release_reads_what_it_says() -> None:
    assert reads(FIRST_RELEASE) == 1


def test_a_hello_says_what_the_cluster_has_and_what_could_be(table: Lab) -> None:
    def said() -> tuple[int, int]:
        table.isolate("B")
        table.join("B")
        hello = table.step("B").outbox[0][1].hello
        table.settle()
        return hello.store_format, hello.format_max

    assert said() == (1, 2)
    table.step("A", raised())
    table.settle()
    assert said() == (2, 2)


def test_what_all_can_read_needs_all(table: Lab) -> None:
    assert table.leadership("A").readable_format == 2
    table.isolate("C")
    table.step("A")
    assert table.leadership("A").readable_format == 0
    table.join("C")
    table.settle()
    assert table.leadership("A").readable_format == 2


def test_a_member_of_the_first_release_keeps_the_format_and_later_is_refused(table: Lab) -> None:
    hello = RaftHello(cluster_id="cluster", member_id="B", store_id="store-B", store_format=1)
    table.members["A"].inbox.append(("B", RaftFrame(hello=hello)))
    assert table.step("A").refused == []
    assert table.leadership("A").readable_format == 1
    table.step("A", raised())
    table.settle()
    table.members["A"].inbox.append(("B", RaftFrame(hello=hello)))
    (refusal,) = table.step("A").refused
    assert refusal.reason == (
        "it reads formats up to 1, and the cluster has format 2: its diegod must be upgraded"
    )
