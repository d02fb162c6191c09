"""Automatic backups: taken, read back, pruned, handed on; and restored."""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from diegod.config.schema import (
    BackupSettings,
    BbsSettings,
    ClusterSettings,
    EncryptionSettings,
    NodeSettings,
    Settings,
)
from diegod.models.epochs import first_revision
from diegod.node import backups, check_store, folder
from diegod.node.backups import ALARM, HOUR_S, BackupFailed, Backups, backed_up, problems_of
from diegod.node.check_store import checked_apart
from diegod.node.finished import finished
from diegod.node.kept import SUFFIX, UNVERIFIED, kept_in
from diegod.node.keys import keyring_from, keyring_of
from diegod.node.restore import ASIDE_FOLDER, recover, restore
from diegod.node.statuses import StartError
from diegod.raftbbs.backup import file
from diegod.raftbbs.backup.copying import take
from diegod.raftbbs.backup.file import BackupRefused
from diegod.raftbbs.member import Member
from diegod.raftbbs.store import identity
from diegod.raftbbs.store.environment import DATA_FILE, Environment
from diegod.raftbbs.store.key_registry import read_registry, unlock
from diegod.world.ids import SeededIds
from tests.unit.raftbbs.backup.stores import BIRTH, COMMANDS, a_store
from tests.unit.raftbbs.bbs import running

BEGIN_S = 1_900_000_000.0


@dataclass
class WallClock:
    """Says what a test wants."""

    at_s: float = BEGIN_S

    def wall(self) -> float:
        return self.at_s

    def monotonic(self) -> float:
        return self.at_s

    def boottime(self) -> float:
        return self.at_s


CLOCK, IDS = WallClock(BEGIN_S + HOUR_S), SeededIds(1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Environment]:
    with a_store(tmp_path / "member" / "store") as environment:
        yield environment


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "backups"


def _bbs(**backup: Any) -> BbsSettings:
    return BbsSettings(backup=BackupSettings(**backup))


def _settings(tmp_path: Path, node: str = "m1", **backup: Any) -> Settings:
    return Settings(
        cluster=ClusterSettings(name="prod"),
        node=NodeSettings(id=node, data_dir=str(tmp_path / "new")),
        bbs=_bbs(**backup),
    )


def test_a_backup_is_read_back_and_gets_its_name_then(store: Environment, directory: Path) -> None:
    path = backed_up(store, BIRTH, directory, BEGIN_S)
    assert path.name == "prod-m1-20300317T174640.000000Z.backup"
    assert os.listdir(directory) == [path.name]
    assert directory.stat().st_mode & 0o777 == 0o700
    assert not (store.path / backups.COPY_FOLDER).exists()
    (kept,) = kept_in(directory, "prod")
    assert kept.verified
    assert kept.manifest.revision == len(COMMANDS)
    assert problems_of(path) == []


def test_one_that_can_not_be_read_back_is_not_called_verified(
    store: Environment, directory: Path
) -> None:
    """A row without its number: the copy has the digest that it should have, and is no good."""
    with store.begin_write() as transaction:
        transaction.delete(store.table("task_number"), b"waits")
    with pytest.raises(BackupFailed, match="task_number does not lead to all in task"):
        backed_up(store, BIRTH, directory, BEGIN_S)
    (kept,) = kept_in(directory, "prod")
    assert not kept.verified
    assert kept.path.name.endswith(SUFFIX + UNVERIFIED)


def test_what_is_not_ours_is_not_listed(store: Environment, directory: Path) -> None:
    ours = backed_up(store, BIRTH, directory, BEGIN_S)
    (directory / f"notes{SUFFIX}").write_text("not a backup")
    other = replace(file.read_manifest(ours), cluster_name="other")
    data = ours.read_bytes()[-other.size :]
    (directory / f"other{SUFFIX}").write_bytes(file.header(other) + data)
    assert [each.path for each in kept_in(directory, "prod")] == [ours]
    assert kept_in(directory, "prod", "m2") == []


