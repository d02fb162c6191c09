"""Requests come whole whatever the pieces; a client that doesn't read blocks nobody."""

import json
import selectors
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from diegod.cellruntime.exec.line_server import Client, LineServer, Reply, Request


class Echo:
    """A server that answers what it is told to, driven by hand."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.selector = selectors.DefaultSelector()
        self.gone: list[Client] = []
        self.kept: list[Reply] = []
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()
        self.server = LineServer(self.selector, listener, self.answer, self.gone.append)

    def answer(self, client: Client, request: Request) -> None:
        if request.get("later"):
            self.kept.append(client.reply_to(request))
        else:
            client.reply_to(request)(said=request["say"] * request.get("times", 1))

    def turn(self) -> None:
        while ready := self.selector.select(0.05):
            for key, events in ready:
                key.data(events)

    def dial(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(5)
        client.connect(str(self.path))
        return client


@pytest.fixture
def echo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Echo]:
    monkeypatch.chdir(tmp_path)
    server = Echo(Path("sock"))
    yield server
    for key in list(server.selector.get_map().values()):
        key.fileobj.close()  # type: ignore[union-attr]
    server.selector.close()


def test_pieces_and_bundles(echo: Echo) -> None:
    with echo.dial() as client:
        client.sendall(b'{"id": 1, "say"')
        echo.turn()
        client.sendall(b': "a"}\n{"id": 2, "say": "b"}\n')
        echo.turn()
        answers = [json.loads(line) for line in client.recv(4096).splitlines()]
    assert answers == [{"id": 1, "said": "a"}, {"id": 2, "said": "b"}]


def test_a_client_that_does_not_read_blocks_nobody(echo: Echo) -> None:
    with echo.dial() as lazy, echo.dial() as quick:
        lazy.sendall(b'{"id": 1, "say": "x", "times": 3000000}\n')
        echo.turn()
        quick.sendall(b'{"id": 1, "say": "y"}\n')
        echo.turn()
        assert json.loads(quick.recv(4096)) == {"id": 1, "said": "y"}
        received = b""
        while not received.endswith(b"\n"):
            received += lazy.recv(65536)
            echo.turn()
        assert len(json.loads(received)["said"]) == 3000000


def test_an_answer_for_a_client_that_left_goes_nowhere(echo: Echo) -> None:
    with echo.dial() as client:
        client.sendall(b'{"id": 1, "later": true}\n')
        echo.turn()
    echo.turn()
    assert len(echo.gone) == 1
    assert echo.server.clients == []
    echo.kept[0](said="too late")
    echo.turn()
