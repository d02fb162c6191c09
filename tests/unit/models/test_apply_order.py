"""What others wait for comes first, and nobody waits for himself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diegod.models.apply_order import CycleError, Document, in_apply_order, ref_of
from diegod.v1.definition_pb2 import (
    Dependency,
    DomainDefinition,
    LrpDefinition,
    TaskDefinition,
    TaskScheduleDefinition,
)


def lrp(name: str, *waits_for: Dependency) -> LrpDefinition:
    return LrpDefinition(process_guid=name, depends_on=waits_for)


def names(documents: list[Document]) -> list[str]:
    return [ref_of(each)[1] for each in documents]


def test_what_is_waited_for_comes_first() -> None:
    web = lrp("web", Dependency(lrp="db"), Dependency(task="schema"))
    schema = TaskDefinition(task_guid="schema", depends_on=[Dependency(lrp="db")])
    nightly = TaskScheduleDefinition(name="nightly")
    nightly.task.depends_on.add(lrp="web")
    domain = DomainDefinition(domain="shop")
    given_in_any_order = [nightly, web, schema, lrp("db"), domain]
    assert names(in_apply_order(given_in_any_order)) == ["shop", "db", "schema", "web", "nightly"]


def test_without_dependencies_the_order_is_that_of_the_files() -> None:
    assert names(in_apply_order([lrp("b"), lrp("c"), lrp("a")])) == ["b", "c", "a"]


def test_what_is_not_among_them_is_the_clusters_business() -> None:
    assert names(in_apply_order([lrp("web", Dependency(lrp="elsewhere"))])) == ["web"]


def test_a_task_and_an_lrp_may_have_one_name() -> None:
    both = [lrp("x", Dependency(task="x")), TaskDefinition(task_guid="x")]
    assert [ref_of(each)[0] for each in in_apply_order(both)] == ["task", "lrp"]


def test_a_circle_is_told_as_one() -> None:
    with pytest.raises(CycleError) as raised:
        in_apply_order([lrp("a", Dependency(lrp="b")), lrp("b", Dependency(lrp="a")), lrp("c")])
    assert str(raised.value) == "depends_on goes round in a circle: lrp a → lrp b → lrp a"


def test_to_wait_for_oneself_is_a_circle() -> None:
    with pytest.raises(CycleError):
        in_apply_order([lrp("a", Dependency(lrp="a"))])


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12))
def test_in_every_graph_there_is_an_order_or_a_circle(edges: list[tuple[int, int]]) -> None:
    documents = [
        lrp(str(n), *(Dependency(lrp=str(to)) for at, to in edges if at == n)) for n in range(7)
    ]
    try:
        order = names(in_apply_order(documents))
    except CycleError as error:
        around = [name for _, name in error.refs]
        assert all(
            (int(a), int(b)) in edges for a, b in zip(around, [*around[1:], around[0]], strict=True)
        )
        return
    assert sorted(order) == [str(n) for n in range(7)]
    assert all(order.index(str(to)) < order.index(str(at)) for at, to in edges)
