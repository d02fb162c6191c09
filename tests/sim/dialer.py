"""How the product's clients reach addresses in the simulation: `rpc.dialer.Dialer` without gRPC."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc

from diegod.rpc.methods import Method
from diegod.security.identity import Principal
from tests.sim.host import Process
from tests.sim.network import Network
from tests.sim.wire import Call, Wire, failure


class SimDialer:
    """Implements `rpc.dialer.Dialer` for one process under one principal."""

    def __init__(self, network: Network, process: Process, principal: Principal) -> None:
        self._network = network
        self._process = process
        self._principal = principal
        self._wires: dict[str, Wire] = {}

    async def call(self, address: str, method: Method, request: Any, timeout_s: float) -> Any:
        message = request.SerializeToString(deterministic=True)
        deadline = self._network.loop.time() + timeout_s
        wire = await self._connected(address, timeout_s)
        call = wire.open(method, deadline - self._network.loop.time())
        call.begin(self._principal, message)
        try:
            reply = await call.reply()
        finally:
            call.leave()
        return method.reply.FromString(reply)

    async def stream(
        self, address: str, method: Method, request: Any, timeout_s: float | None
    ) -> AsyncIterator[Any]:
        message = request.SerializeToString(deterministic=True)
        wire = await self._connected(address, timeout_s)
        call = wire.open(method, timeout_s)
        call.begin(self._principal, message)
        try:
            while (reply := await call.reply()) is not None:
                yield method.reply.FromString(reply)
        finally:
            call.leave()

    async def duplex(
        self, address: str, method: Method, requests: AsyncIterator[Any], timeout_s: float | None
    ) -> AsyncIterator[Any]:
        wire = await self._connected(address, timeout_s)
        call = wire.open(method, timeout_s)
        call.begin(self._principal, None)
        pump = asyncio.get_running_loop().create_task(self._pump(call, requests))
        try:
            while (reply := await call.reply()) is not None:
                yield method.reply.FromString(reply)
        finally:
            pump.cancel()
            call.leave()

    async def close(self) -> None:
        for wire in self._wires.values():
            wire.break_off("closed")

    async def _pump(self, call: Call, requests: AsyncIterator[Any]) -> None:
        async for request in requests:
            call.request(request.SerializeToString(deterministic=True))
        call.no_more_requests()

    async def _connected(self, address: str, timeout_s: float | None) -> Wire:
        wire = self._wires.get(address)
        if wire is None or wire.is_broken:
            wire = self._wires[address] = Wire(self._network, self._process, address)
        if not wire.ready.done():
            try:
                async with asyncio.timeout(timeout_s):
                    await asyncio.wait([wire.ready])
            except TimeoutError:
                status = grpc.StatusCode.DEADLINE_EXCEEDED
                raise failure(address, status, "Deadline Exceeded") from None
        wire.ready.result()
        return wire
