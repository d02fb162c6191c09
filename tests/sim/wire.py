"""One connection and the calls on it, with both their ends.

A connection carries all calls between a process and an address, as an HTTP/2 channel does. Messages
are serialised and parsed again, and refusals pass through the product's own gRPC statuses.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc

from diegod.models.errors import DomainError, Reason
from diegod.rpc.errors import code_of, details_of, error_of
from diegod.rpc.methods import Method
from diegod.security.identity import Principal
from tests.sim.host import Process
from tests.sim.loop import SIMULATION, Turn
from tests.sim.network import KEEPALIVE_S, Network, Route

CONNECT_TIMEOUT_S = 20.0
#: What brains and cells send: may be delivered twice, and be answered late.
COMMANDS = "diegod.internal.v1.RingService/Submit"
_LEAST_S = 1e-6  # timers of one moment have no order: nothing on a connection shares one


class Wire:
    """One connection: of a client's process to one address."""

    def __init__(self, network: Network, client: Process, address: str) -> None:
        self.network = network
        self.client = client
        self.address = address
        self.machine = address.rpartition(":")[0]
        self.server: Process | None = None
        self.is_broken = False
        self.calls: dict[int, Call] = {}
        self._last = {True: 0.0, False: 0.0}
        self._number = 0
        self.ready: asyncio.Future[None] = network.loop.create_future()
        network.wires[self] = None
        self.send(True, self._knock)
        network.at(CONNECT_TIMEOUT_S, self._connect_timeout)

    def open(self, method: Method, timeout_s: float | None) -> "Call":
        self._number += 1
        call = self.calls[self._number] = Call(self, self._number, method, timeout_s)
        return call

    def send(self, there: bool, deliver: Callable[[], None]) -> None:
        """In order, after a delay; nothing once the connection is broken."""
        network = self.network
        ends = (self.client.machine.name, self.machine)
        route = network.route(*(ends if there else ends[::-1]))
        now = network.loop.time()
        at = max(now + network.delay(route), self._last[there] + _LEAST_S)
        self._last[there] = at
        network.loop.call_at(at, self._arrive, route, deliver, context=SIMULATION)

    def _arrive(self, route: Route, deliver: Callable[[], None]) -> None:
        if route.stalls:
            self.network.counts["messages held back"] += 1
            route.held.append((self, deliver))
        else:
            self.deliver(deliver)

    def deliver(self, deliver: Callable[[], None]) -> None:
        if self.is_broken:
            self.network.counts["messages lost"] += 1
        else:
            deliver()

    def _knock(self) -> None:
        listener = self.network.listener(self.address)
        if listener is None:
            self.send(False, lambda: self._refused("Connection refused"))
        else:
            self.server = listener.process
            self.send(False, self._accepted)

    def _accepted(self) -> None:
        if not self.ready.done():
            self.ready.set_result(None)

    def _connect_timeout(self) -> None:
        if not self.ready.done():
            self._refused("connection attempt timed out before receiving SETTINGS frame")

    def _refused(self, why: str) -> None:
        self.is_broken = True
        self.network.wires.pop(self, None)
        if not self.ready.done():
            text = f"failed to connect to all addresses; last error: UNAVAILABLE: {why}"
            self.ready.set_exception(failure(self.address, grpc.StatusCode.UNAVAILABLE, text))
            self.ready.exception()  # whoever waits gets it; nobody may be there any more

    def break_off(self, why: str) -> None:
        """Both ends learn of it; what was on its way is lost."""
        if self.is_broken:
            return
        self._refused(why)
        for call in list(self.calls.values()):
            call.cut(why)
        self.calls.clear()

    def end_of(self, process: Process, silently: bool) -> None:
        """One end is dead. Its last words may still arrive, or be lost with it."""
        if silently:
            self.network.at(
                self.network.chance.uniform(*KEEPALIVE_S),
                lambda: self.break_off("no answer to pings"),
            )
        elif self.network.chance.random() < 0.5:
            self.break_off("Connection reset by peer")
        else:
            self.send(process is self.client, lambda: self.break_off("Socket closed"))


