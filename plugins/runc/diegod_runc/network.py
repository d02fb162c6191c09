"""Containers' networks: one bridge a cell, one network namespace a container.

Namespaces are made ahead of need, each in a slot; a container leases a slot for its life.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from diegod.contracts.backend import BackendError, PortSpec

from diegod_runc import bridge, namespaces, nat
from diegod_runc.addresses import Subnet
from diegod_runc.forwarding import Forwarding
from diegod_runc.leases import Leases
from diegod_runc.names import Names
from diegod_runc.namespaces import Namespaces
from diegod_runc.settings import Settings

_BATCH_MAX = 4  # whoever waits for the first of a batch waits for all of it
_GONE_TRIES_MAX = 200
_GONE_PAUSE_S = 0.02

T = TypeVar("T")


class Network:
    """`open` comes first; the others count on what it makes."""

    _subnet: Subnet
    _namespaces: Namespaces
    _ports: nat.MappedPorts

    def __init__(self, names: Names, settings: Settings, state_dir: Path) -> None:
        self._names = names
        self._settings = settings
        self._leases = Leases(state_dir / "leases")
        self._subnet_file = state_dir / "subnet.json"
        self._forwarding = Forwarding(bridge.exists)
        self._spare: deque[int] = deque()
        self._waiting = 0  # containers that want a slot
        self._making = asyncio.Lock()
        self._refill: asyncio.Task[None] | None = None
        self._cursor = 0  # the search for a free slot goes on here: the oldest is used again

    async def open(self, nft: str, servers: Sequence[str]) -> None:
        """Make bridge, table and folders, or find them. Ports are mapped by `reopen_ports`."""
        self._names.netns.mkdir(parents=True, exist_ok=True)
        self._leases.open()
        self._subnet = await asyncio.to_thread(self._settle_subnet, servers)
        self._namespaces = Namespaces(self._names, self._subnet)
        await asyncio.to_thread(bridge.make, self._names, self._subnet)
        self._forwarding.need(self._names.short)
        self._ports = nat.MappedPorts(nft, self._rules())
        self._find_spares()

    async def reopen_ports(self, ports: Mapping[int, nat.Target]) -> None:
        """Map all and only these, which are those of the containers that are there."""
        await self._ports.open(ports)

    async def acquire(self, handle: str) -> int:
        """A slot for a container: the one it has, or a new one."""
        for slot in self._leases.slots_of(handle):
            if self._namespaces.is_ready(slot):
                return slot
            self._drop(slot)  # the machine was restarted: only the lease is left
        while True:
            slot = await self._next_spare()
            if self._leases.take(slot, handle):
                self._refill_soon()
                return slot

    async def map_ports(self, slot: int, ports: Sequence[PortSpec]) -> None:
        address = self.address(slot)
        taken = self._ports.taken((port.host_port for port in ports), address)
        if taken is not None:
            raise BackendError(f"host port {taken} is mapped to another container of this cell")
        await self._ports.map({port.host_port: (address, port.container_port) for port in ports})

    async def release(self, handle: str) -> None:
        """Give up what a container has here."""
        for slot in self._leases.slots_of(handle):
            await self._ports.unmap(self.address(slot))
            self._drop(slot)

    def address(self, slot: int) -> str:
        return self._subnet.address(slot)

    def namespace(self, slot: int) -> Path:
        return self._namespaces.path(slot)

    async def close(self) -> None:
        if self._refill is not None:
            self._refill.cancel()
            await asyncio.wait([self._refill])
            self._refill = None

    async def sweep(self) -> None:
        """Remove everything, also what a broken agent has left: by name, not by memory."""
        await self.close()
        self._spare.clear()
        await self._ports.remove()
        await self._remove_links()
        self._forwarding.leave(self._names.short)
        self._leases.clear()
        self._subnet_file.unlink(missing_ok=True)

    async def _remove_links(self) -> None:
        """The bridge goes first: without it nobody can make another cable meanwhile."""
        for _ in range(_GONE_TRIES_MAX):
            await asyncio.to_thread(bridge.remove_links, self._names)
            left = namespaces.slots_on(self._names)
            for slot in left:
                namespaces.remove(self._names, slot)
            if not left and not bridge.links(self._names):
                return
            await asyncio.sleep(_GONE_PAUSE_S)
        raise BackendError(f"network links stay: {', '.join(bridge.links(self._names))}")

    def _rules(self) -> nat.Rules:
        subnet, settings = self._subnet.network, self._settings
        names = self._names
        return nat.Rules(names.table, names.bridge, subnet, settings.deny, settings.host_access)

    def _settle_subnet(self, servers: Sequence[str]) -> Subnet:
        """The subnet of last time, or the one that was set, or a free one; kept from now on."""
        kept, wanted = bridge.kept_subnet(self._subnet_file), self._settings.subnet
        if kept and wanted in (None, kept):
            return Subnet(kept)
        if kept and self._leases.all():
            raise BackendError(
                f"the subnet can't change from {kept} to {wanted} while containers use it"
            )
        subnet = wanted or bridge.free_subnet(self._names, servers)
        bridge.keep_subnet(self._subnet_file, subnet)
        return Subnet(subnet)

    # --- slots ---

    def _drop(self, slot: int) -> None:
        self._namespaces.remove(slot)
        self._leases.give_back(slot)

    async def _next_spare(self) -> int:
        self._waiting += 1
        try:
            while not self._spare:
                async with self._making:
                    if not self._spare:
                        await self._make(min(self._waiting, _BATCH_MAX))
        finally:
            self._waiting -= 1
        return self._spare.popleft()

    def _refill_soon(self) -> None:
        if self._refill is None or self._refill.done():
            self._refill = asyncio.create_task(self._fill_up())

    async def _fill_up(self) -> None:
        with suppress(BackendError):  # whoever needs a slot meets the same error and reports it
            while len(self._spare) < self._settings.spare_networks:
                async with self._making:
                    await self._make(1)

    async def _make(self, count: int) -> None:
        slots = self._free_slots(count)
        try:
            self._spare.extend(await _in_own_thread(lambda: self._namespaces.make(slots)))
        except OSError as error:
            why = error.strerror or error
            raise BackendError(f"a container's network can't be made: {why}") from None

    def _free_slots(self, count: int) -> list[int]:
        """Slots that are nobody's and hold nothing."""
        leased, slots = self._leases.all(), self._subnet.slots
        free: list[int] = []
        for step in range(len(slots)):
            slot = slots[(self._cursor + step) % len(slots)]
            if slot not in leased and not self._namespaces.exists(slot):
                free.append(slot)
            if len(free) == count:
                break
        if not free:
            raise BackendError(f"no free address in {self._subnet.network} for another container")
        self._cursor = (slots.index(free[-1]) + 1) % len(slots)
        return free

    def _find_spares(self) -> None:
        """Namespaces that nobody has leased: ready ones are spares, others are removed."""
        leased = self._leases.all()
        for slot in self._namespaces.all():
            if slot in leased:
                continue
            if slot in self._subnet.slots and self._namespaces.is_ready(slot):
                self._spare.append(slot)
            else:
                self._namespaces.remove(slot)


async def _in_own_thread(work: Callable[[], T]) -> T:
    """Run `work` in a thread that ends with it: it leaves the host's network and can't go back."""
    result: Future[T] = Future()
    result.set_running_or_notify_cancel()  # from here on a caller who gives up can't disturb it

    def body() -> None:
        try:
            result.set_result(work())
        except BaseException as error:  # handed over to the one who waits
            result.set_exception(error)

    threading.Thread(target=body, name="diegod-runc-netns", daemon=True).start()
    return await asyncio.wrap_future(result)
