"""Situations that keep a role or a command from starting: each is made, and named by its command.

Does not belong here: what must come of it, which stands in test_start_failures.py.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from diegod.raftbbs.store import quarantine
from diegod.raftbbs.store.environment import DATA_FILE, Environment, Table, WriteTransaction
from diegod.raftbbs.store.identity import META_TABLE
from diegod.raftbbs.store.quarantine import Mark
from tests.cluster.roles import HOST, Node, Processes, Site, new_site, sweep, write_settings
from tests.cluster.terminal import PROGRAM, new_terminal


@dataclass(frozen=True)
class Stage:
    """A cluster of one member that does not run, and what a case may do with it."""

    site: Site
    undo: contextlib.ExitStack
    environ: dict[str, str]

    @property
    def member(self) -> Node:
        return self.site.nodes["bbs-1"]

    @property
    def cell(self) -> Node:
        return self.site.nodes["cell-1"]

    def member_with(self, **changes: object) -> list[str]:
        """The command that starts the member with other settings, `section__key=value`."""
        return self.with_settings(self.member, **changes)

    def with_settings(self, node: Node, **changes: object) -> list[str]:
        sections = self.site.settings(node)
        for name, value in changes.items():
            section, _, key = name.partition("__")
            sections.setdefault(section, {})[key] = value
        return start(node.role, write_settings(node, sections))

    def tmpfs(self, name: str, options: str) -> Path:
        """A small file system of its own; needs root."""
        folder = self.site.folder / name
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "diegod", str(folder)], check=True)
        self.undo.callback(subprocess.run, ["umount", str(folder)], check=True)
        return folder


def start(role: str, config: Path) -> list[str]:
    return [f"--role={role}", "--config", str(config)]


# -- data folders ---------------------------------------------------------------------------------


def folder_in_use(stage: Stage) -> list[str]:
    processes = Processes(stage.site)
    stage.undo.callback(processes.end)
    processes.start("bbs-1")
    stage.environ["HOLDER"] = str(processes.pid("bbs-1"))
    return start("bbs", stage.member.config)


def folder_without_a_store(stage: Stage) -> list[str]:
    return stage.member_with(node__data_dir=str(stage.site.folder / "new"))


def folder_of_another_member(stage: Stage) -> list[str]:
    return stage.member_with(node__id="bbs-2", tls__dir=str(stage.site.folder / "tls-2"))


def folder_of_another_cluster(stage: Stage) -> list[str]:
    other = new_site(stage.site.terminal, "staging")
    stage.undo.callback(shutil.rmtree, other.folder)
    other.issue("bbs", "bbs-1", other.folder / "tls")
    return stage.member_with(cluster__name="staging", tls__dir=str(other.folder / "tls"))


def folder_read_only(stage: Stage) -> list[str]:
    return stage.member_with(node__data_dir=str(stage.tmpfs("read-only", "ro,size=1m")))


def folder_full(stage: Stage) -> list[str]:
    folder = stage.tmpfs("full", "size=64k")
    fill(folder)
    return stage.member_with(node__data_dir=str(folder))


def folder_full_around_a_store(stage: Stage) -> list[str]:
    folder = stage.tmpfs("full-store", "size=1m")
    shutil.copytree(stage.member.data, folder / "data")
    fill(folder)
    return stage.member_with(node__data_dir=str(folder / "data"))


def folder_full_at_birth(stage: Stage) -> list[str]:
    folder = stage.tmpfs("full-birth", "size=64k")
    command = stage.member_with(node__data_dir=str(folder / "data"))
    fill(folder)
    return ["bbs", "init", *command[1:]]


def folder_full_for_a_cell(stage: Stage) -> list[str]:
    folder = stage.tmpfs("full-cell", "size=64k")
    fill(folder)
    return stage.with_settings(stage.cell, node__data_dir=str(folder))


def fill(folder: Path) -> None:
    with contextlib.suppress(OSError), (folder / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


def folder_that_is_a_file(stage: Stage) -> list[str]:
    file = stage.site.folder / "a-file"
    file.write_text("not a folder\n")
    return stage.member_with(node__data_dir=str(file))


def birth_twice(stage: Stage) -> list[str]:
    return ["bbs", "init", "--config", str(stage.member.config)]


# -- stores ---------------------------------------------------------------------------------------


def store(stage: Stage) -> Path:
    return stage.member.data / "store"


def store_emptied(stage: Stage) -> list[str]:
    for file in store(stage).iterdir():
        file.unlink()
    return start("bbs", stage.member.config)


def store_without_its_data(stage: Stage) -> list[str]:
    (store(stage) / DATA_FILE).unlink()
    return start("bbs", stage.member.config)


def store_of_no_bytes(stage: Stage) -> list[str]:
    return cut(stage, 0)


def store_cut_to_a_page(stage: Stage) -> list[str]:
    return cut(stage, 4096)


def store_cut_by_a_byte(stage: Stage) -> list[str]:
    return cut(stage, (store(stage) / DATA_FILE).stat().st_size - 1)


def cut(stage: Stage, size: int) -> list[str]:
    os.truncate(store(stage) / DATA_FILE, size)
    return start("bbs", stage.member.config)


def store_of_rubbish(stage: Stage) -> list[str]:
    (store(stage) / DATA_FILE).write_bytes(b"rubbish\n" * 4096)
    return start("bbs", stage.member.config)


def store_that_is_a_folder(stage: Stage) -> list[str]:
    (store(stage) / DATA_FILE).unlink()
    (store(stage) / DATA_FILE).mkdir()
    return start("bbs", stage.member.config)


def store_with_a_wrong_byte(stage: Stage) -> list[str]:
    """In the member's own name, in its birth record."""
    data = store(stage) / DATA_FILE
    content = data.read_bytes()
    assert content.count(b'"member_id": "bbs-1"') == 1
    data.write_bytes(content.replace(b'"member_id": "bbs-1"', b'"member_id": "bbs-3"'))
    return start("bbs", stage.member.config)


