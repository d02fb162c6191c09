"""How much is taken on at a time follows how long it took."""

import asyncio

import pytest

from diegod.scheduler.core.breaks import Steps
from diegod.scheduler.pace import Breaks, Pace


def test_a_slice_that_took_too_long_makes_the_next_one_as_much_smaller() -> None:
    pace = Pace(slice_s=0.010)
    before = pace.rows()
    pace.took(0.040)
    assert pace.rows() == before // 4


def test_quick_ones_make_it_larger_step_by_step_and_not_without_end() -> None:
    pace = Pace(slice_s=0.010)
    sizes = [pace.rows()]
    for _ in range(100):
        pace.took(0.001)
        sizes.append(pace.rows())
    assert sizes == sorted(sizes)
    assert sizes[1] < 2 * sizes[0]
    assert sizes[-1] == sizes[-2] <= 5_000


def test_it_never_stands_still() -> None:
    pace = Pace(slice_s=0.010)
    for _ in range(20):
        pace.took(10.0)
    assert pace.rows() >= 50
    pace.took(0.007)  # about right: as it is
    assert pace.rows() == 50


class StepClock:
    """Every look at it is one step of work later."""

    def __init__(self, step_s: float) -> None:
        self.now, self.step_s = 0.0, step_s

    def monotonic(self) -> float:
        self.now += self.step_s
        return self.now

    def wall(self) -> float:
        raise AssertionError("no work is timed by the wall")

    boottime = wall


def some_steps(count: int, done: list[int]) -> Steps[str]:
    for number in range(count):
        done.append(number)
        yield
    return "over"


def breaks_taken(step_s: float, steps: int) -> tuple[list[int], Breaks]:
    """After how many steps others had the loop."""
    done: list[int] = []
    seen: list[int] = []
    breaks = Breaks(StepClock(step_s), held_s=0.010)

    async def others() -> None:
        while True:
            seen.append(len(done))
            await asyncio.sleep(0)

    async def work() -> None:
        task = asyncio.create_task(others())
        assert await breaks.over(some_steps(steps, done)) == "over"
        task.cancel()

    asyncio.run(work())
    return seen, breaks


def test_others_have_the_loop_whenever_it_was_held_for_long_enough() -> None:
    seen, _ = breaks_taken(0.0021, 23)
    assert seen == [5, 10, 15, 20]


def test_quick_work_is_done_in_one_go() -> None:
    seen, _ = breaks_taken(0.0001, 23)
    assert seen == []


def test_its_breaks_are_not_counted_as_work() -> None:
    _, breaks = breaks_taken(0.0021, 23)
    assert breaks.worked_s == pytest.approx(24 * 0.0021)


def test_what_goes_wrong_in_a_step_goes_on_to_the_caller() -> None:
    def broken() -> Steps[None]:
        yield
        raise ValueError("in the second step")

    with pytest.raises(ValueError, match="second"):
        asyncio.run(Breaks(StepClock(0.0)).over(broken()))
