"""Diego's score, number by number. What it comes to in an auction: core/test_auction.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diegod.contracts.strategy import CellColumns, Work
from diegod.scheduler.strategies.spread import Spread

INSTANCE = Work("lrp", "web", 1, 128, 256, 1, "preloaded:busybox")
TASK = Work("task", "backup", 0, 128, 256, 1, "preloaded:busybox")


COLUMNS = {
    "memory_mb_total": 1024,
    "disk_mb_total": 1024,
    "containers_total": 10,
    "memory_mb_free": 1024,
    "disk_mb_free": 1024,
    "containers_free": 10,
    "starting": 0,
    "tasks": 0,
    "same_process": 0,
    "same_process_in_zone": 0,
    "index_in_zone": 0,
}


def columns(**changed: list[int]) -> CellColumns:
    """One empty cell, or as many as the changed columns say."""
    count = max((len(values) for values in changed.values()), default=1)
    arrays = {
        name: np.array(changed.get(name, [plain] * count), dtype=np.int64)
        for name, plain in COLUMNS.items()
    }
    return CellColumns(tuple(f"c{n}" for n in range(count)), ("z",) * count, **arrays)


def score(cells: CellColumns, work: Work = INSTANCE, **weights: float) -> list[float]:
    return Spread(**weights).score(cells, work).tolist()


SHARE = (128 / 1024 + 256 / 1024 + 1 / 10) / 3


@pytest.mark.parametrize(
    ("changed", "work", "expected"),
    [
        ({}, INSTANCE, SHARE),
        ({"memory_mb_free": [512]}, INSTANCE, SHARE + 0.5 / 3),
        ({"starting": [3]}, INSTANCE, SHARE + 0.75),
        ({"same_process": [2]}, INSTANCE, SHARE + 2000),
        ({"same_process": [2]}, TASK, SHARE),
        ({"tasks": [2]}, TASK, SHARE + 2000),
        ({"tasks": [2]}, INSTANCE, SHARE),
    ],
)
def test_the_score_of_one_cell(changed: dict[str, list[int]], work: Work, expected: float) -> None:
    assert score(columns(**changed), work) == [pytest.approx(expected)]


def test_zones_are_compared_with_the_emptiest() -> None:
    in_zone = score(columns(same_process_in_zone=[1_000_000, 1_000_001]))
    assert in_zone[0] == pytest.approx(SHARE)
    assert in_zone[1] == pytest.approx(1e7 + SHARE)


def test_binpack_weight_counts_the_place_in_the_zone_for_instances_only() -> None:
    cells = columns(index_in_zone=[0, 1, 2])
    assert score(cells, binpack_weight=0.5) == [pytest.approx(SHARE + n / 2) for n in range(3)]
    assert score(cells, TASK, binpack_weight=0.5) == [pytest.approx(SHARE)] * 3


def test_no_cells_no_scores() -> None:
    assert score(columns(**{name: [] for name in COLUMNS})) == []


numbers = st.integers(0, 1_000_000)


@given(st.lists(st.tuples(*[numbers] * 11), min_size=1, max_size=8), st.booleans())
def test_it_is_finite_for_every_cell_whatever_the_numbers(
    rows: list[tuple[int, ...]], is_task: bool
) -> None:
    cells = columns(**{name: [row[n] for row in rows] for n, name in enumerate(COLUMNS)})
    assert np.isfinite(Spread().score(cells, TASK if is_task else INSTANCE)).all()
