"""The placement tags rule as a table, and what the filters say of themselves."""

import pytest

from diegod.scheduler.core.filters import BUILTIN, FixedFilter
from tests.unit.scheduler.core.lots import RULES, a_cell, a_table, task


@pytest.mark.parametrize(
    ("required", "optional", "asked", "admitted"),
    [
        ([], [], [], True),
        (["gold"], [], [], False),
        (["gold"], [], ["gold"], True),
        ([], [], ["gold"], False),
        ([], ["gold"], ["gold"], True),
        ([], ["gold"], [], True),
        (["gold"], ["gpu"], ["gold"], True),
        (["gold"], ["gpu"], ["gold", "gpu"], True),
        (["gold"], ["gpu"], ["gpu"], False),
        (["gold", "eu"], [], ["gold"], False),
    ],
)
def test_required_within_asked_within_required_and_optional(
    required: list[str], optional: list[str], asked: list[str], admitted: bool
) -> None:
    cell = a_cell("c", placement_tags=required, optional_placement_tags=optional)
    work = task("t", placement_tags=frozenset(asked)).work
    columns = a_table([cell]).columns(work)
    assert RULES.filters["placement-tags"].admits(columns, work).tolist() == [admitted]


@pytest.mark.parametrize(
    ("offered", "asked", "admitted"),
    [
        (["preloaded:busybox", "dir"], "dir", True),
        (["preloaded:busybox"], "preloaded:jammy", False),
        ([], "dir", False),
        ([], "", True),
    ],
)
def test_a_rootfs_is_offered_under_its_very_name(
    offered: list[str], asked: str, admitted: bool
) -> None:
    work = task("t", rootfs_provider=asked).work
    columns = a_table([a_cell("c", rootfs_providers=offered)]).columns(work)
    assert RULES.filters["rootfs"].admits(columns, work).tolist() == [admitted]


def test_only_filters_that_look_at_room_are_asked_for_every_lot() -> None:
    asked_again = [name for name, each in BUILTIN.items() if not isinstance(each, FixedFilter)]
    assert asked_again == ["memory", "disk", "containers"]


def test_a_tag_that_no_cell_has_is_named() -> None:
    work = task("t", placement_tags=frozenset(["gpu", "eu"])).work
    columns = a_table([a_cell("c", optional_placement_tags=["eu"])]).columns(work)
    each = RULES.filters["placement-tags"]
    refused = ~each.admits(columns, work)
    assert each.explain(columns, work, refused) == "placement tags (c has no tag gpu)"