def test_damaged_pages_are_found_without_ending_who_asks(tmp_path: Path) -> None:
    """Whatever LMDB does about them: the reader is another process."""
    with a_store(tmp_path / "store"):
        pass
    data = tmp_path / "store" / DATA_FILE
    content = data.read_bytes()
    outcomes = []
    for page in range(2, len(content) // 4096, 8):
        damaged = bytearray(content)
        damaged[page * 4096 : page * 4096 + 16] = b"\xa5" * 16
        data.write_bytes(damaged)
        outcomes.append(checked_apart(tmp_path / "store").problems)
    assert any(outcomes)
    data.write_bytes(content)
    assert checked_apart(tmp_path / "store").problems == []


@pytest.fixture
def member(store: Environment) -> Member:
    """What automatic backups need of one; nobody ticks it."""
    alarms: dict[str, str] = {}
    stand_in = SimpleNamespace(
        environment=store,
        birth=BIRTH,
        alarms=alarms,
        noted_alarms=alarms,
        apart=asyncio.to_thread,
    )
    return cast(Member, stand_in)


async def _made(making: Backups, member: Member, directory: Path, count: int) -> None:
    """Until so many backups are there, or an alarm."""
    running = asyncio.create_task(making.run())
    try:
        async with asyncio.timeout(20):
            while len(kept_in(directory, "prod")) < count and not member.noted_alarms:
                await asyncio.sleep(0.02)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_the_first_is_made_at_once_and_handed_on(
    member: Member, directory: Path, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    script = "import sys; open(sys.argv[1], 'w').write(sys.argv[2])"
    after = (sys.executable, "-c", script, str(told), "{file}")
    settings = _bbs(directory=str(directory), after=after)
    running = asyncio.create_task(Backups(settings, member, WallClock()).run())
    async with asyncio.timeout(20):
        while not told.exists() or not told.read_text():
            await asyncio.sleep(0.02)
    running.cancel()
    assert [str(each.path) for each in kept_in(directory, "prod")] == [told.read_text()]
    assert not member.noted_alarms


async def test_none_is_made_where_no_directory_is_set(member: Member) -> None:
    await Backups(_bbs(), member, WallClock()).run()
    assert not member.alarms


async def test_a_restart_makes_none_before_its_time(
    store: Environment, member: Member, directory: Path
) -> None:
    backed_up(store, BIRTH, directory, BEGIN_S)
    making = Backups(_bbs(directory=str(directory), every_h=6), member, WallClock())
    assert making._due_in_s() == 6 * HOUR_S
    late = WallClock(BEGIN_S + 7 * HOUR_S)
    assert Backups(_bbs(directory=str(directory)), member, late)._due_in_s() == 0
    back = WallClock(BEGIN_S - 900 * HOUR_S)  # a clock that was set back makes it wait no longer
    assert Backups(_bbs(directory=str(directory)), member, back)._due_in_s() == 6 * HOUR_S


async def test_what_is_too_many_goes(store: Environment, member: Member, directory: Path) -> None:
    for hour in range(4):
        backed_up(store, BIRTH, directory, BEGIN_S + hour * HOUR_S)
    settings = _bbs(directory=str(directory), keep=2)
    making = Backups(settings, member, WallClock(BEGIN_S + 20 * HOUR_S))
    assert making._make_one() == ""
    taken = [each.manifest.taken_at_s for each in kept_in(directory, "prod")]
    assert taken == [BEGIN_S + 3 * HOUR_S, BEGIN_S + 20 * HOUR_S]


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (("/nowhere/at/all",), "but `after` failed: "),
        ((sys.executable, "-c", "import sys; sys.exit('no route')"), "status 1: no route"),
    ],
)
async def test_what_fails_is_an_alarm_and_costs_no_backup(
    member: Member, directory: Path, after: tuple[str, ...], said: str
) -> None:
    settings = _bbs(directory=str(directory), after=after)
    running = asyncio.create_task(Backups(settings, member, WallClock()).run())
    async with asyncio.timeout(20):
        while not member.noted_alarms:
            await asyncio.sleep(0.02)
    running.cancel()
    assert said in member.noted_alarms[ALARM]
    assert [each.verified for each in kept_in(directory, "prod")] == [True]


async def test_a_member_that_stops_waits_for_no_child(member: Member, directory: Path) -> None:
    settings = _bbs(directory=str(directory), after=("sleep", "600"))
    making = Backups(settings, member, WallClock())
    running = asyncio.create_task(making.run())
    async with asyncio.timeout(20):
        while not any(each.verified for each in kept_in(directory, "prod")):
            await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    async with asyncio.timeout(20):  # the thread is there, and its child is gone
        await asyncio.get_running_loop().shutdown_default_executor()
    assert not member.noted_alarms  # it was told to stop: that is no failure


