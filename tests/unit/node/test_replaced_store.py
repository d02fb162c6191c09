"""A member whose store was replaced begins again at once; one that failed, after a while."""

import asyncio
from pathlib import Path

import pytest

from diegod.node.statuses import FATAL, NOT_CURABLE, REPLACED
from diegod.node.supervise import Child, Supervisor


class ShortLived(Child):
    """A child that ends with one status after another, and writes down each of its lives."""

    ends: tuple[int, ...]

    @property
    def argv(self) -> list[str]:
        cases = "".join(f"{n}) exit {status};; " for n, status in enumerate(self.ends, 1))
        script = f'echo >> "$0"; case $(wc -l < "$0") in {cases} *) exec sleep 60; esac'
        return ["sh", "-c", script, str(self.config)]

    @property
    def lives(self) -> int:
        return len(self.config.read_text().splitlines()) if self.config.exists() else 0


async def _live(folder: Path, seconds: float, enough: int, *ends: int) -> ShortLived:
    """Lives of a child for some seconds, or until there were enough of them."""
    child = ShortLived("bbs", folder / "lives", "bbs", folder / "log", folder)
    child.ends = ends
    supervisor = Supervisor([child])
    supervisor.start()
    until = asyncio.get_running_loop().time() + seconds
    while child.lives < enough and asyncio.get_running_loop().time() < until:
        await asyncio.sleep(0.01)
    await supervisor.stop()
    return child


async def test_a_member_whose_store_was_replaced_begins_again_at_once(tmp_path: Path) -> None:
    """Also for the third time. With the pauses of a failure it would take 3.5 seconds."""
    child = await _live(tmp_path, 3.0, 4, REPLACED, REPLACED, REPLACED)
    assert child.lives == 4
    assert child.restarts == 3


async def test_what_has_failed_begins_again_after_a_while(tmp_path: Path) -> None:
    assert (await _live(tmp_path, 0.4, 2, FATAL)).lives == 1


@pytest.mark.parametrize("before", [(), (REPLACED,)])
async def test_what_can_not_be_cured_does_not_begin_again(
    tmp_path: Path, before: tuple[int, ...]
) -> None:
    child = await _live(tmp_path, 1.0, len(before) + 2, *before, NOT_CURABLE)
    assert child.lives == len(before) + 1
    assert child.last_exit == NOT_CURABLE
