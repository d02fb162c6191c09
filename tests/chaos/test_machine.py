"""What a run has of the machine: namespaces, rules that count, disks that fill, and its removal."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos import places
from tests.chaos.disks import Disk
from tests.chaos.network import HUB, HUB_ADDRESS, RAFT_PORT, Network, Rule
from tests.chaos.places import NETNS_FOLDER, Places
from tests.cluster.waiting import until

pytestmark = pytest.mark.root

MEMBERS = ("a", "b")
_LISTEN = """
import socket, sys
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
print(listener.getsockname()[1], flush=True)
while True:
    connection, address = listener.accept()
    connection.sendall(connection.recv(100))
"""
_ASK = """
import socket, sys
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=float(sys.argv[3]))
connection.sendall(b"hello")
print(connection.recv(100).decode(), flush=True)
"""


@pytest.fixture
def place() -> Iterator[Places]:
    made = places.begin()
    yield made
    places.remove(made.run)
    assert places.traces(made.run) == []


@pytest.fixture
def network(place: Places) -> Network:
    made = Network(place, MEMBERS)
    made.build()
    return made


def inside(network: Network, where: str, program: str, *arguments: object) -> list[str]:
    words = [str(each) for each in arguments]
    return network.command_in(where, sys.executable, "-c", program, *words)


def listen(place: Places, network: Network, where: str, address: str, port: int) -> int:
    """A server in a namespace that sends back what it is told; its port. Ends with the run."""
    process = subprocess.Popen(
        inside(network, where, _LISTEN, address, port),
        env={**os.environ, places.RUN_VARIABLE: place.run},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        return int(process.stdout.readline())


def ask(network: Network, where: str, address: str, port: int, within_s: float = 5.0) -> str:
    done = subprocess.run(
        inside(network, where, _ASK, address, port, within_s),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()


def test_members_reach_one_another_and_nothing_else(place: Places, network: Network) -> None:
    port = listen(place, network, "b", network.addresses["b"], 0)
    assert ask(network, "a", network.addresses["b"], port) == "hello"
    assert ask(network, HUB, network.addresses["b"], port) == "hello"
    routes = subprocess.run(
        ["ip", "-n", place.namespace("a"), "route"], capture_output=True, text=True, check=True
    )
    assert routes.stdout.split()[:3] == ["10.77.0.0/24", "dev", "eth0"]
    assert len(routes.stdout.splitlines()) == 1


def test_a_rule_drops_counts_and_goes(place: Places, network: Network) -> None:
    port = listen(place, network, "b", network.addresses["b"], 0)
    table = network.drop("b", [network.addresses["a"]])
    assert table.packets() == 0
    assert ask(network, "a", network.addresses["b"], port, within_s=0.5) == ""
    assert table.packets() > 0
    assert ask(network, HUB, network.addresses["b"], port) == "hello"  # of the others nothing
    table.remove()
    assert ask(network, "a", network.addresses["b"], port) == "hello"


def test_loss_is_a_share(place: Places, network: Network) -> None:
    port = listen(place, network, "b", network.addresses["b"], 0)
    most = network.lose("b", [network.addresses["a"]], 99)
    assert ask(network, "a", network.addresses["b"], port, within_s=0.5) == ""
    assert most.packets() > 0
    most.remove()
    nothing = network.lose("b", [network.addresses["a"]], 0)
    assert ask(network, "a", network.addresses["b"], port) == "hello"
    assert nothing.packets() == 0


def test_a_detour_leads_to_the_hub(place: Places, network: Network) -> None:
    """Where nobody listens on the target: whoever answers is in the hub."""
    port = listen(place, network, HUB, HUB_ADDRESS, 0)
    tables = network.detour("a", "b", port)
    assert ask(network, "a", network.addresses["b"], RAFT_PORT) == "hello"
    assert tables[0].packets() > 0
    for table in tables:
        table.remove()
    assert ask(network, "a", network.addresses["b"], RAFT_PORT, within_s=0.5) == ""


def test_a_rule_that_is_none_says_so(network: Network) -> None:
    with pytest.raises(OSError, match=r"nft -f -: .*syntax error"):
        network.add("a", "filter", "input", [Rule("nonsense")])


def test_a_disk_fills_to_the_last_block_and_is_emptied(place: Places) -> None:
    disk = Disk(place.folder / "x" / "disk", 16)
    disk.mount()
    disk.fill()
    with pytest.raises(OSError, match="No space left on device"):
        (disk.folder / "more").write_bytes(b"x" * 8192)
    disk.free()
    (disk.folder / "more").write_bytes(b"x" * 8192)


def test_what_a_dead_run_has_left_is_removed_and_nothing_of_a_live_one(place: Places) -> None:
    Network(place, MEMBERS).build()
    dead = places.begin()
    network = Network(dead, MEMBERS)
    network.build()
    Disk(dead.folder / "x" / "disk", 16).mount()
    listen(dead, network, "a", network.addresses["a"], 0)
    assert {trace.split()[0] for trace in places.traces(dead.run)} == {
        "process",
        "mount",
        "network",
        "folder",
    }
    dead.lock.close()  # as the end of its process would
    assert dead.run in places.remove_dead_runs()
    until(f"nothing of {dead.run} is left", lambda: not places.traces(dead.run))
    assert Path(NETNS_FOLDER / place.namespace(HUB)).exists()
    assert place.folder.exists()
