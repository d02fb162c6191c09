"""'I am ready', from a role to whoever started it."""

import asyncio
import socket
from pathlib import Path

import pytest

from diegod.node import notify
from diegod.node.notify import ReadySocket, tell_ready


async def test_the_word_is_waited_for_and_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = ReadySocket(tmp_path / "ready")
    monkeypatch.setenv(notify.VARIABLE, str(ready.path))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.sleep(0.01)
    assert not waiting.done()
    tell_ready()
    await asyncio.wait_for(waiting, 1.0)
    ready.close()
    assert not ready.path.exists()


async def test_other_words_are_not_taken_for_it(tmp_path: Path) -> None:
    ready = ReadySocket(tmp_path / "ready")
    waiting = asyncio.create_task(ready.wait())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"STATUS=starting", str(ready.path))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        sender.sendto(b"STATUS=done\nREADY=1\n", str(ready.path))
    await asyncio.wait_for(waiting, 1.0)
    ready.close()


def test_only_its_owner_may_speak(tmp_path: Path) -> None:
    ready = ReadySocket(tmp_path / "ready")
    assert ready.path.stat().st_mode & 0o777 == 0o600
    ready.close()


def test_a_socket_that_was_left_there_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "ready").touch()
    ready = ReadySocket(tmp_path / "ready")
    assert ready.path.is_socket()
    ready.close()
    assert not ready.path.exists()


def test_nothing_happens_where_nobody_wants_to_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(notify.VARIABLE, raising=False)
    tell_ready()
    monkeypatch.setenv(notify.VARIABLE, str(tmp_path / "gone"))
    tell_ready()
    assert not (tmp_path / "gone").exists()


def test_systemds_abstract_names_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("")  # the kernel chooses an abstract name
        systemd.settimeout(1.0)
        name = systemd.getsockname()
        monkeypatch.setenv(notify.VARIABLE, "@" + name[1:].decode())
        tell_ready()
        assert systemd.recv(64) == b"READY=1"
