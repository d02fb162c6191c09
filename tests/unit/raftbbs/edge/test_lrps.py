"""LrpService over a real member."""

import asyncio
from pathlib import Path

from diegod.internal.v1.command_pb2 import (
    ClaimInstance,
    Command,
    CreateInstance,
    DesireLrp,
    PlaceInstance,
    StartInstance,
)
from diegod.models import admission
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


def _control(verb: api.ControlLrpRequest.Verb.ValueType, **fields: int) -> api.ControlLrpRequest:
    return api.ControlLrpRequest(process_guid="web", verb=verb, request_id="", **fields)


async def test_an_lrp_is_controlled(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        await bbs.in_format_2()
        service = LrpService(bbs.access)
        await service.desire(_desire(2), ANN)
        stop = _control(api.ControlLrpRequest.STOP)
        assert (await service.control(stop, ANN)).desired_lrp.stopped
        assert (await service.control(stop, ANN)).unchanged
        await service.control(_control(api.ControlLrpRequest.START), ANN)
        restarted = await service.control(_control(api.ControlLrpRequest.RESTART), ANN)
        assert restarted.desired_lrp.version == 2


async def test_what_is_wrong_with_a_control_is_said_at_once(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        service = LrpService(bbs.access)
        error = await refused(service.control(_control(99, to_version=3), ANN))  # type: ignore[arg-type]
        assert [problem.path for problem in error.problems] == ["verb", "to_version"]
        assert "none of STOP, START, RESTART" in error.message


async def test_the_history_has_every_definition_the_latest_first(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        await bbs.in_format_2()
        service = LrpService(bbs.access)
        for annotation in ("one", "two"):
            await service.desire(_desire(2, annotation=annotation), ANN)
        await service.scale(api.ScaleLrpRequest(process_guid="web", instances=5), ANN)
        history = await service.history(api.LrpHistoryRequest(process_guid="web"), ANN)
        said = [(each.version, each.definition.annotation) for each in history.versions]
        assert said == [(2, "two"), (1, "one")]
        assert {each.definition.instances for each in history.versions} == {5}
        assert history.revision == history.versions[0].definition_revision + 1
        nobody = service.history(api.LrpHistoryRequest(process_guid="nobody"), ANN)
        assert (await refused(nobody)).reason is Reason.RESOURCE_NOT_FOUND


async def test_what_is_shown_may_be_desired_again_and_is_no_version(tmp_path: Path) -> None:
    """For an LRP with all that has a default, after it was scaled, too."""
    async with running(tmp_path / "m1") as bbs:
        await bbs.in_format_2()
        service = LrpService(bbs.access)
        await service.desire(_desire(2, update={"canaries": 2}), ANN)  # type: ignore[arg-type]
        await service.scale(api.ScaleLrpRequest(process_guid="web", instances=1), ANN)
        shown = (await service.get(api.GetLrpRequest(process_guid="web"), ANN)).desired_lrp
        assert shown.definition.update.progress_deadline_ms == 600_000
        again = await service.desire(api.DesireLrpRequest(definition=shown.definition), ANN)
        assert again.already_there


async def test_a_definition_of_a_release_with_fewer_defaults_is_no_other(tmp_path: Path) -> None:
    """It was stored without what has a default now; it is not rolled out for that."""
    async with running(tmp_path / "m1") as bbs:
        await bbs.in_format_2()
        service = LrpService(bbs.access)
        admitted = an_lrp(instances=2)
        admission.fill_defaults(admitted)
        row = admission.lrp_row(admitted)
        admitted.ClearField("instances")
        admitted.ClearField("update")
        closed = admitted.SerializeToString(deterministic=True)
        await bbs.done(ANN, desire_lrp=DesireLrp(desired_lrp=row, definition=closed))
        assert (await service.desire(_desire(2), ANN)).already_there
        other = await service.desire(_desire(2, update={"max_in_flight": 2}), ANN)  # type: ignore[arg-type]
        assert not other.already_there
        assert other.desired_lrp.version == 2


async def test_an_instance_is_retired_and_counted_apart_while_it_evacuates(
    tmp_path: Path,
) -> None:
    async with running(tmp_path / "m1") as bbs:
        await bbs.in_format_2()
        await bbs.with_brain()
        await bbs.with_cell(C1)
        service = LrpService(bbs.access)
        await service.desire(_desire(1), ANN)
        (row,) = await _create(bbs, range(1))
        await _claim(bbs, row)
        await bbs.done(C1, start_instance=StartInstance(instance_guid=row.instance_guid))
        retire = api.RetireInstanceRequest(process_guid="web", index=0, request_id="r1")
        retired = (await service.retire(retire, ANN)).instance
        assert retired.presence == ActualLrp.EVACUATING
        assert (await service.retire(retire, ANN)).instance == retired
        got = await service.get(api.GetLrpRequest(process_guid="web"), ANN)
        assert (got.desired_lrp.counts.evacuating, got.desired_lrp.counts.running) == (1, 0)
        missing = api.RetireInstanceRequest(process_guid="web", index=7)
        assert (await refused(service.retire(missing, ANN))).reason is Reason.RESOURCE_NOT_FOUND
