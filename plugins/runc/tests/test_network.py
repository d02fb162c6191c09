"""Ports and ways of real containers."""

import asyncio
import contextlib
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from diegod.contracts.backend import BackendError, ContainerSpec, PortSpec
from diegod.testing.backend_bench import NEIGHBOUR, OWNER, WITNESS, Bench, free_port, output

from diegod_runc.backend import RuncBackend
from diegod_runc.bridge import links
from diegod_runc.names import Names

pytestmark = pytest.mark.root

MakeBackend = Callable[..., RuncBackend]

HTTPD = ("httpd", "-f", "-p", "8080", "-h", "/www")


async def get(address: str, port: int, patience_s: float = 5) -> str:
    """GET / and the whole answer; goes on trying until somebody listens."""
    async with asyncio.timeout(patience_s):
        while True:
            try:
                reader, writer = await asyncio.open_connection(address, port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            answer = (await reader.read()).decode()
            writer.close()
            return answer


def a_web(bench: Bench, **changes: Any) -> ContainerSpec:
    ports = [PortSpec("web", 8080, free_port())]
    labels = {"guid": "web", "index": "3"}
    return bench.spec(*HTTPD, **{"ports": ports, "labels": labels, **changes})


def bridge_address(names: Names) -> str:
    shown = subprocess.run(
        ["ip", "-4", "-br", "addr", "show", names.bridge],
        capture_output=True,
        check=True,
        text=True,
    )
    return shown.stdout.split()[2].partition("/")[0]


@contextlib.asynccontextmanager
async def listening(address: str) -> AsyncIterator[int]:
    """Somebody of the host who says hello."""

    async def hello(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello from the host\n")
        writer.close()

    server = await asyncio.start_server(hello, address, 0, family=socket.AF_INET)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def opened(bench: Bench, make_backend: MakeBackend, **settings: Any) -> RuncBackend:
    """An agent with other settings, on a bench that knows whom to sweep when the test is over."""
    await (await bench.agent()).sweep()
    agent = make_backend(OWNER, **settings)
    await agent.open()
    return agent


async def test_mapped_port_from_everywhere_on_the_host(bench: Bench, run_dir: Path) -> None:
    spec = a_web(bench)
    started = await bench.start(await bench.agent(), spec)
    host_port = spec.ports[0].host_port
    bridge = bridge_address(Names.of(OWNER, run_dir))
    for address, port in (("127.0.0.1", host_port), (bridge, host_port), (started.address, 8080)):
        answer = await get(address, port)
        assert answer.startswith("HTTP/1.1 200 OK"), address
        assert f"web/3 on {OWNER.cell_id}, pid {started.pid}" in answer


async def test_one_container_reaches_another_by_its_mapped_port(
    bench: Bench, run_dir: Path
) -> None:
    """And itself, which takes a way back through the bridge."""
    agent, spec = await bench.agent(), a_web(bench)
    await bench.start(agent, spec)
    bridge, port = bridge_address(Names.of(OWNER, run_dir)), spec.ports[0].host_port
    await get("127.0.0.1", port)
    ask = ("sh", "-c", f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {bridge} {port}")
    assert b"web/3" in (await agent.exec(spec.handle, ask, {}, 10)).output
    other = bench.spec(*ask)
    await bench.run(agent, other)
    assert b"web/3" in output(other)


async def test_a_port_is_free_again_after_destroy(bench: Bench) -> None:
    agent, first = await bench.agent(), a_web(bench)
    await bench.start(agent, first)
    second = a_web(bench, ports=first.ports)
    with pytest.raises(BackendError, match=str(first.ports[0].host_port)):
        await agent.prepare(second)
    await agent.destroy(first.handle)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", first.ports[0].host_port)
    started = await bench.start(agent, second)
    assert f"pid {started.pid}" in await get("127.0.0.1", first.ports[0].host_port)


async def test_ports_live_through_agents_and_flushed_tables(bench: Bench, run_dir: Path) -> None:
    first, second = a_web(bench), a_web(bench)
    await bench.start(await bench.agent(), first)
    heir = await bench.agent()
    assert "200 OK" in await get("127.0.0.1", first.ports[0].host_port)
    table = Names.of(OWNER, run_dir).table
    subprocess.run(["nft", "delete", "table", "inet", table], check=True)
    await bench.start(heir, second)
    for spec in (first, second):
        assert "200 OK" in await get("127.0.0.1", spec.ports[0].host_port)


@pytest.mark.parametrize("host_access", [False, True])
async def test_what_listens_on_the_host(
    make_backend: MakeBackend, bench: Bench, run_dir: Path, host_access: bool
) -> None:
    agent = await opened(bench, make_backend, host_access=host_access)
    bridge = bridge_address(Names.of(OWNER, run_dir))
    async with listening(bridge) as port:
        asking = bench.spec("nc", "-w", "1", bridge, str(port))
        await bench.run(agent, asking)
    assert (b"hello" in output(asking)) == host_access


async def test_loopback_of_the_host_is_out_of_reach(
    make_backend: MakeBackend, bench: Bench, run_dir: Path
) -> None:
    """The bridge has route_localnet, so only our rule stands between (CVE-2020-8558).

    The attacker is given the rights that a container does not have; without the rule it gets
    through, or the test would prove nothing.
    """
    agent = await opened(bench, make_backend, host_access=True)
    spec = bench.spec(*WITNESS)
    pid = (await bench.start(agent, spec)).pid
    names = Names.of(OWNER, run_dir)
    bridge = bridge_address(names)
    async with listening("127.0.0.1") as port:
        script = (
            "echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet;"
            f" ip addr flush dev lo; ip route add 127.0.0.0/8 via {bridge};"
            f" busybox nc -w 1 127.0.0.1 {port}"
        )
        attack = ("nsenter", f"--net=/proc/{pid}/ns/net", "sh", "-c", script)
        said = await asyncio.to_thread(subprocess.run, attack, capture_output=True, check=False)
        assert said.stdout == b""
        flush = ("nft", "flush", "chain", "inet", names.table, "early")
        subprocess.run(flush, check=True)
        said = await asyncio.to_thread(subprocess.run, attack, capture_output=True, check=False)
        assert b"hello" in said.stdout


async def test_cables_go_with_their_containers(bench: Bench, run_dir: Path) -> None:
    agent = await bench.agent()
    names = Names.of(OWNER, run_dir)
    specs = [bench.spec(*WITNESS) for _ in range(3)]
    for spec in specs:
        await bench.start(agent, spec)
    for spec in specs:
        await agent.destroy(spec.handle)
    spares_and_bridge = 4 + 1
    await bench.until(lambda: len(links(names)) <= spares_and_bridge, "cables are removed")


async def test_two_cells_have_two_of_everything(bench: Bench, run_dir: Path) -> None:
    mine, theirs = Names.of(OWNER, run_dir), Names.of(NEIGHBOUR, run_dir)
    first, second = await bench.agent(), await bench.agent(NEIGHBOUR)
    a, b = a_web(bench), a_web(bench, owner=NEIGHBOUR)
    addresses = {(await bench.start(first, a)).address, (await bench.start(second, b)).address}
    assert len(addresses) == 2
    assert bridge_address(mine) != bridge_address(theirs)
    await first.sweep()
    assert links(mine) == []
    assert "200 OK" in await get("127.0.0.1", b.ports[0].host_port)


async def test_the_subnet_is_kept(make_backend: MakeBackend, bench: Bench, run_dir: Path) -> None:
    names = Names.of(OWNER, run_dir)
    first = await opened(bench, make_backend, subnet="10.213.4.0/28")
    assert bridge_address(names) == "10.213.4.1"
    await bench.start(first, bench.spec(*WITNESS))
    await (await bench.agent()).close()
    assert bridge_address(names) == "10.213.4.1"
    with pytest.raises(BackendError, match="while containers use it"):
        await make_backend(OWNER, subnet="10.213.8.0/28").open()


async def test_a_full_subnet_says_so(make_backend: MakeBackend, bench: Bench) -> None:
    agent = await opened(bench, make_backend, subnet="10.213.4.0/29", spare_networks=1)
    for _ in range(5):
        await agent.prepare(bench.spec("true"))
    with pytest.raises(BackendError, match="no free address"):
        await agent.prepare(bench.spec("true"))
