"""A dev cluster that runs: its supervisor, and the verbs that people use on its parts."""

import asyncio
import signal
import sys
from collections.abc import Callable
from typing import Any

from diegod.node.dev import control
from diegod.node.dev.layout import Layout, Part
from diegod.node.statuses import StartError
from diegod.node.supervise import Child, Supervisor
from diegod.rpc.channel import GrpcDialer
from diegod.rpc.client import ClusterClient
from diegod.security.credentials import channel_credentials, load_identity
from diegod.security.identity import Role
from diegod.v1.cluster_pb2 import GetBbsStatusReply, GetBbsStatusRequest
from diegod.world import Clock, Ids

_READY_TIMEOUT_S = 30.0


class DevCluster:
    def __init__(self, layout: Layout, clock: Clock, ids: Ids) -> None:
        self.layout = layout
        self._clock = clock
        self._ids = ids
        self.supervisor = Supervisor(
            [
                Child(part.name, layout.config(part), part.role, layout.log(part), layout.run_dir)
                for part in layout.parts
            ]
        )
        self.stopping = asyncio.Event()

    async def start(self) -> None:
        """Returns when every part is ready. Raises StartError with what a failed one said last."""
        self.supervisor.start()
        try:
            await asyncio.wait_for(self.supervisor.wait_ready(), _READY_TIMEOUT_S)
        except TimeoutError:
            slow = [c for c in self.supervisor.children.values() if not c.ready.is_set()]
            raise StartError(_last_words(slow[0]) if slow else "a part did not start") from None
        if ended := self.supervisor.ended_for_good():
            raise StartError(_last_words(ended[0]))

    async def stop(self) -> None:
        await self.supervisor.stop()

    async def sweep(self) -> None:
        """Remove the containers of every cell. The cells have stopped."""
        await asyncio.gather(*(sweep_cell(self.layout, p) for p in self.layout.of_role("cell")))

    async def status(self) -> GetBbsStatusReply:
        """What the first member that answers knows of the cluster."""
        identity = load_identity(self.layout.client_dir, Role.USER, self._clock.wall())
        dialer = GrpcDialer(lambda: channel_credentials(identity))
        try:
            client = ClusterClient(dialer, self.layout.bbs_addresses, self._clock, self._ids)
            reply: GetBbsStatusReply = await client.call(
                "diegod.v1.ClusterService/GetBbsStatus", GetBbsStatusRequest()
            )
            return reply
        finally:
            await dialer.close()

    async def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """One request from the control socket."""
        verbs: dict[str, Callable[..., Any]] = {
            "ls": self._ls,
            "kill": self._kill,
            "start": self._start,
            "pause": self._pause,
            "stop": self._stop,
        }
        verb = verbs.get(str(request.get("verb")))
        if verb is None:
            return {"error": f"unknown verb {request.get('verb')}"}
        try:
            reply: dict[str, Any] = await verb(request)
        except StartError as error:
            return {"error": error.message}
        return reply

    async def _ls(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"parts": [self._part(child) for child in self.supervisor.children.values()]}

    async def _kill(self, request: dict[str, Any]) -> dict[str, Any]:
        """The process alone; with `machine`, also what it left running."""
        child = await self._child(request)
        pid = child.pid
        await self.supervisor.kill(child.name)
        if request.get("machine") and child.role == "cell":
            await sweep_cell(self.layout, self._named(child.name))
        return {"part": child.name, "pid": pid}

    async def _start(self, request: dict[str, Any]) -> dict[str, Any]:
        child = await self._child(request)
        self.supervisor.start_child(child.name)
        self.supervisor.signal(child.name, signal.SIGCONT)
        try:
            await asyncio.wait_for(child.ready.wait(), _READY_TIMEOUT_S)
        except TimeoutError:
            raise StartError(_last_words(child)) from None
        return {"part": child.name, "pid": child.pid}

    async def _pause(self, request: dict[str, Any]) -> dict[str, Any]:
        child = await self._child(request)
        self.supervisor.signal(child.name, signal.SIGSTOP)
        return {"part": child.name, "pid": child.pid}

    async def _stop(self, request: dict[str, Any]) -> dict[str, Any]:
        self.stopping.set()
        return {}

    async def _child(self, request: dict[str, Any]) -> Child:
        name = str(request.get("part", ""))
        if name == "leader":
            name = (await self.status()).leader_id
        if name not in self.supervisor.children:
            known = ", ".join(["leader", *self.supervisor.children])
            raise StartError(f'there is no part "{name}": {known}')
        return self.supervisor.children[name]

    def _named(self, name: str) -> Part:
        return next(part for part in self.layout.parts if part.name == name)

    def _part(self, child: Child) -> dict[str, Any]:
        return {
            "part": child.name,
            "role": child.role,
            "pid": child.pid,
            "ready": child.ready.is_set(),
            "held": child.held,
            "restarts": child.restarts,
            "log": str(child.log),
        }


async def sweep_cell(layout: Layout, part: Part) -> None:
    """Remove everything that a cell that has stopped left on this host, by a process of its own."""
    module = [sys.executable, "-m", "diegod.node.sweep", str(layout.config(part))]
    with layout.log(part).open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *module, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
        )
        if await process.wait() != 0:
            raise StartError(f"what {part.name} left could not be removed: see {layout.log(part)}")


async def serve_control(cluster: DevCluster) -> asyncio.Server:
    return await control.serve(cluster.layout.control_socket, cluster.answer)


def _last_words(child: Child) -> str:
    """What a part that failed said last, for a person."""
    log = child.log
    text = log.read_text(errors="replace") if log is not None and log.exists() else ""
    lines = text.strip().splitlines()
    words = next((line for line in reversed(lines) if line.startswith("diegod: ")), "")
    said = words.removeprefix("diegod: ") or (lines[-1] if lines else "it said nothing")
    return f"{child.name} did not start: {said} (its log: {child.log})"
