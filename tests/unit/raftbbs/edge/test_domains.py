"""DomainService over a real member."""

from pathlib import Path

from diegod.internal.v1 import command_pb2 as c
from diegod.models.errors import Reason
from diegod.raftbbs.edge.domains import DomainService, statuses_of
from diegod.raftbbs.edge.lrps import LrpService
from diegod.raftbbs.edge.tasks import TaskService
from diegod.v1 import domain_pb2 as api
from diegod.v1.lrp_pb2 import DesireLrpRequest
from diegod.v1.record_pb2 import DesiredLrp
from diegod.v1.task_pb2 import DesireTaskRequest
from tests.unit.raftbbs.bbs import ANN, Bbs, a_task, an_lrp, refused, running
from tests.unit.raftbbs.core.board import Board


async def _listed(bbs: Bbs) -> dict[str, api.DomainStatus]:
    reply = await DomainService(bbs.access).list(api.ListDomainsRequest(), ANN)
    return {status.domain.domain: status for status in reply.domains}


async def _upsert(
    bbs: Bbs, domain: str, ttl_s: int = 0, request_id: str = ""
) -> api.UpsertDomainReply:
    request = api.UpsertDomainRequest(domain=domain, ttl_s=ttl_s, request_id=request_id)
    return await DomainService(bbs.access).upsert(request, ANN)


async def test_the_default_domain_is_always_fresh(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        assert {name: status.fresh for name, status in (await _listed(bbs)).items()} == {
            "default": True
        }


async def test_a_domain_is_fresh_while_somebody_vouches_for_it(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        await _upsert(bbs, "for-good")
        await _upsert(bbs, "a-while", 60)
        fresh = {name: status.fresh for name, status in (await _listed(bbs)).items()}
        assert fresh == {"a-while": True, "default": True, "for-good": True}
        service = DomainService(bbs.access)
        await service.remove(api.RemoveDomainRequest(domain="for-good"), ANN)
        assert "for-good" not in await _listed(bbs)
        error = await refused(service.remove(api.RemoveDomainRequest(domain="for-good"), ANN))
        assert error.reason is Reason.RESOURCE_NOT_FOUND


async def test_a_request_sent_twice_freshens_once(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        first = await _upsert(bbs, "shop", 60, "r1")
        assert await _upsert(bbs, "shop", 60, "r1") == first


async def test_what_is_in_a_domain_is_counted(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        tasks, lrps = TaskService(bbs.access), LrpService(bbs.access)
        await tasks.desire(DesireTaskRequest(definition=a_task("t1", domain="shop")), ANN)
        await lrps.desire(DesireLrpRequest(definition=an_lrp(domain="shop")), ANN)
        shop = (await _listed(bbs))["shop"]
        assert (shop.fresh, shop.lrps, shop.tasks, len(shop.would_be_removed)) == (False, 1, 1, 0)


async def test_what_would_go_if_it_were_fresh_is_shown(tmp_path: Path) -> None:
    """An instance that nobody desires; so simply one is left only in the first format."""
    board = Board.open(tmp_path, cluster_format=1).with_brain()
    web = DesiredLrp(process_guid="web", domain="shop", instances=1)
    seen = board.say("user/ann", desire_lrp=c.DesireLrp(desired_lrp=web, definition=b"v1")).revision
    create = c.CreateInstance(process_guid="web", index=0, desired_revision=seen)
    board.say("brain/b1", create_instance=create)
    assert not (await statuses_of(board.state()))["shop"].would_be_removed
    board.say("user/ann", remove_lrp=c.RemoveLrp(process_guid="web"))
    [kept] = (await statuses_of(board.state()))["shop"].would_be_removed
    assert kept.process_guid == "web"
    board.say("user/ann", upsert_domain=c.UpsertDomain(domain="shop", ttl_s=60))
    assert not (await statuses_of(board.state()))["shop"].would_be_removed
    board.later(60)
    board.say("user/ann", upsert_domain=c.UpsertDomain(domain="other", ttl_s=60))
    assert len((await statuses_of(board.state()))["shop"].would_be_removed) == 1
    board.environment.close()


async def test_what_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        error = await refused(_upsert(bbs, "a b", 2**40))
        assert {problem.path for problem in error.problems} == {"domain", "ttl_s"}
        assert (await refused(_upsert(bbs, ""))).reason is Reason.INVALID_REQUEST
