"""LrpService over a real member."""

import asyncio
from pathlib import Path

from diegod.internal.v1.command_pb2 import (
    ClaimInstance,
    Command,
    CreateInstance,
    PlaceInstance,
)
from diegod.models.errors import Reason
from diegod.raftbbs.edge.lrps import LrpService
from diegod.v1 import lrp_pb2 as api
from diegod.v1.record_pb2 import ActualLrp
from tests.unit.raftbbs.bbs import ANN, BRAIN, C1, Bbs, an_lrp, collected, refused, running


def _desire(instances: int = 1, expected: int = 0, **fields: str) -> api.DesireLrpRequest:
    definition = an_lrp(instances=instances, **fields)
    return api.DesireLrpRequest(definition=definition, expected_revision=expected)


async def _create(bbs: Bbs, indexes: range) -> list[ActualLrp]:
    with bbs.access.state() as state:
        desired, lock = state.desired_lrp("web"), state.lock("brain")
    assert desired is not None
    assert lock is not None
    commands = [
        Command(
            by=str(BRAIN),
            lock_name="brain",
            lock_token=lock.token,
            create_instance=CreateInstance(
                process_guid="web", index=index, desired_revision=desired.provenance.revision
            ),
        )
        for index in indexes
    ]
    outcomes = await bbs.member.submit(commands)
    assert not [outcome.message for outcome in outcomes if outcome.reason]
    return [outcome.actual_lrp for outcome in outcomes]


async def _claim(bbs: Bbs, row: ActualLrp) -> None:
    place = PlaceInstance(
        instance_guid=row.instance_guid,
        row_revision=row.provenance.revision,
        cell_id="c1",
        cell_incarnation=1,
    )
    await bbs.done(BRAIN, place_instance=place)
    await bbs.done(C1, claim_instance=ClaimInstance(instance_guid=row.instance_guid))


async def test_a_desired_lrp_is_there_with_its_definition(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        service = LrpService(bbs.access)
        reply = await service.desire(_desire(3, annotation="hello"), ANN)
        assert not reply.already_there
        assert (await service.desire(_desire(3, annotation="hello"), ANN)).already_there
        got = await service.get(api.GetLrpRequest(process_guid="web"), ANN)
        assert got.desired_lrp.definition.annotation == "hello"
        assert got.desired_lrp.definition.instances == 3
        assert got.revision == reply.desired_lrp.provenance.revision


async def test_scaling_is_no_new_definition_and_a_new_one_is(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        service = LrpService(bbs.access)
        first = (await service.desire(_desire(1), ANN)).desired_lrp
        scale = api.ScaleLrpRequest(process_guid="web", instances=5)
        scaled = (await service.scale(scale, ANN)).desired_lrp
        assert scaled.instances == 5
        assert scaled.definition_revision == first.definition_revision
        also = (await service.desire(_desire(2), ANN)).desired_lrp
        assert also.definition_revision == first.definition_revision
        new = (await service.desire(_desire(2, annotation="new"), ANN)).desired_lrp
        assert new.definition_revision == new.provenance.revision


async def test_what_was_expected_otherwise_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        service = LrpService(bbs.access)
        await service.desire(_desire(1), ANN)
        for call in (
            service.desire(_desire(2, expected=99), ANN),
            service.scale(
                api.ScaleLrpRequest(process_guid="web", instances=2, expected_revision=99), ANN
            ),
        ):
            assert (await refused(call)).reason is Reason.RESOURCE_CONFLICT
        too_many = api.ScaleLrpRequest(process_guid="web", instances=10_001)
        assert (await refused(service.scale(too_many, ANN))).reason is Reason.INVALID_REQUEST


async def test_an_lrp_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        service = LrpService(bbs.access)
        for call in (
            service.get(api.GetLrpRequest(process_guid="web"), ANN),
            service.scale(api.ScaleLrpRequest(process_guid="web", instances=1), ANN),
            service.remove(api.RemoveLrpRequest(process_guid="web"), ANN),
        ):
            assert (await refused(call)).reason is Reason.RESOURCE_NOT_FOUND


async def test_instances_are_counted_and_listed(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        await bbs.with_brain()
        await bbs.with_cell(C1)
        service = LrpService(bbs.access)
        await service.desire(_desire(3, domain="shop"), ANN)
        rows = await _create(bbs, range(3))
        await _claim(bbs, rows[1])
        (listed,) = await collected(service.list(api.ListLrpsRequest(domain="shop"), ANN))
        counts = listed.desired_lrps[0].counts
        assert (counts.unclaimed, counts.claimed) == (2, 1)
        (none,) = await collected(service.list(api.ListLrpsRequest(domain="other"), ANN))
        assert not none.desired_lrps

        async def indexes(**request: object) -> list[int]:
            listing = service.list_instances(api.ListInstancesRequest(**request), ANN)  # type: ignore[arg-type]
            return [row.index for reply in await collected(listing) for row in reply.actual_lrps]

        assert await indexes(process_guid="web") == [0, 1, 2]
        assert await indexes(cell_id="c1") == [1]
        assert await indexes(domain="other") == []
        assert await indexes(process_guid="other") == []


async def test_a_removed_lrp_leaves_its_instances_to_convergence(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        await bbs.with_brain()
        service = LrpService(bbs.access)
        await service.desire(_desire(1), ANN)
        await _create(bbs, range(1))
        removed = await service.remove(api.RemoveLrpRequest(process_guid="web"), ANN)
        assert removed.revision == bbs.member.counters().revision
        (listed,) = await collected(service.list_instances(api.ListInstancesRequest(), ANN))
        assert len(listed.actual_lrps) == 1


async def test_the_largest_lrp_is_created_in_ticks_that_stop_nothing(tmp_path: Path) -> None:
    """Each creation looks for another instance of its index, and at no other instance."""
    async with running(tmp_path / "m1") as bbs:
        await bbs.with_brain()
        service = LrpService(bbs.access)
        await service.desire(_desire(10_000), ANN)
        async with asyncio.timeout(20):  # looking at all of them took more than a minute
            for first in range(0, 10_000, 5_000):
                await _create(bbs, range(first, first + 5_000))
        got = await service.get(api.GetLrpRequest(process_guid="web"), ANN)
        assert got.desired_lrp.counts.unclaimed == 10_000
        assert got.ByteSize() < 4 << 20