async def test_a_directory_that_is_none_is_an_alarm(member: Member, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = _bbs(directory=str(tmp_path / "file" / "backups"))
    await _made(Backups(settings, member, WallClock()), member, tmp_path, 1)
    assert "no backup into" in member.noted_alarms[ALARM]


async def test_an_alarm_ends_with_the_next_backup(member: Member, directory: Path) -> None:
    member.noted_alarms[ALARM] = "an earlier one"
    making = Backups(_bbs(directory=str(directory)), member, WallClock())
    running = asyncio.create_task(making.run())
    async with asyncio.timeout(20):
        while member.noted_alarms:
            await asyncio.sleep(0.02)
    running.cancel()
    assert [each.verified for each in kept_in(directory, "prod")] == [True]


def test_a_full_disk_is_not_filled_further(
    store: Environment, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1 << 20))
    with pytest.raises(BackupRefused, match="has no room"):
        backed_up(store, BIRTH, directory, BEGIN_S)
    assert os.listdir(directory) == []


async def test_work_beside_the_ticks_is_waited_for(tmp_path: Path) -> None:
    """Nobody closes a store under a copy that is being made."""
    async with running(tmp_path / "m1") as bbs:
        done: list[str] = []

        def copy() -> None:
            take(bbs.member.environment, tmp_path / "copy", BEGIN_S)
            done.append("copy")

        asking = asyncio.create_task(bbs.member.apart(copy))
        await asyncio.sleep(0)
        asking.cancel()
        await bbs.member.close()
        assert done == ["copy"]


def test_half_a_copy_of_an_earlier_life_is_swept(store: Environment) -> None:
    for name in ("backup", "saving", "compact"):
        (store.path / name).mkdir()
        (store.path / name / DATA_FILE).write_bytes(b"half")
    backups.sweep_copies(store.path)
    assert sorted(os.listdir(store.path)) == [DATA_FILE, "lock.mdb"]


# Encrypted.


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, str]:
    """The files of two keys, by name."""
    files = {name: tmp_path / f"{name}.key" for name in ("old", "new")}
    for path in files.values():
        path.write_text(os.urandom(32).hex())
        path.chmod(0o600)
    return {name: str(path) for name, path in files.items()}


@pytest.fixture
def sealed(store: Environment, directory: Path, keys: dict[str, str]) -> Path:
    """A backup taken while the store comes under its first key: plain values, and one that is not.

    The test in tests/cluster has a store that is encrypted from its first value to its last.
    """
    unlock(store, keyring_from({"old": keys["old"]}, "old"))
    with store.begin_write() as transaction:
        log = store.table("log")
        transaction.rewrap(log, *next(iter(transaction.scan_stored(log))))
    return backed_up(store, BIRTH, directory, BEGIN_S, {"old": keys["old"]})


def test_an_encrypted_backup_names_its_keys_and_is_read_with_them(
    sealed: Path, keys: dict[str, str]
) -> None:
    assert file.read_manifest(sealed).key_names == ("old",)
    assert problems_of(sealed, keys) == []
    (without,) = problems_of(sealed, {"new": keys["new"]})
    assert without.startswith("every byte is as it was written, but no value can be read: ")
    assert 'encrypted with the key "old", which [bbs.encryption.keys] does not have' in without
    (wrong,) = problems_of(sealed, {"old": keys["new"]})
    assert wrong.startswith('the key "old" is not the one that the store is encrypted with')
    Path(keys["old"]).chmod(0o644)
    (readable,) = problems_of(sealed, keys)
    assert "others may read it" in readable


