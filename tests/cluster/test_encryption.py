"""Encrypted stores of real members: a new key, an old one dropped, and what a start refuses."""

import asyncio
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from diegod.client.tasks import task_definition
from tests.cluster.roles import Processes, Site, new_site, refused_start, write_settings
from tests.cluster.terminal import PROGRAM, Terminal, new_terminal
from tests.cluster.waiting import until

MEMBERS = ("bbs-1", "bbs-2", "bbs-3")
NOT_CURABLE = 78
CANARY = "a-canary-in-an-annotation"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    site = new_site(new_terminal(tmp_path_factory.mktemp("encryption") / "home"))
    for id_ in MEMBERS:
        site.add("bbs", id_)
    site.issue("user", "alice", site.folder / "alice")
    site.furnish()
    site.init_stores()
    return site


@pytest.fixture
def processes(site: Site) -> Iterator[Processes]:
    processes = Processes(site)
    yield processes
    processes.end()


@pytest.fixture
def user(site: Site) -> Terminal:
    words = [word for address in site.endpoints() for word in ("--address", address)]
    cert = ["--cert", str(site.folder / "alice")]
    site.terminal.run("context", "add", site.cluster, *words, *cert)
    return site.terminal


def key(site: Site, name: str) -> Path:
    """The file of a key, made when it is asked for first."""
    path = site.folder / f"{name}.key"
    if not path.exists():
        path.write_text(os.urandom(32).hex() + "\n")
        path.chmod(0o600)
    return path


def encrypt(site: Site, active: str, keys: Mapping[str, Path], *ids: str) -> None:
    """Give members these keys; with none, the section is left out."""
    for id_ in ids:
        sections = site.settings(site.nodes[id_])
        if keys:
            sections["bbs.encryption"] = {"active_key": active}
        for name, path in keys.items():
            sections[f'bbs.encryption.keys."{name}"'] = {"file": str(path)}
        write_settings(site.nodes[id_], sections)


def restart(processes: Processes, *ids: str) -> None:
    """One by one, as one does with members."""
    for id_ in ids:
        assert processes.stop(id_) == 0
        processes.start(id_)


def start_under_new_key(site: Site, processes: Processes, *ids: str) -> None:
    """Whatever an earlier test left: these members' stores come under the key 2026-11."""
    keys = {name: key(site, name) for name in ("2026-11", "2026-05")}
    encrypt(site, "2026-11", keys, *ids)
    processes.start(*ids)


def refusal(site: Site, id_: str) -> str:
    """What a member says that does not start with the keys it was given."""
    config = str(site.nodes[id_].config)
    done = refused_start(site.terminal, [str(PROGRAM), "--role=bbs", "--config", config])
    assert (done.status, done.out) == (NOT_CURABLE, ""), done.shown
    (line,) = done.err.splitlines()
    return line


async def write(site: Site, *guids: str) -> None:
    async with site.client() as client:
        for guid in guids:
            task = task_definition(guid, rootfs="preloaded:nowhere", argv=["true"])
            task.annotation = CANARY
            await client.tasks.desire(task)


async def stored(site: Site, *ids: str) -> set[str]:
    """What these members have, by default any that answers."""
    async with site.client(*(site.nodes[id_].address for id_ in ids)) as client:
        return {task.task_guid for task in await client.tasks.list()}


def readable_on_disk(site: Site) -> list[str]:
    """The members whose folders hold the canary anywhere."""
    return [
        id_
        for id_ in MEMBERS
        if any(
            CANARY.encode() in file.read_bytes()
            for file in site.nodes[id_].data.rglob("*")
            if file.is_file()
        )
    ]


def test_a_key_is_changed_and_the_old_one_dropped(
    site: Site, processes: Processes, user: Terminal
) -> None:
    old, new = key(site, "2026-05"), key(site, "2026-11")
    encrypt(site, "2026-05", {"2026-05": old}, *MEMBERS)
    processes.start(*MEMBERS)
    asyncio.run(write(site, *(f"before-{number}" for number in range(20))))
    assert user.run("bbs", "rekey", "-o", "name").succeeded().out.split() == list(MEMBERS)

    encrypt(site, "2026-11", {"2026-11": new, "2026-05": old}, *MEMBERS)
    restart(processes, *MEMBERS)
    asyncio.run(write(site, "between"))
    rekeyed = user.run("bbs", "rekey", "-o", "json").succeeded()
    assert rekeyed.records == [
        {"member_id": id_, "percent": 100, "active_key": "2026-11", "key_names": ["2026-11"]}
        for id_ in MEMBERS
    ]
    status = user.run("bbs", "status", "-o", "json").succeeded().record
    assert (status["key_names"], status["rekey_percent"]) == (["2026-11"], 100)
    for id_ in MEMBERS:
        said = site.nodes[id_].log.read_text()
        assert "the key \\\"2026-05\\\" can be dropped here now" in said

    encrypt(site, "2026-11", {"2026-11": new}, *MEMBERS)
    restart(processes, *MEMBERS)
    asyncio.run(write(site, "after"))
    assert asyncio.run(stored(site)) == {
        *(f"before-{number}" for number in range(20)), "between", "after",
    }  # fmt: skip
    for id_ in MEMBERS:
        assert processes.stop(id_) == 0
    assert readable_on_disk(site) == []


