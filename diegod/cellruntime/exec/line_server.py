"""The supervisor's side of the socket: clients, and one JSON object a line in both directions.

A request carries an `id`, and its reply the same one; replies come in any order. Nothing here
blocks: what a client doesn't read waits in its buffer. Knows nothing of containers.
"""

import json
import selectors
import socket
from collections.abc import Callable, Mapping
from typing import Any

Request = Mapping[str, Any]
Reply = Callable[..., None]


class Client:
    """One agent that is connected."""

    def __init__(self, server: "LineServer", connection: socket.socket) -> None:
        self._server = server
        self.connection = connection
        self.received = bytearray()
        self.to_send = bytearray()
        self.connected = True

    def reply_to(self, request: Request) -> Reply:
        """The callable that answers this request, now or later; for nobody if the client left."""

        def reply(**fields: Any) -> None:
            self.to_send += json.dumps({"id": request.get("id"), **fields}).encode() + b"\n"
            self._server.send(self)

        return reply


class LineServer:
    def __init__(
        self,
        selector: selectors.BaseSelector,
        listener: socket.socket,
        on_request: Callable[[Client, Request], None],
        on_gone: Callable[[Client], None],
    ) -> None:
        self._selector = selector
        self._listener = listener
        self._on_request = on_request
        self._on_gone = on_gone
        self.clients: list[Client] = []
        listener.setblocking(False)
        selector.register(listener, selectors.EVENT_READ, self._accept)

    def _accept(self, _: int) -> None:
        try:
            connection, _address = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        connection.setblocking(False)
        client = Client(self, connection)
        self.clients.append(client)
        self._selector.register(
            connection, selectors.EVENT_READ, lambda events: self._ready(client, events)
        )

    def _ready(self, client: Client, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self.send(client)
        if events & selectors.EVENT_READ and client.connected:
            self._receive(client)

    def _receive(self, client: Client) -> None:
        try:
            data = client.connection.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(client)
            return
        client.received += data
        *lines, rest = client.received.split(b"\n")
        client.received = bytearray(rest)
        for line in lines:
            self._on_request(client, json.loads(line))

    def send(self, client: Client) -> None:
        """Send what the client takes now, and ask to be told when it takes more."""
        if not client.connected:
            return
        try:
            sent = client.connection.send(client.to_send) if client.to_send else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            self._drop(client)
            return
        del client.to_send[:sent]
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if client.to_send else 0)
        key = self._selector.get_key(client.connection)
        if key.events != wanted:
            self._selector.modify(client.connection, wanted, key.data)

    def _drop(self, client: Client) -> None:
        client.connected = False
        self._selector.unregister(client.connection)
        client.connection.close()
        self.clients.remove(client)
        self._on_gone(client)