def test_no_key_is_told_to_a_child(
    sealed: Path, keys: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def look(command: Sequence[str], *rest: Any) -> Any:
        told.extend([*command, *os.environ.values()])
        return finished(command, *rest)

    monkeypatch.setattr(check_store, "finished", look)
    assert problems_of(sealed, keys) == []
    assert keys["old"] in told
    secret = Path(keys["old"]).read_text()
    assert not any(secret in word for word in told)


def test_an_encrypted_backup_is_restored_under_the_active_key(
    sealed: Path, tmp_path: Path, keys: dict[str, str]
) -> None:
    with pytest.raises(StartError, match=r'can.t be restored: .* with the key "old"') as refusal:
        restore(_settings(tmp_path), sealed, CLOCK, IDS)
    assert "\n" not in refusal.value.message
    assert os.listdir(tmp_path / "new") == [folder.LOCK_FILE]
    settings = _encrypted(_settings(tmp_path), "new", keys)
    restore(settings, sealed, CLOCK, IDS)
    keyring = keyring_of(settings)
    environment, _ = identity.load(tmp_path / "new" / "store", keyring=keyring)
    registry = read_registry(environment)
    environment.close()
    assert set(registry.named()) == {"old", "new"}
    assert registry.walk is not None, "what is not under the new key is encrypted at the start"
    assert checked_apart(tmp_path / "new" / "store", None, keys).problems == []


def test_an_encrypted_survivor_is_recovered(
    sealed: Path, tmp_path: Path, keys: dict[str, str]
) -> None:
    settings = _encrypted(_settings(tmp_path), "old", {"old": keys["old"]})
    restore(settings, sealed, CLOCK, IDS)
    without = _settings(tmp_path, node="m1")
    with pytest.raises(StartError, match='encrypted with the key "old", which is not in'):
        recover(without, CLOCK, IDS)
    assert recover(settings, CLOCK, IDS).birth.epoch == 3


def _encrypted(settings: Settings, active: str, keys: dict[str, str]) -> Settings:
    encryption = EncryptionSettings(active_key=active, keys=keys)
    return replace(settings, bbs=replace(settings.bbs, encryption=encryption))


# Restore and recovery.


@pytest.fixture
def backup(store: Environment, directory: Path) -> Path:
    return backed_up(store, BIRTH, directory, BEGIN_S)


def test_a_node_of_any_name_begins_from_a_backup(backup: Path, tmp_path: Path) -> None:
    settings = _settings(tmp_path, node="n7")
    reborn = restore(settings, backup, CLOCK, IDS)
    environment, birth = identity.load(tmp_path / "new" / "store", member_id="n7")
    environment.close()
    assert birth == reborn.birth
    assert (birth.cluster_id, birth.epoch) == (BIRTH.cluster_id, 2)
    assert [voter.id for voter in birth.voters] == ["n7"]
    assert birth.store_id != BIRTH.store_id
    assert sorted(os.listdir(tmp_path / "new")) == [folder.LOCK_FILE, "store"]
    assert checked_apart(tmp_path / "new" / "store").problems == []


def test_a_new_cluster_is_none_of_the_old_one(backup: Path, tmp_path: Path) -> None:
    reborn = restore(_settings(tmp_path), backup, CLOCK, IDS, new_cluster=True)
    assert reborn.birth.cluster_id not in ("", BIRTH.cluster_id)


def test_no_store_is_overwritten(backup: Path, tmp_path: Path) -> None:
    restore(_settings(tmp_path), backup, CLOCK, IDS)
    before = (tmp_path / "new" / "store" / DATA_FILE).read_bytes()
    with pytest.raises(StartError, match="only where there is none"):
        restore(_settings(tmp_path), backup, CLOCK, IDS)
    assert (tmp_path / "new" / "store" / DATA_FILE).read_bytes() == before


def test_a_backup_restored_twice_begins_two_epochs(
    backup: Path, directory: Path, tmp_path: Path
) -> None:
    """As far as it shows: backups of the first of the two lie in the same directory."""
    settings = _settings(tmp_path, directory=str(directory))
    assert restore(settings, backup, CLOCK, IDS).birth.epoch == 2
    environment, birth = identity.load(tmp_path / "new" / "store")
    backed_up(environment, birth, directory, BEGIN_S + HOUR_S)
    environment.close()
    shutil.rmtree(tmp_path / "new")
    reborn = restore(settings, backup, CLOCK, IDS)
    assert reborn.birth.epoch == 3
    assert reborn.revision > first_revision(3)


def test_an_epoch_that_is_not_later_is_refused(backup: Path, tmp_path: Path) -> None:
    with pytest.raises(StartError, match="so a later one is needed"):
        restore(_settings(tmp_path), backup, CLOCK, IDS, epoch=1)
    assert restore(_settings(tmp_path), backup, CLOCK, IDS, epoch=9).birth.epoch == 9


def test_a_backup_of_another_cluster_is_refused(backup: Path, tmp_path: Path) -> None:
    other = replace(_settings(tmp_path), cluster=ClusterSettings(name="test"))
    with pytest.raises(StartError, match='is of the cluster "prod", and this node is of "test"'):
        restore(other, backup, CLOCK, IDS)
    assert not (tmp_path / "new" / "store").exists()


def test_a_damaged_backup_leaves_nothing(backup: Path, tmp_path: Path) -> None:
    content = bytearray(backup.read_bytes())
    content[-1] ^= 1
    damaged = tmp_path / "damaged"
    damaged.write_bytes(content)
    with pytest.raises(StartError, match="is damaged"):
        restore(_settings(tmp_path), damaged, CLOCK, IDS)
    assert os.listdir(tmp_path / "new") == [folder.LOCK_FILE]


def test_a_restore_that_was_interrupted_begins_again(backup: Path, tmp_path: Path) -> None:
    left = tmp_path / "new" / ASIDE_FOLDER
    left.mkdir(parents=True)
    (left / DATA_FILE).write_bytes(b"half")
    assert restore(_settings(tmp_path), backup, CLOCK, IDS).birth.epoch == 2


def test_nothing_is_restored_under_a_member_that_runs(backup: Path, tmp_path: Path) -> None:
    held = folder.hold(tmp_path / "new")
    try:
        with pytest.raises(StartError, match="is in use by pid"):
            restore(_settings(tmp_path), backup, CLOCK, IDS)
    finally:
        held.release()


def _member(tmp_path: Path, applied: int = len(COMMANDS)) -> Settings:
    with a_store(tmp_path / "new" / "store", applied):
        pass
    return _settings(tmp_path)


def test_a_survivor_becomes_the_only_member_and_its_old_store_stays(tmp_path: Path) -> None:
    settings = _member(tmp_path, applied=4)
    old = (tmp_path / "new" / "store" / DATA_FILE).read_bytes()
    reborn = recover(settings, CLOCK, IDS)
    assert reborn.entries_applied == len(COMMANDS) - 4
    assert (reborn.birth.epoch, len(reborn.birth.voters)) == (2, 1)
    assert (tmp_path / "new" / "store.before-epoch-2" / DATA_FILE).read_bytes() == old
    environment, birth = identity.load(tmp_path / "new" / "store", member_id="m1")
    environment.close()
    assert birth == reborn.birth


def test_a_recovery_that_crashed_between_its_renames_begins_again(tmp_path: Path) -> None:
    settings = _member(tmp_path)
    (tmp_path / "new" / "store").rename(tmp_path / "new" / "store.before-epoch-2")
    assert recover(settings, CLOCK, IDS).birth.epoch == 2
    assert (tmp_path / "new" / "store.before-epoch-2").exists()


def test_a_quorum_may_be_lost_more_than_once(tmp_path: Path) -> None:
    settings = _member(tmp_path)
    assert [recover(settings, CLOCK, IDS).birth.epoch for _ in range(3)] == [2, 3, 4]


def test_a_store_that_is_damaged_is_left_as_it_is(tmp_path: Path) -> None:
    settings = _member(tmp_path)
    environment, _ = identity.load(tmp_path / "new" / "store")
    numbers = environment.table("task_number")
    with environment.begin_write() as transaction:
        transaction.delete(numbers, b"waits")
    environment.close()
    with pytest.raises(StartError, match="task_number does not lead to all in task"):
        recover(settings, CLOCK, IDS)
    assert sorted(os.listdir(tmp_path / "new")) == [folder.LOCK_FILE, "store"]


def test_where_there_is_no_store_nothing_is_recovered(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="there is no store"):
        recover(_settings(tmp_path), CLOCK, IDS)


def test_another_members_store_is_not_recovered(tmp_path: Path) -> None:
    _member(tmp_path)
    with pytest.raises(StartError, match="belongs to the member 'm1', not to 'm9'"):
        recover(_settings(tmp_path, node="m9"), CLOCK, IDS)


def test_what_a_child_finds_is_one_line_of_json(tmp_path: Path) -> None:
    import subprocess

    with a_store(tmp_path / "store"):
        pass
    command = [sys.executable, "-m", "diegod.node.check_store", str(tmp_path / "store")]
    done = subprocess.run(command, capture_output=True, check=True)
    assert json.loads(done.stdout)["problems"] == []
    nothing = [*command[:-1], str(tmp_path / "nothing")]
    done = subprocess.run(nothing, capture_output=True, check=False)
    assert done.returncode == 1
    assert "there is no store" in json.loads(done.stdout)["problems"][0]