def test_a_key_that_is_dropped_too_early_is_missed(site: Site, processes: Processes) -> None:
    start_under_new_key(site, processes, "bbs-1")
    assert processes.stop("bbs-1") == 0
    new, next_one = key(site, "2026-11"), key(site, "2027-05")
    needs = 'diegod: the store is encrypted with the key "2026-11", which is not in '
    encrypt(site, "2027-05", {"2027-05": next_one}, "bbs-1")
    assert refusal(site, "bbs-1").startswith(needs)
    encrypt(site, "", {}, "bbs-1")
    assert refusal(site, "bbs-1").startswith(needs)
    encrypt(site, "2026-11", {"2026-11": next_one}, "bbs-1")
    assert refusal(site, "bbs-1").startswith('diegod: the key "2026-11" is not the one that ')
    new.chmod(0o644)
    encrypt(site, "2026-11", {"2026-11": new}, "bbs-1")
    assert refusal(site, "bbs-1").startswith('diegod: the encryption key "2026-11": ')
    new.chmod(0o600)
    start_under_new_key(site, processes, "bbs-1")


def test_a_backup_is_restored_with_its_keys_only(
    site: Site, processes: Processes, user: Terminal
) -> None:
    """Saved by hand and by itself; every value of the store is encrypted when that is done."""
    directory = site.folder / "backups"
    start_under_new_key(site, processes, *MEMBERS)
    asyncio.run(write(site, "backed-up"))
    user.run("bbs", "rekey").succeeded()
    backup = str(site.folder / "one.backup")
    saved = user.run("bbs", "snapshot", "save", backup, "-o", "json").succeeded().record
    assert saved["key_names"] == ["2026-11"]
    assert CANARY.encode() not in Path(backup).read_bytes()
    back_up(site, "bbs-2", directory)
    restart(processes, "bbs-2")
    ls = ["bbs", "snapshot", "ls", "--config", str(site.nodes["bbs-2"].config), "-o", "json"]
    kept = until("one is verified", lambda: first_verified(user.run(*ls).succeeded().records), 60.0)
    assert kept["key_names"] == ["2026-11"]
    for id_ in MEMBERS:
        assert processes.stop(id_) == 0

    verify = ["bbs", "snapshot", "verify", backup]
    config = ["--config", str(site.nodes["bbs-1"].config)]
    assert "is whole" in user.run(*verify, *config).succeeded().err
    unread = user.run(*verify)
    assert (unread.status, unread.out) == (1, "")
    assert "every byte is as it was written" in unread.err
    assert 'it is encrypted with the key "2026-11"' in unread.err

    data = site.nodes["bbs-1"].data
    data.rename(data.with_name("data.before"))
    encrypt(site, "", {}, "bbs-1")
    restore = ["bbs", "snapshot", "restore", backup, *config]
    refused = user.run(*restore)
    assert (refused.status, refused.out) == (NOT_CURABLE, "")
    (line,) = refused.err.splitlines()
    assert 'it is encrypted with the key "2026-11", which [bbs.encryption.keys] does not' in line
    encrypt(site, "2026-11", {"2026-11": key(site, "2026-11")}, "bbs-1")
    user.run(*restore).succeeded()
    processes.start("bbs-1")
    assert "backed-up" in asyncio.run(stored(site, "bbs-1"))
    assert processes.stop("bbs-1") == 0
    assert CANARY.encode() not in (data / "store" / "data.mdb").read_bytes()
    shutil.rmtree(data)
    data.with_name("data.before").rename(data)


def first_verified(backups: list[dict[str, Any]]) -> dict[str, Any] | None:
    """A backup is listed as soon as it is written, and read back by its member after that."""
    return next((backup for backup in backups if backup["verified"]), None)


def back_up(site: Site, id_: str, directory: Path) -> None:
    """Let a member make backups by itself, too."""
    with site.nodes[id_].config.open("a") as file:
        file.write(f'[bbs.backup]\ndirectory = "{directory}"\n')


def test_encryption_is_taken_back(site: Site, processes: Processes, user: Terminal) -> None:
    start_under_new_key(site, processes, *MEMBERS)
    asyncio.run(write(site, "taken-back"))
    user.run("bbs", "rekey").succeeded()
    encrypt(site, "", {"2026-11": key(site, "2026-11")}, *MEMBERS)
    restart(processes, *MEMBERS)
    rekeyed = user.run("bbs", "rekey", "-o", "json").succeeded()
    assert [row["active_key"] for row in rekeyed.records] == ["", "", ""]
    encrypt(site, "", {}, *MEMBERS)
    restart(processes, *MEMBERS)
    assert "taken-back" in asyncio.run(stored(site))
    assert readable_on_disk(site) == list(MEMBERS)  # as the other tests would have found it
