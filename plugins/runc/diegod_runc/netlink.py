"""Links, addresses and routes: netlink messages encoded by pyroute2, over plain sockets.

The only door to pyroute2. Its own sockets are not used: each starts an event loop, and enters a
network namespace by forking, which a process that speaks gRPC must not do. Blocking: the kernel
answers at once; called from a short-lived thread.
"""

import os
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import Any

from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

_NEWLINK, _DELLINK, _NEWADDR, _NEWROUTE, _GETROUTE = 16, 17, 20, 24, 26
_REQUEST, _ACK, _DUMP, _EXCL, _CREATE = 0x1, 0x4, 0x300, 0x200, 0x400
_ERROR, _DONE = 2, 3
_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_UP = 1
_UNICAST_ROUTE = 1

Message = tuple[int, int, Any]  # type, flags, pyroute2's message


def up(index: int) -> Message:
    message = ifinfmsg()
    message["index"], message["flags"], message["change"] = index, _UP, _UP
    return _NEWLINK, 0, message


def bridge(name: str, mac: str) -> Message:
    message = ifinfmsg()
    message["flags"] = message["change"] = _UP
    kind = {"attrs": [["IFLA_INFO_KIND", "bridge"]]}
    message["attrs"] = [["IFLA_IFNAME", name], ["IFLA_ADDRESS", mac], ["IFLA_LINKINFO", kind]]
    return _NEWLINK, _CREATE | _EXCL, message


def veth(name: str, bridge_index: int, netns: int, inner_name: str, inner_mac: str) -> Message:
    """A cable from the bridge into a network namespace, given as a descriptor."""
    inner = {
        "attrs": [
            ["IFLA_IFNAME", inner_name],
            ["IFLA_ADDRESS", inner_mac],
            ["IFLA_NET_NS_FD", netns],
        ]
    }
    kind = {
        "attrs": [
            ["IFLA_INFO_KIND", "veth"],
            ["IFLA_INFO_DATA", {"attrs": [["VETH_INFO_PEER", inner]]}],
        ]
    }
    message = ifinfmsg()
    message["flags"] = message["change"] = _UP
    message["attrs"] = [
        ["IFLA_IFNAME", name],
        ["IFLA_MASTER", bridge_index],
        ["IFLA_LINKINFO", kind],
    ]
    return _NEWLINK, _CREATE | _EXCL, message


def hairpin(name: str) -> Message:
    """Let a bridge send packets out by the port that they came in by.

    Where br_netfilter is loaded (Docker does so) that is the way of what a container sends to a
    mapped port of its own. Not by sysfs: there the kernel spins for its lock.
    """
    message = ifinfmsg()
    data = {"attrs": [["IFLA_BRPORT_MODE", 1]]}
    kind = {"attrs": [["IFLA_INFO_SLAVE_KIND", "bridge"], ["IFLA_INFO_SLAVE_DATA", data]]}
    message["attrs"] = [["IFLA_IFNAME", name], ["IFLA_LINKINFO", kind]]
    return _NEWLINK, 0, message


def address(index: int, ip: str, prefix_length: int) -> Message:
    message = ifaddrmsg()
    message["family"], message["prefixlen"], message["index"] = (
        socket.AF_INET,
        prefix_length,
        index,
    )
    message["attrs"] = [["IFA_LOCAL", ip], ["IFA_ADDRESS", ip]]
    return _NEWADDR, _CREATE | _EXCL, message


def default_route(gateway: str) -> Message:
    message = rtmsg()
    message["family"], message["table"], message["proto"] = socket.AF_INET, 254, 4
    message["type"] = _UNICAST_ROUTE
    message["attrs"] = [["RTA_GATEWAY", gateway]]
    return _NEWROUTE, _CREATE | _EXCL, message


def delete_link(index: int) -> Message:
    message = ifinfmsg()
    message["index"] = index
    return _DELLINK, 0, message


class Netlink:
    """A route socket in the network namespace of the thread that makes it."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
        )
        self._socket.bind((0, 0))

    def __enter__(self) -> "Netlink":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def do(self, *messages: Message) -> None:
        """Send the messages in one go; OSError for the first that the kernel refuses."""
        whole = b"".join(
            _encode((kind, flags | _REQUEST | _ACK, message)) for kind, flags, message in messages
        )
        self._socket.send(whole)
        answered = 0
        refused: OSError | None = None
        while answered < len(messages):  # also after a refusal, or the next call reads our answers
            for kind, body in _parse(self._socket.recv(65536)):
                if kind == _ERROR:
                    answered += 1
                    refused = refused or _refusal(body)
        if refused is not None:
            raise refused

    def routes(self) -> list[IPv4Network]:
        """Where packets may go from here by any table, without default routes."""
        question = rtmsg()
        question["family"] = socket.AF_INET
        self._socket.send(_encode((_GETROUTE, _REQUEST | _DUMP, question)))
        found: list[IPv4Network] = []
        while True:
            for kind, body in _parse(self._socket.recv(65536)):
                if kind == _DONE:
                    return found
                if kind == _NEWROUTE and (network := _destination(body)) is not None:
                    found.append(network)


def _encode(message: Message) -> bytes:
    kind, flags, content = message
    content["header"]["type"], content["header"]["flags"] = kind, flags
    content.encode()
    return bytes(content.data)


def _parse(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and body of each message in one datagram."""
    at = 0
    while at < len(data):
        length, kind, *_ = _HEADER.unpack_from(data, at)
        yield kind, data[at : at + length]
        at += (length + 3) & ~3


def _refusal(message: bytes) -> OSError | None:
    """None: the kernel says 'error 0', which is its way to say done."""
    (number,) = struct.unpack_from("=i", message, _HEADER.size)
    return OSError(-number, os.strerror(-number)) if number else None


def _destination(message: bytes) -> IPv4Network | None:
    route = rtmsg(message)
    route.decode()
    if not route["dst_len"] or route["type"] != _UNICAST_ROUTE:
        return None
    target = dict(route["attrs"]).get("RTA_DST")
    return IPv4Network(f"{target}/{route['dst_len']}", strict=False)
