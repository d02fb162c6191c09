"""Who has a port, told to a person who wanted it."""

import os
import socket
from pathlib import Path

from diegod.node.ports import free_ports, unusable

HOST = "127.0.0.1"


def test_free_ports_are_free_and_different() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    with socket.socket() as listener:
        listener.bind((HOST, ports[0]))


def test_the_holder_is_named() -> None:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen()
        port = listener.getsockname()[1]
        me = Path("/proc/self/comm").read_text().strip()
        assert unusable(HOST, port).message == (
            f"port {port} is in use by pid {os.getpid()} ({me}). "
            "Stop that process, or choose another port."
        )


def test_who_can_not_be_found_is_left_out() -> None:
    """Bound, and nobody listens: no table of the kernel says whose it is."""
    with socket.socket() as bound:
        bound.bind((HOST, 0))
        port = bound.getsockname()[1]
        assert unusable(HOST, port).message == (
            f"port {port} is in use. Stop that process, or choose another port."
        )


def test_an_address_of_another_machine_is_called_so() -> None:
    message = unusable("192.0.2.1", 1801).message
    assert message == "this machine has no address 192.0.2.1. Correct bind in [node]."


def test_a_name_that_is_no_address_is_shown() -> None:
    message = unusable("no-such-host.invalid", 1801).message
    assert message.startswith("can't listen on no-such-host.invalid:1801 (")
