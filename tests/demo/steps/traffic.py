"""What became of the requests that went on all the time."""

import asyncio

from tests.demo.report import NotSeen
from tests.demo.stage import Stage

_AFTERWARDS_S = 0.5
#: While these were shown, every request had to be answered.
_FLAWLESS = ("agent", "leader")


async def run(stage: Stage) -> None:
    await asyncio.sleep(_AFTERWARDS_S)  # the last ones go to the new instances
    await stage.close()
    traffic, sent = stage.traffic, stage.traffic.sent
    if (bad := traffic.unforgiven) or not all(sent.get(step) for step in _FLAWLESS):
        first = f", first {bad[0].instance} during {bad[0].step}: {bad[0].why}" if bad else ""
        raise NotSeen(f"{len(bad)} of {traffic.total} requests failed{first} (sent: {sent})")
    forgiven = traffic.of_the_killed
    answered = traffic.total - len(forgiven)
    stage.report.seen(
        f"web answered {answered:,} of {answered:,} requests to instances that lived",
        sent=sent,
        failed_at_killed_instances=len(forgiven),
    )
    during = " · ".join(f"{sent[step]} of {sent[step]} ({step} killed)" for step in _FLAWLESS)
    stage.report.seen(f"among them {during}")
    if forgiven:
        whose = ", ".join(sorted({one.instance for one in forgiven}))
        stage.report.note(f"{len(forgiven):,} failed at {whose}, killed with container or machine")