def store_of_a_later_format(stage: Stage) -> list[str]:
    with birth_record(stage) as (transaction, meta):
        transaction.put_stored(meta, b"birth", b"\x03\0as a later release would write it")
    return start("bbs", stage.member.config)


def store_born_in_a_later_format(stage: Stage) -> list[str]:
    with birth_record(stage) as (transaction, meta):
        transaction.put(meta, b"birth", json.dumps({"store_format": 3}).encode())
    return start("bbs", stage.member.config)


@contextlib.contextmanager
def birth_record(stage: Stage) -> Iterator[tuple[WriteTransaction, Table]]:
    environment = Environment.open(store(stage))
    meta = environment.table(META_TABLE)
    with environment.begin_write() as transaction:
        yield transaction, meta
    environment.close()


def store_in_quarantine(stage: Stage) -> list[str]:
    quarantine.put(store(stage), Mark.of(3000, b"a" * 32, b"b" * 32, 1_800_000_000.0))
    return start("bbs", stage.member.config)


def store_with_a_folder_for_a_lock(stage: Stage) -> list[str]:
    (store(stage) / "lock.mdb").unlink(missing_ok=True)
    (store(stage) / "lock.mdb").mkdir()
    return start("bbs", stage.member.config)


# -- ports and programs ---------------------------------------------------------------------------


def busy(stage: Stage) -> int:
    """A port that somebody else listens on: this very process."""
    listener = stage.undo.enter_context(socket.socket())
    listener.bind((HOST, 0))
    listener.listen()
    port: int = listener.getsockname()[1]
    stage.environ["PORT"] = str(port)
    stage.environ["HOLDER"] = str(os.getpid())
    return port


def port_in_use(stage: Stage) -> list[str]:
    return stage.member_with(bbs__port=busy(stage))


def raft_port_in_use(stage: Stage) -> list[str]:
    return stage.member_with(bbs__raft_port=busy(stage))


def cell_port_in_use(stage: Stage) -> list[str]:
    return stage.with_settings(stage.cell, cell__port=busy(stage))


def brain_port_in_use(stage: Stage) -> list[str]:
    return stage.with_settings(stage.site.nodes["brain-1"], brain__port=busy(stage))


def address_of_another_machine(stage: Stage) -> list[str]:
    return stage.member_with(node__bind="192.0.2.1")


def runc_missing(stage: Stage) -> list[str]:
    return runc_cell(stage, "/dev/null")