class Call:
    """One call on a connection, with its two ends."""

    def __init__(self, wire: Wire, number: int, method: Method, timeout_s: float | None) -> None:
        self.wire = wire
        self.number = number
        self.method = method
        self.has_ended = False
        self._replies: asyncio.Queue[bytes | DomainError | None] = asyncio.Queue()
        self._requests: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._serving: asyncio.Task[None] | None = None
        self._timer: Turn | None = None
        if timeout_s is not None:
            self._timer = wire.network.loop.call_later(timeout_s, self._expire)

    # The client's end.

    def begin(self, caller: Principal, request: bytes | None) -> None:
        if self.wire.is_broken:  # since it was made; a paused process may learn of it only now
            self.cut("Connection reset by peer")
        self._send(True, "open", lambda: self._arrive(caller, request), request or b"")
        if self._is_command and self.wire.network.is_doubled():
            again_s = self.wire.network.chance.uniform(0.001, 3.0)
            self.wire.network.at(again_s, lambda: self._arrive_again(caller, request))

    @property
    def _is_command(self) -> bool:
        return self.method.name == COMMANDS

    def _arrive(self, caller: Principal, request: bytes | None) -> None:
        """Commands may be waited for, and then it is decided there what becomes of them."""
        ambush = self.wire.network.ambush

        def serve() -> None:
            self._serve(caller, request)

        if not (self._is_command and ambush is not None and ambush(self, request or b"", serve)):
            serve()

    def _arrive_again(self, caller: Principal, request: bytes | None) -> None:
        """A second time, whatever has become of the first: nobody waits for this answer."""
        server = self.wire.server
        if server is not None and not server.is_dead and not self.wire.is_broken:
            self.wire.network.counts["commands delivered twice"] += 1
            self.wire.network.note(f"{self.wire.client.name} {self.wire.address} again")
            server.spawn(self._do_again(caller, request))

    async def _do_again(self, caller: Principal, request: bytes | None) -> None:
        handler = self.wire.network.listeners[self.wire.address].handlers[self.method.name]
        try:
            await handler(self.method.request.FromString(request), caller)
        except DomainError:
            return

    def request(self, message: bytes) -> None:
        self._send(True, "request", lambda: self._requests.put_nowait(message), message)

    def no_more_requests(self) -> None:
        self._send(True, "half-close", lambda: self._requests.put_nowait(None))

    async def reply(self) -> bytes | None:
        """The next one; None when there is no more. Raises how the call failed."""
        answer = await self._replies.get()
        if isinstance(answer, bytes):
            return answer
        self._finish()
        if answer is not None:
            raise answer
        return None

    def leave(self) -> None:
        """The caller has gone: the server is told, if the call has not ended anyway."""
        if not self.has_ended:
            self._finish()
            self._send(True, "cancel", self._cancel)

    def _expire(self) -> None:
        if not self.has_ended:
            status = grpc.StatusCode.DEADLINE_EXCEEDED
            self._end(failure(self.wire.address, status, "Deadline Exceeded"))
            self._send(True, "cancel", self._cancel)

    def cut(self, why: str) -> None:
        """The connection is gone, for both ends."""
        self._end(failure(self.wire.address, grpc.StatusCode.UNAVAILABLE, why))
        self._cancel_serving()

    def _end(self, error: DomainError | None) -> None:
        if not self.has_ended:
            self._finish()
            self._replies.put_nowait(error)

    def _finish(self) -> None:
        self.has_ended = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # The server's end.

    def _serve(self, caller: Principal, request: bytes | None) -> None:
        server = self.wire.server
        if server is not None and not server.is_dead:
            self._serving = server.spawn(self._carry_out(caller, request))

    async def _carry_out(self, caller: Principal, request: bytes | None) -> None:
        method = self.method
        listener = self.wire.network.listeners[self.wire.address]
        try:
            if caller.role not in method.roles:
                raise DomainError(Reason.PERMISSION_DENIED, f"{caller} may not call {method.name}")
            handler = listener.handlers[method.name]
            asked = method.request.FromString(request) if request is not None else self._asked()
            if method.reply_stream:
                async for reply in handler(asked, caller):
                    self._answer(reply)
            else:
                reply = await handler(asked, caller)
                if self._is_command and (late_s := self.wire.network.lateness_s()):
                    await asyncio.sleep(late_s)
                self._answer(reply)
        except DomainError as error:
            self._last_word(_passed_on(error, self.wire.address))
        except Exception as error:
            self.wire.network.complaints.append(f"{method.name} raised {error!r}")
            self._last_word(failure(self.wire.address, grpc.StatusCode.UNKNOWN, repr(error)))
        else:
            self._last_word(None)

    async def _asked(self) -> AsyncIterator[Any]:
        while (message := await self._requests.get()) is not None:
            yield self.method.request.FromString(message)

    def _answer(self, reply: Any) -> None:
        message = reply.SerializeToString(deterministic=True)
        self._send(False, "reply", lambda: self._replied(message), message)

    def _replied(self, message: bytes) -> None:
        if not self.has_ended:
            self._replies.put_nowait(message)

    def _last_word(self, error: DomainError | None) -> None:
        words = b"" if error is None else error.message.encode()
        self._send(False, "end", lambda: self._ended(error), words)

    def _ended(self, error: DomainError | None) -> None:
        self.wire.calls.pop(self.number, None)
        if not self.has_ended:
            # The queue keeps the order: replies before it are read first.
            self._finish()
            self._replies.put_nowait(error)

    def _cancel(self) -> None:
        """A handler is cancelled when its caller has gone; one that has begun may go on."""
        self.wire.calls.pop(self.number, None)
        if self.method.reply_stream or self.wire.network.chance.random() < 0.5:
            self._cancel_serving()

    def _cancel_serving(self) -> None:
        if self._serving is not None and not self._serving.done():
            self._serving.cancel()

    def _send(self, there: bool, kind: str, deliver: Callable[[], None], data: bytes = b"") -> None:
        network, wire = self.wire.network, self.wire
        source, target = wire.client.name, wire.address

        def arrive() -> None:
            network.note(f"{source} {target} {there} {self.method.name} {kind}", data)
            deliver()

        if not wire.is_broken:
            wire.send(there, arrive)


def failure(address: str, status: grpc.StatusCode, text: str) -> DomainError:
    """What the product makes of a failure of gRPC itself."""
    nothing = grpc.aio.Metadata()
    return error_of(grpc.aio.AioRpcError(status, nothing, nothing, text), address)


def _passed_on(error: DomainError, address: str) -> DomainError:
    """A refusal as the caller gets it: through the product's own encoding."""
    details = grpc.aio.Metadata(*details_of(error))
    status = grpc.aio.AioRpcError(code_of(error), grpc.aio.Metadata(), details, error.message)
    return error_of(status, address)
