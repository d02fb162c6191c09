"""A brain, its sender and a server that is really there: from the end of a task to the POST."""

import asyncio
import json

from diegod.node.callback_sender import HttpCallbackSender
from diegod.v1.record_pb2 import Callback, Task
from tests.unit.node.test_callback_sender import OK, Site, status
from tests.unit.scheduler.test_brain import Cluster


async def told(site: Site, **policy: int) -> Callback:
    """What the row says of the callback when that is over."""
    cluster = Cluster(asyncio.get_running_loop())
    cells = asyncio.create_task(cluster.cells())
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0)
    site.port = server.sockets[0].getsockname()[1]
    try:
        async with server:
            return await _told(cluster, site, policy)
    finally:
        tasks = [cells, *cluster.running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _told(cluster: Cluster, site: Site, policy: dict[str, int]) -> Callback:
    cluster.people.cell("cell-1")
    cluster.start(sender=HttpCallbackSender())
    fields = {"backoff_ms": 50, "max_backoff_ms": 100, "give_up_after_ms": 60_000} | policy
    cluster.people.task("t", callback=Callback(url=site.url(), annotation="mine", **fields))
    await cluster.until(cluster.task_is("t", Task.RUNNING), 20)
    cluster.people.complete_task("t")

    def is_over() -> bool:
        callback = cluster.board.task("t").callback
        return callback.delivered or callback.given_up

    await cluster.until(is_over, 20)
    return cluster.board.task("t").callback


async def test_503_and_then_200_is_heard_under_one_key() -> None:
    site = Site()
    site.answers = [status("503 Busy"), status("503 Busy"), OK]
    callback = await told(site)
    assert (callback.delivered, callback.http_status) == (True, 200)
    assert len({head.split("Idempotency-Key: ")[1].split()[0] for head in site.heads}) == 1
    assert [json.loads(body)["annotation"] for body in site.bodies] == ["mine"] * 3


async def test_a_404_has_been_heard() -> None:
    site = Site()
    site.answers = [status("404 Not Found")]
    callback = await told(site)
    assert (callback.delivered, callback.http_status, len(site.heads)) == (True, 404, 1)


async def test_a_receiver_that_stays_ill_is_given_up() -> None:
    site = Site()
    site.answers = [status("500 Oh")]
    callback = await told(site, give_up_after_ms=300)
    assert (callback.given_up, callback.last_error) == (True, "status 500")
    assert callback.tries == len(site.heads) > 1
