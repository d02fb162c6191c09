"""'I am ready', told to whoever started this process: the protocol of systemd's sd_notify.

`NOTIFY_SOCKET` names a datagram socket; systemd sets it for units of Type=notify, and our own
supervisor for its children.
"""

import asyncio
import os
import socket
from pathlib import Path

VARIABLE = "NOTIFY_SOCKET"
_READY = b"READY=1"


def tell_ready() -> None:
    """Nothing happens where nobody wants to know."""
    address = os.environ.get(VARIABLE)
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        try:
            sender.sendto(_READY, address)
        except OSError:
            return  # whoever started us has gone


class ReadySocket:
    """The other end: waits for one child's word."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(str(path))
        path.chmod(0o600)

    async def wait(self) -> None:
        while _READY not in await asyncio.get_running_loop().sock_recv(self._socket, 4096):
            pass

    def close(self) -> None:
        self._socket.close()
        self.path.unlink(missing_ok=True)