def runc_useless(stage: Stage) -> list[str]:
    """There, and refusing to do anything: a trial container finds out."""
    refusing = stage.site.folder / "runc"
    refusing.write_text("#!/bin/sh\necho 'operation not permitted (clone)' >&2\nexit 1\n")
    refusing.chmod(0o755)
    return runc_cell(stage, str(refusing))


def runc_cell(stage: Stage, instead: str) -> list[str]:
    """A cell that sees something else in the place of runc: in a mount namespace of its own."""
    command = stage.with_settings(stage.cell, cell__backends=["runc"])
    stage.undo.callback(sweep, stage.site.terminal, stage.cell)
    hide = f'mount --bind {instead} "$(command -v runc)" && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", hide, "sh", str(PROGRAM), *command]


def backend_unknown(stage: Stage) -> list[str]:
    return stage.with_settings(stage.cell, cell__backends=["runk"])


def backend_of_another_release(stage: Stage) -> list[str]:
    return stage.with_settings(stage.cell, cell__backends=["docker"])


def strategy_unknown(stage: Stage) -> list[str]:
    return stage.with_settings(stage.site.nodes["brain-1"], brain__strategy="sprad")


# -- certificates ---------------------------------------------------------------------------------


def certificate_missing(stage: Stage) -> list[str]:
    return stage.member_with(tls__dir=str(stage.site.folder / "nothing"))


def certificate_of_another_node(stage: Stage) -> list[str]:
    return stage.member_with(tls__dir=str(stage.site.folder / "tls-2"))


def certificate_of_another_ca(stage: Stage) -> list[str]:
    tls = tls_copy(stage)
    other = new_site(new_terminal(stage.site.folder / "stranger"))
    stage.undo.callback(shutil.rmtree, stage.site.folder / "stranger")
    shutil.copy(other.ca / "ca.crt", tls / "ca.crt")
    return stage.member_with(tls__dir=str(tls))


def key_of_another_certificate(stage: Stage) -> list[str]:
    tls = tls_copy(stage)
    shutil.copy(stage.site.folder / "tls-2" / "bbs.key", tls / "bbs.key")
    return stage.member_with(tls__dir=str(tls))


def certificate_that_is_rubbish(stage: Stage) -> list[str]:
    tls = tls_copy(stage)
    (tls / "bbs.crt").write_text("rubbish\n")
    return stage.member_with(tls__dir=str(tls))


def tls_copy(stage: Stage) -> Path:
    tls = stage.member.folder / "tls-copy"
    shutil.copytree(stage.member.tls, tls)
    return tls


# -- settings and words ---------------------------------------------------------------------------


def settings_missing(stage: Stage) -> list[str]:
    return start("cell", stage.site.folder / "nowhere.toml")


def settings_not_toml(stage: Stage) -> list[str]:
    stage.member.config.write_text("[bbs\n")
    return start("bbs", stage.member.config)


def settings_with_three_faults(stage: Stage) -> list[str]:
    text = stage.member.config.read_text()
    text = text.replace("port =", "prt =", 1).replace("[node]", '[node]\nzone = 1\nbind = ""')
    stage.member.config.write_text(text)
    return start("bbs", stage.member.config)


def role_unknown(stage: Stage) -> list[str]:
    return ["--role=cel", "--config", str(stage.member.config)]


def role_with_a_command(stage: Stage) -> list[str]:
    return ["--role=cell", "task", "ls"]


def flag_unknown(stage: Stage) -> list[str]:
    return ["--rol=bbs", "--config", str(stage.member.config)]


def flag_of_a_command_unknown(stage: Stage) -> list[str]:
    return ["task", "ls", "--nonsense"]


def command_unknown(stage: Stage) -> list[str]:
    return ["taks", "ls"]


def no_cluster(stage: Stage) -> list[str]:
    return ["task", "ls"]


def home_unwritable(stage: Stage) -> list[str]:
    stage.environ.update(HOME="/proc/home", XDG_STATE_HOME="", XDG_CONFIG_HOME="")
    return ["dev", "--backend", "exec"]


def dev_backend_unknown(stage: Stage) -> list[str]:
    return ["dev", "--backend", "runk"]


def dev_members_even(stage: Stage) -> list[str]:
    return ["dev", "--members", "2"]
