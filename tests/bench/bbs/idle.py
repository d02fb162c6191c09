"""What three members cost while nobody asks anything of them."""

import asyncio
from collections.abc import Sequence

from tests.bench.bbs.processes import meters, pss_mb
from tests.bench.bbs.side import Side
from tests.bench.bbs.table import Row
from tests.bench.bbs.writes import side_row


async def run(part: str, what: str, sides: Sequence[Side], idle_s: int) -> list[Row]:
    """Both at once: what they do is little."""
    taken = meters(sides)
    for meter in taken.values():
        meter.__enter__()
    await asyncio.sleep(idle_s)
    for meter in taken.values():
        meter.__exit__()
    cpu = {name: meter.spent.busiest_s / idle_s * 100 for name, meter in taken.items()}
    memory = {side.name: max(pss_mb(side.pid(each)) for each in side.members) for side in sides}
    return [
        side_row(part, f"idle {idle_s} s, {what}: CPU of the busiest member", "%", cpu, goal=2.0),
        side_row(part, "  memory (PSS) of the largest member", "MB", memory, goal=100.0),
    ]
