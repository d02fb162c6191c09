"""ClusterService: a backup of a member that runs, and a smaller store."""

import asyncio
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from diegod.internal.v1.command_pb2 import UpsertDomain
from diegod.models.errors import Reason
from diegod.raftbbs.backup import file
from diegod.raftbbs.edge import backup
from diegod.raftbbs.edge.backup import SAVE_FOLDER, BackupService
from diegod.raftbbs.raft.api import Replaced
from diegod.v1 import cluster_pb2 as api
from tests.unit.raftbbs.bbs import ANN, Bbs, collected, refusal_of_stream, refused, running


async def _saved(bbs: Bbs, path: Path, stale: bool = False) -> file.Manifest:
    service = BackupService(bbs.access)
    replies = service.save_snapshot(api.SaveSnapshotRequest(stale=stale), ANN)
    file.write(path, [reply.data for reply in await collected(replies)])
    return file.require_whole(path)


async def test_a_backup_has_what_was_acknowledged_before(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        await bbs.done(ANN, upsert_domain=UpsertDomain(domain="d"))
        manifest = await _saved(bbs, tmp_path / "one")
        assert manifest.revision == 1
        assert manifest.counts["domain"] == 1
        assert manifest.cluster_id == bbs.member.birth.cluster_id
        assert manifest.applied_index == bbs.member.leadership.applied_index
        assert not (bbs.member.environment.path / SAVE_FOLDER).exists()


async def test_a_stale_one_needs_no_leader(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        barriers: list[None] = []

        async def barrier() -> None:
            barriers.append(None)

        bbs.member.barrier = barrier  # type: ignore[method-assign]
        await _saved(bbs, tmp_path / "stale", stale=True)
        assert barriers == []
        await _saved(bbs, tmp_path / "fresh")
        assert barriers == [None]


async def test_two_at_once_are_made_one_after_the_other(tmp_path: Path) -> None:
    async with running(tmp_path / "m1") as bbs:
        service = BackupService(bbs.access)

        async def save(path: Path) -> None:
            replies = service.save_snapshot(api.SaveSnapshotRequest(), ANN)
            file.write(path, [reply.data for reply in await collected(replies)])

        await asyncio.gather(save(tmp_path / "a"), save(tmp_path / "b"))
        assert file.require_whole(tmp_path / "a").counts == file.require_whole(
            tmp_path / "b"
        ).counts


async def test_no_disk_is_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path / "m1") as bbs:
        monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1 << 20))
        service = BackupService(bbs.access)
        saving = service.save_snapshot(api.SaveSnapshotRequest(), ANN)
        assert await refusal_of_stream(saving) is Reason.RESOURCE_EXHAUSTED
        _leave_free_pages(bbs)
        error = await refused(service.compact(api.CompactRequest(), ANN))
        assert error.reason is Reason.RESOURCE_EXHAUSTED


def _leave_free_pages(bbs: Bbs) -> None:
    environment = bbs.member.environment
    other = environment.table("other")
    with environment.begin_write() as transaction:
        for number in range(2000):
            transaction.put(other, number.to_bytes(8, "big"), bytes(1000))
    with environment.begin_write() as transaction:
        transaction.clear(other)


async def test_a_member_answers_and_then_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "_ANSWER_S", 0.01)
    async with running(tmp_path / "m1") as bbs:
        await bbs.done(ANN, upsert_domain=UpsertDomain(domain="d"))
        _leave_free_pages(bbs)
        reply = await BackupService(bbs.access).compact(api.CompactRequest(), ANN)
        assert reply.needed_bytes * 2 < reply.store_bytes
        (ticking,) = [t for t in asyncio.all_tasks() if "Driver.run" in str(t.get_coro())]
        with pytest.raises(Replaced):  # a supervisor starts it again
            await asyncio.wait_for(ticking, 5)
    async with running(tmp_path / "m1") as bbs:
        assert bbs.member.environment.used_bytes() <= reply.needed_bytes * 2
        assert bbs.member.counters().revision == 1


async def test_a_store_that_is_small_enough_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "_ANSWER_S", 0.0)
    async with running(tmp_path / "m1") as bbs:
        asked: list[None] = []
        environment, member = bbs.member.environment, bbs.member
        monkeypatch.setattr(member, "shrink_store", lambda: asked.append(None))
        mb = 1 << 20
        for used, size, expected in (
            (100 * mb, 95 * mb, 0),  # a twentieth is free
            (100 * mb, 85 * mb, 1),
            (mb, mb // 8, 1),  # most of it is free, and it is little: not once more
        ):
            monkeypatch.setattr(environment, "used_bytes", lambda used=used: used)
            monkeypatch.setattr(environment, "needed_bytes", lambda size=size: size)
            reply = await BackupService(bbs.access).compact(api.CompactRequest(), ANN)
            assert reply.needed_bytes == size
            await asyncio.sleep(0.01)
            assert len(asked) == expected
